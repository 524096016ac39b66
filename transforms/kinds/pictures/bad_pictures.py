"""The pictures of a row that a graph cannot take, and why: alike for shards and predictions.

A decoder says so by failing. Nothing here imports TensorFlow, whose errors go by their names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.kinds.pictures.refusals import is_refusal, refusal_of

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class BadPicture:
    """A picture that the graph cannot take.

    Attributes:
        input: The graph's input.
        column: The source column.
        reason: Why.
        costs_row: Whether the declaration rejects the row; otherwise the picture is a missing one.
    """

    input: str
    column: str
    reason: str
    costs_row: bool


class PictureJudge:
    """Finds the bad pictures of single rows.

    Args:
        pipeline: The declaration.
        with_targets: Whether the graph takes the targets' pictures as well.
    """

    def __init__(self, pipeline: PipelineSpec, *, with_targets: bool) -> None:
        specs: dict[str, Any] = dict(pipeline.column_features())
        raws = pipeline.raw_features()
        if with_targets:
            specs |= pipeline.targets
            raws = raws | pipeline.raw_targets()
        self._columns: dict[str, str] = {}
        self._costs_row: dict[str, bool] = {}
        for name, raw in raws.items():
            if specs[name].picture_size is not None:
                self._columns[raw.name] = raw.columns[0]
                rejects = specs[name].invalid == "reject"
                self._costs_row[raw.name] = rejects or self._costs_row.get(raw.name, False)

    def judge(self, run: Callable[[Columns], object], row: Columns) -> list[BadPicture]:
        """Returns the bad pictures of a row: each is tried with no other picture beside it.

        Args:
            run: What fails on them.
            row: Its inputs, [1, ...] each.
        """
        bad = []
        blank = {name: np.array([b""], object) for name in self._columns}
        for name, column in self._columns.items():
            reason = failure(run, {**row, **blank, name: row[name]})
            if reason is not None:
                bad.append(BadPicture(name, column, reason, self._costs_row[name]))
        return bad


def failure(run: Callable[[Columns], object], columns: Columns) -> str | None:
    """Returns why a graph cannot take these rows, or None.

    Raises:
        Exception: What is no refusal of a picture.
    """
    try:
        run(columns)
    except Exception as error:
        if not is_refusal(error):
            raise
        return refusal_of(error)
    return None
