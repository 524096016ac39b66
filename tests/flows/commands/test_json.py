"""`--json` of every command: an object that a script can read, whatever the command does."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from flows.commands import doctor, launch, promotion, tune
from flows.commands.cli import cli
from flows.prediction import predict, shadow
from flows.records.record import write_record
from flows.report import rejects
from flows.serving import server
from flows.steps import monitoring, registration
from tests.support.records import backfill_record, run_record
from trainer.registry.champions import ChampionChange, History
from trainer.registry.version import RegisteredVersion
from transforms.contract.steps.doctor import DoctorResult, Link
from transforms.contract.steps.monitoring import Compared, MonitorResult
from transforms.contract.steps.tuning import Tuning
from transforms.contract.workspace.layout import Workspace

DECLARATION = {
    "name": "flats",
    "source": {"path": "data", "key": "id"},
    "features": {"area": {"kind": "numeric"}},
    "targets": {"sold": {"kind": "binary"}},
}
ONE, TWO = (RegisteredVersion("flats", number, f"flats/r{number}", "", 0) for number in "12")


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A table, its declaration, two runs and a day of served rows; what takes long is stood in for.

    The registry has two versions where a command cannot do without, and is not there elsewhere.
    """
    monkeypatch.chdir(tmp_path)
    Path("pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    Path("data").mkdir()
    rows = {"id": ["a", "b"], "area": [1.0, 2.0], "sold": [0, 1]}
    pq.write_table(pa.table(rows), "data/rows.parquet")
    Path("log/logged=2026-11-29").mkdir(parents=True)
    workspace = Workspace(tmp_path / "workspace")
    for name in ("first", "second"):
        write_record(workspace.run("flats", name), run_record(run_id=name, status="promoted"))
    _stand_in(monkeypatch, workspace)
    return tmp_path


def _stand_in(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> None:
    run = workspace.run("flats", "first"), run_record(status="promoted")
    backfill = workspace.backfills("flats") / "b", backfill_record()
    tuning = Tuning(trials=(), best=0, settings={}, seconds=0.1, transformed=2)
    change = ChampionChange(
        at=run[1].started, what="hand", version="2", before="1", by="me", state="done"
    )
    registry = SimpleNamespace(
        promote=lambda *_: change,
        find=lambda *_, version: TWO,
        history=lambda _name: History(champion="1", changes=(change,)),
    )
    compared = Compared(p_value=0.5, distance=0.1)
    day = MonitorResult(rows=2, refused=0, answers=0, features={"area": compared}, predictions={})
    answers = shadow.Difference("sold", rows=2, same=1, changes=Counter({("a", "b"): 1}))
    shadowed = shadow.Shadowed("1", "2", 2, (answers,), Counter(version=1), (), ("price",))
    row = rejects.RejectedRow("all", "a", "rows.parquet", "area", "missing", b"")

    for place, name, answer in (
        (doctor, "_examined", (DoctorResult(links=(Link(name="worker"),)), Path())),
        (launch, "launch", run),
        (launch, "launch_backfill", backfill),
        (launch, "launch_deployment", ["deployment flats/braid"]),
        (tune, "tune", tuning),
        (tune, "run_best", run),
        (predict, "predict", (predict.Scored(rows=2, scored=2, reasons={}), "flats version 1")),
        (promotion, "reach_registry", registry),
        (promotion, "find_version", TWO),
        (promotion, "_try_out", None),
        (monitoring, "monitor", (ONE, day)),
        (shadow, "shadow", shadowed),
        (rejects, "rejected_rows", iter([row])),
    ):
        monkeypatch.setattr(place, name, lambda *_, _answer=answer, **__: _answer)
    monkeypatch.setattr(
        registration, "find_version", lambda *_, version, **__: TWO if version else ONE
    )
    monkeypatch.setattr(server, "serve", lambda *_, on_ready, **__: on_ready("flats", "http://a"))


IT = "pipeline.yaml"
RESULTS = {
    "init": (["mine", "--from", "data/rows.parquet", "--target", "sold"], {"declaration"}),
    "templates": ([], {"listings"}),
    "validate": ([IT], {"features", "values"}),
    "schema": ([], {"properties"}),
    "status": ([IT], {"partitions"}),
    "plan": ([IT], {"sentence", "steps"}),
    "run": ([IT], {"folder", "run"}),
    "tune": ([IT], {"tuning", "folder", "run"}),
    "backfill": ([IT], {"folder", "backfill", "run"}),
    "deploy": ([IT], {"on_the_server"}),
    "runs": ([IT], {"runs", "backfills"}),
    "compare": (["first", "second"], {"left", "right", "metrics", "declared_otherwise"}),
    "predict": ([IT, "--input", "data", "--output", "p.csv"], {"output", "model", "predictions"}),
    "check": ([IT], {"looked_at", "damaged", "removed"}),
    "doctor": ([IT], {"runner", "whole", "seconds", "links"}),
    "models": ([IT], set()),
    "serve": ([IT], {"model", "address"}),
    "monitor": ([IT, "--log", "log"], {"model", "version", "day", "compared"}),
    "ui": ([IT], {"address"}),
    "promote": ([IT, "2"], {"model", "champion", "before", "moved"}),
    "rollback": ([IT], {"model", "champion", "before", "moved"}),
    "history": ([IT], {"champion", "registrations", "changes"}),
    "prune": ([IT], {"removed", "versions", "runs", "stays"}),
    "shadow": (
        [IT, "2", "--input", "data"],
        {"champion", "version", "rows", "differences", "unlike"},
    ),
    "rejects": ([IT], {"rows", "counts", "first"}),
}


def test_every_command_is_among_them():
    assert set(RESULTS) == set(cli.commands)


@pytest.mark.parametrize("command", RESULTS)
@pytest.mark.usefixtures("project")
def test_a_command_gives_a_result(command):
    arguments, keys = RESULTS[command]
    done = CliRunner().invoke(cli, [command, *arguments, "--json"], catch_exceptions=False)
    told = json.loads(done.stdout)
    assert told["command"] == command
    assert told["exit_code"] == done.exit_code
    assert told["result"] is not None
    assert keys <= set(told["result"])
