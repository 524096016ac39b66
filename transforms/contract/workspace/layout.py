"""The layout of a workspace: the folders and files of everything that pipelines make."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from transforms.contract.fingerprint import fingerprint
from transforms.contract.workspace.documents import read_json
from transforms.contract.workspace.drift import MeasuredDrift
from transforms.contract.workspace.manifest import ShardManifest, TransformManifest

PIPELINE_FILE = "pipeline.yaml"  # a declaration, by the name that Braid gives it
TRANSFORM_FILE = "transform.json"  # of a transform's folder: its manifest
GRAPH_FOLDER = "graph"  # of it likewise: the SavedModel
MANIFEST_FILE = "manifest.json"  # of a partition's shards, written last: with it they are committed
# Of the folder of a transform's statistics.
MOMENTS_FILE = "moments.json"
QUANTILES_FILE = "quantiles.json"
EDGES_FILE = "edges.json"
SCALES_FILE = "scales.json"
REFERENCE_FILE = "reference.json"  # what drift is measured against
COUNTS_SUFFIX = ".counts.json"  # of how often each term of a vocabulary occurs
_LONGEST_NAME = 200  # bytes, of the 255 that file systems allow; a path of folders may be longer
_STATISTICS_FORMAT = 5  # files of another one are not found, so that their partition is read again

LockKind = Literal["run", "server", "transform", "registry", "windows", "predictions"]
# The folders of a workspace; every command that writes there has a lock in the last one.
FOLDERS = (
    "transforms",
    "statistics",
    "keys",
    "drift",
    "shards",
    "rejects",
    "windows",
    "runs",
    "backfills",
    "tunings",
    "beam",
    "registry",
    "locks",
)


@dataclass(frozen=True)
class Workspace:
    """The folder of everything that pipelines make.

    Transforms and shards are named by their content, so that pipelines share them.
    """

    root: Path

    def transform(self, fingerprint: str) -> Path:
        """Returns the folder of a frozen transform."""
        return self.root / "transforms" / fingerprint

    def statistics(self, declaration: str, partition: str, partition_fingerprint: str) -> Path:
        """Returns the file of what a partition's training rows add up to."""
        folder = self.root / "statistics" / declaration
        return folder / f"{_address(partition, partition_fingerprint)}.v{_STATISTICS_FORMAT}.arrow"

    def keys(self, key: Any, partition: str, partition_fingerprint: str) -> Path:
        """Returns the file of the hashes of a partition's keys.

        Args:
            key: All that decides on them: `SourceSpec.key_rows`.
            partition: The partition's name.
            partition_fingerprint: The fingerprint of its files.
        """
        folder = self.root / "keys" / fingerprint(key)
        return folder / f"{_address(partition, partition_fingerprint)}.npy"

    def drift(self, transform: str, partitions: Mapping[str, str]) -> Path:
        """Returns the file of how far partitions are from those that a transform was frozen on."""
        return self.root / "drift" / transform / f"{fingerprint(dict(partitions))}.json"

    def shards(self, transform: str, partition: str, partition_fingerprint: str) -> Path:
        """Returns the folder of a partition's shards."""
        return self.root / "shards" / transform / _address(partition, partition_fingerprint)

    def rejects(self, transform: str, partition: str, partition_fingerprint: str) -> Path:
        """Returns the folder of a partition's rejected rows."""
        return self.root / "rejects" / transform / _address(partition, partition_fingerprint)

    def windows(self, fingerprint: str) -> Path:
        """Returns the folder of a table of windows, by the fingerprint of its partition."""
        return self.root / "windows" / fingerprint

    def runs(self, pipeline: str) -> Path:
        """Returns the folder of a pipeline's runs."""
        return self.root / "runs" / pipeline

    def backfills(self, pipeline: str) -> Path:
        """Returns the folder of a pipeline's backfills."""
        return self.root / "backfills" / pipeline

    def tunings(self, pipeline: str) -> Path:
        """Returns the folder of a pipeline's tunings."""
        return self.root / "tunings" / pipeline

    def beam_jobs(self) -> Path:
        """Returns the folder of the jobs that wait for a Beam runner of another process."""
        return self.root / "beam"

    def lock(self, kind: LockKind, name: str) -> Path:
        """Returns the file of a lock; equal names of different kinds are different locks."""
        return self.root / "locks" / kind / f"{name}.lock"

    def run(self, pipeline: str, run_id: str) -> Path:
        """Returns the folder of one run."""
        return self.runs(pipeline) / run_id

    def read_transform(self, fingerprint: str) -> TransformManifest | None:
        """Returns a transform's manifest, or None if it is not committed."""
        path = self.transform(fingerprint) / TRANSFORM_FILE
        return read_json(path, TransformManifest) if path.exists() else None

    def read_drift(self, transform: str, partitions: Mapping[str, str]) -> MeasuredDrift | None:
        """Returns how far partitions are from a transform's, or None if it was not measured."""
        path = self.drift(transform, partitions)
        return read_json(path, MeasuredDrift) if path.exists() else None

    def newest_transform(self, declaration: str) -> TransformManifest | None:
        """Returns the transform that was committed last for what a declaration says of the data."""
        return next(self.transforms_of(declaration), None)

    def transforms_of(self, declaration: str) -> Iterator[TransformManifest]:
        """Yields what was committed for what a declaration says of the data, the newest first."""
        files = sorted(
            self.transform("any").parent.glob(f"[!.]*/{TRANSFORM_FILE}"),
            key=lambda path: path.stat().st_mtime_ns,
        )
        for path in reversed(files):
            manifest = read_json(path, TransformManifest)
            if manifest.declaration == declaration:
                yield manifest

    def read_shards(
        self, transform: str, partition: str, partition_fingerprint: str
    ) -> ShardManifest | None:
        """Returns a partition's manifest, or None if its shards are not committed."""
        path = self._shard_manifest(transform, partition, partition_fingerprint)
        return read_json(path, ShardManifest) if path.exists() else None

    def is_committed(self, transform: str, partition: str, partition_fingerprint: str) -> bool:
        """Returns whether a partition's shards are committed."""
        return self._shard_manifest(transform, partition, partition_fingerprint).exists()

    def _shard_manifest(self, transform: str, partition: str, partition_fingerprint: str) -> Path:
        return self.shards(transform, partition, partition_fingerprint) / MANIFEST_FILE


def written_folders(paths: Iterable[str]) -> set[str]:
    """Returns the folders that Braid writes, of all workspaces that have their locks among paths.

    Args:
        paths: Relative ones, with "/" between their parts.
    """
    roots = set()
    for path in paths:
        *root, folder, kind, name = ("", "", "", *path.split("/"))
        if folder == "locks" and kind in get_args(LockKind) and name.endswith(".lock"):
            roots.add("/".join(filter(None, root)))
    return {f"{root}/{folder}".lstrip("/") for root in roots for folder in FOLDERS}


def folder_name_of(partition: str) -> str:
    """Returns a name that a folder can have, for the name of a partition, which may be a path."""
    name = partition.replace("/", ",")
    return fingerprint(partition) if len(name.encode()) > _LONGEST_NAME else name


def _address(partition: str, partition_fingerprint: str) -> str:
    return f"{folder_name_of(partition)}@{partition_fingerprint}"
