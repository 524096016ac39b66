"""From raw rows to what a partition adds up to."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import numpy as np
import tensorflow as tf

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.graph.graph import cut_rows, missing_rows, raw_columns, requests_of, tensor_spec
from transforms.graph.packing import pack_columns
from transforms.kinds.requests import MomentsRequest, QuantilesRequest, Request, VocabularyRequest
from transforms.statistics.accumulators import Accumulated

_trace_lock = threading.Lock()


class RequestCounter:
    """Counts what the kinds of one pipeline ask for.

    Attributes:
        columns: The raw columns that it looks at; pictures are not among them.
        requests: What is asked for.
    """

    def __init__(self, pipeline: PipelineSpec) -> None:
        self.requests: tuple[Request, ...] = ()
        self._counted: tuple[str, ...] = ()
        self._cut: tuple[str, ...] = ()
        specs = {n: tensor_spec(raw) for n, raw in raw_columns(pipeline, with_targets=True).items()}

        def values(raw: dict[str, tf.Tensor]) -> list[tf.Tensor]:
            packed = pack_columns(pipeline, raw)
            self.requests = tuple(requests_of(pipeline, packed))
            counted = [r.name for r in self.requests if isinstance(r, VocabularyRequest)]
            missing = missing_rows(pipeline, packed, counted)
            cut = cut_rows(pipeline, packed)
            self._counted, self._cut = tuple(missing), tuple(cut)
            asked = (request.values for request in self.requests)
            return [*asked, *missing.values(), *cut.values()]

        traced = tf.function(values, input_signature=[specs], autograph=False)
        self._graph = traced.get_concrete_function()
        inputs = dict(zip(sorted(specs), self._graph.inputs, strict=False))
        self.columns = {name for name, tensor in inputs.items() if tensor.consumers()}
        self._unread = {
            name: np.zeros((0, *spec.shape[1:]), spec.dtype.as_numpy_dtype)
            for name, spec in specs.items()
            if name not in self.columns
        }

    @classmethod
    def shared(cls, pipeline: PipelineSpec) -> RequestCounter:
        """Returns a counter that is traced once for all workers of this process."""
        with _trace_lock:
            return _traced(pipeline.model_dump_json())

    def add(self, raw: dict[str, np.ndarray], total: Accumulated) -> None:
        """Adds the rows of a batch.

        Args:
            raw: Those of `columns`, as `RawBatch` has them.
            total: What they are added to.
        """
        for request, values in self._add_compared(raw, total):
            match request:
                case MomentsRequest():
                    # A series has a row for every step.
                    total.add_moments(request.names, values.reshape(-1, values.shape[-1]))
                case QuantilesRequest():
                    for name, columns in _by_name(request, values).items():
                        total.add_quantiles(name, columns)

    def add_compared(self, raw: dict[str, np.ndarray], total: Accumulated) -> None:
        """Adds of a batch only what rows are compared by: terms, and a sample of the numbers."""
        self._add_compared(raw, total)

    def _add_compared(
        self, raw: dict[str, np.ndarray], total: Accumulated
    ) -> list[tuple[Request, np.ndarray]]:
        """Adds what rows are compared by; returns the values of every request."""
        given = {name: tf.constant(values) for name, values in (self._unread | raw).items()}
        answers = [tensor.numpy() for tensor in self._call(given)]
        asked = list(zip(self.requests, answers, strict=False))
        numbers: dict[str, np.ndarray] = {}
        for request, values in asked:
            match request:
                case VocabularyRequest():
                    total.add_terms(request.name, values)
                case MomentsRequest():
                    numbers |= _by_name(request, values)
        total.sample.add(numbers)
        rest = iter(answers[len(self.requests) :])
        for name, rows in zip(self._counted, rest, strict=False):
            total.missing[name] += int(rows)
        for name, rows in zip(self._cut, rest, strict=True):
            total.cut[name] += int(rows)
        return asked

    def _call(self, given: dict[str, Any]) -> list[tf.Tensor]:
        answers: list[tf.Tensor] = self._graph(given)
        return answers


def _by_name(
    request: MomentsRequest | QuantilesRequest, values: np.ndarray
) -> dict[str, np.ndarray]:
    parts = np.split(values, len(request.names), axis=-1)
    return dict(zip(request.names, parts, strict=True))


@cache
def _traced(pipeline: str) -> RequestCounter:
    return RequestCounter(PipelineSpec.model_validate_json(pipeline))
