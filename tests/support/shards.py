"""A workspace with shards that were committed, begun or left behind, without any of Beam."""

from __future__ import annotations

import os
from pathlib import Path

from flows.orchestration.run_steps import Run
from flows.records.record import write_record
from tests.support.runs import flats, run_of
from transforms.contract.workspace.files import remove
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import (
    Shard,
    ShardManifest,
    TransformManifest,
)
from transforms.contract.workspace.partition import Partition
from transforms.contract.workspace.transform_choice import TransformChoice

OURS, OTHERS = "aaaa", "bbbb"
DAY_1 = Partition(name="day=1", value="1", fingerprint="f1", files=())
DAY_2 = Partition(name="day=2", value="2", fingerprint="f2", files=())


def flats_run(workspace: Workspace, *partitions: Partition, **changes) -> Run:
    """Returns a run of a pipeline on partitions, as it begins."""
    by_day = {"source": {"path": "/data", "key": "id", "partition_by": "day"}}
    return run_of(flats(**by_day | changes), workspace, partitions, TransformChoice(OURS))


def leave_tuning(workspace: Workspace, transform: str, *partitions: Partition, name: str) -> None:
    """Leaves the record of a tuning, and no run."""
    record = flats_run(workspace, *partitions, name=name).log.record
    record.transform = transform
    write_record(workspace.tunings(name) / "t", record)
    remove(workspace.runs(name))


def write_file(path: Path, text: str = "x") -> Path:
    """Writes a file with its folder, and returns it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def transform_manifest(name: str, *parts: Partition, declaration: str = "d") -> TransformManifest:
    """Returns the manifest of a transform that stores nothing, frozen on some partitions."""
    return TransformManifest(
        fingerprint=name,
        declaration=declaration,
        raw_features={},
        raw_targets={},
        stored=(),
        targets={},
        rows=1,
        partitions={part.name: part.fingerprint for part in parts},
    )


def shard_manifest(transform: str, part: Partition) -> ShardManifest:
    """Returns the manifest of a partition of one shard of one byte."""
    shard = Shard(file="train.tfrecord", split="train", rows=1, bytes=1, checksum="c")
    return ShardManifest(
        transform=transform,
        partition=part.name,
        partition_fingerprint=part.fingerprint,
        shards=(shard,),
        rows=1,
    )


def write_transform(
    workspace: Workspace, name: str, *parts: Partition, declaration: str = "d", age: int = 0
) -> None:
    """Writes the manifest of a frozen transform, so many seconds old."""
    manifest = transform_manifest(name, *parts, declaration=declaration)
    path = write_file(workspace.transform(name) / "transform.json", manifest.model_dump_json())
    os.utime(path, (10**9 - age,) * 2)


def commit(workspace: Workspace, transform: str, part: Partition) -> Path:
    """Commits a partition of one shard with one file of rejects, and returns its folder."""
    folder = workspace.shards(transform, part.name, part.fingerprint)
    manifest = shard_manifest(transform, part)
    write_file(folder / "train.tfrecord")
    write_file(folder / "manifest.json", manifest.model_dump_json())
    write_file(workspace.rejects(transform, part.name, part.fingerprint) / "00000.parquet")
    return folder


def leave_started(workspace: Workspace, transform: str, part: Partition) -> tuple[Path, Path]:
    """Leaves what a step that was killed within a partition leaves; shards and rejects."""
    folder = workspace.shards(transform, part.name, part.fingerprint)
    write_file(folder / "units" / "00000.json")
    write_file(folder / "train.tfrecord")
    write_file(folder / ".tmp-train-00001.tfrecord")
    rejects = workspace.rejects(transform, part.name, part.fingerprint)
    write_file(rejects / "00000.parquet")
    write_file(rejects / ".tmp-1234-00001.parquet")
    return folder, rejects


def names_in(folder: Path) -> set[str]:
    """Returns the names of what lies in a folder."""
    return {path.name for path in folder.iterdir()}


def data_declaration(workspace: Workspace) -> str:
    """Returns the fingerprint of what shapes the pipeline's shards."""
    return flats_run(workspace, DAY_1).work.pipeline.data_fingerprint()


def write_statistics(workspace: Workspace, declaration: str, part: Partition) -> Path:
    """Writes a partition's statistics, and returns the file."""
    return write_file(workspace.statistics(declaration, part.name, part.fingerprint))
