"""The care of a flow run that a server starts, and starts again after a crash.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

from collections.abc import Callable

from prefect.runtime import deployment, flow_run

from flows.console.progress import Reporter
from transforms.contract.errors import BraidError

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


def told_of_waiting(reporter: Reporter) -> Callable[[str], None] | None:
    """Returns what tells that a deployment's flow run waits for another run; None does not wait.

    The other may be the process of the very same flow run, which was taken for lost and is not:
    then this one finds everything done. A command that a person has given is refused instead.
    """
    return None if deployment.id is None else reporter.note
