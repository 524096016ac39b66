"""The addresses of a server, and how each ends: with JSON and a reason, never with a traceback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from flows.console.harmless import plain
from flows.prediction.prediction_file import Predictions
from flows.records.record import braid_version
from flows.serving.answers import refusal_in
from flows.serving.batcher import Batcher
from flows.serving.counters import Counters
from flows.serving.follower import Follower
from flows.serving.form import page_of
from flows.serving.limits import Limits, RequestError
from flows.serving.protocols import open_inference, tensorflow_serving
from flows.serving.protocols.bodies import BodyReader
from flows.serving.request_log import RequestLog
from flows.serving.rows import Rows
from flows.serving.served import Served
from transforms.contract.errors import BraidError

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

Answer = Callable[[Served, bytes], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Service:
    """The parts of a server that all addresses share.

    Attributes:
        limits: What is taken of requests.
        counters: What `/metrics` shows.
        follower: Has the version that is served.
        batcher: The way through the model.
        bodies: The reader of bodies.
        log: Keeps some of what was served; None keeps nothing.
    """

    limits: Limits
    counters: Counters
    follower: Follower
    batcher: Batcher
    bodies: BodyReader
    log: RequestLog | None = None

    def served(self, name: str, version: str | None = None) -> Served:
        """Returns the version that a request names.

        Raises:
            RequestError: Another model or version is served.
        """
        served = self.follower.served
        if name != served.name or version not in (None, served.version):
            raise RequestError(404, f"{served.name} version {served.version} is served here")
        return served

    async def predict(self, served: Served, rows: Rows) -> Predictions:
        """Returns the predictions of a request's rows.

        Raises:
            RequestError: Too many rows wait, or none of these can have a prediction.
        """
        predictions = await self.batcher.score(served, rows)
        self.counters.scored.inc(len(predictions.rows))
        self.counters.refused.inc(rows.count - len(predictions.rows))
        if self.log is not None:
            self.log.add(served, rows, predictions)
        reason = refusal_in(rows.count, predictions)
        if reason is not None:
            raise RequestError(422, reason)
        return predictions

    async def answer(self, request: Request, served: Served, work: Answer) -> bytes:
        """Returns the body of an answer, within the time of a request.

        Raises:
            RequestError: There is none.
        """
        is_read = False
        try:
            async with (
                asyncio.timeout(self.limits.seconds),
                self.bodies.read(request) as body,
            ):
                is_read = True
                return orjson.dumps(await work(served, body))
        except TimeoutError:
            seconds = f"{self.limits.seconds:g} seconds"
            if is_read:
                raise RequestError(503, f"no answer within {seconds}; try again") from None
            raise RequestError(408, f"the body did not come within {seconds}") from None


def make_app(service: Service) -> FastAPI:
    """Returns the application."""
    # Pages of documentation would load scripts from elsewhere.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(HTTPException, _no_such_address)
    app.add_exception_handler(BraidError, _failed)
    app.add_exception_handler(Exception, _failed)
    # First of all, as Starlette tries one address after the other.
    _add_predictions(app, service)
    _add_health(app, service)
    _add_v1(app, service)
    _add_v2(app, service)
    return app


def _add_predictions(app: FastAPI, service: Service) -> None:
    async def predict(served: Served, body: bytes) -> dict[str, Any]:
        rows, as_columns = await service.bodies.parse(
            body, lambda document: tensorflow_serving.rows_of(document, served.reader)
        )
        predictions = await service.predict(served, rows)
        return tensorflow_serving.body_of(served, rows.count, predictions, as_columns=as_columns)

    async def infer(served: Served, body: bytes) -> dict[str, Any]:
        def read(document: Any) -> tuple[Rows, Any, Any]:
            rows = open_inference.rows_of(document, served.reader)
            return rows, open_inference.asked_outputs(document, served), document.get("id")

        rows, outputs, identity = await service.bodies.parse(body, read)
        predictions = await service.predict(served, rows)
        return open_inference.body_of(served, outputs, rows.count, predictions, identity)

    v1, v2 = _prediction(service, "v1", predict), _prediction(service, "v2", infer)
    for path, endpoint in {
        "/v1/models/{name}:predict": v1,
        "/v2/models/{name}/infer": v2,
        "/v1/models/{name}/versions/{version}:predict": v1,
        "/v2/models/{name}/versions/{version}/infer": v2,
    }.items():
        app.add_route(path, endpoint, methods=["POST"])


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/")
    def page() -> Response:
        return page_of(service.follower.served)

    @app.get("/healthz")
    def health() -> Response:
        return _json({"status": "ok"})

    @app.get("/readyz")
    def ready() -> Response:
        served = service.follower.served
        return _json({"status": "ok", "model": served.name, "version": served.version})

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(service.counters.text(), media_type=_PROMETHEUS)


def _add_v1(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models/{name}")
    @app.get("/v1/models/{name}/versions/{version}")
    def status(name: str, version: str | None = None) -> Response:
        return _json(tensorflow_serving.status_of(service.served(name, version)))

    @app.get("/v1/models/{name}/metadata")
    @app.get("/v1/models/{name}/versions/{version}/metadata")
    def metadata(name: str, version: str | None = None) -> Response:
        return _json(tensorflow_serving.metadata_of(service.served(name, version)))


def _add_v2(app: FastAPI, service: Service) -> None:
    @app.get("/v2")
    def server() -> Response:
        return _json({"name": "braid", "version": braid_version(), "extensions": []})

    @app.get("/v2/health/live")
    def live() -> Response:
        return _json({"live": True})

    @app.get("/v2/health/ready")
    def ready() -> Response:
        return _json({"ready": True})

    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{version}")
    def metadata(name: str, version: str | None = None) -> Response:
        return _json(open_inference.metadata_of(service.served(name, version)))

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    def model_ready(name: str, version: str | None = None) -> Response:
        served = service.served(name, version)
        return _json({"name": served.name, "ready": True})


def _prediction(
    service: Service, protocol: str, work: Answer
) -> Callable[[Request], Awaitable[Response]]:
    """Returns the endpoint of a protocol's predictions.

    It is a route of Starlette's: FastAPI's takes as long for its own as the rest of the way there.
    """

    async def endpoint(request: Request) -> Response:
        begun, code = time.perf_counter(), 500
        try:
            parameters = request.path_params
            served = service.served(parameters["name"], parameters.get("version"))
            body = await service.answer(request, served, work)
            code = 200
            return Response(body, media_type="application/json")
        except RequestError as error:
            code = error.status
            return _refused(request, error)
        finally:
            service.counters.requests.labels(protocol, code).inc()
            service.counters.seconds.labels(protocol).observe(time.perf_counter() - begun)

    return endpoint


def _refused(_: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RequestError) else 400
    headers = {"Retry-After": "1"} if status in (429, 503) else None
    return _json({"error": plain(str(error))}, status, headers)


def _no_such_address(_: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return _json({"error": str(getattr(error, "detail", "not found"))}, status)


def _failed(_: Request, __: Exception) -> Response:
    """Answers for an error that no request should cause; what it was is for the server's log."""
    return _json({"error": "the server failed on this request; its log says why"}, 500)


def _json(document: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers, media_type="application/json")
