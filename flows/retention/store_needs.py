"""The needs of the workspaces that share a bucket: each notes its own there, and no sweep removes
what one of them needs.

Who begins to need something notes it first, and then waits until no sweep is under way. A sweep
reads the notes after it has begun: it sees the note, or it is waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from flows.console.progress import Reporter
from flows.records.kept import KeptRecord, now
from flows.records.store_owner import claim_folder, own_name
from flows.retention.exclusion import NEEDS_FOLDER, waiting
from flows.retention.needed_shards import Needed, needed, union
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.leases.lease import is_held, lease_place
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.documents import read_json
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import LockKind, Workspace
from transforms.contract.workspace.locks import waiting_lock
from transforms.contract.workspace.partition import PartitionId

_SWEEP: tuple[LockKind, str] = ("store", "sweep")
_NEEDS: tuple[LockKind, str] = ("store", "needs")
_GONE = "If that workspace is gone for good, remove the file, and run again."


class StoreNeeds(KeptRecord):
    """The note of one workspace in a bucket.

    Attributes:
        workspace: Its name.
        place: Its machine and folder as they were, for people.
        written: When, in UTC by its machine's clock, for people.
        transforms: By their fingerprints.
        shards: Partitions by their transform.
    """

    workspace: str
    place: str
    written: datetime
    transforms: tuple[str, ...]
    shards: dict[str, tuple[PartitionId, ...]]

    def needed(self) -> Needed:
        """Returns what it says."""
        shards = ((name, part) for name, parts in self.shards.items() for part in parts)
        return Needed(frozenset(self.transforms), frozenset(shards))


def open_store(pipeline: PipelineSpec, root: Path) -> Workspace:
    """Returns a workspace with its declared store, which knows of it from now on.

    Raises:
        BraidError: It is on a disk and belongs to another one, or cannot be written.
    """
    workspace = Workspace.declared(root, pipeline.declared_store())
    join_store(workspace)
    return workspace


def join_store(workspace: Workspace) -> None:
    """Notes in a store that a workspace works with it, before something is written there.

    Raises:
        BraidError: It is on a disk and belongs to another one, or cannot be written.
    """
    if isinstance(workspace.store, Path):
        claim_folder(workspace, workspace.store)
    note_needs(workspace)


def note_needs(
    workspace: Workspace, also: Needed | None = None, *, asking: str | None = None
) -> None:
    """Notes in a bucket what a workspace's records say that it needs, and no more than that.

    Args:
        workspace: Where everything lies.
        also: What else it is about to need.
        asking: The name of the pipeline that asks, if what it had before is not needed any more.
    """
    store = workspace.stored
    if not isinstance(store, BucketPath):
        return
    own = own_name(workspace)
    # Another process may write what it knew before this one's records were there.
    with waiting_lock(workspace.lock(*_NEEDS), holder="what the workspace needs"):
        known = needed(workspace, asking)
        known = known if also is None else known.and_all(also)
        shards: dict[str, list[PartitionId]] = {}
        for transform, part in sorted(known.shards):
            shards.setdefault(transform, []).append(part)
        note = StoreNeeds(
            workspace=own.workspace,
            place=own.place,
            written=now(),
            transforms=tuple(sorted(known.transforms)),
            shards={name: tuple(parts) for name, parts in shards.items()},
        )
        write_atomic(_place(store, own.workspace), note.model_dump_json())


def begin_to_need(workspace: Workspace, also: Needed, reporter: Reporter) -> None:
    """Notes what is needed from now on, and waits for the sweep that may not have seen it.

    What is looked up in the store after this stays there.

    Args:
        workspace: Where everything lies.
        also: What it is about to need, beside what its records say.
        reporter: Who is told of waiting.
    """
    store = workspace.stored
    if not isinstance(store, BucketPath):
        return

    def waits(held: BraidError) -> None:
        reporter.note(f"  another run removes what nothing needs ({held.received}); waiting for it")

    note_needs(workspace, also)
    if is_held(lease_place(store, *_SWEEP)):
        with waiting(workspace, *_SWEEP, on_wait=waits):
            pass


@contextmanager
def sweeping(workspace: Workspace) -> Iterator[Callable[[], None]]:
    """Lets no other workspace of a bucket remove something, or begin to need more, in the block.

    Gives what refuses to go on if another one has taken over the lease, for each removal.
    """
    if isinstance(workspace.stored, BucketPath):
        with waiting(workspace, *_SWEEP) as hold:
            yield hold.check
    else:
        yield lambda: None


def notes_of_others(workspace: Workspace) -> dict[BucketPath, StoreNeeds]:
    """Returns the notes of the other workspaces of a bucket.

    Raises:
        DamagedFile: One is not as it was written.
    """
    store = workspace.stored
    if not isinstance(store, BucketPath):
        return {}
    own = _place(store, own_name(workspace).workspace)
    places = (place for place in (store / NEEDS_FOLDER).children() if place != own)
    return {place: read_json(place, StoreNeeds, action=_GONE) for place in places}


def needs_of_others(workspace: Workspace) -> Needed:
    """Returns what the other workspaces of a bucket need, as `notes_of_others` does."""
    return union(note.needed() for note in notes_of_others(workspace).values())


def _place(store: BucketPath, workspace: str) -> BucketPath:
    return store / NEEDS_FOLDER / f"{workspace}.json"
