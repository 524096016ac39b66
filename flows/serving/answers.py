"""Predictions as JSON values, and what a model takes and gives as its metadata says it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from flows.prediction.prediction_file import PICTURE_DIMENSIONS, Predictions, png
from transforms.contract.workspace.manifest import PROBABILITIES_SUFFIX

Datatype = Literal["BYTES", "FP32", "UINT8", "INT32", "INT64", "FP64"]
_MOST_REASONS = 5
_DATATYPES: dict[str, Datatype] = {"f4": "FP32", "f8": "FP64", "u1": "UINT8", "i4": "INT32"}


@dataclass(frozen=True)
class Output:
    """One output of a model.

    Attributes:
        name: A target's, or that of its probabilities or spread.
        datatype: As the Open Inference Protocol has it.
        shape: Of one row.
        is_picture: Whether a row's value is a PNG in base64.
    """

    name: str
    datatype: Datatype
    shape: tuple[int, ...]
    is_picture: bool


def outputs_of(predictions: Mapping[str, np.ndarray]) -> tuple[Output, ...]:
    """Returns the outputs of a model by an answer of it, as `braid predict` writes them.

    Every class's probability at every pixel is too much for an answer.
    """
    outputs = []
    for name, values in predictions.items():
        if values.dtype.kind in "OSU":
            outputs.append(Output(name, "BYTES", values.shape[1:], is_picture=False))
        elif values.ndim != PICTURE_DIMENSIONS:
            datatype = _DATATYPES.get(values.dtype.str[1:], "INT64")
            outputs.append(Output(name, datatype, values.shape[1:], is_picture=False))
        elif not name.endswith(PROBABILITIES_SUFFIX):
            outputs.append(Output(name, "BYTES", (), is_picture=True))
    return tuple(outputs)


def json_column(output: Output, values: np.ndarray) -> list[Any]:
    """Returns an output of some rows as JSON values, one for each row."""
    if output.is_picture:
        return [base64.b64encode(png(pixels)).decode() for pixels in values]
    listed: list[Any] = values.tolist()
    return listed


def part_of(predictions: Predictions, start: int, stop: int) -> Predictions:
    """Returns the predictions of the rows from `start` to before `stop`, counted from there."""
    low, high = np.searchsorted(predictions.rows, [start, stop])
    return Predictions(
        {name: values[low:high] for name, values in predictions.columns.items()},
        predictions.rows[low:high] - start,
        {row - start: e for row, e in predictions.errors.items() if start <= row < stop},
    )


def refusal_in(count: int, predictions: Predictions) -> str | None:
    """Returns why a request gets no prediction at all, or None if one of its rows has one."""
    if len(predictions.rows) or not count:
        return None
    reasons = list(dict.fromkeys(predictions.errors[row] for row in sorted(predictions.errors)))
    return "; ".join(reasons[:_MOST_REASONS]) + (" ..." if len(reasons) > _MOST_REASONS else "")
