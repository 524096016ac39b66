"""The same answer for every row: what the training rows say without any feature."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from trainer.linear.answers import Answered
from trainer.linear.sample import Sample
from trainer.network.scores import Arrays
from transforms.contract.columns.targets import NumericTarget, SequenceTarget


class Constant:
    """The answer whose loss on the training rows no other constant beats.

    Of classes that is their shares, of numbers the mean, or the median where the loss is `mae`; of
    pictures the mean picture. Rows without a label do not count.

    Args:
        answered: The targets that are no pictures.
        sample: Training rows.
        pictures: Whether pictures have a constant answer.
    """

    name = "constant"

    def __init__(
        self, answered: Mapping[str, Answered], sample: Sample, *, pictures: bool = True
    ) -> None:
        self._answers: dict[str, np.ndarray] = dict(sample.mean_pictures) if pictures else {}
        for target, how in answered.items():
            matrix_BK = how.matrix(sample.targets[target][sample.weights[target] > 0])
            if len(matrix_BK):
                self._answers[target] = how.predictions(_center(how, matrix_BK))[0]
        self.targets = frozenset(self._answers)

    def predict(self, inputs: Arrays, rows: int) -> dict[str, np.ndarray]:
        """Returns the answers as `SplitScores.update` takes them.

        Args:
            inputs: Not looked at.
            rows: How many rows there are.
        """
        del inputs
        return {
            target: np.broadcast_to(answer, (rows, *np.shape(answer)))
            for target, answer in self._answers.items()
        }


def _center(how: Answered, matrix_BK: np.ndarray) -> np.ndarray:
    """Returns what the matrix has in its middle, float32 [1, K]."""
    if isinstance(how.target, NumericTarget | SequenceTarget) and how.target.loss == "mae":
        return np.asarray(np.median(matrix_BK, axis=0, keepdims=True))
    return np.asarray(matrix_BK.mean(axis=0, keepdims=True, dtype=np.float64), np.float32)
