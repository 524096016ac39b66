"""`braid serve` against the signature, `braid predict` and a server by hand, in one run.

    python -m tests.benchmarks.serving [ROWS]

Server and clients share the machine. One row: the time on a socket from sending it to having the
answer, beside a call of the exported signature with the same row; `http.client` would add a tenth
by itself. Many rows: 32 clients, each a thread with a connection of its own, send the table in
requests of 64 rows, beside `braid predict` on the same table. The server by hand
(`fastapi_by_hand`) is sent the same bodies, which are made beforehand.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import orjson
import pyarrow.parquet as pq

from flows.prediction.predict import score_table
from tests.benchmarks.mixed_table import PIPELINE, write_mixed_table
from tests.benchmarks.predict import small_model
from tests.benchmarks.report import Report
from tests.benchmarks.stream import Pass, timed
from tests.flows.serving.server import as_json, send, serving
from trainer.export.serving import Scorer
from trainer.registry.registry import ModelRegistry
from trainer.run_folder import EXPORT_FOLDER
from transforms.contract.process.startup import keep_freed_memory

REPEATS = 3
CLIENTS = 32
REQUEST_ROWS = 64
SINGLE_ROWS = 300
_SINGLE_TO_REACH = 1.5  # times the signature's call
_MANY_TO_REACH = 0.8  # of predict's rows/s
_BRAID, _BY_HAND = "braid serve", "FastAPI by hand"


@dataclass(frozen=True)
class Address:
    """Where a server takes rows: its port on loopback, and the path."""

    port: int
    path: str


@dataclass
class Trials:
    """What was measured, a figure of each repeat.

    Attributes:
        bare: Seconds of a call of the signature, the median of single rows.
        predicted: The passes of `braid predict` over the table.
        one: Seconds of an answer for one row, likewise, by server.
        many: Seconds of all answers to all clients, by server.
    """

    bare: list[float] = field(default_factory=list)
    predicted: list[Pass] = field(default_factory=list)
    one: dict[str, list[float]] = field(default_factory=dict)
    many: dict[str, list[float]] = field(default_factory=dict)


def main(rows: int) -> None:
    """Measures in turn, several times, and reports medians."""
    trials = Trials()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "mixed.parquet"
        write_mixed_table(table, rows, seed=1)
        model = small_model(folder / "model", max(1_000, rows // 10))
        declaration = _register(folder, table)
        singles, bodies = _bodies(table)
        output = folder / "predictions.parquet"
        with (
            serving(declaration, folder / "log") as braid,
            _by_hand(_export_in(folder)) as by_hand,
        ):
            servers = {
                _BRAID: Address(braid.port, f"/v1/models/{braid.model}:predict"),
                _BY_HAND: by_hand,
            }
            for _ in range(REPEATS):
                trials.bare.append(_p50(_signature(model, table)))
                for who, server in servers.items():
                    trials.one.setdefault(who, []).append(_p50_of(server, singles))
                whole = timed(lambda: score_table(model, table, output, lambda _: None))
                trials.predicted.append(whole)
                for who, server in servers.items():
                    trials.many.setdefault(who, []).append(_flooded(server, bodies))
    _report(rows, trials).keep("serving")


@contextlib.contextmanager
def _by_hand(export: Path) -> Iterator[Address]:
    command = [sys.executable, "-m", "tests.benchmarks.fastapi_by_hand", str(export)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Address(int(process.stdout.readline()), "/predict")
        finally:
            process.kill()


def _export_in(folder: Path) -> Path:
    (export,) = (folder / "model").rglob(EXPORT_FOLDER)
    return export


def _register(folder: Path, table: Path) -> Path:
    """Registers the small model as champion and returns its declaration."""
    declaration = folder / "pipeline.yaml"
    declaration.write_text(PIPELINE.format(path=table))
    registry = ModelRegistry(folder / "workspace")
    version = registry.register("mixed", _export_in(folder), run_id="bench", metrics={})
    registry.promote("mixed", version)
    return declaration


def _bodies(table: Path) -> tuple[list[bytes], list[bytes]]:
    """Returns requests of one row, and those of the whole table."""
    rows = [_instance(row) for row in pq.read_table(table).drop_columns("sold").to_pylist()]
    singles = [_body([row]) for row in rows[:SINGLE_ROWS]]
    starts = range(0, len(rows), REQUEST_ROWS)
    return singles, [_body(rows[start : start + REQUEST_ROWS]) for start in starts]


def _instance(row: dict[str, Any]) -> dict[str, Any]:
    return {name: as_json(value) for name, value in row.items()}


def _body(rows: list[dict[str, Any]]) -> bytes:
    return orjson.dumps({"instances": rows})


def _p50(calls: Iterator[Callable[[], object]]) -> float:
    """Returns the median seconds of calls, the first ones apart."""
    seconds = []
    for call in calls:
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return median(seconds[len(seconds) // 10 :])


def _signature(model: Scorer, table: Path) -> Iterator[Callable[[], object]]:
    """Yields calls of the exported signature with a row's values, as docs/serving.md has them."""
    import tensorflow as tf

    signature = model._model.signatures["serving_default"]
    raws = model.manifest.serving_inputs()
    dtypes = {r.name: tf.float32 if r.dtype == "float32" else tf.string for r in raws}

    def call(row: dict[str, Any]) -> object:
        given = {model._arguments[n]: tf.constant([row[n]], dtype) for n, dtype in dtypes.items()}
        return {name: tensor.numpy() for name, tensor in signature(**given).items()}

    for row in pq.read_table(table).slice(0, SINGLE_ROWS).to_pylist():
        yield partial(call, row)


def _p50_of(server: Address, bodies: Sequence[bytes]) -> float:
    with socket.create_connection(("127.0.0.1", server.port), timeout=120) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _p50(partial(_answered_on, connection, _request(server, b)) for b in bodies)


def _request(server: Address, body: bytes) -> bytes:
    lines = (
        f"POST {server.path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join((*lines, "", "")).encode() + body


def _answered_on(connection: socket.socket, request: bytes) -> None:
    """Sends a request and waits for the whole answer."""
    connection.sendall(request)
    answer = b""
    while not _is_whole(answer):
        part = connection.recv(1 << 16)
        if not part:
            raise SystemExit("the server has hung up")
        answer += part
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(answer.decode())


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length: ")
    return bool(end) and len(body) >= int(length.split(b"\r\n")[0])


def _connection(server: Address) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)


def _answered(connection: http.client.HTTPConnection, server: Address, body: bytes) -> None:
    answer = send(connection, "POST", server.path, body)
    if answer.status != http.HTTPStatus.OK:
        raise SystemExit(answer.body.decode())


def _flooded(server: Address, bodies: Sequence[bytes]) -> float:
    """Returns the seconds in which all clients together have their answers."""
    lanes = [list(bodies[lane::CLIENTS]) for lane in range(CLIENTS)]

    def client(lane: list[bytes]) -> None:
        with contextlib.closing(_connection(server)) as connection:
            for body in lane:
                _answered(connection, server, body)

    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(client, lanes))
    return time.perf_counter() - started


def _report(rows: int, trials: Trials) -> Report:
    def ratio(of: Sequence[float], to: Sequence[float]) -> float:
        return median(mine / base for mine, base in zip(of, to, strict=True))

    one, many, by_hand = trials.one[_BRAID], trials.many[_BRAID], trials.one[_BY_HAND]
    whole = [each.seconds for each in trials.predicted]
    lines = [
        ("the exported signature", f"{median(trials.bare) * 1e3:.2f} ms", "-"),
        ("braid predict", "-", f"{rows / median(whole):,.0f}"),
    ]
    for who, seconds in trials.many.items():
        single = f"{median(trials.one[who]) * 1e3:.2f} ms"
        lines.append((who, single, f"{rows / median(seconds):,.0f}"))
    return Report(
        title=f"Serving a small model of the mixed table, {rows:,} rows",
        command=f"python -m tests.benchmarks.serving {rows}",
        columns=("", "one row, p50", "rows/s"),
        lines=lines,
        sentences=[
            f"One row takes {ratio(one, trials.bare):.2f} times the signature's call, "
            f"{ratio(by_hand, trials.bare):.2f} times by hand; to reach is at most "
            f"{_SINGLE_TO_REACH}.",
            f"{CLIENTS} clients with requests of {REQUEST_ROWS} rows get {ratio(whole, many):.2f} "
            f"of the rows/s of `braid predict`; to reach is {_MANY_TO_REACH}. It is "
            f"{ratio(trials.many[_BY_HAND], many):.2f} times that of the server by hand. The "
            "clients run on the same cores.",
        ],
        details={
            "signature": trials.bare,
            "one row": trials.one,
            "predict": [asdict(each) for each in trials.predicted],
            "serve": trials.many,
        },
    )


if __name__ == "__main__":
    keep_freed_memory()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
