"""A feature, or the reason why there is none, for every column."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.contract.columns.datetimes import WIDTHS, Datetime
from transforms.contract.columns.features import Categorical, FeatureSpec, Numeric, Text
from transforms.contract.declaration.source import SourceSpec
from transforms.proposal.classes.measures import shown
from transforms.proposal.lists import list_choice
from transforms.proposal.picture_columns import picture_choice
from transforms.proposal.sampled_column import SampledColumn
from transforms.reading.path_columns import PathReader

_MISSING = 0.01  # from this share on, the model is told that a number was not there
_FEW = 30  # different whole numbers without a meaning of their own: as many categories
_INSIDE = 50  # different texts with a number inside: as many categories
_RARELY = 0.5  # different values of those that are there: most occur once or twice
_CATEGORY_WORDS = 3.0  # a longer value is read by its words
_DATE_PARTS = "[0-9][^0-9]+[0-9]|[A-Za-z]{3}.*[0-9]"  # a date in any spelling has two at least


@dataclass(frozen=True)
class Choice:
    """The use that is proposed for a column.

    Attributes:
        column: Its name in the table.
        spec: How it is declared; None leaves it out.
        reason: Why, in a few words.
    """

    column: str
    spec: FeatureSpec | None
    reason: str


Read = Callable[[Iterable[str]], list[bytes | None]]  # files by their paths


def files_of(source: SourceSpec) -> Read:
    """Returns what reads the files that cells name, as a run would."""

    def read(cells: Iterable[str]) -> list[bytes | None]:
        contents, _ = PathReader(source).read(list(cells))
        return [content.as_py() for content in contents]

    return read


def choose_feature(column: SampledColumn, read: Read) -> Choice:
    """Returns the feature that a column is proposed as.

    Args:
        column: The column.
        read: Returns the contents of the files that cells name; None where one cannot be read.
    """
    spec, reason = _chosen(column, read)
    return Choice(column.name, spec, reason)


def _chosen(column: SampledColumn, read: Read) -> tuple[FeatureSpec | None, str]:
    if column.is_bytes:
        return picture_choice(column.values.cast(pa.large_binary()).to_pylist(), "bytes")
    if column.is_list:
        return list_choice(column)
    if not column.is_scalar or pat.is_time(column.type) or pat.is_duration(column.type):
        return None, f"no kind takes the type {column.type}: convert it to numbers or text"
    if not column.present:
        return None, "empty"
    if column.profile.distinct == 1 and not column.profile.missing:
        return None, "constant"
    if column.names_pictures:
        cells = column.texts.drop_null().unique().slice(0, 50).to_pylist()
        return picture_choice(read(cells), "paths")
    if column.is_date or (column.label == "datetime" and _has_date_parts(column)):
        return _date(column)
    if column.is_id:
        return None, _id_reason(column)
    if pat.is_boolean(column.type):
        return Categorical(kind="categorical"), "yes or no"
    if column.is_number_type and not column.number_share:
        return None, "no number is finite"
    if column.is_number_type or column.number_share >= 0.9:
        return _number_or_code(column)
    return _text(column)


def _id_reason(column: SampledColumn) -> str:
    every = "every value differs" if column.distinct_share == 1.0 else "almost every value differs"
    return f"id: {every}"


def _date(column: SampledColumn) -> tuple[FeatureSpec | None, str]:
    if not column.is_date:
        example = column.texts.drop_null()[0].as_py()
        return None, (
            f"a date or time as {shown(example)}: declare {{kind: datetime, format: ...}} if "
            "strptime has words for it, as %d/%m/%Y, or write it in ISO 8601, as 2026-01-31"
        )
    parts = tuple(part for part in WIDTHS if part != "time_of_day" or _has_times(column))
    spec = Datetime(kind="datetime")
    if column.date_format:
        spec = spec.model_copy(update={"format": column.date_format})
    if len(parts) < len(WIDTHS):
        spec = spec.model_copy(update={"parts": parts})
    if column.date_share < 1.0:
        spec = spec.model_copy(update={"invalid": "default"})
        return spec, f"date; {1 - column.date_share:.1%} are spelt otherwise and count as missing"
    return spec, "date" if len(parts) < len(WIDTHS) else "date and time"


def _has_date_parts(column: SampledColumn) -> bool:
    parted = pc.match_substring_regex(column.texts.drop_null(), _DATE_PARTS)
    return column.number_share < 0.9 and bool(pc.any(parted).as_py())


def _has_times(column: SampledColumn) -> bool:
    if pat.is_date(column.type):
        return False
    if column.date_format:
        return "%M" in column.date_format
    clocks = pc.utf8_slice_codeunits(column.texts.drop_null(), 11, 19).unique().to_pylist()
    return any(clock.strip("0:.Zz+") for clock in clocks)


def _number_or_code(column: SampledColumn) -> tuple[FeatureSpec | None, str]:
    few = column.profile.distinct <= _FEW and not column.is_fractional
    coded = (
        column.is_code
        or column.label == "categorical"
        or (
            few and column.label in ("context-specific", "not-generalizable") and column.is_named_id
        )
    )
    if coded and column.can_be_categorical:
        return _category(column)
    return numeric(column), _number_reason(column)


def numeric(column: SampledColumn) -> Numeric:
    """Returns how a column of numbers is declared."""
    spec = Numeric(kind="numeric")
    if column.missing_share >= _MISSING:
        spec = spec.model_copy(update={"missing": "missing_indicator"})
    if column.number_share < 1.0:
        spec = spec.model_copy(update={"invalid": "missing_indicator"})
    return spec


def _number_reason(column: SampledColumn) -> str:
    reason = f"number: {_span(column.numbers)}"
    if column.missing_share >= _MISSING:
        reason += f", {column.missing_share:.0%} missing"
    if column.number_share < 1.0:
        odd = column.texts.filter(pa.array(np.isnan(column.numbers))).drop_null()[0].as_py()
        reason += f"; what is none, as {shown(odd)}, counts as missing"
    if column.label == "context-specific":
        reason += "; if it is a code, {kind: categorical}"
    return reason


def _span(numbers: np.ndarray) -> str:
    return f"{np.nanmin(numbers):.6g} to {np.nanmax(numbers):.6g}"


def _text(column: SampledColumn) -> tuple[FeatureSpec | None, str]:
    if column.label == "embedded-number":
        return _number_inside(column)
    if column.label == "url":
        return Text(kind="text", level="characters", ngrams=3), "URL, read by its characters"
    if column.label == "list":
        return Text(kind="text"), "a list in a text, read as words"
    rare = column.distinct_share > _RARELY and column.profile.distinct > _FEW
    # Sentences of which a few come again and again are choices of a list.
    repeated = column.distinct_share <= _RARELY and column.profile.distinct <= _FEW
    is_sentence = column.label == "sentence" and not repeated
    if is_sentence or (column.mean_words >= _CATEGORY_WORDS and rare):
        return Text(kind="text"), f"text: {column.mean_words:.0f} words on average"
    if rare and column.mean_words >= 1.5:
        return Text(kind="text"), "names: most differ, and share words"
    return _category(column)


def _category(column: SampledColumn) -> tuple[FeatureSpec | None, str]:
    rows = f"{column.profile.rows:,} rows"
    values = "1 value" if column.profile.distinct == 1 else f"{column.profile.distinct:,} values"
    reason = f"category: {values} in {rows}"
    if column.number_share == 1.0 and (column.is_code or column.profile.distinct > _FEW):
        reason = f"code that looks like a number: {values} in {rows}"
    if column.distinct_share > _RARELY and column.profile.distinct > _FEW:
        reason += "; those that occur once share an id"
        return Categorical(kind="categorical", minimum_count=2), reason
    return Categorical(kind="categorical"), reason


def _number_inside(column: SampledColumn) -> tuple[FeatureSpec | None, str]:
    example = shown(column.texts.drop_null()[0].as_py())
    advice = f"a number inside a text ({example}): write the number alone for {{kind: numeric}}"
    if column.profile.distinct <= _INSIDE and column.distinct_share <= _RARELY:
        return Categorical(kind="categorical"), f"{advice}; until then a category"
    return None, advice
