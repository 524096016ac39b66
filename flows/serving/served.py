"""A registered version that is loaded and answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flows.prediction.predict import score_batch
from flows.prediction.prediction_file import Predictions
from flows.serving.answers import Datatype, Output, outputs_of, part_of
from flows.serving.rows import RowReader, Rows
from transforms.contract.workspace.manifest import PROBABILITIES_SUFFIX
from transforms.kinds.pictures.bad_pictures import PictureJudge

if TYPE_CHECKING:
    from trainer.export.serving import Scorer

_WARM_ROWS = (1, 8, 1)


@dataclass(frozen=True)
class Input:
    """A column that a model takes.

    Attributes:
        name: The source column's.
        datatype: As the Open Inference Protocol has it.
        shape: Of one row; -1 where it may vary.
        kind: Of the feature that reads it.
        may_be_missing: Whether a row without it has a prediction.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    kind: str
    may_be_missing: bool


@dataclass(frozen=True)
class Served:
    """A version of a registered model that is ready to answer.

    Attributes:
        name: The registered model's.
        version: Its number, as text.
        scorer: The loaded export.
        outputs: What it gives for a row.
        most_rows: Of a request.
    """

    name: str
    version: str
    scorer: Scorer
    outputs: tuple[Output, ...]
    most_rows: int

    @cached_property
    def reader(self) -> RowReader:
        """The reader of requests."""
        return RowReader(self.scorer.pipeline, self.most_rows)

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs that it takes, by source column."""
        features = self.scorer.pipeline.column_features()
        inputs: dict[str, Input] = {}
        for name, raw in self.scorer.pipeline.raw_features().items():
            shape = (-1, *raw.shape[1:]) if raw.padded else raw.shape
            shape = shape if len(raw.columns) == 1 else shape[:-1]
            if shape[1:] == (1,):  # a series of one channel is a list of numbers
                shape = shape[:1]
            datatype: Datatype = "FP32" if raw.dtype == "float32" else "BYTES"
            spec = features[name]
            for column in raw.columns:
                before = inputs.get(column)
                may = spec.missing != "reject" and (before is None or before.may_be_missing)
                inputs[column] = Input(column, datatype, shape, spec.kind, may)
        return tuple(inputs.values())

    @cached_property
    def labels(self) -> dict[str, list[str]]:
        """The classes of every output of probabilities, in their order."""
        names = {output.name for output in self.outputs}
        labels = {}
        for target, statistics in self.scorer.manifest.targets.items():
            name = target + PROBABILITIES_SUFFIX
            if name in names:
                labels[name] = list(statistics.labels)
        return labels

    @cached_property
    def _judge(self) -> PictureJudge:
        return PictureJudge(self.scorer.pipeline, with_targets=False)

    def score(self, parts: Sequence[Rows]) -> list[Predictions]:
        """Returns the predictions of several requests, which go through the model at once."""
        batch = self.reader.batch(parts)
        predictions = score_batch(self.scorer, batch, judge=self._judge, keep_invalid=False)
        if len(parts) == 1:
            return [predictions]
        answers, start = [], 0
        for part in parts:
            answers.append(part_of(predictions, start, start + part.count))
            start += part.count
        return answers


def load_served(name: str, version: str, folder: Path, most_rows: int) -> Served:
    """Loads an export and lets it answer, so that the first request need not wait.

    Raises:
        BraidError: The folder holds no export, or the export gives no finite numbers.
    """
    from trainer.export.serving import load, try_out

    scorer = load(folder)
    answers = [try_out(scorer, rows) for rows in _WARM_ROWS]
    served = Served(name, version, scorer, outputs_of(answers[0]), most_rows)
    blank = served.reader.of_instances([{}])
    served.score([blank])
    return served
