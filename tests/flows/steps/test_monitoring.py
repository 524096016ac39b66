from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from flows.console.progress import Reporter
from flows.process.child import Done, StepDied
from flows.records.record import write_record
from flows.steps import monitoring
from flows.steps.processes import Processes
from tests.support.records import run_record
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.monitoring import AnswersResult, MonitorResult
from transforms.contract.workspace.layout import Workspace

DECLARATION = {
    "name": "flats",
    "source": {"path": "/data", "key": "id", "partition_by": "day"},
    "features": {"area": {"kind": "numeric"}},
    "targets": {"sold": {"kind": "binary"}},
}
# What the champion was trained with, and the declaration has no more.
TRAINED_WITH = {"model": {"builder": "own:build"}, "training": {"partitions": {"from": 2}}}
DAYS = {f"day={day}": f"f{day}" for day in (1, 2, 3)}


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """A champion whose run had three partitions, of which the last two trained."""
    workspace = Workspace(tmp_path / "workspace")
    export = tmp_path / "export"
    export.mkdir()
    own = parse(DECLARATION | TRAINED_WITH).model_dump_json()
    (export / "braid.json").write_text(f'{{"pipeline": {own}}}')
    write_record(workspace.run("flats", "r"), run_record(run_id="r", partitions=DAYS))
    committed = [workspace.shards("t", *day) / "manifest.json" for day in list(DAYS.items())[1:]]
    for file in (*committed, workspace.transform("t") / "transform.json"):
        file.parent.mkdir(parents=True)
        file.touch()
    version = RegisteredVersion("flats", "7", "flats/r", "", 0, tags={"braid.transform": "t"})
    registry = SimpleNamespace(find=lambda *_, **__: version, export_folder=lambda _: export)
    monkeypatch.setattr(monitoring, "reach_registry", lambda *_: registry)
    return workspace


def _monitor(workspace: Workspace) -> None:
    pipeline, home = parse(DECLARATION), workspace.root.parent
    reporter = Reporter(Console(file=io.StringIO()))
    monitoring.monitor(pipeline, workspace, home / "pipeline.yaml", home / "day", reporter)


def test_answers_are_those_of_the_partitions_that_trained_with_the_champions_own_modules(
    workspace, monkeypatch
):
    started = []

    def run(processes, step, job):
        started.append((step.name, processes.search_path, job, processes.folder))
        if step.name == "answers":
            return Done(AnswersResult(rows=5))
        return Done(MonitorResult(rows=1, refused=0, answers=1, features={}, predictions={}))

    monkeypatch.setattr(Processes, "run", run)
    _monitor(workspace)
    (_, path, answers, folder), (_, _, monitored, _) = started
    assert path == workspace.root.parent
    assert [part.name for part in answers.partitions] == ["day=2", "day=3"]
    assert monitored.answers is not None
    assert not folder.exists()


def test_the_log_of_a_step_that_died_is_there_to_be_read(workspace, monkeypatch):
    def die(processes, step, _):
        log = processes.folder / "logs" / f"{step.name}.log"
        log.parent.mkdir()
        log.write_text("why")
        raise StepDied(step.name, expected="", received="", action=f"Its log is {log}")

    monkeypatch.setattr(Processes, "run", die)
    with pytest.raises(StepDied) as died:
        _monitor(workspace)
    assert Path(died.value.action.removeprefix("Its log is ")).read_text() == "why"
