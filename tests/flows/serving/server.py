"""`braid serve` as a process on loopback, and what a client sends it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import math
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.support.command import start, until

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """The response that came back."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        process: The command.
        port: Where it listens on loopback.
        model: The registered model's name.
    """

    process: subprocess.Popen[bytes]
    port: int
    model: str

    def get(self, path: str) -> Answer:
        return self.send("GET", path)

    def post(self, path: str, document: Any) -> Answer:
        return self.send("POST", path, json.dumps(document).encode())

    def send(self, method: str, path: str, body: bytes | None = None) -> Answer:
        with contextlib.closing(self.connection()) as connection:
            return send(connection, method, path, body)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def predict(self, instances: Sequence[Any]) -> Answer:
        return self.post(f"/v1/models/{self.model}:predict", {"instances": instances})

    def infer(self, inputs: Sequence[Any], **more: Any) -> Answer:
        return self.post(f"/v2/models/{self.model}/infer", {"inputs": inputs, **more})

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024


def send(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None
) -> Answer:
    connection.request(method, path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    return Answer(response.status, response.read(), dict(response.headers))


@contextlib.contextmanager
def serving(declaration: Path, log: Path, *options: str) -> Iterator[Server]:
    """Serves the champion of a declaration until the block ends."""
    process = start(["serve", str(declaration), "--port", "0", *options], log)
    try:
        line = re.compile(r"(\S+) version \d+ answers at http://127\.0\.0\.1:(\d+)")
        until(
            lambda: line.search(log.read_text()) or process.poll() is not None, told=log.read_text
        )
        ready = line.search(log.read_text())
        assert ready is not None, log.read_text()
        yield Server(process, int(ready[2]), ready[1])
    finally:
        process.kill()
        process.wait()


def as_json(value: Any) -> Any:
    """Returns a cell of a table as version 1 of the protocol has it."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return None if isinstance(value, float) and np.isnan(value) else value


def as_tensors(rows: Sequence[Row], metadata: Any) -> list[dict[str, Any]]:
    """Returns rows as the inputs of version 2, by what the model's metadata says of them."""
    tensors = []
    for described in metadata["inputs"]:
        name = described["name"]
        values = [row[name] for row in rows]
        shape = [len(rows)]
        if len(described["shape"]) > 1:
            shape.append(max(len(value or ()) for value in values))
            lists = [[*(value or ()), *[None] * shape[1]][: shape[1]] for value in values]
            values = [entry for each in lists for entry in each]
        data = [
            base64.b64encode(v).decode() if isinstance(v, bytes) else as_json(v) for v in values
        ]
        tensors.append(
            {"name": name, "shape": shape, "datatype": described["datatype"], "data": data}
        )
    return tensors


def by_output(answer: Any) -> dict[str, list[Any]]:
    """Returns an answer of version 2 as lists of rows by output."""
    columns = {}
    for tensor in answer["outputs"]:
        width = int(np.prod(tensor["shape"][1:]))
        data = tensor["data"]
        is_list = len(tensor["shape"]) > 1
        columns[tensor["name"]] = (
            [data[i : i + width] for i in range(0, len(data), width)] if is_list else data
        )
    return columns


def close(value: Any, expected: Any) -> bool:
    """Returns whether two JSON values are the same, numbers to a millionth."""
    if isinstance(expected, dict):
        return value.keys() == expected.keys() and all(close(value[k], expected[k]) for k in value)
    if isinstance(expected, list):
        return len(value) == len(expected) and all(map(close, value, expected))
    if isinstance(expected, float):
        return value is not None and math.isclose(value, expected, rel_tol=1e-6, abs_tol=1e-6)
    return bool(value == expected)
