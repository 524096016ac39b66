"""The files that make an export a model that MLflow opens: `MLmodel` and what it names.

Written without MLflow, whose own writer needs pandas, in its published format:
https://mlflow.org/docs/latest/ml/model/#storage-format
"""

from __future__ import annotations

import json
import platform
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import yaml

from transforms.contract.fingerprint import checksum

MLMODEL_FILE = "MLmodel"
_EXAMPLE_FILE = "input_example.json"
_SERVING_EXAMPLE_FILE = "serving_input_example.json"
_REQUIREMENTS_FILE = "requirements.txt"
_ENVIRONMENT_FILE = "python_env.yaml"
# Braid is on no index, where its name is another's: it is never to be installed by that.
_NOT_INSTALLED = "# Braid itself is to be installed from its sources: --env-manager local\n"

DataType = Literal["any", "string", "double", "binary"]


@dataclass(frozen=True)
class Column:
    """A column that a model takes or gives.

    Attributes:
        name: Its name.
        type: Of a value in MLflow's words; "any" takes whatever is given.
        dimensions: How many lists are around it.
        required: Whether a table has to have it.
    """

    name: str
    type: DataType
    dimensions: int = 0
    required: bool = False

    def document(self) -> dict[str, Any]:
        """Returns the column as MLflow's schema spells it."""
        inner: dict[str, Any] = {"type": self.type}
        for _ in range(self.dimensions):
            inner = {"type": "array", "items": inner}
        return {**inner, "name": self.name, "required": self.required}


@dataclass(frozen=True)
class Description:
    """The description of an export for MLflow.

    Attributes:
        loader: The module whose `_load_pyfunc` opens the export's folder.
        inputs: The columns that it takes.
        outputs: Those that it gives.
        example: A row to try it with, as JSON values by column.
        libraries: The packages that it needs; their versions here are noted.
        metadata: What else is to be shown of the model.
    """

    loader: str
    inputs: tuple[Column, ...]
    outputs: tuple[Column, ...]
    example: Mapping[str, Any] | None = None
    libraries: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


def write_model_files(folder: Path, described: Description, run: str) -> dict[str, str]:
    """Writes what MLflow reads beside an export.

    Args:
        folder: Where to.
        described: What it is to know.
        run: The id of the MLflow run.

    Returns:
        The files' checksums by their names.
    """
    document: dict[str, Any] = {
        "flavors": {
            "python_function": {
                "loader_module": described.loader,
                "python_version": platform.python_version(),
                "env": {"virtualenv": _ENVIRONMENT_FILE},
            }
        },
        "mlflow_version": version("mlflow-skinny"),
        "model_uuid": uuid.uuid4().hex,
        "run_id": run,
        "utc_time_created": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}",
        "metadata": dict(described.metadata),
        "signature": {
            "inputs": json.dumps([column.document() for column in described.inputs]),
            "outputs": json.dumps([column.document() for column in described.outputs]),
            "params": None,
        },
    }
    if described.example is not None:
        document["saved_input_example_info"] = _write_example(folder, described.example)
    _write_environment(folder, described.libraries)
    (folder / MLMODEL_FILE).write_text(yaml.safe_dump(document), encoding="utf-8")
    return {path.name: checksum(path) for path in sorted(folder.iterdir())}


def _write_example(folder: Path, example: Mapping[str, Any]) -> dict[str, str]:
    """Writes a row to try the model with, and returns what `MLmodel` says of it."""
    rows = {"columns": list(example), "data": [list(example.values())]}
    (folder / _EXAMPLE_FILE).write_text(json.dumps(rows), encoding="utf-8")
    served = json.dumps({"dataframe_split": rows})
    (folder / _SERVING_EXAMPLE_FILE).write_text(served, encoding="utf-8")
    return {
        "artifact_path": _EXAMPLE_FILE,
        "serving_input_path": _SERVING_EXAMPLE_FILE,
        "type": "dataframe",
        "pandas_orient": "split",
    }


def _write_environment(folder: Path, libraries: Iterable[str]) -> None:
    """Writes which Python, and which versions of libraries, the model was made with."""
    pins = "".join(f"{name}=={version(name)}\n" for name in libraries)
    (folder / _REQUIREMENTS_FILE).write_text(_NOT_INSTALLED + pins, encoding="utf-8")
    environment = {
        "python": platform.python_version(),
        "dependencies": [f"-r {_REQUIREMENTS_FILE}"],
    }
    (folder / _ENVIRONMENT_FILE).write_text(yaml.safe_dump(environment), encoding="utf-8")
