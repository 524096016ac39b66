"""What a step's job names, from one machine's folders into another's by a bucket in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flows.process import inputs
from flows.process.attempt import new_attempt
from flows.process.inputs import send_inputs, take_over
from tests.support.bucket import memory_bucket, place_in
from transforms.contract.errors import BraidError
from transforms.contract.steps.jobs import TrainJob, WarmStart
from transforms.contract.workspace.documents import DamagedFile

RUN = "runs/flats/r1"


@pytest.fixture
def bucket():
    with memory_bucket() as bucket:
        yield bucket


def folder_with(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def handed_over(tmp_path: Path, modules: Path | None = None, **changes):
    """Hands a training over; returns how another machine takes it."""
    flow, trainer = tmp_path / "flow", tmp_path / "trainer"
    given = {"champion": None, "warm_start": None, **changes}
    job = TrainJob.model_construct(workspace=str(flow), run_folder=str(flow / RUN), **given)
    place = place_in(flow / "cache") / RUN
    attempt = new_attempt(place, "train", job, lambda folder: send_inputs(job, modules, folder))
    folder = place_in(trainer / "cache") / attempt.folder.key
    return lambda: take_over(folder, "train", trainer, trainer / RUN)


def test_modules_beside_the_declaration_and_their_packages_are_handed_over(bucket, tmp_path):
    project = folder_with(
        tmp_path / "project",
        *("mine.py", "layers/__init__.py", "layers/deep/__init__.py", "layers/deep/a.py"),
        *("pipeline.yaml", "data/rows.py", "layers/weights.h5", ".venv/lib/big.py"),
    )
    taken = handed_over(tmp_path, project)()
    assert names_in(taken.search_path) == {
        "mine.py",
        "layers/__init__.py",
        "layers/deep/__init__.py",
        "layers/deep/a.py",
    }


def test_modules_that_were_removed_since_are_not_importable_any_more(bucket, tmp_path):
    project = folder_with(tmp_path / "project", "old.py")
    handed_over(tmp_path, project)()
    (project / "old.py").rename(project / "new.py")
    assert names_in(handed_over(tmp_path, project)().search_path) == {"new.py"}


def test_modules_that_no_hand_wrote_are_refused_in_a_sentence(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, "_MOST_BYTES", 8)
    project = folder_with(tmp_path / "project", "a_long_name.py")
    with pytest.raises(BraidError, match="into a folder of their own"):
        handed_over(tmp_path, project)
    assert bucket.objects == {}, "no job was handed over"


def test_a_job_without_anything_of_the_users_has_no_search_path(bucket, tmp_path):
    assert handed_over(tmp_path)().search_path is None


def test_models_come_under_names_by_which_they_are_told_apart(bucket, tmp_path):
    first = folder_with(tmp_path / "flow" / "registry" / "1", "braid.json", "variables/index")
    second = folder_with(tmp_path / "flow" / "registry" / "2", "braid.json")
    champions = []
    for champion in (first, second, first):
        start = WarmStart(version="1", folder=str(first))
        take = handed_over(tmp_path, champion=str(champion), warm_start=start)
        job = json.loads(take().job_file.read_text())
        assert names_in(Path(job["warm_start"]["folder"])) == {"braid.json", "variables/index"}
        assert names_in(Path(job["champion"])) == names_in(champion)
        champions.append(job["champion"])
    assert champions[0] == champions[2] != champions[1]


def test_an_input_that_is_not_as_it_was_sent_is_not_taken(bucket, tmp_path):
    champion = folder_with(tmp_path / "flow" / "registry" / "1", "braid.json")
    take = handed_over(tmp_path, champion=str(champion))
    bucket.torn = 5
    with pytest.raises(DamagedFile):
        take()
    bucket.torn = 0
    assert json.loads(take().job_file.read_text())["champion"]
