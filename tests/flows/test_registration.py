from __future__ import annotations

import json
from types import SimpleNamespace

from flows import registration
from flows.registration import register_run
from tests.sessions import session_of
from transforms.contract.baselines import Baselines
from transforms.contract.declaration import parse
from transforms.contract.fingerprint import fingerprint
from transforms.contract.jobs import Partition
from transforms.contract.workspace import Workspace


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
    session = session_of(pipeline, Workspace(tmp_path), partitions)
    session.record.metrics = {"test_loss": 0.5}
    session.record.baselines = Baselines(constant={"test_loss": 0.75})
    assert register_run(session) == "1"
    assert given["tags"]["braid.first_partition"] == "day=9"
    assert given["tags"]["braid.last_partition"] == "day=11"
    assert given["tags"]["braid.partitions"] == "3"
    seen = [["day=9", "f"], ["day=10", "f"], ["day=11", "f"]]
    assert given["tags"]["braid.partitions_fingerprint"] == fingerprint(seen)
    assert given["metrics"] == {"test_loss": 0.5, "baseline.constant.test_loss": 0.75}
    whole = json.loads(given["texts"]["declaration.json"])
    assert len(whole["targets"]["group"]["class_weights"]) == 1000
