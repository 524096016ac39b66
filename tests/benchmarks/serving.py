"""`braid serve` against the model's own signature and against `braid predict`, in one run.

    python -m tests.benchmarks.serving [ROWS]

Server and clients share the machine. One row: a client's time from sending it to having the answer,
beside a call of the exported signature with the same row. Many rows: 32 clients, each a thread with
a connection of its own, send the table in requests of 64 rows, beside `braid predict` on the same
table. The clients' bodies are made beforehand.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
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
from tests.flows.serving.server import Server, as_json, send, serving
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


def main(rows: int) -> None:
    """Measures in turn, several times, and reports medians."""
    bare: list[float] = []
    one: list[float] = []
    predicted: list[Pass] = []
    served: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "mixed.parquet"
        write_mixed_table(table, rows, seed=1)
        model = small_model(folder / "model", max(1_000, rows // 10))
        declaration = _register(folder, table)
        singles, bodies = _bodies(table)
        output = folder / "predictions.parquet"
        with serving(declaration, folder / "log") as server:
            for _ in range(REPEATS):
                bare.append(_p50(_signature(model, table)))
                with contextlib.closing(server.connection()) as connection:
                    one.append(_p50(_client(server, connection, singles)))
                predicted.append(timed(lambda: score_table(model, table, output, lambda _: None)))
                served.append(_flooded(server, bodies))
    _report(rows, bare, one, predicted, served).keep("serving")


def _register(folder: Path, table: Path) -> Path:
    """Registers the small model as champion and returns its declaration."""
    declaration = folder / "pipeline.yaml"
    declaration.write_text(PIPELINE.format(path=table))
    (export,) = (folder / "model").rglob(EXPORT_FOLDER)
    registry = ModelRegistry(folder / "workspace")
    registry.promote("mixed", registry.register("mixed", export, run_id="bench", metrics={}))
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


def _client(
    server: Server, connection: http.client.HTTPConnection, bodies: Sequence[bytes]
) -> Iterator[Callable[[], object]]:
    path = f"/v1/models/{server.model}:predict"
    for body in bodies:
        yield partial(send, connection, "POST", path, body)


def _flooded(server: Server, bodies: Sequence[bytes]) -> float:
    """Returns the seconds in which all clients together have their answers."""
    lanes = [list(bodies[lane::CLIENTS]) for lane in range(CLIENTS)]
    path = f"/v1/models/{server.model}:predict"

    def client(lane: list[bytes]) -> None:
        with contextlib.closing(server.connection()) as connection:
            for body in lane:
                answer = send(connection, "POST", path, body)
                if answer.status != http.HTTPStatus.OK:
                    raise SystemExit(answer.body.decode())

    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(client, lanes))
    return time.perf_counter() - started


def _report(
    rows: int, bare: list[float], one: list[float], predicted: list[Pass], served: list[float]
) -> Report:
    single = median(mine / base for mine, base in zip(one, bare, strict=True))
    many = median(base.seconds / mine for mine, base in zip(served, predicted, strict=True))
    return Report(
        title=f"Serving a small model of the mixed table, {rows:,} rows",
        command=f"python -m tests.benchmarks.serving {rows}",
        columns=("", "one row, p50", "rows/s"),
        lines=[
            ("the exported signature", f"{median(bare) * 1e3:.2f} ms", "-"),
            ("braid predict", "-", f"{rows / median(p.seconds for p in predicted):,.0f}"),
            ("braid serve", f"{median(one) * 1e3:.2f} ms", f"{rows / median(served):,.0f}"),
        ],
        sentences=[
            f"One row takes {single:.2f} times the signature's call; to reach is at most "
            f"{_SINGLE_TO_REACH}.",
            f"{CLIENTS} clients with requests of {REQUEST_ROWS} rows get {many:.2f} of the rows/s "
            f"of `braid predict`; to reach is {_MANY_TO_REACH}. The clients run on the same cores.",
        ],
        details={
            "signature": bare,
            "one row": one,
            "predict": [asdict(each) for each in predicted],
            "serve": served,
        },
    )


if __name__ == "__main__":
    keep_freed_memory()
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
