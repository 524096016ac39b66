"""`braid serve` as its clients meet it: on loopback, with a tiny model of every kind of column."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.flows.serving.server import as_json, as_tensors, by_output, close, send, serving
from tests.support.command import BRAID, until
from tests.trainer.world import raw_rows

ROWS = 40
COLUMNS = ("color", "unit price", "sizes", "band", "review", "photo")


def _rows():
    """Returns rows as a table has them, some of which training would reject."""
    columns = {name: raw_rows(range(ROWS))[name].tolist() for name in COLUMNS}
    for name in ("color", "review"):
        columns[name] = [value.decode() or None for value in columns[name]]
    columns["unit price"] = [None if np.isnan(v) else v for v in columns["unit price"]]
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    rows[3]["sizes"] = [1.0]
    rows[7]["photo"] = b"no picture"
    rows[9]["band"] = float("inf")
    rows[11] = dict.fromkeys(COLUMNS)
    return [{"id": f"r{i}", **row} for i, row in enumerate(rows)]


def _instance(row):
    return {name: as_json(value) for name, value in row.items()}


GOOD = _instance(_rows()[0])


@pytest.fixture(scope="module")
def predicted(project, tmp_path_factory):
    """The rows as `braid predict` scores them, in a table."""
    folder = tmp_path_factory.mktemp("predicted")
    table = pa.Table.from_pylist(_rows())
    pq.write_table(table, folder / "rows.parquet")
    command = ["predict", str(project.declaration), "--version", "1"]
    command += ["--input", str(folder / "rows.parquet"), "--output", str(folder / "scores.parquet")]
    subprocess.run([*BRAID, *command], check=True, capture_output=True, timeout=300)
    return pq.read_table(folder / "scores.parquet").to_pylist()


def _served(rows, row):
    """A JSON number has no infinity: the row of one cannot be sent."""
    return [each for i, each in enumerate(rows) if i != row]


def test_rows_by_rows_are_answered_as_predict_answers_them(server, predicted):
    rows = _served(_rows(), 9)
    answers = server.predict([_instance(row) for row in rows]).json()["predictions"]
    for answer, expected in zip(answers, _served(predicted, 9), strict=True):
        given = {n: v for n, v in expected.items() if v is not None and n != "id"}
        assert close(answer, given)
    assert sum("error" in answer for answer in answers) >= 2


def test_rows_by_columns_are_answered_as_predict_answers_them(server, predicted):
    rows = _served(_rows(), 9)
    inputs = {name: [as_json(row[name]) for row in rows] for name in ("id", *COLUMNS)}
    outputs = server.post("/v1/models/tiny:predict", {"inputs": inputs}).json()["outputs"]
    for name in ("sold", "group", "group__probabilities", "cost", "error"):
        assert close(outputs[name], [row[name] for row in _served(predicted, 9)])


def test_tensors_are_answered_as_predict_answers_the_rows(server, predicted):
    metadata = server.get("/v2/models/tiny").json()
    answer = server.infer(as_tensors(_served(_rows(), 9), metadata), id="seven").json()
    assert (answer["id"], answer["model_version"]) == ("seven", "1")
    outputs = by_output(answer)
    for place, row in enumerate(_served(predicted, 9)):
        for name in ("sold", "group", "cost", "error"):
            assert close(outputs[name][place], row[name])
        if row["error"] is None:
            expected = row["group__probabilities"]
            assert close(outputs["group__probabilities"][place], expected)


def test_a_request_may_ask_for_some_outputs_and_for_the_version_that_is_served(server):
    tensors = as_tensors(_rows()[:1], server.get("/v2/models/tiny").json())
    body = {"inputs": tensors, "outputs": [{"name": "cost"}]}
    answer = server.post("/v2/models/tiny/versions/1/infer", body)
    assert [output["name"] for output in answer.json()["outputs"]] == ["cost"]


def test_a_row_s_answer_does_not_depend_on_the_rows_beside_it(server):
    spelt = {**GOOD, "unit price": str(GOOD["band"] + 5), "color": 7}
    (alone,) = server.predict([spelt]).json()["predictions"]
    beside = server.predict([GOOD, spelt, {**GOOD, "color": "green"}]).json()["predictions"][1]
    assert close(beside, alone)


TENSOR = {"name": "band", "shape": [1], "datatype": "FP32", "data": [1.0]}
PREDICT, INFER = "/v1/models/tiny:predict", "/v2/models/tiny/infer"
BAD = {
    "no JSON": (PREDICT, b"{", 400, "a body of JSON"),
    "nested too deeply": (PREDICT, b"[" * 100_000, 400, "a body of JSON"),
    "no rows": (PREDICT, {"instances": []}, 400, "at least one row"),
    "a row that is none": (PREDICT, {"instances": [7]}, 422, "instances: not_an_object"),
    "a column of another table": (PREDICT, {"instances": [{"aera": 1}]}, 422, "aera: not_a_column"),
    "a bad picture": (
        PREDICT,
        {"instances": [{**GOOD, "photo": {"b64": "bm8="}}]},
        422,
        "photo: undecodable_image",
    ),
    "a picture that is a path": (
        PREDICT,
        {"instances": [{**GOOD, "photo": "/etc/passwd"}]},
        422,
        "photo: not_base64",
    ),
    "no number": (PREDICT, {"instances": [{**GOOD, "band": "x"}]}, 422, "band: not_a_number"),
    "columns of two lengths": (
        PREDICT,
        {"inputs": {"band": [1], "color": ["red", "red"]}},
        400,
        "one length",
    ),
    "another model": ("/v1/models/other:predict", {"instances": [GOOD]}, 404, "tiny version 1"),
    "another version": (
        "/v1/models/tiny/versions/9:predict",
        {"instances": [GOOD]},
        404,
        "tiny version 1",
    ),
    "too long a body": (PREDICT, b" " * 2_000_000, 413, "at most 1048576 bytes"),
    "too many rows": (PREDICT, {"instances": [{}] * 1025}, 413, "at most 1024 rows"),
    "a tensor of another size": (INFER, {"inputs": [{**TENSOR, "shape": [2]}]}, 400, "2 values"),
    "a tensor of no type": (INFER, {"inputs": [{**TENSOR, "datatype": "X"}]}, 400, "datatype"),
    "a huge shape": (INFER, {"inputs": [{**TENSOR, "shape": [10**18]}]}, 400, f"{10**18} values"),
    "no such output": (
        INFER,
        {"inputs": [TENSOR], "outputs": [{"name": "x"}]},
        400,
        r"outputs\[0\]",
    ),
    "no such address": ("/v3", {}, 404, "Not Found"),
}


def _sent(server, case):
    path, body, status, reason = case
    answer = server.send("POST", path, body) if isinstance(body, bytes) else server.post(path, body)
    return answer, status, reason


@pytest.mark.parametrize("case", BAD.values(), ids=BAD)
def test_a_bad_request_is_told_why(server, case):
    answer, status, reason = _sent(server, case)
    assert answer.status == status
    assert list(answer.json()) == ["error"]
    assert re.search(reason, answer.json()["error"])
    assert b"Traceback" not in answer.body


def test_no_good_request_is_lost_among_bad_ones(server):
    expected = server.predict([GOOD]).json()
    with ThreadPoolExecutor(16) as clients:
        good = [clients.submit(server.predict, [GOOD]) for _ in range(60)]
        bad = [clients.submit(_sent, server, case) for case in BAD.values()]
        good += [clients.submit(server.predict, [GOOD]) for _ in range(60)]
    for future in good:
        assert future.result().status == 200
        assert close(future.result().json(), expected)
    for future in bad:
        answer, status, _ = future.result()
        assert answer.status == status


def test_one_bad_row_costs_no_other_row(server):
    answers = server.predict([GOOD, {**GOOD, "photo": {"b64": "bm8="}}, GOOD])
    assert answers.status == 200
    first, second, third = answers.json()["predictions"]
    assert second == {"error": "photo: undecodable_image"}
    assert first == third
    assert first["group"] in "abc"


def test_a_server_says_what_it_serves_and_how_it_is(server):
    assert server.get("/healthz").json() == {"status": "ok"}
    assert server.get("/readyz").json() == {"status": "ok", "model": "tiny", "version": "1"}
    assert server.get("/v2/health/live").status == 200
    assert server.get("/v2/health/ready").status == 200
    assert server.get("/v2/models/tiny/ready").status == 200
    assert server.get("/v2").json()["name"] == "braid"
    (status,) = server.get("/v1/models/tiny").json()["model_version_status"]
    assert (status["version"], status["state"]) == ("1", "AVAILABLE")
    signature = server.get("/v1/models/tiny/metadata").json()["metadata"]["signature_def"]
    inputs = signature["signature_def"]["serving_default"]["inputs"]
    assert inputs["sizes"]["tensor_shape"]["dim"][1]["size"] == "2"
    outputs = {output["name"]: output for output in server.get("/v2/models/tiny").json()["outputs"]}
    assert outputs["group__probabilities"]["parameters"] == {"labels": ["b", "a", "c"]}
    server.predict([GOOD])
    metrics = server.get("/metrics").body.decode()
    assert 'braid_requests_total{code="200",protocol="v1"}' in metrics
    assert 'braid_model_version{model="tiny",version="1"} 1.0' in metrics


def test_the_page_takes_nothing_from_anywhere(server):
    page = server.get("/")
    text = page.body.decode()
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http://" not in text
    assert "https://" not in text
    assert '"name": "unit price"' in text


def test_a_flood_is_refused_in_part_and_leaves_no_memory_behind(server):
    def flood(connections: int, requests: int) -> list[int]:
        def client(_) -> list[int]:
            connection = server.connection()
            codes = []
            for turn in range(requests):
                body = b'{"instances": [' + b"{}," * 900 + b"{}]}" if turn % 2 else b" " * 1_100_000
                codes.append(send(connection, "POST", PREDICT, body).status)
            connection.close()
            return codes

        with ThreadPoolExecutor(connections) as clients:
            return [code for codes in clients.map(client, range(connections)) for code in codes]

    flood(16, 4)
    before = server.resident_mb()
    codes = flood(32, 8)
    assert set(codes) <= {200, 413, 422, 429, 503}
    assert {413, 429} <= set(codes)
    assert server.predict([GOOD]).status == 200
    assert server.resident_mb() < before + 100


def test_a_body_that_never_ends_is_given_up(project, tmp_path):
    options = ("--version", "1", "--max-seconds", "0.5")
    with serving(project.declaration, tmp_path / "log", *options) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
            head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
            connection.sendall(head.encode() + b"{")
            assert b" 408 " in connection.recv(65536)
        assert running.predict([GOOD]).status == 200


def _under_load(running, during, clients: int = 8) -> list[int]:
    """Returns the status of every request of some clients, while something else happens."""
    stop = threading.Event()

    def client(_) -> list[int]:
        connection = running.connection()
        codes = []
        while not stop.is_set():
            body = b'{"instances": [{"band": 1, "sizes": [1, 2]}]}'
            codes.append(send(connection, "POST", PREDICT, body).status)
        connection.close()
        return codes

    with ThreadPoolExecutor(clients + 1) as threads:
        load = [threads.submit(client, i) for i in range(clients)]
        try:
            threads.submit(during).result()
        finally:
            stop.set()
        return [code for each in load for code in each.result()]


def test_another_champion_takes_over_without_losing_a_request(project, tmp_path):
    with serving(project.declaration, tmp_path / "log", "--poll", "0.2") as running:
        first = running.predict([GOOD]).json()["predictions"][0]

        def move() -> None:
            project.registry.promote("tiny", "2")
            until(lambda: running.get("/readyz").json()["version"] == "2")
            time.sleep(0.5)

        try:
            codes = _under_load(running, move)
        finally:
            project.registry.promote("tiny", "1")
        assert len(codes) > 50
        assert set(codes) == {200}
        assert running.predict([GOOD]).json()["predictions"][0]["sold"] != first["sold"]
        assert 'version="2"} 1.0' in running.get("/metrics").body.decode()


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_in_place(project, tmp_path):
    export = Path(project.registry.find("tiny", version="2").source.removeprefix("file://"))
    log = tmp_path / "log"
    hidden = export.with_name("hidden")
    with serving(project.declaration, log, "--poll", "0.2") as running:
        export.rename(hidden)
        try:
            project.registry.promote("tiny", "2")
            until(lambda: "Still version 1" in log.read_text(), told=log.read_text)
            assert running.predict([GOOD]).status == 200
        finally:
            hidden.rename(export)
            project.registry.promote("tiny", "1")
        assert log.read_text().count("Still version 1") == 1


def test_sigterm_lets_what_has_begun_end(project, tmp_path):
    log = tmp_path / "log"
    with serving(project.declaration, log, "--version", "1") as running:
        body = b'{"instances": [' + b'{"band": 1, "sizes": [1, 2]},' * 900 + b'{"band": 2}]}'
        with ThreadPoolExecutor(4) as clients:
            begun = [clients.submit(running.send, "POST", PREDICT, body) for _ in range(4)]
            time.sleep(0.05)
            running.process.send_signal(signal.SIGTERM)
            answers = [future.result() for future in begun]
        assert {answer.status for answer in answers} <= {200, 429}
        assert running.process.wait(timeout=60) == 143
    assert "Traceback" not in log.read_text()


def test_a_port_that_is_taken_and_a_model_that_is_not_there_are_said_at_once(project, server):
    serve = [*BRAID, "serve", str(project.declaration)]
    taken = subprocess.run(
        [*serve, "--port", str(server.port)], capture_output=True, text=True, check=False
    )
    assert taken.returncode == 1
    assert "a port that is free" in taken.stderr
    missing = subprocess.run(
        [*serve, "--port", "0", "--alias", "none"], capture_output=True, text=True, check=False
    )
    assert missing.returncode == 1
    assert "a version with the alias 'none'" in missing.stderr
