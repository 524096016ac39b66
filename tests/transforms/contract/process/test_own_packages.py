"""Braid's own packages, beside a project that has folders of the same names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from transforms.contract.process.own_packages import full_name, python_m

NAMES = ("flows", "transforms", "trainer", "infra")
# What Prefect does with the entrypoint of a deployment, whose worker's folder is on the path.
LOAD_FLOW = """
import sys
sys.path.insert(0, "")
from prefect.flows import load_flow_from_entrypoint
print(load_flow_from_entrypoint("braid.deployed_flows.run_trainer_step").name)
"""


@pytest.fixture
def project(tmp_path) -> Path:
    for name in NAMES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"raise ValueError('the user has {name}')")
    (tmp_path / "load_flow.py").write_text(LOAD_FLOW)
    return tmp_path


def run(project: Path, *command: str) -> subprocess.CompletedProcess[str]:
    reading, writing = os.pipe()  # a step ends itself once its standard input closes
    try:
        return subprocess.run(
            command,
            cwd=project,
            env={**os.environ, "PYTHONPATH": "."},
            stdin=reading,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        os.close(reading)
        os.close(writing)


def test_the_command_takes_no_folder_of_a_project_for_ours(project):
    done = run(project, *python_m("braid", "templates"))
    assert done.returncode == 0, done.stderr
    assert "listings" in done.stdout


def test_the_process_of_a_step_takes_none_either(project):
    (project / "job.json").write_text("{}")
    done = run(project, *python_m("trainer", "check", "job.json"))
    assert "the user has" not in done.stderr
    assert "validation error" in done.stderr  # of the job, by our own code


def test_a_worker_imports_the_flow_of_a_deployment(project):
    done = run(project, sys.executable, "load_flow.py")
    assert done.stdout == "braid-train\n", done.stderr


def test_a_package_of_that_name_that_is_imported_already_is_named(project):
    for name in NAMES:
        (project / name / "__init__.py").write_text("")
    code = "import flows, runpy, sys; runpy.run_path(sys.argv[1])['find_own_first']()"
    done = run(project, sys.executable, "-c", code, python_m("braid")[2])
    assert "ImportError: Braid's package 'flows' is hidden by another" in done.stderr


def test_in_a_checkout_modules_have_their_own_names():
    assert full_name("trainer.network") == "trainer.network"
    assert full_name("braid") == "braid"
