from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from transforms.kinds.requests import VocabularyRequest
from transforms.statistics.accumulators import Accumulated
from transforms.statistics.frozen import freeze, read_counts, read_vocabulary


def _frozen(
    folder: Path, terms: str, *, size: int = 3, minimum: int = 1, base: Path | None = None
) -> tuple[list[bytes], list[int]]:
    """Freezes the vocabulary of terms of one letter; returns it with its counts."""
    total = Accumulated()
    total.add_terms("x", np.array([term.encode() for term in terms], object))
    request = VocabularyRequest("x", tf.constant(["a"]), size, minimum)
    freeze([request], total, folder, base=base)
    return list(read_vocabulary(folder, "x")), list(read_counts(folder, "x"))


def test_terms_are_in_the_order_of_their_counts(tmp_path: Path) -> None:
    frozen = _frozen(tmp_path / "a", "cabbccc", size=2)
    assert frozen == ([b"c", b"b"], [4, 2])
    assert _frozen(tmp_path / "b", "cba", minimum=2) == ([b"\x00"], [0])


def test_known_terms_keep_their_ids_and_new_ones_come_after_them(tmp_path: Path) -> None:
    _frozen(tmp_path / "a", "aaabbc")
    frozen = _frozen(tmp_path / "b", "ddddccceeb", base=tmp_path / "a")
    # d, c and e are the most frequent three; a and b keep a slot all the same.
    assert frozen == ([b"a", b"b", b"c", b"d", b"e"], [0, 1, 3, 4, 2])
    again = _frozen(tmp_path / "c", "fffa", base=tmp_path / "b")
    assert again == ([b"a", b"b", b"c", b"d", b"e", b"f"], [1, 0, 0, 0, 0, 3])


@pytest.mark.parametrize(("terms", "expected"), [("b", [b"b"]), ("", [b"\x00"])])
def test_an_empty_vocabulary_has_no_ids_to_keep(
    tmp_path: Path, terms: str, expected: list[bytes]
) -> None:
    _frozen(tmp_path / "a", "")
    assert _frozen(tmp_path / "b", terms, base=tmp_path / "a")[0] == expected
