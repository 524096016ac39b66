"""The lock of a pipeline, which keeps its runs, backfills, tunings and prunes apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock, waiting_lock


@contextmanager
def pipeline_lock(
    workspace: Workspace, pipeline: str, *, on_wait: Callable[[str], None] | None = None
) -> Iterator[int]:
    """Keeps others that work on a pipeline out; gives the lock's descriptor.

    Args:
        workspace: Where the pipeline's runs lie.
        pipeline: Its name.
        on_wait: Waits for the other one, and is told so in a sentence; None refuses to.

    Raises:
        BraidError: Another one is going on, and it is not waited for.
    """
    path, holder = workspace.lock("run", pipeline), f"pipeline '{pipeline}'"
    if on_wait is None:
        lock = exclusive_lock(path, holder=holder)
    else:
        told = on_wait  # of which mypy knows here that it is one

        def waiting(held: BraidError) -> None:
            told(f"  waits for the end of another run of {holder}: {held.received}")

        lock = waiting_lock(path, holder=holder, on_wait=waiting)
    with lock as descriptor:
        yield descriptor
