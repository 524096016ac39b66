"""Locks of the operating system, which die with their holders."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from transforms.contract.errors import BraidError

_LOCK_RETRY_SECONDS = 0.2
_HOLDER_BYTES = 128  # a number, and the longest name of a machine


def this_machine() -> str:
    """Returns the name of this machine."""
    return socket.gethostname()


def this_process() -> str:
    """Returns the number of this process and the name of its machine."""
    return f"{os.getpid()} on {this_machine()}"


@contextmanager
def exclusive_lock(path: Path, *, holder: str) -> Iterator[int]:
    """Holds an operating-system lock on a file; the system releases it when its holders die.

    Gives the locked descriptor, for child processes to inherit.

    Raises:
        BraidError: Another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BraidError(
                holder,
                expected="no other run at the same time",
                received=f"one in process {_holder(descriptor)}",
                action="Wait until it has ended, or stop it, and run again.",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, this_process().encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, _HOLDER_BYTES, 0).decode(errors="replace") or "unknown"


def is_held(path: Path) -> bool:
    """Returns whether some process holds the lock of a file."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def waiting_lock(
    path: Path, *, holder: str, on_wait: Callable[[BraidError], None] = lambda _: None
) -> Iterator[int]:
    """Holds a lock as `exclusive_lock` does, but waits until it is free.

    Args:
        path: The lock's file.
        holder: What the lock is for.
        on_wait: Called once, with who holds it, if this has to wait.
    """
    with ExitStack() as stack:
        descriptor, waiting = -1, False
        while descriptor < 0:
            try:
                descriptor = stack.enter_context(exclusive_lock(path, holder=holder))
            except BraidError as held:
                if not waiting:
                    on_wait(held)
                waiting = True
                time.sleep(_LOCK_RETRY_SECONDS)
        yield descriptor
