"""Removes what no run needs any more: older transforms with their shards, statistics, windows.

A run removes it once its own shards are committed, and holds its pipeline's lock. What the newest
run, backfill or tuning of another pipeline works with stays, and so does the newest transform of
every declaration.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from flows.records.backfill_record import read_backfills
from flows.records.record import FINISHED, RunRecord, pipelines, read_records, read_tunings
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.files import TEMPORARY, remove
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.manifest import TransformManifest
from transforms.contract.workspace.partition import Partition

_LONGEST_WRITE_SECONDS = 3_600  # a temporary file that is older is a killed process's


@dataclass
class _Needed:
    """What the run that asks and the newest runs, backfills and tunings of others work with.

    Attributes:
        transforms: By their fingerprints.
        partitions: By name and fingerprint.
    """

    transforms: set[str] = field(default_factory=set)
    partitions: set[tuple[str, str]] = field(default_factory=set)


def remove_unused(
    workspace: Workspace, pipeline: PipelineSpec, partitions: Collection[Partition]
) -> int:
    """Removes what no run needs of all that a pipeline's declaration made.

    Args:
        workspace: Where everything lies.
        pipeline: The declaration.
        partitions: What its source has now.

    Returns:
        How many transforms went, with their shards.
    """
    removed = _remove_transforms(workspace, pipeline)
    _remove_counted(workspace, pipeline, partitions)
    if pipeline.source.windows is not None:
        _remove_windows(workspace, pipeline.name, {part.fingerprint for part in partitions})
    return removed


def _remove_transforms(workspace: Workspace, pipeline: PipelineSpec) -> int:
    older = list(workspace.transforms_of(pipeline.data_fingerprint()))[1:]
    removed = 0
    for manifest in older:
        name = manifest.fingerprint
        with (
            suppress(BraidError, OSError),  # what another run works on is not this run's business
            exclusive_lock(workspace.lock("transform", name), holder=f"transform {name}"),
        ):
            # Looked up under the lock: who needs it from now on waits, and makes it again.
            if name not in _needed(workspace, pipeline.name).transforms:
                _remove_transform(workspace, manifest)
                removed += 1
    return removed


def _remove_transform(workspace: Workspace, manifest: TransformManifest) -> None:
    name = manifest.fingerprint
    folder = workspace.transform(name)
    # Away first, so that half a transform is none; the next run sweeps up what is left of it.
    gone = folder.with_name(f"{TEMPORARY}unused-{name}")
    folder.rename(gone)
    for kind in ("shards", "rejects", "drift"):
        remove(workspace.root / kind / name)
    remove(gone)


def _remove_counted(
    workspace: Workspace, pipeline: PipelineSpec, partitions: Collection[Partition]
) -> None:
    """Removes the statistics and the hashes of keys of partitions that changed or are gone."""
    declaration = pipeline.data_fingerprint()
    kept = {(part.name, part.fingerprint) for part in partitions}
    kept |= _needed(workspace, pipeline.name).partitions
    _remove_others({workspace.keys(pipeline.source.key_rows, *item) for item in kept})
    for manifest in workspace.transforms_of(declaration):
        kept |= set(manifest.partitions.items())
    _remove_others({workspace.statistics(declaration, *item) for item in kept})


def _remove_others(kept: Collection[Path]) -> None:
    """Removes all other files of the folder of some files."""
    folder = next(iter(kept)).parent
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        if path not in kept and not _is_being_written(path):
            remove(path)


def _is_being_written(path: Path) -> bool:
    with suppress(FileNotFoundError):
        age = time.time() - path.stat().st_mtime
        return path.name.startswith(TEMPORARY) and age < _LONGEST_WRITE_SECONDS
    return False


def _remove_windows(workspace: Workspace, pipeline: str, present: Collection[str]) -> None:
    own = [*read_records(workspace, pipeline), *read_tunings(workspace, pipeline)]
    past = {fingerprint for _, record in own for _, fingerprint in _partitions(record)}
    for fingerprint in sorted(past.difference(present)):
        folder = workspace.windows(fingerprint)
        if not folder.is_dir():
            continue
        with (
            suppress(BraidError, OSError),
            exclusive_lock(workspace.lock("windows", fingerprint), holder=fingerprint),
        ):
            if fingerprint not in {name for _, name in _needed(workspace, pipeline).partitions}:
                remove(folder)


def _needed(workspace: Workspace, own: str) -> _Needed:
    found = _Needed()
    for pipeline in pipelines(workspace):
        records = [record for _, record in read_records(workspace, pipeline)]
        tunings = [record for _, record in read_tunings(workspace, pipeline)][-1:]
        for record in records[-1:] if pipeline == own else (*_newest(records), *tunings):
            found.transforms.add(record.transform)
            found.partitions |= set(record.partitions.items())
        backfills = [] if pipeline == own else read_backfills(workspace, pipeline)
        for _, backfill in backfills[-1:]:
            if backfill.transform is not None:
                found.transforms.add(backfill.transform)
            found.partitions |= {(part.name, part.fingerprint) for part in backfill.partitions}
    return found


def _newest(records: list[RunRecord]) -> Iterable[RunRecord]:
    """Returns a pipeline's newest run, and the newest one that ended with a model."""
    finished = [record for record in records if record.status in FINISHED]
    return (*records[-1:], *finished[-1:])


def _partitions(record: RunRecord) -> Iterable[tuple[str, str]]:
    return (*record.partitions.items(), *record.past_partitions)
