"""A lease: the right of one workspace to work on something in a bucket, as long as it renews it.

It is an object that is written under a condition on what was read, so that of two who want it one
gets it. No two clocks need to agree: who waits watches for a term whether the object changes.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from transforms.contract.errors import BraidError
from transforms.contract.leases.versioned import (
    Versioned,
    read_versioned,
    refuse_unconditional,
    write_versioned,
)
from transforms.contract.spec import Spec
from transforms.contract.workspace.bucket import BucketPath
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.locks import this_process

TERM_SECONDS = 60.0  # what a machine may sleep, or not reach the bucket, while others wait for it
_RENEWALS = 4  # a term
_AGAIN_SECONDS = 1.0  # after a renewal that failed
_LOOK_SECONDS = 2.0  # between two looks of who waits
_RACE_SECONDS = 0.05  # after a write that another one was before


class LeaseDocument(Spec):
    """The object of a lease.

    Attributes:
        workspace: The name of the workspace that took it last.
        holder: The process, and its machine, for people.
        token: What no other taking of a lease has; None if it was given back.
        term: Seconds without a renewal after which others may take it.
        renewals: How often it was renewed, so that no two versions are alike.
    """

    workspace: str
    holder: str
    token: str | None
    term: float
    renewals: int


class LeaseLost(BraidError):  # noqa: N818 - it names what happened
    """Another one has taken a lease over, as it was not renewed in time."""


def lease_place(store: BucketPath, kind: str, name: str) -> BucketPath:
    """Returns the object of a lease; equal names of different kinds are different leases."""
    return store / "leases" / kind / f"{name}.json"


def refuse_lost(place: BucketPath, token: str) -> None:
    """Refuses to go on without a lease, by what the bucket has now.

    Args:
        place: The object of the lease.
        token: What it was taken with.

    Raises:
        LeaseLost: Another one has it, or had.
    """
    seen = read_versioned(place)
    document = None if seen is None else _document(place, seen)
    if document is None or document.token != token:
        other = "nobody" if document is None else f"process {document.holder}"
        raise LeaseLost(
            str(place),
            expected="the lease under which this process works",
            received=f"that of {other}, as this one was not renewed for too long",
            action="This machine slept, or did not reach the bucket. Run the same command again: "
            "it waits for whoever works there now, and what is committed counts.",
        )


def is_held(place: BucketPath) -> bool:
    """Returns whether somebody has a lease, or has died with it.

    Raises:
        StoreFailed: The bucket does not answer, or refuses.
    """
    seen = read_versioned(place)
    return seen is not None and _document(place, seen).token is not None


class LeaseHeld(BraidError):  # noqa: N818 - it names what happened
    """Another one has a lease."""


class Lease:
    """A lease, which a thread renews from when it is taken until it is given back.

    Attributes:
        token: What no other taking of a lease has.
        is_lost: Whether the thread knows that another one has taken it over.

    Args:
        place: Its object.
        workspace: The name of the workspace. Its processes keep each other out by locks, which
            die with them: what one of them left can be taken at once.
        what: What it is for, in words.
        is_gone: Tells of another workspace whether it is gone for good.
        on_lost: Called by the thread when another one has taken it over.
    """

    def __init__(
        self,
        place: BucketPath,
        workspace: str,
        *,
        what: str,
        is_gone: Callable[[str], bool] = lambda _: False,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self.token = uuid.uuid4().hex
        self.is_lost = False
        self._place, self._workspace, self._what = place, workspace, what
        self._is_gone, self._on_lost = is_gone, on_lost
        self._lock = threading.Lock()  # of the following, which the thread changes
        self._version: Versioned | None = None
        self._renewals = 0
        self._watched: tuple[Versioned, float] | None = None  # another's, since when
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"lease of {what}", daemon=True)

    def take(self) -> None:
        """Takes it if nobody has it, and begins to renew it.

        Raises:
            LeaseHeld: Another one has it.
            StoreFailed: The bucket does not answer, or refuses.
        """
        refuse_unconditional(self._place.bucket)
        while self._version is None:
            seen = read_versioned(self._place)
            held = None if seen is None else _document(self._place, seen)
            if held is not None and held.token == self.token:  # the answer was lost
                self._version = seen
            elif held is not None and seen is not None and not self._is_free(held, seen):
                raise LeaseHeld(
                    self._what,
                    expected="no other run at the same time",
                    received=f"one in process {held.holder}, of another workspace",
                    action="Wait until it has ended, or stop it, and run again.",
                )
            else:
                self._version = write_versioned(self._place, self._content(), over=seen)
                if self._version is None:  # another one was first, or the answer was lost
                    time.sleep(_RACE_SECONDS)
        self._thread.start()

    def check(self) -> None:
        """Refuses to go on if another one has taken it over, by what the bucket has now.

        Raises:
            LeaseLost: It was taken over.
            StoreFailed: The bucket does not answer, or refuses.
        """
        refuse_lost(self._place, self.token)

    def give_back(self) -> None:
        """Lets others take it at once; without an answer of the bucket they can after a term."""
        self._ended.set()
        with self._lock, suppress(BraidError):
            if self._version is not None:
                self._write(is_free=True)
            self._version = None

    def _is_free(self, held: LeaseDocument, seen: Versioned) -> bool:
        if held.token is None or held.workspace == self._workspace:
            return True
        if self._watched is None or self._watched[0] != seen:
            self._watched = (seen, time.monotonic())
        return time.monotonic() - self._watched[1] > held.term or self._is_gone(held.workspace)

    def _content(self, *, is_free: bool = False) -> bytes:
        self._renewals += 1
        document = LeaseDocument(
            workspace=self._workspace,
            holder=this_process(),
            token=None if is_free else self.token,
            term=TERM_SECONDS,
            renewals=self._renewals,
        )
        return document.model_dump_json().encode()

    def _keep(self) -> None:
        wait = TERM_SECONDS / _RENEWALS
        while not self._ended.wait(wait):
            wait = TERM_SECONDS / _RENEWALS
            try:
                if not self._renew():
                    self.is_lost = True
                    self._on_lost()
                    return
            except BraidError:  # as long as no other one takes it, it is this one's
                wait = min(wait, _AGAIN_SECONDS)

    def _renew(self) -> bool:
        """Writes it anew; returns whether it is still this one's."""
        with self._lock:
            if self._version is not None:  # it is not given back yet
                self._version = self._write()
                return self._version is not None
            return True

    def _write(self, *, is_free: bool = False) -> Versioned | None:
        """Returns what this one has written over what it wrote before; None if it was lost."""
        over = self._version
        while over is not None:
            written = write_versioned(self._place, self._content(is_free=is_free), over=over)
            if written is not None:
                return written
            # Another one took it, or an answer was lost and what is there is this one's.
            seen = read_versioned(self._place)
            is_own = seen is not None and _document(self._place, seen).token == self.token
            over = seen if is_own else None
        return None


@contextmanager
def exclusive_lease(lease: Lease) -> Iterator[Lease]:
    """Holds a lease while the block runs.

    Raises:
        LeaseHeld: Another one has it.
    """
    lease.take()
    try:
        yield lease
    finally:
        lease.give_back()


@contextmanager
def waiting_lease(lease: Lease, on_wait: Callable[[BraidError], None]) -> Iterator[Lease]:
    """Holds a lease while the block runs; waits until nobody has it, or renews it for its term.

    Args:
        lease: The lease.
        on_wait: Called once, with who holds it, if this has to wait.
    """
    with ExitStack() as stack:
        waits = 0
        while True:
            try:
                stack.enter_context(exclusive_lease(lease))
                break
            except LeaseHeld as held:
                if not waits:
                    on_wait(held)
                waits += 1
                time.sleep(_LOOK_SECONDS)
        yield lease


def _document(place: BucketPath, seen: Versioned) -> LeaseDocument:
    with reading(place, action="Remove it once nobody works with this store, and run again."):
        return LeaseDocument.model_validate_json(seen.content)
