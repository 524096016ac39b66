"""The server that one would write by hand around an export, for the benchmark of serving.

    python -m tests.benchmarks.fastapi_by_hand EXPORT

It reads JSON rows, calls the signature and answers with lists: no policies, no micro-batches, no
limits, no labels. A thread of the pool serves a request. The first line that it writes is its port.
"""

import base64
import sys
from pathlib import Path
from typing import Annotated, Any

import tensorflow as tf
import uvicorn
from fastapi import Body, FastAPI

from flows.serving.server import listening
from trainer.export.serving import load

Rows = list[dict[str, Any]]


def make_app(export: Path) -> FastAPI:
    """Returns the application."""
    scorer = load(export)
    signature = scorer._model.signatures["serving_default"]
    inputs = {
        scorer._arguments[raw.name]: raw for raw in scorer.manifest.serving_inputs()
    }  # the signature's names
    app = FastAPI()

    @app.post("/predict")
    def predict(instances: Annotated[Rows, Body(embed=True)]) -> dict[str, list[Any]]:
        given = {}
        for argument, raw in inputs.items():
            values = [row.get(raw.name) for row in instances]
            if raw.dtype == "float32":
                numbers = [float("nan") if value is None else value for value in values]
                given[argument] = tf.constant(numbers, tf.float32)
            else:
                given[argument] = tf.constant([_bytes(value) for value in values])
        return {name: tensor.numpy().tolist() for name, tensor in signature(**given).items()}

    return app


def _bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return b"" if value is None else str(value).encode()


if __name__ == "__main__":
    application = make_app(Path(sys.argv[1]))
    listener = listening("127.0.0.1", 0)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))
    server.run(sockets=[listener])
