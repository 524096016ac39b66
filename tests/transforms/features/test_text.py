from __future__ import annotations

from collections.abc import Callable

import numpy as np

Transform = Callable[..., dict[str, np.ndarray]]

# "good" and "number" are in every training row; "0" to "3" are rarer.


def test_words_are_padded_and_cut(transform_rows: Transform) -> None:
    ids = transform_rows(review=["good number", "good good good good good", ""])["review"]
    assert ids.tolist() == [[2, 3, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]]


def test_unknown_word_differs_from_padding(transform_rows: Transform) -> None:
    assert transform_rows(review=["good zebra"])["review"].tolist() == [[2, 1, 0, 0]]


def test_case_and_punctuation_do_not_matter(transform_rows: Transform) -> None:
    ids = transform_rows(review=["GOOD,number", "«good» — number…"])["review"]
    assert ids.tolist() == [[2, 3, 0, 0], [2, 3, 0, 0]]
