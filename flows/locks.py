"""Waiting for a lock that another run holds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from transforms.contract.errors import BraidError
from transforms.contract.workspace import exclusive_lock

_RETRY_SECONDS = 0.5


@contextmanager
def waiting_lock(
    path: Path, *, holder: str, on_wait: Callable[[BraidError], None]
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
                time.sleep(_RETRY_SECONDS)
        yield descriptor
