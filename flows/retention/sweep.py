"""The sweep: what no run needs any more goes, of all that a pipeline's declaration has made.

A run sweeps once its own shards are committed, under its pipeline's lock and its transform's. What
is needed is looked up under the lock of what is to go: who needs it from then on waits, and makes
it again. Of a bucket one workspace at a time removes something, under a lease of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from flows.records.kept import now
from flows.retention.exclusion import Hold, exclusive
from flows.retention.leftovers import remove_transform
from flows.retention.needed_shards import Needed, needed, past_partitions, union
from flows.retention.store_needs import StoreNeeds, note_needs, notes_of_others, sweeping
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.files import TEMPORARY, Place, remove, times_in
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock
from transforms.contract.workspace.partition import PartitionId

_LONGEST_WRITE_SECONDS = 3_600  # a temporary file that is older is a killed process's
_QUIET = timedelta(days=30)  # a workspace that has noted nothing for longer may be gone for good


@dataclass(frozen=True)
class Swept:
    """The transforms and shards that a sweep removed.

    Attributes:
        transforms: How many older ones, with their shards.
        partitions: The names of those whose shards went, as they changed or are gone.
        kept_for: The notes of other workspaces for which alone older transforms stay, and which
            were not written for long.
    """

    transforms: int
    partitions: tuple[str, ...]
    kept_for: tuple[str, ...] = ()


class Sweep:
    """The sweep of one run or tuning. The caller holds the pipeline's lock and the transform's.

    Args:
        workspace: Where everything lies.
        pipeline: The declaration.
        transform: The fingerprint of the transform that the run works with.
        partitions: What its source has now.
        hold: Keeps others from the transform.
    """

    def __init__(
        self,
        workspace: Workspace,
        pipeline: PipelineSpec,
        transform: str,
        partitions: Collection[PartitionId],
        hold: Hold,
    ) -> None:
        self._workspace = workspace
        self._pipeline = pipeline
        self._transform = transform
        self._partitions = tuple(partitions)
        self._hold = hold
        # Of other workspaces, once no other one begins to need more.
        self._notes: dict[BucketPath, StoreNeeds] = {}
        self._kept: set[str] = set()  # transforms that stay for others alone

    def run(self) -> Swept:
        """Removes what nothing needs, and returns what that was.

        Raises:
            LeaseLost: Another workspace has taken over a lease under which something was to go.
            DamagedFile: It is not known what another workspace needs.
        """
        with sweeping(self._workspace) as check:
            own = Needed().and_by(self._transform, self._partitions)
            note_needs(self._workspace, own, asking=self._pipeline.name)
            self._notes = notes_of_others(self._workspace)
            transforms = self._transforms(check)
            self._counted(check)
            if self._pipeline.source.windows is not None:
                self._windows()
            return Swept(transforms, self._superseded(check), self._kept_for())

    def _needed(self) -> Needed:
        others = union(note.needed() for note in self._notes.values())
        return self._needed_here().and_all(others)

    def _needed_here(self) -> Needed:
        known = needed(self._workspace, self._pipeline.name)
        return known.and_by(self._transform, self._partitions)

    def _kept_for(self) -> tuple[str, ...]:
        """Returns the quiet notes of others for which older transforms stay, in words."""
        return tuple(
            f"{place} ({note.place}, since {note.written:%Y-%m-%d})"
            for place, note in self._notes.items()
            if now() - note.written > _QUIET and self._kept.intersection(note.transforms)
        )

    def _transforms(self, check: Callable[[], None]) -> int:
        """Removes older transforms of the declaration, with their shards."""
        workspace, removed = self._workspace, 0
        older = list(workspace.transforms_of(self._pipeline.data_fingerprint()))[1:]
        for name in (manifest.fingerprint for manifest in older):
            with (
                suppress(BraidError, OSError),  # what another run works on is not this one's
                exclusive(workspace, "transform", name) as hold,
            ):
                if name not in self._needed().transforms:
                    check()
                    remove_transform(workspace, name, hold)
                    removed += 1
                elif name not in self._needed_here().transforms:
                    self._kept.add(name)
        return removed

    def _superseded(self, check: Callable[[], None]) -> tuple[str, ...]:
        """Removes the transform's shards of what the source had once and has no more."""
        workspace, transform = self._workspace, self._transform
        past = set(past_partitions(workspace, self._pipeline.name)) - self._needed().shards
        candidates = sorted(part for name, part in past if name == transform)
        committed = workspace.committed(transform, candidates)
        removed = []
        for part in candidates:
            if part in committed:
                check()
                self._hold.check()
                workspace.remove_partition(transform, *part)
                removed.append(part.name)
        return tuple(removed)

    def _counted(self, check: Callable[[], None]) -> None:
        """Removes the statistics and the hashes of keys of partitions that changed or are gone."""
        workspace, declaration = self._workspace, self._pipeline.data_fingerprint()
        kept = self._needed().partitions()
        key = self._pipeline.source.key_rows
        _remove_others({workspace.keys(key, *part) for part in kept})
        for manifest in workspace.transforms_of(declaration):
            kept |= manifest.partition_ids()
        _remove_others({workspace.statistics(declaration, *part) for part in kept}, check)

    def _windows(self) -> None:
        """Removes tables of windows that were cut from rows which the source has no more."""
        workspace = self._workspace
        present = {part.fingerprint for part in self._partitions}
        past = {part.fingerprint for _, part in past_partitions(workspace, self._pipeline.name)}
        for fingerprint in sorted(past - present):
            folder = workspace.windows(fingerprint)
            if not folder.is_dir():
                continue
            with (
                suppress(BraidError, OSError),
                exclusive_lock(workspace.lock("windows", fingerprint), holder=fingerprint),
            ):
                if fingerprint not in {part.fingerprint for part in self._needed().partitions()}:
                    remove(folder)


def _remove_others(kept: Collection[Place], check: Callable[[], None] = lambda: None) -> None:
    """Removes all other files of the folder of some files; `check` may refuse each removal."""
    folder = next(iter(kept)).parent
    for path, written in times_in(folder).items():
        age = time.time() - written
        is_being_written = path.name.startswith(TEMPORARY) and age < _LONGEST_WRITE_SECONDS
        if path not in kept and not is_being_written:
            check()
            remove(path)
