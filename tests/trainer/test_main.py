from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import nullcontext

import pytest

from tests.trainer.world import pipeline_of, training_with
from trainer import __main__ as steps


def run_step(step, file):
    """Runs a step as the flow does; returns its exit code and its events."""
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-m", "trainer", step, str(file)],
        stdin=subprocess.PIPE,
        pass_fds=[write],
        env=os.environ | {"BRAID_EVENTS_FD": str(write)},
    )
    os.close(write)
    with os.fdopen(read) as events:
        told = [json.loads(line) for line in events]
    return child.wait(), told


def test_a_step_reports_progress_and_its_result(trainer_world, tmp_path):
    pipeline = pipeline_of(training=training_with(epochs=2))
    job = trainer_world.job("process", pipeline)
    file = tmp_path / "job.json"
    file.write_text(job.model_dump_json())
    code, events = run_step("train", file)
    assert code == 0
    assert events[-1]["event"] == "result"
    assert json.loads(events[-1]["result"])["epochs"] == 2
    progress = [event for event in events if event["event"] == "progress"]
    assert progress[-1]["done"] == progress[-1]["total"]
    assert progress[-1]["unit"] == "steps"
    assert progress[0]["doing"] == "loading TensorFlow"
    rounds = [event["numbers"] for event in progress if event["milestone"]]
    assert [numbers["epoch"] for numbers in rounds] == [1, 2]
    metrics = {name for name in rounds[0] if name.startswith("val_")} - {"val_loss"}
    assert len(metrics) == 1
    assert set(rounds[0]) == {"loss", "val_loss", "epoch", "epochs"} | metrics


def test_a_failure_is_one_readable_error(trainer_world, tmp_path):
    file = tmp_path / "job.json"
    file.write_text(trainer_world.job("process2", partitions=()).model_dump_json())
    code, events = run_step("train", file)
    assert code == 1
    assert events[-1]["error"]["expected"] == "at least one row"


@pytest.mark.parametrize(
    ("step", "module"),
    [
        (steps._export, "trainer.export.export.export"),
        (steps._check, "trainer.export.serving.check"),
        (steps._answers, "trainer.export.answers.answers"),
    ],
)
def test_what_runs_beside_others_leaves_the_gpu_to_them(trainer_world, monkeypatch, step, module):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(steps, "quick_start", nullcontext)
    monkeypatch.setattr(module, lambda _job: os.environ["CUDA_VISIBLE_DEVICES"])
    assert step(trainer_world.job("hidden").model_dump_json()) == "-1"
