"""The rules that every feature kind, target kind and encoder holds; a kind is tested by listing it.

All cases are the columns of one small table, which is analyzed and transformed once.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from pydantic import TypeAdapter

from tests.support.jobs import train_job, transform_job
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.network.encoders import Encoder
from transforms.contract.steps.jobs import TrainJob, TransformJob
from transforms.contract.workspace.manifest import ShardManifest, TransformManifest

ROWS = 40  # usable ones: the first 28 train, then 6 of each other split
FOLDS = ["train"] * 28 + ["validation"] * 6 + ["test"] * 6


@dataclass(frozen=True)
class Case:
    """A feature or a target with everything that a test of its kind needs.

    Attributes:
        name: Its name and its column's.
        declaration: What the pipeline says of it.
        values: Valid values, repeated over the rows.
        invalid: Values that are there and cannot be used, with the reason that their row is
            rejected for.
        encoders: For a feature, the encoders to try; the kind's default is tried in any case.
        type_: The column's Arrow type, where the values do not say it.
    """

    name: str
    declaration: dict[str, Any]
    values: Sequence[Any] = ()
    invalid: Sequence[tuple[Any, str]] = ()
    encoders: Sequence[dict[str, Any]] = ()
    type_: pa.DataType | None = None


@dataclass(frozen=True)
class Transformed:
    """The table of all cases, analyzed and transformed."""

    pipeline: PipelineSpec
    job: TransformJob
    manifest: ShardManifest

    def frozen(self) -> TransformManifest:
        """Returns the manifest of the transform."""
        manifest = self.job.folders().read_transform(self.job.transform)
        if manifest is None:
            raise FileNotFoundError(self.job.transform)
        return manifest

    def train_job(self, folder: Path, **model: Any) -> TrainJob:
        """Returns the job of a model of some of the cases."""
        document = self.pipeline.model_dump(mode="json")
        pipeline = parse(document | {"model": model}).modelled()
        return train_job(self.job.model_copy(update={"pipeline": pipeline}), folder)


def transform_cases(features: Sequence[Case], targets: Sequence[Case], folder: Path) -> Transformed:
    """Writes the table of the cases, analyzes and transforms it.

    After the usable rows comes one test row whose features are all missing, and one row for every
    invalid value.
    """
    from transforms.analysis.freeze import analyze
    from transforms.shards.transform import transform

    write_table([case for case in (*features, *targets) if case.values], targets, folder / "data")
    pipeline = parse(
        {
            "name": "conformance",
            "source": {"path": str(folder / "data"), "key": "id"},
            "split": {"by": "column", "column": "fold"},
            "features": {case.name: case.declaration for case in features},
            "targets": {case.name: case.declaration for case in targets},
            "training": {"epochs": 1, "batch_size": 8, "early_stopping_patience": None}
            | {"ema": 0, "members": 1, "refit": None},
            "transform": {"min_shards": 1, "max_reject_fraction": 1.0},
        }
    )
    job = transform_job(pipeline, folder / "workspace")
    (partition,) = job.partitions
    analyze(job.model_dump_json())
    transform(job.model_dump_json())
    shards = job.folders().read_shards(job.transform, partition.name, partition.fingerprint)
    if shards is None:
        raise FileNotFoundError(folder)
    return Transformed(pipeline, job, shards)


def write_table(cases: Sequence[Case], targets: Sequence[Case], folder: Path) -> None:
    """Writes the usable rows, the row of missing values and a row for every invalid value."""
    columns: dict[str, list[Any]] = {
        case.name: [case.values[i % len(case.values)] for i in range(ROWS)] for case in cases
    }
    keys, folds = [f"r{i}" for i in range(ROWS)], [*FOLDS]
    keys.append("missing")
    folds.append("test")
    labels = {case.name for case in targets}
    for name, values in columns.items():
        values.append(values[0] if name in labels else None)
    for case in cases:
        for value, reason in case.invalid:
            keys.append(f"{case.name}: {reason}")
            folds.append("test")  # a label there is new to the training rows
            for name, values in columns.items():
                values.append(value if name == case.name else values[0])
    types = {case.name: case.type_ for case in cases}
    table = {name: pa.array(values, types[name]) for name, values in columns.items()}
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"id": keys, "fold": folds, **table}), folder / "rows.parquet")


def branches_of(cases: Sequence[Case]) -> dict[str, tuple[str, dict[str, Any] | None]]:
    """Returns (feature, encoder) by the name of a branch; no encoder is the kind's default."""
    return {
        f"{case.name}_{index}": (case.name, encoder)
        for case in cases
        for index, encoder in enumerate((None, *case.encoders))
    }


def joint_network(
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    branches: dict[str, tuple[str, dict[str, Any] | None]],
    *,
    dropout: bool = True,
) -> Any:
    """Returns a model with an output [B, 1] for every branch; no branch sees another.

    Args:
        pipeline: The declaration of the features.
        manifest: What is stored of them.
        branches: Feature and encoder by the name of a branch.
        dropout: Whether the encoders have theirs.
    """
    import keras

    from trainer.network.encoders import encode

    stored = {s.name: s for s in manifest.inputs() if s.role == "feature"}
    inputs = {s.name: keras.Input(s.shape, dtype=s.dtype, name=s.name) for s in stored.values()}
    outputs = {}
    for name, (feature, declared) in branches.items():
        spec = pipeline.encoder_of(feature)
        if declared is not None:
            spec = TypeAdapter(Encoder).validate_json(json.dumps(declared))
        if not dropout and "dropout" in type(spec).model_fields:
            spec = spec.model_copy(update={"dropout": 0.0})
        encoded = encode(name, spec, stored[feature], inputs[feature])
        outputs[name] = keras.layers.Dense(1, name=name)(encoded.vector)
    return keras.Model(inputs, outputs)


def picture(seed: int, size: int = 8, mode: str = "RGB", kind: str = "PNG") -> bytes:
    """Returns an encoded picture of random pixels."""
    channels = len(mode)
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, channels)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, kind)
    return buffer.getvalue()
