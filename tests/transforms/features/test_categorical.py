from __future__ import annotations

from collections.abc import Callable

import numpy as np

Transform = Callable[..., dict[str, np.ndarray]]

# Training rows are those with i % 5 < 3, so that "red" is the only color and 60 rows remain.


def test_ids_are_missing_then_vocabulary_then_buckets(transform_rows: Transform) -> None:
    ids = transform_rows(color=["", "red", "blue", "violet"])["color"]
    assert ids.dtype == np.int64
    assert ids[:2].tolist() == [0, 1]
    assert set(ids[2:]) <= {2, 3}


def test_unseen_value_always_has_the_same_bucket(transform_rows: Transform) -> None:
    once, again = (transform_rows(color=["violet", "mauve"])["color"] for _ in range(2))
    assert once.tolist() == again.tolist()


def test_digits_stay_text_and_equal_counts_are_in_order(transform_rows: Transform) -> None:
    assert transform_rows(zip=["10000", "10001", "10002"])["zip"].tolist() == [1, 2, 3]


def test_missing_value_becomes_the_declared_default(transform_rows: Transform) -> None:
    assert transform_rows(zip=[""])["zip"].tolist() == [1]
