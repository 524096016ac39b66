"""The analysis: statistics of the training rows, frozen into a transform graph.

Every partition's statistics are a file of their own, so that only partitions without one are read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from transforms.analysis.column_warnings import column_warnings
from transforms.analysis.expectations import check_expectations
from transforms.analysis.partition_statistics import count_partitions, statistics_of
from transforms.analysis.request_counter import RequestCounter
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.steps.results import AnalyzeResult
from transforms.contract.workspace.cache import writing_folder
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import GRAPH_FOLDER, TRANSFORM_FILE
from transforms.contract.workspace.manifest import (
    MISSING_SUFFIX,
    WEIGHT_SUFFIX,
    StoredFeature,
    TransformManifest,
)
from transforms.graph.graph import TransformGraph
from transforms.kinds.features import stored_kind
from transforms.kinds.own_kinds import check_missing, own_features
from transforms.kinds.targets import TARGET_KINDS
from transforms.statistics.accumulators import Accumulated
from transforms.statistics.drift_reference import write_reference
from transforms.statistics.frozen import freeze, read_learnt, statistics_folder


def analyze(text: str) -> AnalyzeResult:
    """Runs a `TransformJob` given as JSON: analyzes its partitions and commits the transform.

    Raises:
        BraidError: A file cannot be read, rows are not what is expected of them, or the training
            rows cannot make a model.
    """
    started = time.monotonic()
    job = TransformJob.model_validate_json(text)
    read = count_partitions(job)
    check_expectations(job)
    total = statistics_of(job)
    place = job.folders().transform(job.transform)
    with writing_folder(place, last=TRANSFORM_FILE, check=job.refuse_lost_lease) as folder:
        statistics = statistics_folder(folder)
        statistics.mkdir(parents=True)
        freeze(RequestCounter.shared(job.pipeline).requests, total, statistics, base=_base(job))
        write_reference(total, statistics)
        manifest = _manifest(job, statistics, total)
        _check_rows(manifest, total.rejects)
        _check_targets(job.pipeline, manifest)
        graph = folder / GRAPH_FOLDER
        tf.saved_model.save(TransformGraph(job.pipeline, statistics), str(graph))
        _check_own_kinds(job.pipeline, graph)
        write_atomic(folder / TRANSFORM_FILE, manifest.model_dump_json(indent=1))
    seconds = time.monotonic() - started
    logs = [name for name, target in manifest.targets.items() if target.curve == "log"]
    return AnalyzeResult(
        rows=manifest.rows, partitions=read.partitions, logs=tuple(logs), seconds=seconds
    )


def _base(job: TransformJob) -> Path | None:
    return None if job.base is None else statistics_folder(job.folders().transform_folder(job.base))


def _manifest(job: TransformJob, statistics: Path, total: Accumulated) -> TransformManifest:
    pipeline = job.pipeline
    learnt = read_learnt(statistics, pipeline.targets)
    return TransformManifest(
        fingerprint=job.transform,
        declaration=pipeline.data_fingerprint(),
        raw_features=pipeline.raw_features(),
        raw_targets=pipeline.raw_targets(),
        stored=tuple(_stored(pipeline, statistics)),
        targets={
            name: TARGET_KINDS[target.kind].statistics(target, learnt[name])
            for name, target in pipeline.targets.items()
        },
        rows=max(
            TARGET_KINDS[target.kind].labelled(learnt[name], total.rows)
            for name, target in pipeline.targets.items()
        ),
        partitions={partition.name: partition.fingerprint for partition in job.partitions},
        base=job.base,
        warnings=column_warnings(pipeline, total),
    )


def _stored(pipeline: PipelineSpec, statistics: Path) -> Iterator[StoredFeature]:
    learnt = read_learnt(statistics, [*pipeline.features, *pipeline.targets])
    for name, feature in pipeline.features.items():
        details = stored_kind(feature.kind).stored(feature, learnt[name])
        yield _stored_feature(name, "feature", feature, details)
        if feature.has_indicator:
            yield _flag(name + MISSING_SUFFIX, "indicator", feature.kind)
    for name, target in pipeline.targets.items():
        details = TARGET_KINDS[target.kind].stored(target, learnt[name])
        yield _stored_feature(name, "target", target, details)
        if "mask" in (target.missing, target.invalid):
            yield _flag(name + WEIGHT_SUFFIX, "weight", target.kind)


def _stored_feature(name: str, role: Any, spec: Any, details: dict[str, Any]) -> StoredFeature:
    dtype, shape = spec.layout()
    return StoredFeature(name=name, role=role, kind=spec.kind, dtype=dtype, shape=shape, **details)


def _flag(name: str, role: Any, kind: str) -> StoredFeature:
    return StoredFeature(name=name, role=role, kind=kind, dtype="float32", shape=())


def _check_own_kinds(pipeline: PipelineSpec, graph: Path) -> None:
    """Refuses a user's kind that gives no number for a missing value, before any row is written."""
    if own_features(pipeline):  # loading a graph takes seconds
        check_missing(pipeline, tf.saved_model.load(str(graph)).transform)


def _check_rows(manifest: TransformManifest, rejects: Mapping[str, int]) -> None:
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
        "without rejected rows, the split or source.where leaves no row for training.",
    )


def _check_targets(pipeline: PipelineSpec, manifest: TransformManifest) -> None:
    """Refuses training rows that no model can learn a target from."""
    for name, target in pipeline.targets.items():
        statistics = manifest.targets[name]
        present = [
            label for label, n in zip(statistics.labels, statistics.counts, strict=True) if n
        ]
        fewest = target.fewest_labels
        if len(present) < fewest:
            raise BraidError(
                f"targets.{name}",
                expected=f"at least {('one class', 'two classes')[fewest - 1]} among the training "
                "rows",
                received=f"only {', '.join(map(repr, present)) or 'none'}",
                action="Choose another target or split, or (binary) the `positive` value.",
            )
