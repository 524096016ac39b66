from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

from flows.prediction.prediction_file import Predictions
from flows.serving.batcher import Batcher
from flows.serving.counters import Counters
from flows.serving.limits import Limits, RequestError
from flows.serving.rows import Rows


class Model:
    """Answers each row with its value; notes its batches. A negative value breaks it."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.batches: list[int] = []
        self._gate = gate

    def score(self, parts):
        self.batches.append(sum(part.count for part in parts))
        if self._gate is not None:
            assert self._gate.wait(timeout=60)
        if any(value < 0 for part in parts for value in part.columns["x"]):
            raise MemoryError
        return [
            Predictions({"y": np.array(part.columns["x"])}, np.arange(part.count)) for part in parts
        ]


@contextmanager
def _batcher(**limits):
    batcher = Batcher(Limits(**limits), Counters())
    try:
        yield batcher
    finally:
        batcher.close()


def _rows(*values):
    return Rows(len(values), {"x": list(values)})


async def _values(batcher, model, *requests):
    answers = [batcher.submit(model, _rows(*request)) for request in requests]
    done = await asyncio.gather(*answers, return_exceptions=True)
    return [
        result if isinstance(result, Exception) else result.columns["y"].tolist() for result in done
    ]


def test_requests_that_wait_go_through_the_model_together_and_get_their_own_rows(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    gate = threading.Event()
    model = Model(gate)

    async def run(batcher):
        first = batcher.submit(model, _rows(0))
        while not model.batches:
            await asyncio.sleep(0.001)
        rest = asyncio.ensure_future(_values(batcher, model, [1, 2], [3], [4, 5]))
        await asyncio.sleep(0.01)
        gate.set()
        await first
        return await rest

    with _batcher(batch_rows=3) as batcher:
        assert asyncio.run(run(batcher)) == [[1, 2], [3], [4, 5]]
    assert model.batches == [1, 3, 2]


def test_a_request_that_breaks_the_model_costs_no_other_one(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    with _batcher(batch_seconds=0.2) as batcher:
        answers = asyncio.run(_values(batcher, Model(), [1], [-1], [2]))
    assert answers[0] == [1]
    assert isinstance(answers[1], MemoryError)
    assert answers[2] == [2]


def test_a_queue_that_is_full_takes_no_more(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    gate = threading.Event()
    model = Model(gate)

    async def run(batcher):
        first = batcher.submit(model, _rows(0))
        while not model.batches:
            await asyncio.sleep(0.001)
        second = batcher.submit(model, _rows(1, 2))
        with pytest.raises(RequestError) as error:
            batcher.submit(model, _rows(3, 4))
        gate.set()
        await asyncio.gather(first, second)
        return error.value.status

    with _batcher(queued_rows=3) as batcher:
        assert asyncio.run(run(batcher)) == 429


def test_what_nobody_waits_for_any_more_is_not_scored(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    gate = threading.Event()
    model = Model(gate)

    async def run(batcher):
        first = batcher.submit(model, _rows(0))
        while not model.batches:
            await asyncio.sleep(0.001)
        batcher.submit(model, _rows(1, 2)).cancel()
        last = batcher.submit(model, _rows(3))
        gate.set()
        await asyncio.gather(first, last)

    with _batcher() as batcher:
        asyncio.run(run(batcher))
    assert model.batches == [1, 1]


def test_each_request_gets_the_version_that_it_was_given(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    old, new = Model(), Model()

    async def run(batcher):
        answers = [batcher.submit(model, _rows(1)) for model in (old, new, old)]
        await asyncio.gather(*answers)

    with _batcher() as batcher:
        asyncio.run(run(batcher))
    assert (sum(old.batches), sum(new.batches)) == (2, 1)


class Threads(Model):
    """Notes the thread of every batch, and takes its time."""

    def __init__(self, seconds=0.0):
        super().__init__()
        self.threads = []
        self._seconds = seconds

    def score(self, parts):
        self.threads.append(threading.get_ident())
        time.sleep(self._seconds)
        return super().score(parts)


def _scored(batcher, model, *requests):
    async def run():
        answers = [batcher.score(model, _rows(*request)) for request in requests]
        done = await asyncio.gather(*answers, return_exceptions=True)
        return [r if isinstance(r, Exception) else r.columns["y"].tolist() for r in done]

    return asyncio.run(run())


def test_a_lone_row_is_scored_at_once():
    model = Threads()
    with _batcher() as batcher:
        assert _scored(batcher, model, [1]) == [[1]]
        assert _scored(batcher, model, [2]) == [[2]]
    assert model.threads == [threading.get_ident()] * 2


def test_rows_that_come_together_and_several_rows_go_through_the_threads():
    model = Threads()
    with _batcher() as batcher:
        assert _scored(batcher, model, [1], [2]) == [[1], [2]]
        assert _scored(batcher, model, [3, 4]) == [[3, 4]]
    assert threading.get_ident() not in model.threads


def test_a_lone_row_that_takes_long_is_the_last_one_that_others_have_to_wait_for():
    model = Threads(seconds=0.02)
    with _batcher() as batcher:
        for _ in range(3):
            _scored(batcher, model, [1])
    here = [thread == threading.get_ident() for thread in model.threads]
    assert here == [True, False, False]


def test_a_lone_row_that_breaks_the_model_is_that_requests_error():
    with _batcher() as batcher:
        assert isinstance(_scored(batcher, Model(), [-1])[0], MemoryError)
        assert _scored(batcher, Model(), [1]) == [[1]]
