"""`braid doctor`: one unit of the table sent through the declared runner, link by link."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from rich.table import Table

from flows.commands.exit_codes import BROKEN
from flows.commands.options import Project
from flows.console.harmless import say
from flows.console.output import give
from flows.console.progress import Reporter, console
from flows.process.child import StepDied, StepStopped, run_child
from flows.report.tables import terminal_table
from flows.steps.work import search_path
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.contract.process.events import Progress
from transforms.contract.steps.doctor import DoctorJob, DoctorResult, Link
from transforms.contract.steps.step import DOCTOR
from transforms.contract.workspace.files import remove, write_atomic
from transforms.source.scan import scan

SECONDS = 55.0  # for the whole examination, and some more for its process to end
_LEFT_SECONDS = 3600.0  # after which what is there is of no examination that goes on


def doctor(project: Project, seconds: float = SECONDS) -> int:
    """Sends one unit through the declared runner, and names the link that is broken, if any.

    Returns:
        1 if one is, else 0.

    Raises:
        BraidError: The source cannot be listed here, or no unit be cut from it.
    """
    pipeline = project.pipeline
    partition = scan(pipeline.source).partitions[0]
    job = DoctorJob(pipeline=pipeline, workspace=str(project.workspace.root), partition=partition)
    begun = time.monotonic()
    result, log = _examined(project, job, seconds)
    took = time.monotonic() - begun
    give(
        {
            "runner": pipeline.beam.runner,
            "whole": result.is_whole,
            "seconds": round(took, 1),
            "links": result.links,
        }
    )
    console().print(_table(result.links))
    last = result.links[-1]
    if last.error is None:
        say(f"A unit went through {pipeline.beam.runner} in {took:.1f} s.")
        return 0
    say(f"The {last.name} is what is broken: expected {last.error.expected}.")
    say(f"  {last.error.received}")
    say(f"  {last.error.action}")
    say(f"  What it and its libraries said: {log}")
    return BROKEN


def _examined(project: Project, job: DoctorJob, seconds: float) -> tuple[DoctorResult, Path]:
    """Returns the result and the log, which stays if a link is broken."""
    name = f"doctor-{uuid.uuid4().hex[:8]}"
    path = project.workspace.beam_jobs() / f"{name}.json"
    log = path.with_suffix(".log")
    _remove_left(path.parent)
    stopping = threading.Event()
    timer = threading.Timer(seconds, stopping.set)
    doing = ["starting"]
    write_atomic(path, job.model_dump_json())
    timer.start()
    try:
        with Reporter(console()).step("doctor") as view:

            def on_progress(progress: Progress) -> None:
                doing.append(progress.doing)
                view.update(progress)

            done = run_child(
                DOCTOR,
                path,
                log=log,
                on_progress=on_progress,
                search_path=search_path(project.pipeline, project.declaration),
                stopping=stopping,
            )
    except StepStopped:
        return DoctorResult(links=(_unfinished(doing[-1], seconds),)), log
    except StepDied as error:
        return DoctorResult(links=(Link(name="worker", error=ErrorReport.of(error)),)), log
    finally:
        timer.cancel()
        remove(path)
    if done.result.is_whole:
        remove(log)
    return done.result, log


def _remove_left(folder: Path) -> None:
    """Removes what former examinations left: the logs of broken links, and all of killed ones."""
    for path in folder.glob("doctor-*"):
        with suppress(FileNotFoundError):  # another examination removes its own
            if time.time() - path.stat().st_mtime > _LEFT_SECONDS:
                remove(path)


def _unfinished(doing: str, seconds: float) -> Link:
    error = BraidError(
        "worker",
        expected="a unit that goes through",
        received=f"nothing after {seconds:.0f} s, while {doing}",
        action="Look into the log, and into those of the runner and of its workers.",
    )
    return Link(name="worker", error=ErrorReport.of(error))


def _table(links: tuple[Link, ...]) -> Table:
    rows = [(link.name, "whole" if link.error is None else "BROKEN", link.note) for link in links]
    return terminal_table(("link", "state", "seen"), rows)
