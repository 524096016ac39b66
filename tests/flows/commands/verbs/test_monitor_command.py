from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from flows.commands import launch
from flows.commands.cli import cli
from flows.commands.exit_codes import DRIFTED
from flows.process.child import Done
from flows.steps import monitoring
from flows.steps.processes import Processes
from tests.flows.commands.test_prune import DECLARATION
from tests.support.jobs import transform_job
from trainer.registry.version import RegisteredVersion
from transforms.contract.declaration.parsing import load
from transforms.contract.errors import DeclarationError
from transforms.contract.steps.evaluation import LEVELS, EvaluationResult, MeasuredRows, Resampled
from transforms.contract.steps.monitoring import Compared, MonitorResult
from transforms.contract.workspace.layout import Workspace


@pytest.fixture
def monitor(tmp_path):
    """Runs `braid monitor` on a log of two days, and gives its exit code."""
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    for day in ("2026-11-28", "2026-11-29"):
        (tmp_path / "log" / f"logged={day}").mkdir(parents=True)

    def call(*arguments: str) -> int:
        line = ["monitor", str(tmp_path / "pipeline.yaml"), "--log", str(tmp_path / "log")]
        return cli([*line, *arguments], standalone_mode=False)

    return call


@pytest.mark.parametrize(("differs", "code"), [(True, DRIFTED), (False, 0)])
def test_the_newest_day_is_told_and_its_exit_code_says_whether_it_differs(
    monitor, monkeypatch, capsys, differs, code
):
    area = Compared(p_value=1e-9, distance=0.2, is_alarm=differs)
    told = []
    monkeypatch.setattr(launch, "tell_drift", lambda *what: told.append(what))
    result = MonitorResult(
        rows=500, refused=2, answers=400, features={"area": area}, predictions={}
    )
    version = RegisteredVersion("flats", "7", "flats/r", "", 0)
    days = []

    def compare(_pipeline, _workspace, _declaration, day, _reporter):
        days.append(day.name)
        return version, result

    monkeypatch.setattr(monitoring, "monitor", compare)
    assert monitor() == code
    drift = ("flats", "logged=2026-11-29", "version 7", "the features area")
    assert told == ([drift] if differs else [])
    told = capsys.readouterr().out
    assert days == ["logged=2026-11-29"]
    assert "flats version 7, logged=2026-11-29: 500 rows" in told
    assert ("This day differs in the features area." in told) == differs
    assert "2 more rows would be rejected by training." in told


def test_a_server_that_is_not_there_is_told_of_and_none_at_all_is_not(monkeypatch, capsys):
    drift = ("flats", "logged=2026-11-29", "version 7", "the features area")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    launch.tell_drift(*drift)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    launch.tell_drift(*drift)
    assert "Not told to PREFECT_API_URL, http://127.0.0.1:9/api: " in capsys.readouterr().err


def test_a_day_that_was_not_logged_is_refused(monitor):
    with pytest.raises(DeclarationError, match="--day 2026-11-01: expected served rows"):
        monitor("--day", "2026-11-01")


def _in_this_process(_processes, step, job):
    """Runs a step where a process of its own would take seconds to load what is loaded here."""
    from trainer.evaluation.live import live
    from transforms.analysis.labels import labels
    from transforms.analysis.monitor import monitor

    of_text = {"labels": labels, "monitor": monitor}
    done = live(job) if step.name == "live" else of_text[step.name](job.model_dump_json())
    return Done(done)


@pytest.fixture
def flats(tmp_path, monkeypatch) -> Path:
    """A champion whose test rows have an accuracy of 0.9, and 100 rows that it answered."""
    from transforms.analysis.freeze import analyze

    random = np.random.default_rng(0)
    area = random.normal(size=400)
    rows = {"id": [f"t{i}" for i in range(400)], "area": area, "sold": area > 0}
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(rows), tmp_path / "data" / "rows.parquet")
    declared = DECLARATION | {"targets": {"sold": {"kind": "binary", "metrics": ["accuracy"]}}}
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(declared))
    pipeline, workspace = load(tmp_path / "pipeline.yaml", ()), Workspace(tmp_path / "workspace")
    job = transform_job(pipeline, workspace.root)
    analyze(job.model_dump_json())
    export = tmp_path / "export"
    export.mkdir()
    (export / "braid.json").write_text(f'{{"pipeline": {pipeline.model_dump_json()}}}')
    quantiles = tuple(np.quantile(random.normal(0.9, 0.01, 1000), LEVELS))
    test = MeasuredRows(
        rows=900,
        metrics={"test_sold_accuracy": 0.9},
        resampled={"test_sold_accuracy": Resampled(quantiles=quantiles)},
    )
    evaluation = EvaluationResult(metrics=test.metrics, rows=900, test=test)
    workspace.run("flats", "r").mkdir(parents=True)
    (workspace.run("flats", "r") / "evaluation.json").write_text(evaluation.model_dump_json())
    tags = {"braid.transform": job.transform}
    version = RegisteredVersion("flats", "7", "flats/r", "", 0, tags=tags)
    registry = SimpleNamespace(find=lambda *_, **__: version, export_folder=lambda _: export)
    monkeypatch.setattr(monitoring, "reach_registry", lambda *_: registry)
    monkeypatch.setattr(Processes, "run", _in_this_process)
    for day, rest in (("2026-11-28", 0), ("2026-11-29", 1)):
        own = np.arange(rest, 100, 2)
        served = {
            "id": [f"s{i}" if i else None for i in own],
            "area": random.normal(size=50),
            "prediction.sold": (own % 10 == 0).astype(np.float32),
            "braid.version": ["7"] * 50,
        }
        folder = tmp_path / "log" / f"logged={day}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table(served), folder / "120000-v7-a.parquet")
    return tmp_path


@pytest.mark.parametrize(("wrong", "code"), [(5, 0), (50, DRIFTED)])
def test_late_labels_of_all_days_give_live_metrics_beside_those_of_the_test_rows(
    flats, wrong, code
):
    lines = [f"s{i},{int((i % 10 == 0) != (i < wrong))}" for i in range(99)]
    (flats / "labels.csv").write_text("\n".join(["id,sold", *lines]))
    place = [str(flats / "pipeline.yaml"), "--log", str(flats / "log"), "--json"]
    done = CliRunner().invoke(cli, ["monitor", *place, "--labels", str(flats / "labels.csv")])
    assert done.exit_code == code, done.output
    live = json.loads(done.stdout)["result"]["live"]
    assert live["days"] == ["2026-11-28", "2026-11-29"]
    assert (live["labels"]["joined"], live["labels"]["keyless"]) == (98, 1)
    accuracy = live["metrics"]["sold_accuracy"]
    assert accuracy["live"] == pytest.approx((99 - wrong) / 98)
    assert accuracy["test"] == 0.9
    assert accuracy["is_worse"] == (code == DRIFTED)
    told = " ".join(done.stderr.split())
    assert "1 row cannot be joined, as the log has no key of theirs" in told
    assert "The labels do not have the keys of 1 row." in told
    assert ("Worse than on the test rows by more than chance: sold_accuracy." in told) == bool(code)
