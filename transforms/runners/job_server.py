"""A job on a Beam job server: submitted, watched and ended, each within a bound.

Beam itself waits for ever for a job whose workers do not start, and its stream of states ends with
the deadline of the call that opened it. So the state is asked for again and again, of the service
and for the job that Beam's result has in `_job_service` and `_job_id`. No other module looks
inside.
"""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

import apache_beam as beam
import grpc
from apache_beam.portability.api import beam_job_api_pb2 as job_api
from apache_beam.portability.api import beam_job_api_pb2_grpc as job_service
from apache_beam.runners import runner
from apache_beam.runners.portability import portable_runner

from transforms.contract.errors import BraidError
from transforms.runners.arrival import Arrival
from transforms.runners.written_jobs import CANCEL_SECONDS, WrittenJob, cancel, written_down

ENDPOINT = "beam.options.job_endpoint"
_POLL_SECONDS = 0.5
_CALL_SECONDS = 10.0  # of one question to the job server
_LAST_MESSAGES_SECONDS = 5.0
_WIDTH = 300
_ERROR_LINE = re.compile(r"^\s*(?:Caused by: )?([\w.$]*(?:Error|Exception)\b: .+)$", re.MULTILINE)


@dataclass(frozen=True)
class Bounds:
    """The seconds after which a job is given up.

    Attributes:
        reach: Until the job server answers.
        submit: Until it has taken the job; 13 s were measured on Flink.
        start: Until the first worker is there. A cluster may be busy with others' work.
        silence: Without an answer of the job server while the job runs.
    """

    reach: float = 30
    submit: float = 300
    start: float = 900
    silence: float = 60


class RunnerFailed(BraidError):  # noqa: N818 - it names what happened, as BraidError's others do
    """A job did not start or not end well, and what its runner says is no error of a step's own."""


def reach(endpoint: str, seconds: float) -> None:
    """Asks a job server for an answer.

    Raises:
        RunnerFailed: None comes within the bound, or what answers is no job server.
    """
    with grpc.insecure_channel(endpoint) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=seconds)
            request = job_api.DescribePipelineOptionsRequest()
            job_service.JobServiceStub(channel).DescribePipelineOptions(request, timeout=seconds)
        except grpc.FutureTimeoutError:
            received = f"no answer in {seconds:.0f} s"
        except grpc.RpcError as error:
            received = f"another service, which says {error.code().name}"
        else:
            return
    raise RunnerFailed(
        ENDPOINT,
        expected=f"a Beam job server at {endpoint}",
        received=received,
        action="Start it, or correct the address; `braid doctor` tries it.",
    )


def run_job(
    pipeline: beam.Pipeline, endpoint: str | None, arrival: Arrival, bounds: Bounds
) -> None:
    """Submits a pipeline and waits for its end; a job that does not end well is cancelled.

    So it is when SIGTERM ends this process. With an endpoint all bounds hold, and a job that `kill
    -9` leaves behind, or its job server does not cancel, stays written down. Without one the
    submission has no bound; nor has the job of a service that is no job server, as Dataflow is.

    Args:
        pipeline: The pipeline, with a runner that is not of this process.
        endpoint: The address of the runner's job server; None if the runner starts its own, which
            dies with this process.
        arrival: What the job's first worker writes. The job is written down beside its lock, if it
            has one.
        bounds: How long to wait for what.

    Raises:
        RunnerFailed: A bound has passed, or the job was cancelled by others.
        RuntimeError: The job failed; its text is what the runner says.
    """
    with _ended_in_order():
        if endpoint is None:
            result = pipeline.run()  # its server is started here, which only the main thread may do
        else:
            reach(endpoint, bounds.reach)
            result = _Submission(pipeline).result(bounds.submit)
        if not isinstance(result, portable_runner.PipelineResult):
            _wait_for(result)
            return
        job = _Job(result)
        with ExitStack() as stack:
            if endpoint is None or arrival.lock is None:
                stack.callback(job.end)
            else:
                written = WrittenJob(endpoint=endpoint, id=job.id)
                stack.enter_context(written_down(arrival.lock, written, job.end))
            job.wait(arrival, bounds)


def _wait_for(result: runner.PipelineResult) -> None:
    """Waits for a job of another service than a job server, as Beam does it."""
    try:
        result.wait_until_finish()
    except BaseException:
        with suppress(NotImplementedError):  # a runner need not be able to
            result.cancel()
        raise


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Lets SIGTERM, by which the flow ends a step, leave the block as an error would."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


class _Submission:
    """The submission of a pipeline in a thread, as no call to a job server has a deadline there."""

    def __init__(self, pipeline: beam.Pipeline) -> None:
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._given_up = False
        self._result: Any = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._submit, daemon=True)

    def result(self, seconds: float) -> Any:
        """Returns Beam's result of the job, which may still run."""
        self._thread.start()
        try:
            self._thread.join(seconds)
        except BaseException:  # SIGTERM: what is just being taken is cancelled as soon as it is
            self._give_up()
            self._thread.join(CANCEL_SECONDS)
            if not self._given_up:  # it had been taken
                _end(self._result)
            raise
        self._give_up()
        if self._error is not None:
            raise self._error
        if self._given_up:
            raise RunnerFailed(
                ENDPOINT,
                expected="a job server that takes the job",
                received=f"none that has in {seconds:.0f} s",
                action="Look into its log, and into that of the cluster that it submits to.",
            )
        return self._result

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = self._result is None

    def _submit(self) -> None:
        try:
            result = self._pipeline.run()
        except Exception as error:
            self._error = error
            return
        with self._lock:
            self._result = result
        if self._given_up:
            _end(result)


def _end(result: runner.PipelineResult) -> None:
    """Cancels the job of a job server that is not waited for."""
    if isinstance(result, portable_runner.PipelineResult):
        _Job(result).end()


class _Job:
    """A job that a job server has taken.

    Attributes:
        id: Its name there.
    """

    def __init__(self, result: portable_runner.PipelineResult) -> None:
        self._result = result
        self._service, self.id = result._job_service, result._job_id
        self._errors: list[str] = []
        self._ended = False
        self._messages = threading.Thread(target=self._read_messages, daemon=True)

    def wait(self, arrival: Arrival, bounds: Bounds) -> None:
        """Waits for the job's end.

        Raises:
            RunnerFailed: A bound has passed, or the job was cancelled.
            RuntimeError: The job failed.
        """
        self._messages.start()
        begun = answered = time.monotonic()
        while True:
            now = time.monotonic()
            try:
                state = self._state()
                answered = now
            except grpc.RpcError as error:
                if now - answered > bounds.silence or error.code() == grpc.StatusCode.NOT_FOUND:
                    raise _lost(error, now - answered) from error
            else:
                if state in portable_runner.TERMINAL_STATES:
                    break
                if now - begun > bounds.start and not arrival.is_told():
                    raise _no_worker(now - begun)
            time.sleep(_POLL_SECONDS)
        self._ended = True
        if state != job_api.JobState.DONE:
            self._refuse(state)

    def end(self) -> bool:
        """Cancels the job unless it has ended, and stops what Beam started for it here.

        Returns:
            Whether it has ended, is cancelled, or is not known to the job server any more.
        """
        ended = self._ended or cancel(self._service, self.id)
        self._result._cleanup()
        return ended

    def _state(self) -> int:
        request = job_api.GetJobStateRequest(job_id=self.id)
        return int(self._service.GetState(request, timeout=_CALL_SECONDS).state)

    def _read_messages(self) -> None:
        request = job_api.JobMessagesRequest(job_id=self.id)
        with suppress(grpc.RpcError):  # whether the job server is there, the states tell
            for message in self._service.GetMessageStream(request):
                told = message.message_response
                if told.importance == job_api.JobMessage.JOB_MESSAGE_ERROR:
                    self._errors.append(told.message_text)

    def _refuse(self, state: int) -> None:
        self._messages.join(_LAST_MESSAGES_SECONDS)
        if state == job_api.JobState.FAILED:
            raise RuntimeError("\n".join(self._errors) or "the job failed without a word")
        raise RunnerFailed(
            "beam",
            expected="the job to end well",
            received=f"job {self.id} {job_api.JobState.Enum.Name(state).lower()} by others",
            action="Running the same command again resumes where it stopped.",
        )


def failed_job(text: str) -> RunnerFailed:
    """Returns what a failed job's runner says, which may be pages, in one sentence."""
    lines = _ERROR_LINE.findall(text)
    line = lines[-1] if lines else next(filter(str.strip, text.splitlines()), "")
    return RunnerFailed(
        "beam",
        expected="the job to end well",
        received=line.strip()[:_WIDTH],
        action="The step's log has all that the runner said, the logs of the job server and the "
        "workers what came before. `braid doctor` sends one unit through and names what is wrong. "
        "Running the same command again resumes where it stopped.",
    )


def _lost(error: grpc.RpcError, seconds: float) -> RunnerFailed:
    return RunnerFailed(
        "beam",
        expected="the job server to tell how the job goes on",
        received=f"{error.code().name}, and no answer for {seconds:.0f} s",
        action="It died, or cannot be reached any more: look into its log and start it again. "
        "Running the same command again resumes where it stopped.",
    )


def _no_worker(seconds: float) -> RunnerFailed:
    return RunnerFailed(
        "beam",
        expected="a worker that begins",
        received=f"none in {seconds:.0f} s, so that the job was cancelled",
        action="Look whether the cluster has free slots, whether beam.options.environment_type and "
        "environment_config start a worker there, and into its log; `braid doctor` tries one.",
    )
