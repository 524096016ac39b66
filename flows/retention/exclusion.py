"""Exclusion of others from a part of a store: a lock of the workspace, and in a bucket a lease.

The lock keeps the processes of one workspace apart, steps inherit it, and it dies with them; the
lease keeps workspaces apart, on machines that share nothing but the bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flows.records.store_owner import own_name
from transforms.contract.errors import BraidError
from transforms.contract.leases.lease import (
    Lease,
    exclusive_lease,
    lease_place,
    waiting_lease,
)
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.layout import LockKind, Workspace
from transforms.contract.workspace.locks import exclusive_lock, waiting_lock

NEEDS_FOLDER = "needs"  # of a bucket: what each of its workspaces needs


@dataclass(frozen=True)
class Hold:
    """A part of a store that others are kept out of.

    Attributes:
        descriptor: Of the held lock, for child processes to inherit.
        lease: In a bucket, the lease.
    """

    descriptor: int
    lease: Lease | None = None

    def check(self) -> None:
        """Refuses to go on if another workspace has taken the lease over; asks the bucket.

        Raises:
            LeaseLost: One has.
        """
        if self.lease is not None:
            self.lease.check()

    def refuse_lost(self) -> None:
        """Does so if the lease is known to be lost; asks the bucket only then."""
        if self.lease is not None and self.lease.is_lost:
            self.lease.check()


@contextmanager
def exclusive(
    workspace: Workspace, kind: LockKind, name: str, what: str | None = None
) -> Iterator[Hold]:
    """Holds a part of the store while the block runs.

    Args:
        workspace: Where everything lies.
        kind: What kind of part it is.
        name: Its name.
        what: What it is held for, in words.

    Raises:
        BraidError: Another process or workspace holds it.
    """
    what = what or f"{kind} {name}"
    with exclusive_lock(workspace.lock(kind, name), holder=what) as descriptor:
        lease = _lease(workspace, kind, name, what)
        if lease is None:
            yield Hold(descriptor)
            return
        with exclusive_lease(lease):
            yield Hold(descriptor, lease)


@contextmanager
def waiting(
    workspace: Workspace,
    kind: LockKind,
    name: str,
    *,
    on_wait: Callable[[BraidError], None] = lambda _: None,
    on_lost: Callable[[], None] = lambda: None,
) -> Iterator[Hold]:
    """Holds a part of the store while the block runs; waits until nobody else does.

    Args:
        workspace: Where everything lies.
        kind: What kind of part it is.
        name: Its name.
        on_wait: Called with who holds it, if this has to wait: for a process of this workspace,
            for another workspace, or for both.
        on_lost: Called, by another thread, when another workspace has taken the lease over.
    """
    what = f"{kind} {name}"
    lock = waiting_lock(workspace.lock(kind, name), holder=what, on_wait=on_wait)
    with lock as descriptor:
        lease = _lease(workspace, kind, name, what, on_lost)
        if lease is None:
            yield Hold(descriptor)
            return
        with waiting_lease(lease, on_wait):
            yield Hold(descriptor, lease)


def _lease(
    workspace: Workspace,
    kind: LockKind,
    name: str,
    what: str,
    on_lost: Callable[[], None] = lambda: None,
) -> Lease | None:
    store = workspace.stored
    if not isinstance(store, BucketPath):
        return None
    # Who works notes first what it needs: whose note was removed has not got any lease.
    return Lease(
        lease_place(store, kind, name),
        own_name(workspace).workspace,
        what=what,
        is_gone=lambda other: not (store / NEEDS_FOLDER / f"{other}.json").exists(),
        on_lost=on_lost,
    )
