"""Targets as matrices, and answers to them as metrics take them. B rows, K numbers or classes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trainer.network.heads import head_of
from transforms.contract.columns.targets import (
    Binary,
    Multiclass,
    Multilabel,
    NumericTarget,
    SequenceTarget,
    Target,
    TargetSpec,
)
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import (
    StoredFeature,
    TargetStatistics,
    TransformManifest,
)

Link = Literal["sigmoid", "softmax", "identity"]


@dataclass(frozen=True)
class Answered:
    """A target with all that turns it into a matrix and back.

    Attributes:
        target: The declaration.
        stored: What the shards hold of it.
        statistics: What the training rows say of it.
        link: From scores to what is answered: independent probabilities, those of classes that
            exclude each other, or numbers.
    """

    target: Target
    stored: StoredFeature
    statistics: TargetStatistics
    link: Link

    def matrix(self, truths: np.ndarray) -> np.ndarray:
        """Returns truths as the stream gives them, [B, ...], as float32 [B, K]."""
        if self.link != "softmax":
            return truths.reshape(len(truths), math.prod(truths.shape[1:])).astype(np.float32)
        classes = np.arange(self.stored.cardinality or 0)
        return np.asarray(truths.reshape(-1, 1) == classes, np.float32)

    def predictions(self, answers_BK: np.ndarray) -> np.ndarray:
        """Returns answers as `SplitScores.update` takes them."""
        if self.target.has_classes:
            return answers_BK
        values = answers_BK.reshape(len(answers_BK), *self.stored.shape)
        return head_of(self.target).in_unit(self.statistics, values)


# Pictures are not here: a row of such a matrix would be a picture's every pixel.
LINKS: dict[type[TargetSpec], Link] = {
    Binary: "sigmoid",
    Multilabel: "sigmoid",
    Multiclass: "softmax",
    NumericTarget: "identity",
    SequenceTarget: "identity",
}


def _sigmoid(scores: np.ndarray) -> np.ndarray:
    # Of its two forms the one that does not overflow.
    exponential = np.exp(-np.abs(scores))
    return np.asarray(np.where(scores >= 0, 1.0, exponential) / (1 + exponential))


def _softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


INVERSE_LINKS: dict[Link, Callable[[np.ndarray], np.ndarray]] = {
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "identity": lambda scores: scores,
}


def answer_loss(link: Link, truths_BK: np.ndarray, answers_BK: np.ndarray) -> float:
    """Returns the mean log loss of probabilities, or the mean squared error of numbers."""
    if link == "identity":
        return float(np.mean(np.square(truths_BK - answers_BK)))
    answers = np.clip(answers_BK, 1e-7, 1 - 1e-7)  # as Keras does it
    right = truths_BK * np.log(answers)
    if link == "softmax":
        return -float(np.mean(right.sum(axis=1)))
    return -float(np.mean(right + (1 - truths_BK) * np.log1p(-answers)))


def answered_targets(pipeline: PipelineSpec, manifest: TransformManifest) -> dict[str, Answered]:
    """Returns the targets that are no pictures, by name."""
    stored = {s.name: s for s in manifest.stored}
    return {
        name: Answered(target, stored[name], manifest.targets[name], LINKS[type(target)])
        for name, target in pipeline.targets.items()
        if type(target) in LINKS
    }
