"""Limits of what a server takes, and the error of a request that gets no prediction."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds of a server's memory and time, whatever is sent to it.

    Attributes:
        body_bytes: The longest body of a request.
        held_bytes: All bodies together that are read or worked on at one time.
        rows: The most rows of a request.
        queued_rows: The most rows that wait for the model, of all requests.
        seconds: From a request's beginning to its answer.
        batch_rows: The most rows that the model gets at once.
        batch_seconds: How long a batch that is not full waits for more rows while another batch
            is worked on; with nothing under way, nothing waits.
    """

    body_bytes: int = 16 << 20
    held_bytes: int = 128 << 20
    rows: int = 1024
    queued_rows: int = 4096
    seconds: float = 30.0
    batch_rows: int = 256
    batch_seconds: float = 0.005


class RequestError(Exception):
    """A request that gets no prediction.

    Args:
        status: Of HTTP: 400, 404, 408, 413, 422, 429 or 503.
        reason: What is wrong with it, in a sentence.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
