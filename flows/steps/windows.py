"""The step that cuts the declared windows of a long table into a table of their own."""

from __future__ import annotations

from contextlib import suppress

from flows.console.progress import Reporter
from flows.records.record import StepRecord
from flows.records.step_names import WINDOWS
from flows.records.step_result import StepResult, Stopwatch, idle, rows_text
from flows.steps.work import Work
from transforms.contract.errors import BraidError
from transforms.contract.process.events import Progress
from transforms.contract.workspace.files import remove_temporaries
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock, waiting_lock
from transforms.contract.workspace.partition import Partition
from transforms.reading.cutting import WindowCounts, committed_windows, write_windows_of_run


def cut_windows(work: Work, reporter: Reporter) -> StepResult[Partition]:
    """Cuts the windows, unless they are cut already; gives the partition that their table is.

    Args:
        work: The run's work.
        reporter: Who is told about progress.

    Raises:
        BraidError: The long table cannot be cut.
    """
    workspace, (partition,) = work.workspace, work.partitions
    watch = Stopwatch()
    _remove_leftovers(workspace, partition.fingerprint)
    holder = f"windows {partition.fingerprint}"
    with waiting_lock(workspace.lock("windows", partition.fingerprint), holder=holder):
        committed = committed_windows(workspace, partition)
        if committed is not None:
            cut, counts = committed
            return idle(WINDOWS, f"{windows_text(counts)}; they are cut already", cut)
        with reporter.step(WINDOWS) as view:

            def show(done: int, total: int) -> None:
                view.update(Progress(done=done, total=total, unit=WINDOWS))

            cut, counts = write_windows_of_run(work.pipeline, workspace, partition, show)
    seconds = round(watch.seconds(), 3)
    record = StepRecord(name=WINDOWS, seconds=seconds, rows=counts.rows, note=windows_text(counts))
    return StepResult(WINDOWS, rows_text(record), cut, record)


def windows_text(counts: WindowCounts) -> str:
    """Returns how many windows were cut, and how many were not."""
    text = (
        f"{counts.windows:,} windows of {counts.entities:,} series; "
        f"{counts.straddling:,} left out, as their next steps lie in two splits"
    )
    return text + (f"; {counts.short:,} series too short" if counts.short else "")


def _remove_leftovers(workspace: Workspace, fingerprint: str) -> None:
    """Removes what killed runs left of other windows that nobody cuts at the moment."""
    for folder in sorted(workspace.windows(fingerprint).parent.glob("*")):
        if folder.name != fingerprint:
            lock = workspace.lock("windows", folder.name)
            with suppress(BraidError, OSError), exclusive_lock(lock, holder=folder.name):
                remove_temporaries(folder)
