"""The description of an exported model for MLflow: columns in, columns out, a row to try."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from trainer.registry.model_files import Column, Description
from transforms.contract.columns.features import FeatureSpec, RawColumn
from transforms.contract.columns.targets import (
    Binary,
    ImageTarget,
    Multiclass,
    Multilabel,
    NumericTarget,
    SequenceTarget,
    Target,
)
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.rules.checks import ERROR_COLUMN
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import declaration_of_table
from transforms.contract.workspace.manifest import (
    DECISION_SUFFIX,
    PROBABILITIES_SUFFIX,
    SPREAD_SUFFIX,
)
from transforms.contract.workspace.partition import Partition
from transforms.reading.batches import BatchReader, RawBatch
from transforms.source.scan import open_filesystem
from transforms.source.units import plan_units

LOADER = "braid.pyfunc_model"  # not by the name of a folder that a user may have too
LIBRARIES = ("tensorflow", "numpy", "pyarrow", "pillow", "pydantic")
_ROWS_LOOKED_AT = 64
_LARGEST_PICTURE = 1_000_000  # bytes; the example is read as a whole wherever the model is opened


def describe(pipeline: PipelineSpec, partitions: Sequence[Partition]) -> Description:
    """Returns what MLflow is told of a model.

    Args:
        pipeline: The declaration, of the model's features and targets.
        partitions: Where a row of its table is found, which is the example.
    """
    return Description(
        loader=LOADER,
        inputs=inputs_of(pipeline),
        outputs=outputs_of(pipeline),
        example=_example(pipeline, partitions),
        libraries=LIBRARIES,
        metadata={
            "braid": {
                "features": {raw.name: raw.in_words() for raw in pipeline.raw_features().values()},
                "targets": {name: spec.kind for name, spec in pipeline.targets.items()},
            }
        },
    )


def inputs_of(pipeline: PipelineSpec) -> tuple[Column, ...]:
    """Returns the source columns that a model takes.

    Each may be left out, and most are of any type: MLflow refuses whole numbers for "double" and
    a missing picture for "binary", where `braid predict` takes both. What cannot be used is told
    row by row by the model itself.
    """
    features = pipeline.column_features()
    columns: dict[str, Column] = {}
    for name, raw in pipeline.raw_features().items():
        is_text = features[name].kind == "text" and not raw.shape
        for column in raw.columns:
            columns[column] = Column(column, "string" if is_text else "any")
    return tuple(columns.values())


def outputs_of(pipeline: PipelineSpec) -> tuple[Column, ...]:
    """Returns the columns that a model gives, as `braid predict` writes them."""
    columns = [column for item in pipeline.targets.items() for column in _outputs(*item)]
    return (*columns, Column(ERROR_COLUMN, "string"))


def _outputs(name: str, target: Target) -> list[Column]:
    probabilities = Column(name + PROBABILITIES_SUFFIX, "double", 1)
    if isinstance(target, ImageTarget):
        return [Column(name, "binary")]
    if isinstance(target, Multilabel):
        return [Column(name, "string", 1), probabilities]
    if isinstance(target, SequenceTarget):
        return [Column(name, "double", 2)]
    dimensions = 1 if isinstance(target, NumericTarget) and target.length else 0
    spread = [Column(name + SPREAD_SUFFIX, "double", dimensions)] if target.spread else []
    if isinstance(target, Multiclass):
        return [Column(name, "string"), probabilities, *spread]
    decides = isinstance(target, Binary) and target.threshold is not None
    decision = [Column(name + DECISION_SUFFIX, "double")] if decides else []
    return [Column(name, "double", dimensions), *decision, *spread]


def _example(pipeline: PipelineSpec, partitions: Sequence[Partition]) -> dict[str, Any] | None:
    """Returns a row that training would take, if one of the first is; None if none is."""
    hidden = pipeline.sensitive_columns()
    # The table is another's, and the model is there without.
    with suppress(BraidError, OSError, pa.ArrowException):
        for batch in _first_rows(declaration_of_table(pipeline, partitions), partitions):
            whole = [row for row in range(batch.rows) if row not in batch.refused]
            if whole:
                row = _row(pipeline.raw_features(), pipeline.column_features(), batch, whole[0])
                return {name: None if name in hidden else value for name, value in row.items()}
    return None


def _first_rows(pipeline: PipelineSpec, partitions: Sequence[Partition]) -> list[RawBatch]:
    reader = BatchReader(pipeline, features_only=True)
    filesystem, _ = open_filesystem(pipeline.source.path)
    newest = partitions[-1]  # what is served is more like its rows than like older ones
    units = plan_units(newest, format_=pipeline.source.format, filesystem=filesystem, at_least=1)
    return [b for unit in units[:1] for b in islice(reader.read(unit, _ROWS_LOOKED_AT), 1)]


def _row(
    raws: dict[str, RawColumn], specs: dict[str, FeatureSpec], batch: RawBatch, row: int
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    # What reads a column as texts has its values whole; as a number some are not.
    for name, raw in sorted(raws.items(), key=lambda item: item[1].dtype != "string"):
        stored = batch.columns[raw.name][row]
        for place, column in enumerate(raw.columns):
            series = stored[..., place] if len(raw.columns) > 1 else stored
            values.setdefault(column, _json(series, is_bytes=specs[name].kind == "image"))
    return values


def _json(value: Any, *, is_bytes: bool) -> Any:
    if isinstance(value, np.ndarray):
        entries = [_json(entry, is_bytes=is_bytes) for entry in value]
        while entries and entries[-1] in (None, [None]):
            entries.pop()  # padding
        return entries or None
    if isinstance(value, bytes):
        if is_bytes:
            small = 0 < len(value) <= _LARGEST_PICTURE
            return base64.b64encode(value).decode() if small else None
        return value.decode(errors="replace") or None
    return None if np.isnan(value) else float(value)
