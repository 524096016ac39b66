"""Micro-batches: requests that come at the same time go through the model together.

A thread for each core takes what waits, up to a batch. While others are at work it waits a moment
for more, so that a lone request is answered at once and many share the model's fixed costs
(Crankshaw et al. 2017, "Clipper", section 4.3). A lone row that takes no longer than handing it to
a thread and back is scored without one.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import deque
from dataclasses import dataclass

from flows.prediction.prediction_file import Predictions
from flows.serving.counters import Counters
from flows.serving.limits import Limits, RequestError
from flows.serving.rows import Rows
from flows.serving.served import Served

_QUICK_SECONDS = 0.005  # of a row: the event loop does nothing else for so long
_PAUSE_SECONDS = 60.0  # after a row that took longer, until one is scored in the event loop again


@dataclass(frozen=True)
class _Waiting:
    served: Served
    rows: Rows
    answer: asyncio.Future[Predictions]


class Batcher:
    """The queue of rows before the model, and the threads that empty it.

    Args:
        limits: Of batches and of the queue.
        counters: Are told of both.
    """

    def __init__(self, limits: Limits, counters: Counters) -> None:
        self._limits = limits
        self._counters = counters
        self._waiting: deque[_Waiting] = deque()
        self._rows = 0
        self._working = 0
        self._asked = 0  # requests whose answers are awaited
        self._quick_from = 0.0  # the time from which on a lone row is taken to be quick
        self._is_closed = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work) for _ in range(os.cpu_count() or 1)]
        for thread in self._threads:
            thread.start()

    async def score(self, served: Served, rows: Rows) -> Predictions:
        """Returns the predictions of a request's rows.

        Raises:
            RequestError: Too many rows wait already.
        """
        self._asked += 1
        try:
            if rows.count == 1 and time.monotonic() >= self._quick_from:
                await asyncio.sleep(0)  # what came at the same time is asked for, too, after this
                if self._asked == 1:
                    return self._score_at_once(served, rows)
            return await self.submit(served, rows)
        finally:
            self._asked -= 1

    def _score_at_once(self, served: Served, rows: Rows) -> Predictions:
        begun = time.monotonic()
        try:
            (predictions,) = served.score([rows])
        finally:
            ended = time.monotonic()
            if ended - begun > _QUICK_SECONDS:
                self._quick_from = ended + _PAUSE_SECONDS
        self._counters.batches.observe(1)
        return predictions

    def submit(self, served: Served, rows: Rows) -> asyncio.Future[Predictions]:
        """Queues a request's rows; called in an event loop, which gets the answer.

        Raises:
            RequestError: Too many rows wait already.
        """
        answer: asyncio.Future[Predictions] = asyncio.get_running_loop().create_future()
        with self._changed:
            if self._rows and self._rows + rows.count > self._limits.queued_rows:
                raise RequestError(429, f"{self._rows} rows wait already; try again in a second")
            self._waiting.append(_Waiting(served, rows, answer))
            self._add(rows.count)
            self._changed.notify()
        return answer

    def close(self) -> None:
        """Ends the threads once the queue is empty."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while self._wait():
            with self._changed:
                batch = self._take()
                self._working += 1
            try:
                _answer(batch)
            finally:
                with self._changed:
                    self._working -= 1
                    if self._waiting:  # no thread is woken to find nothing
                        self._changed.notify()

    def _wait(self) -> bool:
        """Waits until there is a batch to take; returns False when all is done."""
        with self._changed:
            while not self._waiting:
                if self._is_closed:
                    return False
                self._changed.wait()
            until = time.monotonic() + self._limits.batch_seconds
            while self._waiting and self._working and self._rows < self._limits.batch_rows:
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    break
        return True

    def _take(self) -> list[_Waiting]:
        """Takes requests for the same version that make up one batch, at least one if any waits."""
        batch: list[_Waiting] = []
        rows = 0
        while self._waiting:
            first = self._waiting[0]
            fits = rows + first.rows.count <= self._limits.batch_rows
            if batch and not (fits and first.served is batch[0].served):
                break
            self._waiting.popleft()
            self._add(-first.rows.count)
            if not first.answer.cancelled():  # else it was told that it takes too long
                batch.append(first)
                rows += first.rows.count
        if batch:
            self._counters.batches.observe(rows)
        return batch

    def _add(self, rows: int) -> None:
        self._rows += rows
        self._counters.queued.set(self._rows)


def _answer(batch: list[_Waiting]) -> None:
    """Scores a batch; if that fails, each request by itself, so that it costs nobody else."""
    if not batch:
        return
    try:
        answers = batch[0].served.score([each.rows for each in batch])
    except Exception as error:
        if len(batch) > 1:
            for each in batch:
                _answer([each])
            return
        _tell(batch[0], error)
        return
    for each, predictions in zip(batch, answers, strict=True):
        _tell(each, predictions)


def _tell(waiting: _Waiting, result: Predictions | Exception) -> None:
    def tell() -> None:
        if waiting.answer.done():
            return
        if isinstance(result, Exception):
            waiting.answer.set_exception(result)
        else:
            waiting.answer.set_result(result)

    waiting.answer.get_loop().call_soon_threadsafe(tell)
