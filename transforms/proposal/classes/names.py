"""The words of a column's name, and what names of columns that people labelled say of it."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from pydantic import Base64Bytes, BaseModel, ConfigDict

BUCKETS = 1024  # 4,096 were not better
_LETTERS = (3, 4)  # in a row


def name_words(name: str) -> list[str]:
    """Returns the words of a column's name in lower case: "customerID_2" is customer and id."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[^a-z]+", spaced.lower()) if word]


def name_buckets(name: str) -> list[int]:
    """Returns the buckets that the words of a name and their letters in a row are hashed into."""
    words = name_words(name)
    grams = {f"first:{word}" for word in words[:1]} | {f"last:{word}" for word in words[-1:]}
    for word in words:
        marked = f"<{word}>"
        grams.add(marked)
        for length in _LETTERS:
            grams |= {marked[at : at + length] for at in range(len(marked) - length + 1)}
    return sorted({zlib.crc32(gram.encode()) % BUCKETS for gram in grams})


class NameWeights(BaseModel):
    """A logistic regression on hashed parts of names (Weinberger et al., "Feature Hashing for
    Large Scale Multitask Learning", 2009).

    Attributes:
        scale: The weight that a 1 stands for.
        intercepts: The log-odds of every class without a name.
        weights: Of every bucket and class, int8 [buckets, classes], in bytes.
    """

    model_config = ConfigDict(frozen=True)

    scale: float
    intercepts: tuple[float, ...]
    weights: Base64Bytes

    @cached_property
    def _table(self) -> np.ndarray:
        return np.frombuffer(self.weights, np.int8).reshape(BUCKETS, -1)

    def log_odds(self, name: str) -> Sequence[float]:
        """Returns the log-odds of every class, by the name alone."""
        buckets = name_buckets(name)
        sums = self._table[buckets].sum(axis=0, dtype=np.int64)
        share = self.scale / max(len(buckets), 1) ** 0.5
        odds: list[float] = (np.array(self.intercepts) + share * sums).tolist()
        return odds
