"""Jobs that go on when the process that waits for them ends, and how they end too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import grpc
import pytest
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from tests.support.bucket import memory_bucket, place_in
from tests.support.command import until
from tests.support.idle_job_server import idle_job_server
from tests.support.job_server import ROOT, job_server
from tests.transforms.runners.test_job_server import run
from transforms.contract.errors import BraidError
from transforms.contract.workspace.documents import read_json
from transforms.runners.arrival import Arrival
from transforms.runners.written_jobs import WrittenJob, cancel_left, waited_for, written_down

WAITING = """
import json, sys
from pathlib import Path
from tests.transforms.runners.test_job_server import run
run(json.loads(sys.argv[1]), Path(sys.argv[2]), "stay")
"""


def test_a_job_is_written_down_while_it_is_waited_for(tmp_path):
    job = WrittenJob(endpoint="127.0.0.1:9", id="job-1")
    written = []

    def end() -> bool:
        written.extend(tmp_path.glob("*.job"))
        return True

    with waited_for(tmp_path) as lock:
        with written_down(lock, job, end):
            (path,) = tmp_path.glob("*.job")
            assert read_json(path, WrittenJob) == job
            assert cancel_left(tmp_path) == [], "somebody waits for it"
        assert lock.exists()
    assert written == [path], "a kill while it is ended leaves it to the next run"
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_has_not_ended_stays_written_down_and_its_workers_stop(tmp_path):
    job = WrittenJob(endpoint="127.0.0.1:9", id="job-1")
    with (
        pytest.raises(KeyboardInterrupt),
        waited_for(tmp_path) as lock,
        written_down(lock, job, lambda: False),
    ):
        raise KeyboardInterrupt
    (path,) = tmp_path.iterdir()
    assert read_json(path, WrittenJob) == job


def test_a_job_that_cannot_be_written_down_is_ended(tmp_path):
    (tmp_path / "file").touch()
    ended = []
    job = WrittenJob(endpoint="127.0.0.1:9", id="job-1")
    with (
        pytest.raises(OSError, match=r"Not a directory|File exists"),
        written_down(tmp_path / "file" / "a.lock", job, lambda: not ended.append(job)),
    ):
        pass
    assert ended == [job]


def test_workers_of_a_killed_run_stop_also_where_no_job_was_written_down(tmp_path):
    (tmp_path / "a.lock").touch()
    (tmp_path / "a.arrived").touch()
    assert cancel_left(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_workers_look_into_a_bucket_for_who_waits_and_share_no_folder_with_it(tmp_path):
    folder = tmp_path / "workspace"
    with memory_bucket() as bucket:
        signs = place_in(tmp_path / "cache") / "beam"
        with waited_for(folder, signs) as lock:
            waiting, worker = Arrival(lock, signs), Arrival(tmp_path / "gone" / lock.name, signs)
            assert not waiting.is_told()
            worker.tell()
            assert waiting.is_told()
            worker.refuse_forsaken()
        assert bucket.objects == {}
        assert list(folder.iterdir()) == []
        with pytest.raises(BraidError, match="none that holds"):
            worker.tell()


def test_the_sign_of_a_killed_run_goes_from_the_bucket_and_anothers_stays(tmp_path):
    with memory_bucket() as bucket:
        signs = place_in(tmp_path / "cache") / "beam"
        for name in ("a.lock", "a.arrived", "b.lock"):
            (signs / name).write_bytes(b"")
        (tmp_path / "a.lock").touch()
        cancel_left(tmp_path, signs)
        (left,) = bucket.objects
        assert left.endswith("/beam/b.lock"), "of another workspace's"
        assert list(tmp_path.iterdir()) == []


def test_a_job_whose_server_does_not_answer_stays_written_down(tmp_path):
    job = WrittenJob(endpoint="127.0.0.1:9", id="job-1")
    (tmp_path / "a.job").write_text(job.model_dump_json())
    assert cancel_left(tmp_path) == []
    assert (tmp_path / "a.job").exists()


def test_a_job_that_a_restarted_server_does_not_know_is_written_down_no_more(tmp_path):
    with idle_job_server() as idle:
        idle.restarted = True
        job = WrittenJob(endpoint=idle.endpoint, id="job-1")
        (tmp_path / "a.job").write_text(job.model_dump_json())
        assert cancel_left(tmp_path) == ["job-1"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.runners
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_job_is_left_behind(tmp_path, number):
    records = tmp_path / "workspace" / "beam"
    with job_server(tmp_path) as server:
        arguments = [json.dumps(server.options()), str(tmp_path)]
        waiting = subprocess.Popen(
            [sys.executable, "-c", WAITING, *arguments],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        until(lambda: (tmp_path / "begun-1").exists() or waiting.poll() is not None)
        (path,) = records.glob("*.job")
        job = read_json(path, WrittenJob)
        assert state_of(job) == "RUNNING"
        waiting.send_signal(number)
        waiting.wait(30)
        if number == signal.SIGKILL:
            assert state_of(job) == "RUNNING", "nobody could cancel it"
            run(server.options(), tmp_path)
        assert state_of(job) == "CANCELLED"
        assert list(records.glob("*.job")) == []


def state_of(job: WrittenJob) -> str:
    with grpc.insecure_channel(job.endpoint) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        request = beam_job_api_pb2.GetJobStateRequest(job_id=job.id)
        return beam_job_api_pb2.JobState.Enum.Name(service.GetState(request).state)
