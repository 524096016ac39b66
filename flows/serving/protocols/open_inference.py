"""The Open Inference Protocol, version 2, over REST: bodies to rows, predictions to bodies.

https://github.com/open-inference/open-inference-protocol, `inference_rest.md`. Pictures are BYTES
in base64. null is a missing value, at the end of a list nothing at all. An answer has nulls for
rows without a prediction, and the reasons in the output `error`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from flows.prediction.prediction_file import Predictions
from flows.serving.answers import Output, json_column
from flows.serving.limits import RequestError
from flows.serving.rows import BASE64_KEY, RowReader, Rows
from flows.serving.served import Served
from transforms.contract.declaration.rules.checks import ERROR_COLUMN

_PLATFORM = "tensorflow_savedmodel"
_DATATYPES = {"BOOL", "BYTES", "FP16", "FP32", "FP64"}
_DATATYPES |= {f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)}
_MOST_DIMENSIONS = 3


def rows_of(document: Any, reader: RowReader) -> Rows:
    """Returns the rows of a body.

    Raises:
        RequestError: It is no such body.
    """
    inputs = document.get("inputs") if isinstance(document, dict) else None
    if not isinstance(inputs, list) or not inputs:
        raise RequestError(400, 'a body {"inputs": [...]} of at least one tensor is expected')
    columns: dict[str, list[Any]] = {}
    for place, tensor in enumerate(inputs):
        name, values = _tensor(tensor, f"inputs[{place}]")
        if name in columns:
            raise RequestError(400, f"inputs[{place}].name: {name} is there twice")
        raw = reader.raws.get(name)
        if raw is not None and raw.dtype == "bytes":
            values = [{BASE64_KEY: v} if isinstance(v, str) else v for v in values]
        if raw is None or not raw.shape:
            values = [v[0] if isinstance(v, list) and len(v) == 1 else v for v in values]
        columns[name] = values
    return reader.of_columns(columns)


def asked_outputs(document: Any, served: Served) -> tuple[Output, ...]:
    """Returns the outputs that a body asks for; all of them if it names none.

    Raises:
        RequestError: The model has no such output.
    """
    asked = document.get("outputs") or []
    if not isinstance(asked, list):
        raise RequestError(400, "outputs: a list of objects with a name is expected")
    known = {output.name: output for output in served.outputs}
    chosen: dict[str, Output] = {}
    for place, output in enumerate(asked):
        name = output.get("name") if isinstance(output, dict) else None
        if not isinstance(name, str) or name not in known:
            raise RequestError(400, f"outputs[{place}].name: one of {', '.join(known)} is expected")
        chosen[name] = known[name]
    return tuple(chosen.values()) or served.outputs


def body_of(
    served: Served,
    outputs: Sequence[Output],
    count: int,
    predictions: Predictions,
    identity: Any,
) -> dict[str, Any]:
    """Returns the answer to a request of `count` rows with the id `identity`."""
    tensors = [_answered(output, count, predictions) for output in outputs]
    if predictions.errors:
        reasons = [predictions.errors.get(row) for row in range(count)]
        tensors.append(_as_tensor(ERROR_COLUMN, "BYTES", [count], reasons))
    body = {"model_name": served.name, "model_version": served.version, "outputs": tensors}
    return body | ({"id": identity} if isinstance(identity, str) else {})


def metadata_of(served: Served) -> dict[str, Any]:
    """Returns the model's tensors, and in their parameters the labels of its classes."""

    def tensor(name: str, datatype: str, shape: tuple[int, ...]) -> dict[str, Any]:
        labels = served.labels.get(name)
        described: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [-1, *shape]}
        return described | ({"parameters": {"labels": labels}} if labels else {})

    return {
        "name": served.name,
        "versions": [served.version],
        "platform": _PLATFORM,
        "inputs": [tensor(i.name, i.datatype, i.shape) for i in served.inputs],
        "outputs": [tensor(o.name, o.datatype, o.shape) for o in served.outputs],
    }


def _tensor(tensor: Any, place: str) -> tuple[str, list[Any]]:
    """Returns the name of an input tensor, and its value for each row."""
    if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
        raise RequestError(400, f"{place}: a tensor with name, shape, datatype, data is expected")
    if tensor.get("datatype") not in _DATATYPES:
        raise RequestError(400, f"{place}.datatype: one of {', '.join(sorted(_DATATYPES))}")
    shape: Any = tensor.get("shape")
    data: Any = tensor.get("data")
    is_list = isinstance(shape, list) and 1 <= len(shape) <= _MOST_DIMENSIONS
    if not is_list or not all(type(size) is int and size > 0 for size in shape):
        raise RequestError(400, f"{place}.shape: one to three sizes above 0 are expected")
    if not isinstance(data, list):
        raise RequestError(400, f"{place}.data: a list is expected; binary data is not taken")
    flat = list(_flat(data, len(shape)))
    if math.prod(shape) != len(flat):
        raise RequestError(400, f"{place}.data: {math.prod(shape)} values, received {len(flat)}")
    return tensor["name"], _shaped(flat, shape)


def _flat(data: list[Any], dimensions: int) -> Iterator[Any]:
    for value in data:
        if isinstance(value, list) and dimensions > 1:
            yield from _flat(value, dimensions - 1)
        else:
            yield value


def _shaped(flat: list[Any], shape: Sequence[int]) -> list[Any]:
    """Returns values in row-major order as lists of `shape`, those below the rows unpadded."""
    values = flat
    for size in reversed(shape[1:]):
        lists = [values[start : start + size] for start in range(0, len(values), size)]
        values = [_unpadded(each) for each in lists]
    return values


def _unpadded(values: list[Any]) -> list[Any] | None:
    """Returns a list without the missing values at its end, and None if it has no other."""
    length = len(values)
    while length and values[length - 1] is None:
        length -= 1
    return values[:length] or None


def _answered(output: Output, count: int, predictions: Predictions) -> dict[str, Any]:
    values: list[Any] = [[None] * math.prod(output.shape)] * count
    given = predictions.columns.get(output.name)
    if given is not None:
        listed = given if output.is_picture else np.reshape(given, (len(given), -1))
        for row, value in zip(predictions.rows.tolist(), json_column(output, listed), strict=True):
            values[row] = [value] if output.is_picture else value
    flat = [entry for row in values for entry in row]
    return _as_tensor(output.name, output.datatype, [count, *output.shape], flat)


def _as_tensor(name: str, datatype: str, shape: list[int], data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}
