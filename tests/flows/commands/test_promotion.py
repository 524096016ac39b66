"""`braid promote`, `braid rollback` and `braid history`, on a model whose export answers."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
import yaml

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from flows.commands.cli import cli
from flows.console.failures import readable_failures
from tests.support.command import start
from tests.trainer.world import DECLARATION, make_world, pipeline_of, training_with
from trainer.registry.champions import this_person
from trainer.registry.registry import ModelRegistry
from trainer.run_folder import EXPORT_FOLDER

Braid = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose model was registered three times and has no champion yet."""
    from trainer.export.export import export
    from trainer.training.training import train

    folder = tmp_path_factory.mktemp("promotion")
    (folder / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    world = make_world(folder / "workspace")
    job = world.job("tiny/a", pipeline_of(training=training_with(epochs=1)))
    train(job)
    export(job)
    registry = ModelRegistry(world.root)
    for run in ("a", "b", "c"):
        own = world.root / "runs" / "tiny" / run / EXPORT_FOLDER
        if not own.exists():
            shutil.copytree(Path(job.run_folder) / EXPORT_FOLDER, own)
        registry.register("tiny", own, run_id=f"tiny/{run}", metrics={})
    registry.note_gate("tiny", "3", "refused: test_sold_auc 0.4 is not at least 0.5.")
    return folder


@pytest.fixture
def project(registered: Path, tmp_path: Path) -> Path:
    return shutil.copytree(registered, tmp_path / "project")


@pytest.fixture
def braid(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> Braid:
    """Runs `braid COMMAND pipeline.yaml ...` and gives its exit code, output and errors."""
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # which the command sets for its process

    def call(command: str, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            _main([command, str(project / "pipeline.yaml"), *arguments])
        told = capsys.readouterr()
        return ended.value.code or 0, told.out, told.err

    return call


def _main(line: list[str]) -> NoReturn:
    with readable_failures("braid"):
        sys.exit(cli(line, standalone_mode=False))


def _champion(project: Path) -> str | None:
    return ModelRegistry(project / "workspace").history("tiny").champion


def _export(project: Path, version: str) -> Path:
    registry = ModelRegistry(project / "workspace")
    return registry.export_folder(registry.find("tiny", version=version))


def test_a_champions_life_is_told_by_its_commands(project, braid):
    ModelRegistry(project / "workspace").promote("tiny", "1")
    assert braid("promote", "3", "--reason", "the season [b]opens[/b]") == (
        0,
        "tiny version 3 is the champion now, in the place of version 1.\n"
        "Its gate refused: test_sold_auc 0.4 is not at least 0.5.\n",
        "",
    )
    assert braid("promote", "3")[:2] == (0, "tiny version 3 is the champion already.\n")
    assert braid("rollback", "--reason", "too many complaints")[:2] == (
        0,
        "tiny version 1 is the champion again, in the place of version 3.\n",
    )
    assert _champion(project) == "1"

    code, output, _ = braid("history")
    lines = [re.split(r" {2,}", line.strip()) for line in output.splitlines()]
    assert code == 0
    assert lines[0] == ["when (UTC)", "version", "what", "by", "why", "gate"]
    gate = "refused: test_sold_auc 0.4 is not at least 0.5."
    assert [line[1:] for line in lines[1:-1]] == [
        ["1", "registered", "run tiny/a"],
        ["2", "registered", "run tiny/b"],
        ["3", "registered", "run tiny/c", gate],
        ["1", "promoted by hand", this_person()],
        ["3", "promoted by hand", this_person(), "the season [b]opens[/b]", "refused"],
        ["1", "rolled back to", this_person(), "too many complaints"],
    ]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", line[0]) for line in lines[1:-1])
    assert lines[-1] == ["Version 1 is the champion."]

    code, _, errors = braid("rollback")
    assert code == 1
    assert "received  version 1, and no word of one before it" in errors
    assert _champion(project) == "1"


def _without(export: Path) -> None:
    shutil.rmtree(export)


def _cut_graph(export: Path) -> None:
    graph = export / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[:-100])


def _cut_vocabulary(export: Path) -> None:
    (export / "assets" / "color.txt").write_text("red\n")


def _flipped_weights(export: Path) -> None:
    # Not told by a comparison, as the run's folder is gone: TensorFlow has to find it.
    shutil.rmtree(_workspace(export) / "runs")
    (data,) = (export / "variables").glob("variables.data-*")
    content = bytearray(data.read_bytes())
    content[: len(content) // 2] = bytes(len(content) // 2)
    data.write_bytes(content)


def _workspace(export: Path) -> Path:
    return next(parent for parent in export.parents if parent.name == "workspace")


@pytest.mark.parametrize("damage", [_without, _cut_graph, _cut_vocabulary, _flipped_weights])
def test_a_version_whose_export_is_not_whole_never_becomes_the_champion(project, braid, damage):
    registry = ModelRegistry(project / "workspace")
    registry.promote("tiny", "2")
    registry.promote("tiny", "1")
    damage(_export(project, "2"))
    for command in (["promote", "2"], ["rollback"]):
        code, output, errors = braid(*command)
        assert (code, output) == (1, "")
        assert "expected" in errors
        assert "Traceback" not in errors
        assert str(project / "workspace" / "registry") in errors
        assert _champion(project) == "1"
    assert len(registry.history("tiny").changes) == 2


def test_what_cannot_be_is_refused_with_a_sentence(project, braid):
    code, _, errors = braid("promote", "9")
    assert code == 1
    assert "expected  version 9" in errors
    assert "version 3 (challenger)" in errors
    code, _, errors = braid("rollback")
    assert code == 1
    assert "expected  a champion to go back from" in errors
    for arguments in (["best"], ["0"], ["1", "--reason", "x" * 501]):
        assert braid("promote", *arguments)[0] == 2
    assert braid("history")[1].endswith("No version is the champion.\n")
    assert _champion(project) is None


def test_a_champion_that_is_no_longer_registered_is_not_gone_back_to(project, braid):
    registry = ModelRegistry(project / "workspace")
    registry.promote("tiny", "1")
    registry.promote("tiny", "2")
    registry._client().delete_model_version("tiny", "1")
    code, _, errors = braid("rollback")
    assert code == 1
    assert "version 1, which was the champion before version 2" in errors
    assert _champion(project) == "2"


def test_an_alias_that_something_else_moved_is_told(project, braid):
    registry = ModelRegistry(project / "workspace")
    registry.promote("tiny", "1")
    registry._client().set_registered_model_alias("tiny", "champion", "2")
    lines = braid("history")[1].splitlines()
    assert lines[-2] == "Version 2 is the champion."
    assert lines[-1].startswith("Nothing above says how it came to that")


def test_a_workspace_without_a_model_says_so(project, braid):
    empty = ("--workspace", str(project / "empty"))
    assert braid("history", *empty)[:2] == (0, "No version of tiny is registered yet.\n")
    assert braid("promote", "1", *empty)[0] == 1
    assert braid("rollback", *empty)[0] == 1
    assert not (project / "empty").exists()


def test_two_commands_at_once_leave_one_champion_that_the_history_explains(project):
    declaration = str(project / "pipeline.yaml")
    ModelRegistry(project / "workspace").promote("tiny", "1")
    logs = [project / "log2", project / "log3"]
    commands = [
        start(["promote", declaration, version], log)
        for version, log in zip(("2", "3"), logs, strict=True)
    ]
    codes = [command.wait(120) for command in commands]
    assert codes == [0, 0], [log.read_text() for log in logs]
    history = ModelRegistry(project / "workspace").history("tiny")
    assert [change.before for change in history.changes] == [None, "1", history.changes[1].version]
    assert {change.version for change in history.changes} == {"1", "2", "3"}
    assert history.tells_of_champion()
