"""Counters of a server, as Prometheus reads them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Counters:
    """The counts of a server's work so far. No label has a value that a request chooses."""

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        self.requests = Counter(
            "braid_requests", "Requests for predictions.", ["protocol", "code"], registry=own
        )
        self.seconds = Histogram(
            "braid_request_seconds",
            "From a request to its answer.",
            ["protocol"],
            buckets=_SECONDS,
            registry=own,
        )
        rows = Counter("braid_rows", "Rows of requests.", ["outcome"], registry=own)
        self.scored, self.refused = rows.labels("scored"), rows.labels("refused")
        self.logged = Counter("braid_logged_rows", "Rows for the log.", ["outcome"], registry=own)
        self.batches = Histogram(
            "braid_batch_rows", "Rows that the model got at once.", buckets=_ROWS, registry=own
        )
        self.queued = Gauge("braid_queued_rows", "Rows that wait for the model.", registry=own)
        self.model = Gauge(
            "braid_model_version", "The version that is served.", ["model", "version"], registry=own
        )
        self.reloads = Counter(
            "braid_reloads", "Versions that were to take over.", ["outcome"], registry=own
        )

    def serve(self, name: str, version: str) -> None:
        """Tells which version is served from now on."""
        self.model.clear()
        self.model.labels(name, version).set(1)

    def text(self) -> bytes:
        """Returns them in Prometheus' text format."""
        return generate_latest(self._registry)
