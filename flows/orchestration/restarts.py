"""The care of a flow run that a server starts, and starts again after a crash.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect.runtime import deployment, flow_run

from flows.console.progress import Reporter
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock, waiting_lock

# A flow run whose process is lost is started again by the server, but not for ever.
MOST_STARTS = 5


def refuse_endless_restarts() -> None:
    """Ends a flow run that the server has started again and again after a crash.

    Raises:
        BraidError: This is one start too many.
    """
    if flow_run.run_count > MOST_STARTS:
        raise BraidError(
            f"the flow run '{flow_run.name}'",
            expected=f"to end within {MOST_STARTS} starts",
            received=f"start {flow_run.run_count}, after as many crashes",
            action="Look for what ends its process: memory, most likely, or the worker's machine.",
        )


@contextmanager
def pipeline_lock(workspace: Workspace, pipeline: str, reporter: Reporter) -> Iterator[int]:
    """Keeps other runs and backfills of a pipeline out; gives the lock's descriptor.

    The flow run of a deployment waits for them. The other may be the process of the very same flow
    run, which was taken for lost and is not; then this one finds everything done.

    Raises:
        BraidError: Another one is going on, and this is a command that a person has given.
    """

    def waiting(held: BraidError) -> None:
        reporter.note(f"  waits for the end of another run of {holder}: {held.received}")

    path, holder = workspace.lock("run", pipeline), f"pipeline '{pipeline}'"
    if deployment.id is None:
        lock = exclusive_lock(path, holder=holder)
    else:
        lock = waiting_lock(path, holder=holder, on_wait=waiting)
    with lock as descriptor:
        yield descriptor
