"""Jobs, logs, locks and progress of the processes of a run, with a function in their place."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows.console.progress import Reporter
from flows.process.child import Done
from flows.retention.exclusion import Hold
from flows.steps import processes as module
from flows.steps.processes import Processes
from tests.support.runs import flats
from transforms.contract.process.events import Progress
from transforms.contract.steps.jobs import TrainJob, TransformJob
from transforms.contract.steps.results import TrainResult, TransformResult
from transforms.contract.steps.step import TRAIN, TRANSFORM

PIPELINE = flats()
TO_TRANSFORM = TransformJob(pipeline=PIPELINE, workspace="/w", transform="t", partitions=())
TO_TRAIN = TrainJob(
    pipeline=PIPELINE, workspace="/w", transform="t", partitions=(), run_folder="/w/r"
)
TRANSFORMED = TransformResult(rows=3, partitions=1, seconds=0.5)


@pytest.fixture
def calls(monkeypatch) -> list[dict]:
    """The arguments with which steps were started; each tells its progress once."""
    calls = []

    def run_child(step, job, **others):
        calls.append({"step": step, "job": job, **others, "inherit": list(others["inherit"])})
        others["on_progress"](Progress(done=1, total=2, unit="rows"))
        return Done(TrainResult() if step == TRAIN else TRANSFORMED, peak_bytes=7)

    monkeypatch.setattr(module, "run_child", run_child)
    return calls


def _processes(folder: Path, **options) -> Processes:
    return Processes(folder, Reporter(Console(file=io.StringIO(), width=200)), **options)


def test_a_step_gets_its_job_in_a_file_and_a_log_of_its_own(tmp_path, calls):
    done = _processes(tmp_path).run(TRANSFORM, TO_TRANSFORM)
    assert (done.result, done.peak_bytes) == (TRANSFORMED, 7)
    (call,) = calls
    assert TransformJob.model_validate_json(call["job"].read_text()) == TO_TRANSFORM
    assert call["job"] == tmp_path / "jobs" / "transform.json"
    assert call["log"] == tmp_path / "logs" / "transform.log"


def test_the_locks_of_shards_are_held_by_what_writes_them_and_by_no_training(tmp_path, calls):
    processes = _processes(tmp_path)
    with processes.inheriting(5), processes.holding_shards(Hold(6)):
        processes.run(TRANSFORM, TO_TRANSFORM)
        processes.run(TRAIN, TO_TRAIN)
    processes.run(TRANSFORM, TO_TRANSFORM)
    assert [call["inherit"] for call in calls] == [[5, 6], [5], []]


def test_steps_on_partitions_beside_each_other_have_files_and_locks_in_common_and_apart(
    tmp_path, calls
):
    processes = _processes(tmp_path)
    with processes.inheriting(5), processes.reporter.steps() as shown:
        processes.of_partition("a/b.csv", shown).run(TRANSFORM, TO_TRANSFORM)
    (call,) = calls
    assert call["job"].name == "a,b.csv.json"
    assert call["inherit"] == [5]
    assert call["stopping"] is processes.stopping


def test_the_trainers_steps_may_run_elsewhere_and_the_others_run_here(tmp_path, calls):
    handed_over = []

    def elsewhere(step, job, on_progress, stopping):
        handed_over.append((step, job))
        return Done(TrainResult(epochs=3))

    processes = _processes(tmp_path, elsewhere=elsewhere)
    assert processes.run(TRAIN, TO_TRAIN).result.epochs == 3
    processes.run(TRANSFORM, TO_TRANSFORM)
    assert handed_over == [(TRAIN, TO_TRAIN)]
    assert [call["step"] for call in calls] == [TRANSFORM]
