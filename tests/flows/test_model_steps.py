from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from flows import model_steps
from flows.progress import Reporter
from flows.record import read_record
from flows.run import Identity, open_run
from flows.session import Session
from trainer.registry import RegisteredVersion
from transforms.contract.declaration import parse
from transforms.contract.jobs import Partition
from transforms.contract.workspace import Workspace


def _session(workspace: Workspace, **gate) -> Session:
    pipeline = parse(
        {
            "name": "flats",
            "source": {"path": "/data", "key": "id"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"sold": {"kind": "binary"}},
            "gate": {"metric": "test_sold_auc"} | gate,
        }
    )
    partitions = (Partition(name="all", value=None, fingerprint="f", files=()),)
    run = open_run(workspace, pipeline, Identity("i", "j"), transform="t", partitions=partitions)
    reporter = Reporter(Console(file=io.StringIO()))
    return Session(
        pipeline, workspace, run, transform="t", partitions=partitions, reporter=reporter
    )


def test_a_champion_that_could_not_be_scored_is_recorded_and_stays(tmp_path, monkeypatch):
    champion = RegisteredVersion("flats", "1", "r0", "", 0)
    registry = SimpleNamespace(champion=lambda _: champion, export_folder=lambda _: tmp_path)
    monkeypatch.setattr(model_steps, "open_registry", lambda *_: registry)
    session = _session(Workspace(tmp_path))
    result = {
        "metrics": {"test_sold_auc": 0.9},
        "champion_metrics": None,
        "champion_problem": "it takes the column 'rooms', which no feature reads",
        "parity": 0.0,
        "rows": 10,
    }
    monkeypatch.setattr(session, "run_child", lambda *_: result)
    model_steps.evaluate(session)
    assert not model_steps.gate(session)
    record = read_record(session.folder)
    assert record.champion_problem == result["champion_problem"]
    assert result["champion_problem"] in record.gate.reasons[0]

    without = _session(Workspace(tmp_path), compare=False)
    assert without.record.run_id == session.record.run_id
    assert model_steps.gate(without)
