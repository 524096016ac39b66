from __future__ import annotations

import asyncio
import random
import weakref
from dataclasses import replace
from typing import cast

import pyarrow.parquet as pq
import pytest

from flows.serving import request_log
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
    assert [row["id"] for row in kept[:3]] == ["r0", "r1", "r2"], "late labels are joined by it"
    assert [row["band"] for row in kept[:3]] == [0.0, 1.0, 2.0]
    assert kept[1]["photo"].startswith(b"\x89PNG")
    assert kept[0]["prediction.sold"] == pytest.approx(float(predictions.columns["sold"][0]))
    assert kept[0]["prediction.group"] == predictions.columns["group"][0]
    assert (kept[2]["prediction.sold"], kept[2]["error"]) == (None, "photo: undecodable_image")
    assert {row["braid.version"] for row in kept} == {"1"}


def _kept(folder):
    return [r for file in folder.glob("*/*") for r in pq.ParquetFile(file).read().to_pylist()]


def test_a_number_that_another_request_has_as_a_text_is_kept_as_one(served, tmp_path):
    log = RequestLog(KeptRows(tmp_path), Counters())
    for value in (1, 1.5, "1"):
        rows = served.reader.of_instances([{"band": value}])
        log.add(served, rows, *served.score([rows]))
    log.close()
    assert [row["band"] for row in _kept(tmp_path)] == ["1", "1.5", "1"]


def test_a_share_of_the_rows_is_kept_each_with_its_own_answer(served, tmp_path):
    rows, predictions = _answered(served)
    log = RequestLog(KeptRows(tmp_path, share=0.5), Counters(), random.Random(3))
    log.add(served, rows, predictions)
    log.close()
    draws = random.Random(3)
    places = [place for place in range(3) if draws.random() < 0.5]
    assert places == [0, 2], "some and not all"
    kept = _kept(tmp_path)
    assert [row["band"] for row in kept] == places
    assert kept[0]["prediction.sold"] == pytest.approx(float(predictions.columns["sold"][0]))
    assert [row["error"] for row in kept] == [None, "photo: undecodable_image"]


def test_of_a_request_only_what_is_kept_is_held(served, tmp_path):
    rows, predictions = _answered(served)
    log = RequestLog(KeptRows(tmp_path, share=0.5), Counters(), random.Random(3))
    log.add(served, rows, predictions)
    whole = weakref.ref(rows), weakref.ref(predictions)
    del rows, predictions
    assert [each() for each in whole] == [None, None]
    log.close()


def test_rows_beyond_what_may_be_held_are_let_go_of_with_their_lists_counted(
    served, tmp_path, monkeypatch
):
    monkeypatch.setattr(request_log, "_HELD_BYTES", 20_000)
    counters = Counters()
    log = RequestLog(KeptRows(tmp_path), counters)
    rows, predictions = _answered(served)
    short = rows.at([0])
    rows.columns["sizes"][0] = [float(number) for number in range(1_000)]
    log.add(served, rows.at([0]), predictions.at([0]))
    log.add(served, short, predictions.at([0]))
    log.close()
    assert [row["sizes"] for row in _kept(tmp_path)] == short.columns["sizes"]
    assert b'braid_logged_rows_total{outcome="dropped"} 1.0' in counters.text()


def test_rows_of_which_no_table_can_be_made_do_not_cost_others(served, tmp_path, capsys):
    log = RequestLog(KeptRows(tmp_path), Counters())
    rows, predictions = _answered(served)
    broken = rows.at([0])
    broken.columns["band"] = [{}]
    log.add(replace(served, version="0"), broken, predictions.at([0]))
    log.add(served, rows, predictions)
    log.close()
    assert len(_kept(tmp_path)) == 3
    assert "1 served rows could not be logged" in capsys.readouterr().err


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
