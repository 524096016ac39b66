"""The step that cuts the declared windows of a long table into a table of their own."""

from __future__ import annotations

from contextlib import suppress

from flows.records.record import StepRecord
from flows.sessions.session import Session, Stopwatch, rows_text
from transforms.contract.errors import BraidError
from transforms.contract.process.events import Progress
from transforms.contract.workspace.files import remove_temporaries
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock, waiting_lock
from transforms.reading.cutting import WindowCounts, committed_windows, write_windows_of_run

STEP = "windows"


def cut_windows(session: Session) -> None:
    """Cuts the windows, unless they are cut already; from there on the run reads their table."""
    workspace, (partition,) = session.workspace, session.partitions
    watch = Stopwatch()
    _remove_leftovers(workspace, partition.fingerprint)
    holder = f"windows {partition.fingerprint}"
    with waiting_lock(workspace.lock("windows", partition.fingerprint), holder=holder):
        found = committed_windows(workspace, partition)
        if found is not None:
            session.partitions = (found[0],)
            session.skip(STEP, f"{windows_text(found[1])}; they are cut already")
            return
        with session.reporter.step(STEP) as view:

            def show(done: int, total: int) -> None:
                view.update(Progress(done=done, total=total, unit=STEP))

            cut, counts = write_windows_of_run(session.pipeline, workspace, partition, show)
    session.partitions = (cut,)
    seconds = round(watch.seconds(), 3)
    step = StepRecord(name=STEP, seconds=seconds, rows=counts.rows, note=windows_text(counts))
    session.finish(step, rows_text(step))


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
