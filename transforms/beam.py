"""Running a Beam pipeline: the runner, the progress while it runs, and errors that survive it."""

from __future__ import annotations

import base64
import logging
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms.contract.declaration.secrets import expand_options
from transforms.contract.declaration.transform import BeamSpec
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError, DeclarationError, storage_error
from transforms.contract.process import events
from transforms.contract.workspace.layout import Workspace
from transforms.runners.arrival import HERE, Arrival
from transforms.runners.job_server import Bounds, failed_job, run_job
from transforms.runners.written_jobs import cancel_left, waited_for

_logger = logging.getLogger(__name__)

_REPORT_SECONDS = 0.5
# Flink's option, then Dataflow's; a runner without one of its own is told of none of them.
_PARALLELISM = ("parallelism", "max_num_workers", "num_workers")
_UNDECLARED_WORKERS = 8  # 32 units of a transform: some for each worker of a small cluster
# Beam would list this machine's packages by `pip freeze`, half a second of every job, for the
# logs of workers in its own containers. `braid doctor` compares what matters.
_WITHOUT_PIP = "disable_logging_submission_environment"
_UNITS_PER_WORKER = 4  # so that workers end at about the same time
_MARK = "BRAID_ERROR"
_MARKED = re.compile(f"{_MARK}([A-Za-z0-9+/=]+){_MARK}")  # whatever the error's texts have in them


def workers(spec: BeamSpec) -> int:
    """Returns how many units the runner works on at once, by which the table is cut.

    The cores of this machine count where the work is done here: by the in-process runner, and by
    Prism, which Beam starts as a process of this machine. What submits to a cluster says nothing
    about the cluster, whose parallelism is declared by an option that its runner knows.

    Raises:
        DeclarationError: Such an option is no number.
    """
    options = expand_options(spec.options)
    if is_in_process(spec):
        return _number(options, "direct_num_workers") or os.cpu_count() or 1
    declared = (_number(options, name) for name in _PARALLELISM)
    here = spec.runner == "PrismRunner" and "job_endpoint" not in options
    undeclared = (os.cpu_count() or 1) if here else _UNDECLARED_WORKERS
    return next((number for number in declared if number > 0), undeclared)


def _number(options: Mapping[str, Any], name: str) -> int:
    value = options.get(name) or 0
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise DeclarationError(
            f"beam.options.{name}",
            expected="a number",
            received=str(value),
            action="Say how many units of work the runner does at once, or leave it out.",
        ) from None


def units_each(spec: BeamSpec, partitions: int) -> int:
    """Returns into how many units, at least, each of some partitions is to be cut.

    Raises:
        DeclarationError: As of `workers`.
    """
    return -(-_UNITS_PER_WORKER * workers(spec) // max(partitions, 1))


def is_in_process(spec: BeamSpec) -> bool:
    """Returns whether the runner's workers are threads of this process."""
    return spec.is_in_process


def run_todo(
    spec: BeamSpec,
    workspace: Workspace,
    build: Callable[[beam.Pipeline, Arrival], None],
    units: Sequence[object],
) -> None:
    """Runs a pipeline on units of work; without any it only cancels what ended runs left."""
    if units:
        run_pipeline(spec, workspace, build)
    else:
        _cancel_left(workspace)


def run_pipeline(
    spec: BeamSpec,
    workspace: Workspace,
    build: Callable[[beam.Pipeline, Arrival], None],
    bounds: Bounds | None = None,
) -> None:
    """Builds a pipeline, runs it and waits for its end.

    "DirectRunner" is the in-process `FnApiRunner`; by its name Beam would choose Prism, which it
    downloads. Whatever the runner, jobs that ended runs left on a cluster are cancelled first.

    Args:
        spec: The runner.
        workspace: Where a worker of another process says that it is there.
        build: Builds the pipeline, of which every worker first tells its arrival.
        bounds: How long to wait for what of a runner that is not of this process.

    Raises:
        BraidError: A step of the pipeline raised it, or the runner failed.
    """
    _cancel_left(workspace)
    try:
        if is_in_process(spec):
            _run_here(spec, build)
        else:
            _run_elsewhere(spec, workspace, build, bounds)
    except BraidError:
        raise
    except Exception as error:
        known = error_in(str(error))
        if known is not None:
            raise known from None
        if is_in_process(spec):
            raise
        _logger.exception("The runner failed.")
        raise failed_job(str(error)) from None


def _cancel_left(workspace: Workspace) -> None:
    for job in cancel_left(workspace.beam_jobs(), workspace.beam_signs()):
        _logger.warning("Cancelled job %s, which an ended run had left behind.", job)


def _run_here(spec: BeamSpec, build: Callable[[beam.Pipeline, Arrival], None]) -> None:
    options = {"direct_num_workers": workers(spec), "direct_running_mode": "multi_threading"}
    options |= expand_options(spec.options)
    with beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions.from_dictionary(options)) as p:
        build(p, HERE)


def _run_elsewhere(
    spec: BeamSpec,
    workspace: Workspace,
    build: Callable[[beam.Pipeline, Arrival], None],
    bounds: Bounds | None,
) -> None:
    options = expand_options(spec.options)
    given = options.get("experiments", [])
    experiments = [given] if isinstance(given, str) else list(given)
    options["experiments"] = [*experiments, _WITHOUT_PIP]
    pipeline = beam.Pipeline(runner=spec.runner, options=PipelineOptions.from_dictionary(options))
    signs = workspace.beam_signs()
    with waited_for(workspace.beam_jobs(), signs) as lock:
        arrival = Arrival(lock, signs)
        build(pipeline, arrival)
        run_job(pipeline, options.get("job_endpoint"), arrival, bounds or Bounds())


@contextmanager
def marked_errors(place: str) -> Iterator[None]:
    """Lets a user's error cross Beam, which passes on only the text of what a step raises."""
    try:
        yield
    except BraidError as error:
        raise RuntimeError(_marked(error)) from error
    except OSError as error:
        raise RuntimeError(_marked(storage_error(error, place))) from error


def error_in(text: str) -> BraidError | None:
    """Returns the user's error that Beam tells about in a text, if it is one."""
    match = _MARKED.search(text)
    return None if match is None else _report_in(match.group(1)).error()


def _marked(error: BraidError) -> str:
    fields = base64.b64encode(ErrorReport.of(error).model_dump_json().encode()).decode()
    return f"{error} {_MARK}{fields}{_MARK}"


def _report_in(marked: str) -> ErrorReport:
    return ErrorReport.model_validate_json(base64.b64decode(marked))


@contextmanager
def repeated(function: Callable[[], None], seconds: float) -> Iterator[None]:
    """Calls a function again and again, in a thread of its own, while the block runs."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            function()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class RowCounter:
    """Counts rows that workers are done with, and tells the flow twice a second.

    Workers of other processes count in their own; of theirs, the rows of whole units are told, as
    what such a unit writes last is seen in the workspace, or less often in a bucket.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done = 0

    def add(self, rows: int) -> None:
        """Counts rows that are done."""
        with self._lock:
            self._done += rows

    @contextmanager
    def reporting(
        self, spec: BeamSpec, workspace: Workspace, total: int, written: Callable[[], int]
    ) -> Iterator[None]:
        """Tells the flow about the rows that are done while the block runs.

        Args:
            spec: The runner.
            workspace: Where what is written is seen.
            total: All rows, as far as they are known.
            written: Returns the rows of the units that are done, by what they wrote. It is asked
                only of workers that are not of this process.
        """
        self._done = 0

        def report() -> None:
            done = self._done if is_in_process(spec) else max(self._done, written())
            events.report(done, total, unit="rows")

        seconds = _REPORT_SECONDS
        if not is_in_process(spec):
            seconds = max(seconds, workspace.poll_seconds)
        try:
            with repeated(report, seconds):
                yield
        finally:
            report()


COUNTER = RowCounter()


def known_rows(units: Any) -> int:
    """Returns the rows of units whose number is known before reading."""
    return sum(unit.rows() or 0 for unit in units)
