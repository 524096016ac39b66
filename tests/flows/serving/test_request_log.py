from __future__ import annotations

import asyncio
from typing import cast

import pyarrow.parquet as pq
import pytest

from flows.serving.app import Service
from flows.serving.batcher import Batcher
from flows.serving.counters import Counters
from flows.serving.follower import Follower
from flows.serving.limits import Limits, RequestError
from flows.serving.protocols.bodies import BodyReader
from flows.serving.request_log import KeptRows, RequestLog
from flows.serving.served import load_served
from tests.flows.serving.server import as_json
from tests.trainer.world import raw_rows


@pytest.fixture(scope="module")
def served(project):
    """The project's first version, of whose columns the color is sensitive."""
    registry = project.registry
    version = registry.find("tiny", version="1")
    served = load_served("tiny", "1", registry.export_folder(version), 100)
    features = served.scorer.pipeline.features
    color = features["color"].model_copy(update={"sensitive": True})
    declared = served.scorer.pipeline.model_copy(update={"features": {**features, "color": color}})
    object.__setattr__(served.scorer, "pipeline", declared)
    return served


def _answered(served):
    columns = ("unit price", "band", "photo", "sizes")
    values = {name: raw_rows(range(3))[name].tolist() for name in columns}
    instances = [
        {"id": f"r{i}", "color": "red", **{n: as_json(v[i]) for n, v in values.items()}}
        for i in range(3)
    ]
    instances[2]["photo"] = as_json(b"no picture")
    rows = served.reader.of_instances(instances)
    (predictions,) = served.score([rows])
    return rows, predictions


def test_served_rows_are_kept_by_day_with_their_answers_and_without_sensitive_values(
    served, tmp_path
):
    log = RequestLog(KeptRows(tmp_path), Counters())
    rows, predictions = _answered(served)
    log.add(served, rows, predictions)
    log.add(served, rows, predictions)
    log.close()
    (file,) = tmp_path.glob("logged=20*/*-v1-*.parquet")
    kept = pq.read_table(file, partitioning=None).to_pylist()
    assert len(kept) == 6
    assert {row["color"] for row in kept} == {None}
    assert [row["band"] for row in kept[:3]] == [0.0, 1.0, 2.0]
    assert kept[1]["photo"].startswith(b"\x89PNG")
    assert kept[0]["prediction.sold"] == pytest.approx(float(predictions.columns["sold"][0]))
    assert kept[0]["prediction.group"] == predictions.columns["group"][0]
    assert (kept[2]["prediction.sold"], kept[2]["error"]) == (None, "photo: undecodable_image")
    assert {row["braid.version"] for row in kept} == {"1"}


def test_a_share_of_the_rows_is_kept(served, tmp_path):
    counters = Counters()
    log = RequestLog(KeptRows(tmp_path, share=0.0), counters)
    log.add(served, *_answered(served))
    log.close()
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_costs_no_answer(served, tmp_path, capsys):
    (tmp_path / "log").write_text("a file")
    counters = Counters()
    log = RequestLog(KeptRows(tmp_path / "log"), counters)
    log.add(served, *_answered(served))
    log.close()
    assert "3 served rows could not be logged" in capsys.readouterr().err
    assert b'braid_logged_rows_total{outcome="dropped"} 3.0' in counters.text()


def test_what_the_server_answers_is_logged_also_if_it_answers_with_a_refusal(served, tmp_path):
    limits, counters = Limits(), Counters()
    log, batcher = RequestLog(KeptRows(tmp_path), counters), Batcher(limits, counters)
    # Predictions go neither by the alias nor by bodies.
    service = Service(limits, counters, cast("Follower", None), batcher, BodyReader(limits), log)
    bad = served.reader.of_instances([{"photo": as_json(b"no picture")}])
    try:
        asyncio.run(service.predict(served, served.reader.of_instances([{"band": 1}])))
        with pytest.raises(RequestError, match="undecodable_image"):
            asyncio.run(service.predict(served, bad))
    finally:
        batcher.close()
        log.close()
    rows = [row for file in tmp_path.glob("*/*.parquet") for row in pq.read_table(file).to_pylist()]
    assert [row["error"] for row in rows] == [None, "photo: undecodable_image"]
