"""TensorFlow Serving's REST API, version 1: bodies to rows, predictions to bodies, metadata.

https://www.tensorflow.org/tfx/serving/api_rest, with four differences: null is a missing value; a
row without a prediction has `{"error": reason}` in its place; a prediction is an object also where
the model has one output; JSON has no NaN.
"""

from __future__ import annotations

from typing import Any

from flows.prediction.prediction_file import Predictions
from flows.serving.answers import Output, json_column
from flows.serving.limits import RequestError
from flows.serving.rows import BASE64_KEY, RowReader, Rows
from flows.serving.served import Served
from transforms.contract.declaration.rules.checks import ERROR_COLUMN

_SIGNATURE = "serving_default"
_DATATYPES = {
    "BYTES": "DT_STRING",
    "FP32": "DT_FLOAT",
    "FP64": "DT_DOUBLE",
    "UINT8": "DT_UINT8",
    "INT32": "DT_INT32",
    "INT64": "DT_INT64",
}


def rows_of(document: Any, reader: RowReader) -> tuple[Rows, bool]:
    """Returns the rows of a body, and whether they came as columns.

    Raises:
        RequestError: It is no such body.
    """
    if not isinstance(document, dict) or ("instances" in document) == ("inputs" in document):
        raise RequestError(400, 'a body {"instances": [...]} or {"inputs": {...}} is expected')
    signature = document.get("signature_name", _SIGNATURE)
    if signature != _SIGNATURE:
        raise RequestError(400, f'signature_name: "{_SIGNATURE}" is expected')
    if "instances" in document:
        instances = document["instances"]
        if not isinstance(instances, list) or not instances:
            raise RequestError(400, "instances: a list of at least one row is expected")
        return reader.of_instances(instances), False
    inputs = document["inputs"]
    if not isinstance(inputs, dict) or not inputs:
        raise RequestError(400, "inputs: an object of columns is expected, a list of values each")
    for name, values in inputs.items():
        if not isinstance(values, list) or not values:
            raise RequestError(400, f"inputs.{name}: a list of at least one value is expected")
    return reader.of_columns(inputs), True


def body_of(
    served: Served, count: int, predictions: Predictions, *, as_columns: bool
) -> dict[str, Any]:
    """Returns the answer to a request of `count` rows, which came as columns or as rows."""
    columns = {
        output.name: _entries(output, json_column(output, predictions.columns[output.name]))
        for output in served.outputs
        if output.name in predictions.columns
    }
    rows = predictions.rows.tolist()
    if as_columns:
        outputs: dict[str, list[Any]] = {}
        for output in served.outputs:
            outputs[output.name] = [None] * count
            for row, value in zip(rows, columns.get(output.name, ()), strict=True):
                outputs[output.name][row] = value
        if predictions.errors:
            outputs[ERROR_COLUMN] = [predictions.errors.get(row) for row in range(count)]
        return {"outputs": outputs}
    answers: list[dict[str, Any]] = [{} for _ in range(count)]
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            answers[row][name] = value
    for row, reason in predictions.errors.items():
        answers[row][ERROR_COLUMN] = reason
    return {"predictions": answers}


def _entries(output: Output, values: list[Any]) -> list[Any]:
    """Returns values as this protocol has them: pictures as objects, no labels that fill up."""
    if output.is_picture:
        return [{BASE64_KEY: value} for value in values]
    is_labels = output.datatype == "BYTES" and len(output.shape) == 1
    return [[label for label in row if label] for row in values] if is_labels else values


def status_of(served: Served) -> dict[str, Any]:
    """Returns the status of the version that is served."""
    status = {"error_code": "OK", "error_message": ""}
    version = {"version": served.version, "state": "AVAILABLE", "status": status}
    return {"model_version_status": [version]}


def metadata_of(served: Served) -> dict[str, Any]:
    """Returns the signature, with the labels of every target that has classes beside it."""
    signature = {
        "inputs": {i.name: _tensor(i.name, i.datatype, i.shape) for i in served.inputs},
        "outputs": {o.name: _tensor(o.name, o.datatype, o.shape) for o in served.outputs},
        "method_name": "tensorflow/serving/predict",
    }
    spec = {"name": served.name, "signature_name": "", "version": served.version}
    return {
        "model_spec": spec,
        "metadata": {
            "signature_def": {"signature_def": {_SIGNATURE: signature}},
            "labels": served.labels,
        },
    }


def _tensor(name: str, datatype: str, shape: tuple[int, ...]) -> dict[str, Any]:
    sizes = [{"size": str(size), "name": ""} for size in (-1, *shape)]
    return {
        "name": name,
        "dtype": _DATATYPES[datatype],
        "tensor_shape": {"dim": sizes, "unknown_rank": False},
    }
