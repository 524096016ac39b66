"""The analysis: statistics of the training rows, frozen into a transform graph."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public.tfxio import TensorAdapterConfig

from transforms.analyzers import counts_path, moments_path, vocabulary_path
from transforms.contract.errors import BraidError
from transforms.contract.features import Noise, RawColumn
from transforms.contract.jobs import TransformJob
from transforms.contract.manifest import (
    MISSING_SUFFIX,
    WEIGHT_SUFFIX,
    StoredFeature,
    TransformManifest,
)
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.source import SPLITS
from transforms.contract.targets import Binary, Multiclass, Multilabel
from transforms.contract.workspace import remove, replacing, write_atomic
from transforms.features import feature_kind, noise
from transforms.graph import TransformGraph, preprocessing_fn, raw_columns, tensor_spec
from transforms.reading import BatchReader
from transforms.requests import Learnt
from transforms.running import COUNTER, known_rows, marked_errors, run_pipeline, workers
from transforms.source import open_filesystem
from transforms.targets import TARGET_KINDS
from transforms.units import WorkUnit, plan_units

_BATCH_ROWS = 8_192  # numbers and short texts: a few MB
_UNITS_PER_WORKER = 2
_REJECTS, _ROWS = "rejects", "rows"


def analyze(text: str) -> dict[str, Any]:
    """Runs a `TransformJob` given as JSON: analyzes its partitions and commits the transform.

    Returns:
        The analyzed training rows and the seconds that it took.

    Raises:
        BraidError: A file cannot be read, or the training rows cannot make a model.
    """
    started = time.monotonic()
    job = TransformJob.model_validate_json(text)
    with replacing(job.folders().transform(job.transform)) as folder:
        statistics = folder / "statistics"
        statistics.mkdir(parents=True)
        rows, rejects = _run_analysis(job, folder, statistics)
        manifest = _manifest(job, statistics, rows)
        _check_rows(manifest, rejects)
        _check_targets(job.pipeline, manifest)
        tf.saved_model.save(TransformGraph(job.pipeline, folder / "tft"), str(folder / "graph"))
        write_atomic(folder / "transform.json", manifest.model_dump_json(indent=1))
    return {"rows": manifest.rows, "seconds": time.monotonic() - started}


def _run_analysis(job: TransformJob, folder: Path, statistics: Path) -> tuple[int, dict[str, int]]:
    """Writes the statistics and the frozen TFT graph.

    Returns:
        The training rows, and the rejected rows of all splits by their reason.
    """
    pipeline = job.pipeline
    preprocess = preprocessing_fn(pipeline, statistics)
    raws = raw_columns(pipeline, with_targets=True)
    specs = {name: tensor_spec(raw) for name, raw in raws.items()}
    read = set(tft.get_analyze_input_columns(preprocess, specs))
    config = _adapter_config({n: r for n, r in raws.items() if n in read}, specs)
    units = _units(job)

    def build(p: beam.Pipeline) -> None:
        batches = (
            p
            | "Units" >> beam.Create(units)
            | "SpreadUnits" >> beam.Reshuffle()
            | "ReadTrainingRows" >> beam.ParDo(_ReadTrainingRows(job.table(), read))
        )
        transform_fn = (batches, config) | tft_beam.AnalyzeDataset(preprocess)
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "tft"))

    scratch = folder / "scratch"
    with COUNTER.reporting(known_rows(units)), tft_beam.Context(temp_dir=str(scratch)):
        counted = run_pipeline(pipeline.beam, build)
    remove(scratch)
    rejects = {name: rows for (group, name), rows in counted.items() if group == _REJECTS}
    return counted.get((_ROWS, "train"), 0), rejects


def _units(job: TransformJob) -> list[WorkUnit]:
    source = job.table().source
    filesystem, _ = open_filesystem(source.path)
    wanted = -(-_UNITS_PER_WORKER * workers(job.pipeline.beam) // len(job.partitions))
    return [
        unit
        for partition in job.partitions
        for unit in plan_units(
            partition, format_=source.format, filesystem=filesystem, at_least=wanted
        )
    ]


class _ReadTrainingRows(beam.DoFn):  # type: ignore[misc]
    """Reads a unit's training rows as TFT takes them: a batch of list columns."""

    def __init__(self, pipeline: PipelineSpec, columns: set[str]) -> None:
        self._pipeline = pipeline
        self._columns = columns

    def setup(self) -> None:
        """Opens the source once a worker."""
        self._reader = BatchReader(self._pipeline, self._columns)

    def process(self, unit: WorkUnit) -> Iterator[pa.RecordBatch]:
        """Yields the unit's batches."""
        with marked_errors("analyze"):
            for batch in self._reader.read(unit, _BATCH_ROWS):
                for reject in batch.rejects:
                    name = f"{reject.column}: {reject.reason}"
                    beam.metrics.Metrics.counter(_REJECTS, name).inc()
                rows = batch.splits == SPLITS.index("train")
                beam.metrics.Metrics.counter(_ROWS, "train").inc(int(rows.sum()))
                COUNTER.add(batch.rows)
                if rows.any() and batch.columns:
                    yield _record_batch(batch.select(rows))


def _record_batch(columns: dict[str, np.ndarray]) -> pa.RecordBatch:
    arrays = {}
    for name in sorted(columns):
        values = columns[name]
        length = values.size // max(len(values), 1)
        type_ = pa.float32() if values.dtype == np.float32 else pa.large_binary()
        offsets = np.arange(len(values) + 1, dtype=np.int64) * length
        arrays[name] = pa.LargeListArray.from_arrays(offsets, pa.array(values.ravel(), type_))
    return pa.RecordBatch.from_pydict(arrays)


def _adapter_config(
    raws: dict[str, RawColumn], specs: dict[str, tf.TypeSpec]
) -> TensorAdapterConfig:
    """Tells TFT how the list columns become dense tensors, and what was left out."""
    fields, representations = [], {}
    for name in sorted(raws):
        raw = raws[name]
        type_ = pa.float32() if raw.dtype == "float32" else pa.large_binary()
        fields.append(pa.field(name, pa.large_list(type_)))
        representation = schema_pb2.TensorRepresentation()
        representation.dense_tensor.column_name = name
        dims = representation.dense_tensor.shape
        dims.SetInParent()
        for size in raw.shape:
            dims.dim.add(size=size)
        representations[name] = representation
    return TensorAdapterConfig(pa.schema(fields), representations, original_type_specs=specs)


def _manifest(job: TransformJob, statistics: Path, training_rows: int) -> TransformManifest:
    pipeline, moments = job.pipeline, _moments(statistics)
    learnt = {name: _learnt(statistics, name, moments) for name in pipeline.targets}
    return TransformManifest(
        fingerprint=job.transform,
        declaration=pipeline.data_fingerprint(),
        raw_features=pipeline.raw_features(),
        raw_targets=pipeline.raw_targets(),
        stored=tuple(_stored(pipeline, statistics, moments)),
        targets={
            name: TARGET_KINDS[target.kind].statistics(target, learnt[name])
            for name, target in pipeline.targets.items()
        },
        rows=max(
            TARGET_KINDS[target.kind].labelled(learnt[name], training_rows)
            for name, target in pipeline.targets.items()
        ),
        partitions={partition.name: partition.fingerprint for partition in job.partitions},
    )


def _moments(statistics: Path) -> dict[str, Any]:
    path = moments_path(statistics)
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _learnt(statistics: Path, name: str, moments: dict[str, Any]) -> Learnt:
    terms: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    path = vocabulary_path(statistics, name)
    if path.exists():
        # Lines end in "\n" alone: a label may have one of Unicode's other line breaks in it.
        terms = tuple(path.read_bytes().decode().split("\n")[:-1])
        counts = tuple(json.loads(counts_path(statistics, name).read_text()))
    if name not in moments:
        return Learnt(terms, counts)
    column = moments[name]
    return Learnt(
        terms,
        counts,
        rows=int(max(column["count"])),
        mean=tuple(column["mean"]),
        deviation=tuple(column["deviation"]),
    )


def _stored(
    pipeline: PipelineSpec, statistics: Path, moments: dict[str, Any]
) -> Iterator[StoredFeature]:
    for name, feature in pipeline.features.items():
        if isinstance(feature, Noise):
            details = noise.drawn(feature)
        else:
            learnt = _learnt(statistics, name, moments)
            details = feature_kind(feature.kind).stored(feature, learnt)
        yield _stored_feature(name, "feature", feature, details)
        if feature.has_indicator:
            yield _flag(name + MISSING_SUFFIX, "indicator", feature.kind)
    for name, target in pipeline.targets.items():
        details = TARGET_KINDS[target.kind].stored(target, _learnt(statistics, name, moments))
        yield _stored_feature(name, "target", target, details)
        if "mask" in (target.missing, target.invalid):
            yield _flag(name + WEIGHT_SUFFIX, "weight", target.kind)


def _stored_feature(name: str, role: Any, spec: Any, details: dict[str, Any]) -> StoredFeature:
    dtype, shape = spec.layout()
    return StoredFeature(name=name, role=role, kind=spec.kind, dtype=dtype, shape=shape, **details)


def _flag(name: str, role: Any, kind: str) -> StoredFeature:
    return StoredFeature(name=name, role=role, kind=kind, dtype="float32", shape=())


def _check_rows(manifest: TransformManifest, rejects: dict[str, int]) -> None:
    """Refuses to go on without training rows, and says where they went."""
    if manifest.rows:
        return
    worst = sorted(rejects.items(), key=lambda item: -item[1])
    lost = ", ".join(f"{rows:,} for {reason}" for reason, rows in worst)
    raise BraidError(
        "the training split",
        expected="rows with a label",
        received=f"none; rejected rows: {lost or 'none'}",
        action="Correct the columns that are named, or their `missing` and `invalid` policies; "
        "without rejected rows, the split leaves no row for training.",
    )


def _check_targets(pipeline: PipelineSpec, manifest: TransformManifest) -> None:
    """Refuses training rows that no model can learn a target from."""
    for name, target in pipeline.targets.items():
        statistics = manifest.targets[name]
        present = [
            label for label, n in zip(statistics.labels, statistics.counts, strict=True) if n
        ]
        wanted = {Binary: 2, Multiclass: 2, Multilabel: 1}.get(type(target), 0)
        if len(present) < wanted:
            raise BraidError(
                f"targets.{name}",
                expected=f"at least {('one class', 'two classes')[wanted - 1]} among the training "
                "rows",
                received=f"only {', '.join(map(repr, present)) or 'none'}",
                action="Choose another target or split, or (binary) the `positive` value.",
            )
