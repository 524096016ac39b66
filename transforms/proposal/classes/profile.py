"""The profile of a column: a few numbers about its values, and five of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.conform import parse_numbers
from transforms.contract.columns.numbers import MISSING_NUMBERS

SAMPLES = 5
_ABSENT = "nan"  # as which a missing sample counts, in words and characters


@dataclass(frozen=True)
class ColumnProfile:
    """A column as the classifier sees it.

    Attributes:
        name: The column's name.
        rows: Rows that were looked at.
        missing: Rows without a value.
        distinct: Different values.
        mean: Of a column of numbers; 0 for any other, as the three after it.
        std: Standard deviation.
        min: Smallest number.
        max: Largest number.
        mean_words: Of the samples.
        mean_characters: Of the samples.
        samples: The first different values, five in all; "" is a missing one.
    """

    name: str
    rows: int
    missing: int
    distinct: int
    mean: float
    std: float
    min: float
    max: float
    mean_words: float
    mean_characters: float
    samples: tuple[str, ...]


def profile(name: str, texts: pa.Array) -> ColumnProfile:
    """Returns a column's profile.

    Args:
        name: The column's name.
        texts: Its values as texts, [rows]; null where there is none.
    """
    texts = without_missing(texts)
    values = texts.drop_null()
    parsed, invalid = parse_numbers(values)
    numbers = parsed.drop_null().to_numpy() if not invalid else np.zeros(0)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        numbers = np.zeros(1)
    samples = first_samples(texts.unique().slice(0, SAMPLES).to_pylist())
    counted = [sample or _ABSENT for sample in samples]
    return ColumnProfile(
        name=name,
        rows=len(texts),
        missing=texts.null_count,
        distinct=len(values.unique()),
        mean=float(numbers.mean()),
        std=float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0,
        min=float(numbers.min()),
        max=float(numbers.max()),
        mean_words=sum(len(sample.split(" ")) for sample in counted) / SAMPLES,
        mean_characters=sum(map(len, counted)) / SAMPLES,
        samples=samples,
    )


def first_samples(values: Iterable[str | None]) -> tuple[str, ...]:
    """Returns five samples: the values, again from the first where there are fewer."""
    return tuple(islice(cycle([value or "" for value in values] or [""]), SAMPLES))


def without_missing(texts: pa.Array) -> pa.Array:
    """Returns texts with nulls for those that mean a missing value, such as "" and "NA"."""
    if pat.is_null(texts.type):
        return texts.cast(pa.large_string())
    trimmed = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    return pc.if_else(pc.is_in(trimmed, pa.array(MISSING_NUMBERS, texts.type)), None, texts)
