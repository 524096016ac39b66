"""Expectations held against what the rows of one partition add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from transforms.contract.columns.features import Numeric
from transforms.contract.declaration.judgement.expect import ROWS, Expectation
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.statistics.accumulators import Accumulated
from transforms.statistics.term_counts import TermCounts
from transforms.statistics.text_histogram import frozen_spread, spread_of, text_histogram

_MOST_NAMED = 3  # new values
_LONGEST_VALUE = 40
# Moments of numbers on a log scale are float32: a bound itself is not beyond the bound.
_ROUNDING = 1e-6


@dataclass
class Judge:
    """Holds partitions against the expectations, one after the other in the source's order.

    Args:
        pipeline: The declaration.
        frozen: The folder of the statistics of the newest frozen transform, if there is one.
    """

    pipeline: PipelineSpec
    frozen: Path | None = None
    _seen: dict[str, TermCounts] = field(default_factory=dict)

    def broken(self, partition: str, counted: Accumulated) -> list[str]:
        """Returns a sentence for every expectation that a partition breaks.

        What is said of numbers ends with lines that show them beside those of the frozen rows.

        Args:
            partition: Its name.
            counted: What its training rows add up to.
        """
        sentences = []
        for name, expected in self.pipeline.expect.items():
            if name == ROWS:
                sentences += _rows(expected, counted.named)
                continue
            told = _range(self.pipeline, name, expected, counted)
            told += _missing(name, expected, counted)
            if told:
                told[-1] = "\n".join([told[-1], *self._histogram(name, counted)])
            sentences += told
            if expected.new_at_most is not None:
                sentences += self._new(name, expected.new_at_most, counted)
        return [f"{partition}: {sentence}" for sentence in sentences]

    def _new(self, name: str, allowed: float, counted: Accumulated) -> list[str]:
        """Judges values against those of the partitions before, and then adds these to them."""
        terms = counted.counts(name).filter(pc.binary_length(pc.field("term")) > 0)
        before = self._seen.get(name)
        seen = self._seen.setdefault(name, TermCounts())
        sentences = []
        if before is not None and terms.num_rows:
            old = pc.is_in(terms["term"], value_set=before.table()["term"].combine_chunks())
            new = terms.filter(pc.invert(old)).sort_by([("count", "descending")])
            share = (pc.sum(new["count"]).as_py() or 0) / pc.sum(terms["count"]).as_py()
            if share > allowed:
                hidden = self._is_sensitive(name)
                named = "" if hidden else f" ({_some(new['term'].to_pylist())})"
                sentences.append(
                    f"{share:.2%} of '{name}' is of new values{named}, expected at most "
                    f"{allowed:.2%}."
                )
        seen.merge(counted.terms.get(name, TermCounts()))
        return sentences

    def _histogram(self, name: str, counted: Accumulated) -> Sequence[str]:
        """Returns the lines of a partition's numbers; none of what has none, or is sensitive."""
        moments, values = counted.moments.get(name), counted.sample.columns.get(name)
        if moments is None or values is None or not moments[0].any() or self._is_sensitive(name):
            return ()
        is_log = _is_log(self.pipeline, name)
        _, _, _, lowest, highest, _ = moments
        rows = spread_of(values, (float(lowest.min()), float(highest.max())))
        frozen = None if self.frozen is None else frozen_spread(self.frozen, name)
        return text_histogram(rows, frozen, lambda end: f"{_uncurved(end, is_log=is_log):.6g}")

    def _is_sensitive(self, name: str) -> bool:
        return is_sensitive(self.pipeline, name)


def is_sensitive(pipeline: PipelineSpec, name: str) -> bool:
    """Returns whether nobody is to read the values of a feature or target."""
    raws = pipeline.raw_features() | pipeline.raw_targets()
    return not pipeline.sensitive_columns().isdisjoint(raws[name].columns)


def _rows(expected: Expectation, rows: int) -> list[str]:
    if expected.at_least is not None and rows < expected.at_least:
        return [f"{rows:,} rows, expected at least {expected.at_least:,}."]
    if expected.at_most is not None and rows > expected.at_most:
        return [f"{rows:,} rows, expected at most {expected.at_most:,}."]
    return []


def _range(
    pipeline: PipelineSpec, name: str, expected: Expectation, counted: Accumulated
) -> list[str]:
    moments = counted.moments.get(name)
    if expected.between is None or moments is None:
        return []
    count, _, _, lowest, highest, _ = moments
    if not count.any():
        return []
    is_log = _is_log(pipeline, name)
    low, high = float(lowest.min()), float(highest.max())
    least, most = (_curved(bound, is_log=is_log) for bound in expected.between)
    below = least is not None and low < least - _ROUNDING * (1 + abs(least))
    above = most is not None and high > most + _ROUNDING * (1 + abs(most))
    if not below and not above:
        return []
    ends = ("any" if bound is None else f"{bound:g}" for bound in expected.between)
    asked = " to ".join(ends)
    if is_sensitive(pipeline, name):
        return [f"'{name}' has numbers beyond {asked}."]
    first, last = (_uncurved(end, is_log=is_log) for end in (low, high))
    return [f"'{name}' goes from {first:.6g} to {last:.6g}, expected {asked}."]


def _is_log(pipeline: PipelineSpec, name: str) -> bool:
    features: Mapping[str, object] = pipeline.features
    spec = features.get(name)
    return isinstance(spec, Numeric) and spec.scale == "log"


def _curved(bound: float | None, *, is_log: bool) -> float | None:
    if bound is None or not is_log:
        return bound
    return float(np.sign(bound) * np.log1p(abs(bound)))


def _uncurved(value: float, *, is_log: bool) -> float:
    return float(np.sign(value) * np.expm1(abs(value))) if is_log else value


def _missing(name: str, expected: Expectation, counted: Accumulated) -> list[str]:
    if expected.missing_at_most is None or not counted.rows:
        return []
    moments = counted.moments.get(name)
    if moments is None:
        share = counted.missing[name] / counted.rows
    else:  # of a list the position that lacks the most
        count, *_, missing = moments
        share = float((missing / np.maximum(count + missing, 1)).max())
    if share <= expected.missing_at_most:
        return []
    return [f"{share:.2%} of '{name}' is missing, expected at most {expected.missing_at_most:.2%}."]


def _some(terms: list[bytes]) -> str:
    named = [term.decode(errors="replace")[:_LONGEST_VALUE] for term in terms[:_MOST_NAMED]]
    return ", ".join(named) + (", ..." if len(terms) > _MOST_NAMED else "")
