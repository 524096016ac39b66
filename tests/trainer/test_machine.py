"""A training machine needs neither Beam nor TFT: the group `train` has all that it takes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from flows.process.attempt import new_attempt
from tests.trainer.machine import closure, declared, make_environment
from tests.trainer.world import pipeline_of, training_with

ETL = ("apache_beam", "tensorflow_transform", "tfx_bsl", "pyarrow", "matplotlib", "PIL")
# What a worker of the `gpu` pool does, but for the worker.
HANDED_OVER = """
import sys
from flows.orchestration.prefect_settings import configure

configure()
from flows.orchestration.trainer_flow import run_trainer_step

run_trainer_step.fn(*sys.argv[1:])
"""
REGISTER = """
import sys
from pathlib import Path
from trainer.registry.registry import ModelRegistry

registry = ModelRegistry(Path(sys.argv[1]))
metrics = {"test_loss": 0.5}
registry.register("tiny", Path(sys.argv[2]), run_id="r", metrics=metrics)
(version,) = registry.versions("tiny")
sys.exit(version.version != "1")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    return make_environment(tmp_path_factory.mktemp("machine") / "venv", declared("train"))


def run(python, *arguments):
    # From the sources, as every test: they are what a wheel holds.
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PYTHON")}
    child = subprocess.Popen(
        [str(python), *arguments],
        env=environment
        | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,  # a step ends when it is closed
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = child.stdout.read()
    return child.wait(), output


def test_the_groups_of_two_roles_differ_by_what_reads_tables():
    train, etl = closure(declared("train")), closure(declared("etl"))
    beyond = {"apache-beam", "tensorflow-transform", "tfx-bsl", "pyarrow", "matplotlib"}
    assert beyond.isdisjoint(train)
    assert beyond <= set(etl)


@pytest.mark.parametrize("module", ETL)
def test_there_is_no_etl_on_a_training_machine(python, module):
    code, output = run(python, "-c", f"import {module}")
    assert code == 1
    assert f"No module named '{module}'" in output


def test_a_training_machine_trains_exports_evaluates_checks_and_registers(
    python, trainer_world, tmp_path
):
    job = trainer_world.job("machine", pipeline_of(training=training_with(epochs=1)))
    folder = Path(job.run_folder)
    for step in ("train", "export", "evaluate", "check"):
        attempt = new_attempt(folder, step, job)
        code, output = run(python, "-c", HANDED_OVER, step, str(attempt.folder))
        assert code == 0, output[-3000:]
        assert attempt.outcome().returned is not None
    assert json.loads((folder / "evaluation.json").read_text())["parity"] < 1e-4
    code, output = run(python, "-c", REGISTER, str(tmp_path / "workspace"), str(folder / "export"))
    assert code == 0, output[-3000:]
