"""`braid tune` from table to registered model, killed once: about a minute."""

from __future__ import annotations

import json
import random
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.command import BRAID, kill_tree, start, until
from transforms.contract.declaration.parsing import load

pytestmark = pytest.mark.slow

DECLARATION = {
    "name": "flats",
    "source": {"path": "data", "format": "csv", "key": "id"},
    "features": {"area": {"kind": "numeric"}, "city": {"kind": "categorical"}},
    "targets": {"sold": {"kind": "binary"}},
    "training": {"steps": 20, "members": 1, "refit": None, "batch_size": 16},
    "gate": {"at_least": 0.01},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("flats")
    (folder / "data").mkdir()
    draw = random.Random(7)
    rows = [(f"r{n}", draw.uniform(20, 120), draw.choice("abc")) for n in range(300)]
    lines = [f"{key},{area:.1f},{city},{int(area > 70)}" for key, area, city in rows]
    (folder / "data" / "rows.csv").write_text("\n".join(["id,area,city,sold", *lines]) + "\n")
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    return folder


def braid(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*BRAID, *arguments], capture_output=True, text=True, cwd=project, timeout=300, check=False
    )


def trials(project: Path) -> list[dict]:
    files = sorted(project.glob("workspace/tunings/flats/*/trials/[0-9]*.json"))
    return [json.loads(file.read_text()) for file in files]


@pytest.fixture(scope="module")
def killed(project) -> list[dict]:
    """A tuning that is killed with all its processes once two trials have ended."""
    log = project / "killed.log"
    process = start(["tune", str(project / "pipeline.yaml"), "--trials", "50"], log)
    until(lambda: len(trials(project)) >= 2 or process.poll() is not None, told=log.read_text)
    kill_tree(process.pid)
    process.wait()
    return trials(project)


@pytest.fixture(scope="module")
def tuned(project, killed) -> subprocess.CompletedProcess[str]:
    count = str(len(killed) + 1)
    return braid(project, "tune", "pipeline.yaml", "--trials", count, "--write", "tuned.yaml")


def record(project: Path) -> dict:
    (file,) = project.glob("workspace/runs/flats/*/run.json")
    return json.loads(file.read_text())


def test_a_tuning_goes_on_after_a_kill_and_transforms_no_row_twice(project, killed, tuned):
    assert tuned.returncode == 0, tuned.stdout + tuned.stderr
    assert len(killed) >= 2
    assert trials(project)[: len(killed)] == killed
    assert len(trials(project)) == len(killed) + 1
    assert f"{len(killed)} trial" in tuned.stdout
    assert "  0 rows transformed" in tuned.stdout
    assert "reuses 1 of 1 partitions" in tuned.stdout


def test_every_trial_is_told_with_its_loss_and_its_keys(project, killed, tuned):
    told = (project / "killed.log").read_text()
    assert re.search(r"trial 0 +0\.\d{4} · best 0\.\d{4} · .* s · the declaration", told)
    assert re.search(r"trial 1 .* · training\.\w+ ", told)


def test_the_best_trial_is_run_once_and_its_record_has_all_trials(project, tuned):
    document = record(project)
    tuning = document["tuning"]
    losses = {t["number"]: t["loss"] for t in trials(project) if t["status"] == "complete"}
    assert tuning["best"] == min(losses, key=losses.get)
    assert losses[tuning["best"]] <= losses[0], "the first trial is the declaration"
    assert tuning["trials"] == trials(project)
    assert tuning["transformed"] == 0
    assert document["status"] == "promoted"
    assert (
        "## Trials: the best of" in next(project.glob("workspace/runs/*/*/summary.md")).read_text()
    )
    assert "Trials: the best of" in tuned.stdout
    assert {step["name"] for step in document["steps"]} >= {"train", "evaluate", "register", "gate"}


def test_the_written_declaration_has_nothing_left_to_run(project, tuned):
    assert tuned.returncode == 0
    tuned_pipeline, declared = load(project / "tuned.yaml"), load(project / "pipeline.yaml")
    assert tuned_pipeline.data_fingerprint() == declared.data_fingerprint()
    assert tuned_pipeline.training.steps == 20
    done = braid(project, "run", "tuned.yaml")
    assert "Nothing is new since run" in done.stdout, done.stdout + done.stderr


def test_all_trials_that_are_wanted_being_there_only_tells_the_best_again(project, killed, tuned):
    count = str(len(killed) + 1)
    done = braid(project, "tune", "pipeline.yaml", "--trials", count, "--no-run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tune       starting" not in done.stdout
    assert "Trials: the best of" in done.stdout
    assert len(list(project.glob("workspace/runs/flats/*"))) == 1
