"""The lock of a transform's shards, with what is cleaned up under it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from flows.console.progress import Reporter
from flows.records.run_identity import pending_partitions
from flows.retention.leftovers import remove_leftovers, remove_leftovers_of_others
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock, waiting_lock
from transforms.contract.workspace.partition import Partition


@contextmanager
def shards_lock(
    workspace: Workspace, transform: str, partitions: Sequence[Partition], reporter: Reporter
) -> Iterator[tuple[int, ...]]:
    """Holds the lock of a transform's shards for work on some partitions.

    Gives the descriptors of what is held, for child processes to inherit: none if every partition
    is committed, as then nothing is written.
    """
    remove_leftovers_of_others(workspace, transform)
    path, holder = workspace.lock("transform", transform), f"transform {transform}"
    frozen = workspace.read_transform(transform) is not None
    if frozen and not pending_partitions(workspace, transform, partitions):
        # Nothing to write, so nothing to wait for: whoever holds the lock has cleaned up.
        with suppress(BraidError), exclusive_lock(path, holder=holder):
            remove_leftovers(workspace, transform, partitions)
        yield ()
        return

    def waiting(held: BraidError) -> None:
        reporter.note(
            f"  another pipeline's run writes the same shards ({held.received}); waiting for it"
        )

    with waiting_lock(path, holder=holder, on_wait=waiting) as descriptor:
        remove_leftovers(workspace, transform, partitions)
        yield (descriptor,)
