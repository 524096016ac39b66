"""The lock of a transform's shards, with what is cleaned up under it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from flows.console.progress import Reporter
from flows.process.child import StepStopped
from flows.records.run_identity import pending_partitions
from flows.retention.exclusion import Hold, exclusive, waiting
from flows.retention.leftovers import remove_leftovers, remove_leftovers_of_others
from flows.retention.needed_shards import Needed
from flows.retention.store_needs import begin_to_need, needs_of_others
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition


@contextmanager
def shards_lock(
    workspace: Workspace,
    transform: str,
    partitions: Sequence[Partition],
    reporter: Reporter,
    *,
    base: str | None = None,
    on_lost: Callable[[], None],
) -> Iterator[Hold | None]:
    """Keeps others from a transform's shards for work on some partitions.

    Gives what does so: None if every partition is committed, as then nothing is written.

    Args:
        workspace: Where everything lies.
        transform: The transform's fingerprint.
        partitions: Those to work on.
        reporter: Who is told of waiting.
        base: The transform whose ids an analysis keeps.
        on_lost: Ends the steps of the block, as another workspace has taken over its lease.

    Raises:
        LeaseLost: Another workspace has.
    """
    bases = Needed() if base is None else Needed(frozenset({base}))
    needs = bases.and_by(transform, [part.id for part in partitions])
    begin_to_need(workspace, needs, reporter)
    others = needs_of_others(workspace)
    remove_leftovers_of_others(workspace, transform, others)
    frozen = workspace.read_transform(transform) is not None
    if frozen and not pending_partitions(workspace, transform, partitions):
        # Nothing to write, so nothing to wait for: whoever holds the lock has cleaned up.
        with suppress(BraidError), exclusive(workspace, "transform", transform) as hold:
            remove_leftovers(workspace, transform, partitions, hold, others)
        yield None
        return
    tell = partial(_tell_of_waiting, reporter)
    with waiting(workspace, "transform", transform, on_wait=tell, on_lost=on_lost) as hold:
        others = needs_of_others(workspace)  # of now: this may have waited for hours
        remove_leftovers(workspace, transform, partitions, hold, others)
        try:
            yield hold
        except StepStopped:
            hold.refuse_lost()  # which is why, if it is
            raise
        hold.refuse_lost()


def _tell_of_waiting(reporter: Reporter, held: BraidError) -> None:
    reporter.note(
        f"  another pipeline's run writes the same shards ({held.received}); waiting for it"
    )
