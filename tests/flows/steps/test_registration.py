from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest

from flows.orchestration import run_steps
from flows.records.record import ModelVersion
from flows.steps import registration
from flows.steps.registration import (
    find_version,
    open_registry,
    reach_registry,
    refuse_lost_version,
    register_run,
)
from tests.support.runs import flats, run_of
from trainer.registry.champions import this_person
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import fingerprint
from transforms.contract.steps.baselines import Baselines
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition


def test_a_version_tells_what_it_saw_in_source_order_and_its_whole_declaration(
    tmp_path, monkeypatch
):
    labels = {f"label {n}": 1.0 for n in range(1000)}
    pipeline = parse(
        {
            "name": "flats",
            "source": {"path": "/data", "key": "id", "partition_by": "day"},
            "training": {"partitions": {"last": 3}},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"group": {"kind": "multiclass", "class_weights": labels}},
        }
    )
    partitions = tuple(
        Partition(name=f"day={n}", value=str(n), fingerprint="f", files=()) for n in (8, 9, 10, 11)
    )
    given = {}

    def register(_name, _export, **arguments):
        given.update(arguments)
        return "1"

    registry = SimpleNamespace(register=register)
    monkeypatch.setattr(registration, "open_registry", lambda *_: registry)
    run = run_of(pipeline, Workspace(tmp_path), partitions)
    run.log.record.metrics = {"test_loss": 0.5}
    run.log.record.baselines = Baselines(constant={"test_loss": 0.75})
    assert register_run(run.work, run.log.record) == "1"
    assert given["tags"]["braid.first_partition"] == "day=9"
    assert given["tags"]["braid.last_partition"] == "day=11"
    assert given["tags"]["braid.partitions"] == "3"
    seen = [["day=9", "f"], ["day=10", "f"], ["day=11", "f"]]
    assert given["tags"]["braid.partitions_fingerprint"] == fingerprint(seen)
    assert given["metrics"] == {"test_loss": 0.5, "baseline.constant.test_loss": 0.75}
    whole = json.loads(given["shown"].texts["declaration.json"])
    assert len(whole["targets"]["group"]["class_weights"]) == 1000


def _registered(tmp_path):
    pipeline = flats()
    run = run_of(pipeline, Workspace(tmp_path))
    (run.work.export_folder / "variables").mkdir(parents=True)
    version = register_run(run.work, run.log.record)
    with run.log.recording() as record:
        record.model = ModelVersion(name="flats", version=version)
    return run


def test_a_registry_that_is_gone_is_told_before_any_work(tmp_path):
    run = _registered(tmp_path)
    here = (run.work.pipeline, run.work.workspace)
    assert reach_registry(*here).find("flats", version="1") is not None
    (tmp_path / "registry.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(BraidError, match=r"received no .*registry\.db\. Bring that back") as told:
        reach_registry(*here)
    assert run.log.record.run_id in told.value.place
    with pytest.raises(BraidError, match=r"received no .*registry\.db"):
        find_version(open_registry(*here), "flats", alias="champion", version=None)
    reach_registry(*here, may_begin=True)


def test_a_model_that_is_gone_from_the_registry_makes_no_finished_run(tmp_path):
    run = _registered(tmp_path)
    refuse_lost_version(run.work.pipeline, run.work.workspace, run.log.record)
    shutil.rmtree(tmp_path / "registry")
    with pytest.raises(BraidError, match=r"received no .*/registry/.*/export"):
        refuse_lost_version(run.work.pipeline, run.work.workspace, run.log.record)


def test_a_fresh_workspace_has_no_registry_to_miss(tmp_path):
    pipeline = _registered(tmp_path / "other").work.pipeline
    reach_registry(pipeline, Workspace(tmp_path / "fresh"))
    assert not (tmp_path / "fresh").exists()


def test_a_runs_promotion_is_told_by_the_history_as_one_by_hand_is(tmp_path):
    run = _registered(tmp_path)
    run.log.record.metrics = {"test_sold_auc": 0.9, "test_loss": 0.4}
    run.log.record.baselines = Baselines(constant={"test_sold_auc": 0.5, "test_loss": 0.7})
    assert run_steps.gate(run)
    for _ in range(2):  # as when the run was killed before it could note that
        run_steps.promote(run)
    history = open_registry(run.work.pipeline, run.work.workspace).history("flats")
    (registration,), (change,) = history.registrations, history.changes
    assert registration.gate == change.gate
    assert change.gate.startswith("passed: test_")
    assert (change.what, change.version, change.before) == ("gate", "1", None)
    assert change.reason == f"run {run.log.record.run_id}"
    assert registration.run_id == f"flats/{run.log.record.run_id}"
    assert registration.by == change.by == this_person()
