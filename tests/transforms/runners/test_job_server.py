"""Jobs on a job server of another process, and what becomes of those that cannot go well."""

from __future__ import annotations

import socket
import threading
import time
from concurrent import futures
from pathlib import Path

import apache_beam as beam
import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners import runner

from tests.support.command import until
from tests.support.idle_job_server import IdleJobServer, idle_job_server
from tests.support.job_server import JobServer, job_server
from transforms.beam import marked_errors, run_pipeline
from transforms.contract.declaration.transform import BeamSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.runners.arrival import HERE, Arrival
from transforms.runners.job_server import (
    Bounds,
    RunnerFailed,
    _Submission,
    failed_job,
    run_job,
)

LONG = 600


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with job_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture
def idle():
    with idle_job_server() as server:
        yield server


class Work(beam.DoFn):
    """Tells that it is there, and does what it is named to do."""

    def __init__(self, arrival: Arrival, folder: Path, what: str) -> None:
        self._arrival, self._folder, self._what = arrival, folder, what

    def process(self, number: int) -> None:
        self._arrival.tell()
        (self._folder / f"begun-{number}").touch()
        if self._what == "refuse":
            with marked_errors("here"):
                raise BraidError("a.parquet", expected="rows", received="none", action="Mend it.")
        if self._what == "divide":
            1 / 0  # noqa: B018
        if self._what == "stay":
            time.sleep(LONG)


def run(options: dict[str, object], folder: Path, what: str = "end", **bounds: float) -> None:
    spec = BeamSpec(runner="PortableRunner", options=options)

    def build(p: beam.Pipeline, arrival: Arrival) -> None:
        _ = p | beam.Create([1]) | beam.ParDo(Work(arrival, folder, what))

    run_pipeline(spec, Workspace(folder / "workspace"), build, Bounds(**bounds))


@pytest.mark.runners
def test_a_job_is_done_by_a_worker_of_another_process(server: JobServer, tmp_path):
    run(server.options(), tmp_path)
    assert (tmp_path / "begun-1").exists()
    assert list((tmp_path / "workspace" / "beam").iterdir()) == []


@pytest.mark.runners
def test_an_error_of_a_step_crosses_whole_and_a_bug_is_one_line(server: JobServer, tmp_path):
    with pytest.raises(BraidError, match=r"^a\.parquet: expected rows, received none\. Mend it\.$"):
        run(server.options(), tmp_path, "refuse")
    with pytest.raises(RunnerFailed) as caught:
        run(server.options(), tmp_path, "divide")
    assert "ZeroDivisionError: division by zero" in caught.value.received
    assert "\n" not in str(caught.value)
    assert "braid doctor" in caught.value.action


def test_nobody_at_the_endpoint_is_told_within_a_bound(tmp_path):
    with socket.socket() as taken:  # bound and not listening
        taken.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(RunnerFailed) as caught:
            run({"job_endpoint": endpoint}, tmp_path, reach=1)
    assert caught.value.place == "beam.options.job_endpoint"
    assert endpoint in caught.value.expected
    assert caught.value.received == "no answer in 1 s"


def test_another_service_at_the_endpoint_is_told(tmp_path):
    other = grpc.server(futures.ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    try:
        with pytest.raises(RunnerFailed, match="another service, which says UNIMPLEMENTED"):
            run({"job_endpoint": f"127.0.0.1:{port}"}, tmp_path, reach=10)
    finally:
        other.stop(0)


def test_a_job_that_is_not_cancelled_now_is_cancelled_by_the_next_run(
    idle: IdleJobServer, tmp_path
):
    options = {"job_endpoint": idle.endpoint}
    idle.cancels = False
    with pytest.raises(RunnerFailed, match="a worker that begins"):
        run(options, tmp_path, start=0)
    assert idle.cancelled == []
    idle.cancels = True
    with pytest.raises(RunnerFailed, match="a worker that begins"):
        run(options, tmp_path, start=0)
    assert idle.cancelled == ["job-1", "job-2"]
    assert list((tmp_path / "workspace" / "beam").iterdir()) == []


def test_a_job_that_was_just_taken_when_the_process_is_stopped_is_cancelled(
    idle: IdleJobServer, monkeypatch
):
    options = PipelineOptions.from_dictionary({"job_endpoint": idle.endpoint})
    pipeline = beam.Pipeline(runner="PortableRunner", options=options)
    _ = pipeline | beam.Create([1])
    submission = _Submission(pipeline)
    join = submission._thread.join

    def stopped_once_it_is_taken(seconds: float) -> None:
        join(seconds)
        monkeypatch.undo()
        raise SystemExit(143)

    monkeypatch.setattr(submission._thread, "join", stopped_once_it_is_taken)
    with pytest.raises(SystemExit):
        submission.result(60)
    assert idle.cancelled == ["job-1"]


class Service(runner.PipelineRunner):
    """Hands a pipeline to a service without a job server, as Dataflow is; Ctrl-C comes then."""

    cancelled = False

    def run_pipeline(self, pipeline, options):
        return ResultOfService(self)


class ResultOfService(runner.PipelineResult):
    def __init__(self, service: Service) -> None:
        super().__init__(runner.PipelineState.RUNNING)
        self._service = service

    def wait_until_finish(self, duration=None):
        raise KeyboardInterrupt

    def cancel(self):
        self._service.cancelled = True


def test_a_job_of_a_service_without_a_job_server_is_cancelled_by_ctrl_c():
    service = Service()
    pipeline = beam.Pipeline(runner=service)
    _ = pipeline | beam.Create([1])
    with pytest.raises(KeyboardInterrupt):
        run_job(pipeline, None, HERE, Bounds())
    assert service.cancelled


@pytest.mark.runners
def test_a_worker_that_does_not_start_is_waited_for_within_a_bound(server: JobServer, tmp_path):
    begun = time.monotonic()
    with pytest.raises(RunnerFailed, match="a worker that begins, received none in"):
        run(server.options(f"sleep {LONG}"), tmp_path, start=2)
    assert time.monotonic() - begun < 60


def test_a_worker_does_nothing_for_a_job_that_nobody_waits_for(tmp_path):
    (tmp_path / "a.lock").touch()
    arrival = Arrival(tmp_path / "a.lock")
    arrival.tell()
    assert arrival.is_told()
    arrival.refuse_forsaken()
    (tmp_path / "a.lock").unlink()
    for look in (arrival.refuse_forsaken, arrival.tell):
        with pytest.raises(BraidError, match="a run that waits for this job, received none"):
            look()


def test_a_worker_that_does_not_see_the_workspace_names_it(tmp_path):
    with pytest.raises(BraidError, match="share"):
        Arrival(tmp_path / "elsewhere" / "a.lock").tell()


@pytest.mark.runners
def test_a_job_server_that_dies_is_told_within_a_bound(tmp_path):
    with job_server(tmp_path) as server:
        ended: list[BaseException] = []

        def wait() -> None:
            try:
                run(server.options(), tmp_path, "stay", silence=1)
            except BaseException as error:
                ended.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        until((tmp_path / "begun-1").exists)
        server.kill()
        thread.join(60)
    assert isinstance(ended[0], RunnerFailed)
    assert "UNAVAILABLE" in ended[0].received


JAVA = """java.util.concurrent.ExecutionException: org.apache.flink.client.Failed: Job failed.
\tat java.base/java.util.concurrent.CompletableFuture.get(Unknown Source)
Caused by: java.lang.RuntimeException: Error received from SDK harness: Traceback:
  File "sdk_worker.py", line 305, in _execute
ModuleNotFoundError: No module named 'transforms'
\t... 7 more
"""


def test_of_pages_that_a_runner_says_the_last_error_is_told():
    assert failed_job(JAVA).received == "ModuleNotFoundError: No module named 'transforms'"
    assert failed_job("Process died with exit code 1\n\n").received == (
        "Process died with exit code 1"
    )
