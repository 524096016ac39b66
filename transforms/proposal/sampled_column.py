"""A column of the sample, and what is known of it before a kind is chosen."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.conform import iso_texts, parse_numbers
from transforms.columns.hashing import as_text
from transforms.columns.schema import is_bytes, is_datetime, is_list, is_number, is_scalar, is_text
from transforms.proposal.classes.classifier import ColumnClass, column_class
from transforms.proposal.classes.names import name_words
from transforms.proposal.classes.profile import ColumnProfile, profile, without_missing
from transforms.proposal.date_formats import date_format

_PICTURE_FILE = re.compile(r"\.(?:jpe?g|png|gif|bmp)$", re.IGNORECASE)
_IDS = {"id", "ids", "key", "uuid", "guid", "index", "idx", "identifier", "rowid", "pk"}
_CODES = {"zip", "zipcode", "postal", "postcode", "plz", "fips", "phone"}
_UNIQUE = 0.98  # of the values of an id: a table may have some rows twice
_FEWEST = 20  # rows from which on it tells anything that every value differs
_MOST_WORDS = 1.5  # of an id; names and texts that never repeat share their words


@dataclass(frozen=True)
class SampledColumn:
    """One column of the sample.

    Attributes:
        name: Its name in the table.
        values: Its values, of a plain type, [rows].
    """

    name: str
    values: pa.Array

    @property
    def type(self) -> pa.DataType:
        """Its Arrow type."""
        return self.values.type

    @property
    def is_scalar(self) -> bool:
        """Whether a text can spell its values."""
        return bool(is_scalar(self.type) or pat.is_null(self.type))

    @property
    def is_bytes(self) -> bool:
        """Whether it holds bytes."""
        return bool(is_bytes(self.type))

    @property
    def is_list(self) -> bool:
        """Whether it holds lists."""
        return bool(is_list(self.type))

    @cached_property
    def texts(self) -> pa.Array:
        """Its values as texts, null where one is missing, large_string [rows]."""
        if is_datetime(self.type):
            return iso_texts(self.values)
        return without_missing(as_text(self.values))

    @cached_property
    def profile(self) -> ColumnProfile:
        """The profile of its values."""
        return profile(self.name, self.texts)

    @cached_property
    def label(self) -> ColumnClass:
        """The class that people would give it."""
        return column_class(self.profile)

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.profile.rows - self.profile.missing

    @property
    def missing_share(self) -> float:
        """The share of rows without a value."""
        return self.profile.missing / self.profile.rows

    @property
    def distinct_share(self) -> float:
        """Different values, as a share of those that are there."""
        return self.profile.distinct / max(self.present, 1)

    @cached_property
    def numbers(self) -> np.ndarray:
        """Its values as numbers, NaN where one is none, float64 [rows]."""
        parsed, _ = parse_numbers(self.texts)
        numbers: np.ndarray = np.array(parsed.to_numpy(zero_copy_only=False), np.float64)
        numbers[~np.isfinite(numbers)] = np.nan
        return numbers

    @cached_property
    def number_share(self) -> float:
        """The share of its values that spell numbers."""
        return float(np.isfinite(self.numbers).sum()) / max(self.present, 1)

    @property
    def is_fractional(self) -> bool:
        """Whether some of its numbers are not whole."""
        numbers = self.numbers[np.isfinite(self.numbers)]
        return bool((numbers != np.floor(numbers)).any())

    @property
    def can_be_categorical(self) -> bool:
        """Whether its Arrow type is one that `categorical` takes."""
        return not (pat.is_floating(self.type) or pat.is_decimal(self.type)) or pat.is_null(
            self.type
        )

    @cached_property
    def is_code(self) -> bool:
        """Whether it spells numbers that do not count anything: 00601 is no 601."""
        if _CODES & set(name_words(self.name)):
            return True
        padded = pc.match_substring_regex(self.texts.drop_null(), "^0[0-9]+$")
        return bool(is_text(self.type) and pc.any(padded).as_py())

    @cached_property
    def _dates(self) -> tuple[str | None, float]:
        if is_datetime(self.type):
            return None, 1.0
        return date_format(self.texts) if is_text(self.type) else (None, 0.0)

    @property
    def date_format(self) -> str | None:
        """The format of its dates; None is ISO 8601."""
        return self._dates[0]

    @property
    def date_share(self) -> float:
        """The share of its values that `datetime` reads in that format."""
        return self._dates[1]

    @property
    def is_date(self) -> bool:
        """Whether it is a date or a time that `datetime` reads."""
        return self.date_share >= 0.95

    @property
    def is_named_id(self) -> bool:
        """Whether its name says that it names something."""
        return bool(_IDS & set(name_words(self.name)))

    @cached_property
    def is_unique(self) -> bool:
        """Whether all of its values differ, and none is missing."""
        return not self.profile.missing and self.profile.distinct == self.profile.rows

    @cached_property
    def is_id(self) -> bool:
        """Whether it only names its row."""
        if self.profile.rows < _FEWEST or self.distinct_share < _UNIQUE or self.is_date:
            return False
        if self.number_share == 1.0:
            numbers = self.numbers[np.isfinite(self.numbers)]
            counts_rows = bool(np.mean(np.abs(np.diff(numbers)) == 1) > 0.9)
            return not self.is_fractional and (self.is_named_id or counts_rows)
        if self.label in ("url", "embedded-number", "list"):
            return False
        return self.mean_words < _MOST_WORDS

    @cached_property
    def mean_words(self) -> float:
        """Words of a value, on average."""
        words = pc.list_value_length(pc.utf8_split_whitespace(self.texts.drop_null()))
        return float(pc.mean(words).as_py() or 0.0)

    @cached_property
    def names_pictures(self) -> bool:
        """Whether its values end as files of pictures do."""
        if not is_text(self.type) or not self.present:
            return False
        values = self.texts.drop_null().to_pylist()
        return sum(bool(_PICTURE_FILE.search(value)) for value in values) >= 0.9 * len(values)

    @property
    def is_number_type(self) -> bool:
        """Whether its Arrow type is one of numbers."""
        return bool(is_number(self.type))
