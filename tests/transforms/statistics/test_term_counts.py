"""Counts of terms: merged, and refused before memory runs out."""

from __future__ import annotations

import numpy as np
import pytest

from transforms.contract.errors import BraidError
from transforms.statistics import term_counts
from transforms.statistics.accumulators import Accumulated


def counted(*terms: bytes) -> Accumulated:
    total = Accumulated()
    total.add_terms("user", np.array(terms, object))
    return total


def test_counts_that_would_not_fit_into_memory_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(term_counts, "_MANY_ROWS", 4)
    monkeypatch.setattr(term_counts, "_COMPACT_ROWS", 0)
    monkeypatch.setattr(term_counts, "available_bytes", lambda: 100)
    total = counted(b"a")
    total.merge(counted(b"a", b"b"))
    assert total.counts("user").to_pydict() == {"term": [b"a", b"b"], "count": [2, 1]}
    with pytest.raises(BraidError, match=r"^user: expected terms .* received 5 counted terms"):
        total.merge(counted(b"c", b"d", b"e"))


def test_where_nobody_knows_what_memory_is_left_all_is_counted(monkeypatch):
    monkeypatch.setattr(term_counts, "_MANY_ROWS", 0)
    monkeypatch.setattr(term_counts, "available_bytes", lambda: None)
    total = counted(b"a")
    total.merge(counted(b"a"))
    assert total.counts("user").num_rows == 1
