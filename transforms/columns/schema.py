"""The source columns that a pipeline reads, and the Arrow types that they may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.types as pat

from transforms.contract.columns.features import Categorical, Numeric
from transforms.contract.columns.series import Sequence
from transforms.contract.columns.targets import NumericTarget, SequenceTarget
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.split import TimeSplit
from transforms.contract.errors import BraidError
from transforms.contract.expressions import columns_of

TypeTest = Callable[[pa.DataType], Any]
Accepted = tuple[str, TypeTest]  # a type of columns, in words and as a test

_NO_CSV = "CSV has no lists; Parquet and JSON lines do"


def column_names(
    pipeline: PipelineSpec, *, features_only: bool = False
) -> Iterator[tuple[str, str]]:
    """Yields (place in the declaration, column) for every column that the pipeline reads.

    Args:
        pipeline: The declaration.
        features_only: Whether targets, the split and the filter of rows are left out.
    """
    for column in pipeline.source.key_columns:
        yield "source.key", column
    for name, raw in pipeline.raw_features().items():
        for column in raw.columns:
            yield f"features.{name}", column
    if features_only:
        return
    for column in columns_of(pipeline.source.where):
        yield "source.where", column
    if pipeline.split.column is not None:
        yield "split.column", pipeline.split.column
    for name, raw in pipeline.raw_targets().items():
        expression = pipeline.targets[name].expression
        for column in columns_of(expression) if expression else raw.columns:
            yield f"targets.{name}{'.expression' if expression else ''}", column


def number_columns(pipeline: PipelineSpec) -> frozenset[str]:
    """Returns the columns in which whole numbers and fractions may be mixed, as all are numbers.

    Not so where a value is spelt, as a category, a key, or the name of a split or a group: a whole
    number is spelt without a fraction, and may have more digits than float64 holds.
    """
    raws = [*pipeline.raw_features().values(), *pipeline.raw_targets().values()]
    spelt = {c for raw in raws if raw.dtype == "string" for c in raw.columns}
    spelt |= {*pipeline.source.key_columns}
    if not isinstance(pipeline.split, TimeSplit):
        spelt.add(str(pipeline.split.column))
    numbers = {c for raw in raws if raw.dtype == "float32" for c in raw.columns}
    for text in (pipeline.source.where, *(t.expression for t in pipeline.targets.values())):
        numbers |= {*columns_of(text)}
    return frozenset(numbers - spelt)


def is_text(type_: pa.DataType) -> Any:
    """Returns whether a column holds text, of any of Arrow's text types."""
    return pat.is_string(type_) or pat.is_large_string(type_) or pat.is_string_view(type_)


def is_bytes(type_: pa.DataType) -> Any:
    """Returns whether a column holds bytes, of any of Arrow's types for them."""
    return (
        pat.is_binary(type_)
        or pat.is_large_binary(type_)
        or pat.is_fixed_size_binary(type_)
        or pat.is_binary_view(type_)
    )


def is_number(type_: pa.DataType) -> Any:
    """Returns whether a column holds numbers, of any of Arrow's types for them."""
    return pat.is_integer(type_) or pat.is_floating(type_) or pat.is_decimal(type_)


def is_label(type_: pa.DataType) -> Any:
    """Returns whether a column holds labels: texts, whole numbers, yes or no."""
    if pat.is_dictionary(type_):
        return is_label(type_.value_type)
    return is_text(type_) or pat.is_integer(type_) or pat.is_boolean(type_)


def is_scalar(type_: pa.DataType) -> Any:
    """Returns whether a column holds what a text can spell: texts, numbers, yes or no, times."""
    if pat.is_dictionary(type_):
        return is_scalar(type_.value_type)
    is_time = pat.is_temporal(type_) and not pat.is_interval(type_)  # which Arrow cannot spell
    return is_label(type_) or is_number(type_) or is_time


def is_datetime(type_: pa.DataType) -> Any:
    """Returns whether a column holds dates, with or without a time, of any of Arrow's types."""
    return pat.is_timestamp(type_) or pat.is_date(type_)


def is_list(type_: pa.DataType) -> Any:
    """Returns whether a column holds lists, of any of Arrow's list types."""
    return pat.is_list(type_) or pat.is_large_list(type_) or pat.is_fixed_size_list(type_)


def _is_label_list(type_: pa.DataType) -> Any:
    return is_list(type_) and (is_label(type_.value_type) or pat.is_null(type_.value_type))


def _is_id(type_: pa.DataType) -> Any:
    return is_label(type_) and not pat.is_boolean(type_)


def _is_id_list(type_: pa.DataType) -> Any:
    return _is_label_list(type_) and not pat.is_boolean(type_.value_type)


def _accepts_number(type_: pa.DataType) -> Any:
    return is_number(type_) or pat.is_boolean(type_) or is_text(type_) or pat.is_null(type_)


def _accepts_numbers(type_: pa.DataType) -> Any:
    return is_list(type_) and (is_number(type_.value_type) or pat.is_null(type_.value_type))


def _accepts_datetime(type_: pa.DataType) -> Any:
    if pat.is_dictionary(type_):
        return _accepts_datetime(type_.value_type)
    return is_datetime(type_) or is_text(type_)


_LABELS: Accepted = (
    "a string, integer or boolean column (a column of lists needs `length`)",
    is_label,
)
_LISTS_OF_LABELS: Accepted = (
    f"a column of lists of strings, integers or booleans ({_NO_CSV})",
    _is_label_list,
)
_NUMBERS: Accepted = ("a number column, or text that spells numbers", _accepts_number)
_PICTURES: Accepted = (
    "a column of bytes or of file paths",
    lambda type_: is_bytes(type_) or is_text(type_),
)


def _accepted_categories(spec: Categorical) -> Accepted:
    if spec.encoding == "identity":
        what = "integers, or texts that spell them"
        if spec.length is not None:
            return f"a column of lists of {what} ({_NO_CSV})", _is_id_list
        return f"a column of {what} (a column of lists needs `length`)", _is_id
    return _LABELS if spec.length is None else _LISTS_OF_LABELS


def _accepted_numbers(spec: Numeric | NumericTarget) -> Accepted:
    if spec.length is None:
        return _NUMBERS
    return f"a column of lists of {spec.length} numbers", _accepts_numbers


def _accepted_series(spec: Sequence | SequenceTarget) -> Accepted:
    """A column has the numbers of one channel, or steps that are lists of numbers."""
    raw = spec.raw("")
    one_each, channels = bool(raw.sources), raw.shape[-1]
    of_a_channel = one_each or channels == 1
    entries = "numbers" if of_a_channel else f"steps, each a list of {channels} numbers"

    def test(type_: pa.DataType) -> Any:
        if not is_list(type_):
            return False
        if of_a_channel and _accepts_numbers(type_):
            return True
        return not one_each and _accepts_numbers(type_.value_type)

    return f"a column of lists of {entries} ({_NO_CSV})", test


# By kind, from what is declared. A column of nulls has no type to object to.
_ACCEPTED: dict[str, Callable[[Any], Accepted]] = {
    "categorical": _accepted_categories,
    "text": lambda _spec: ("a string column", is_text),
    "datetime": lambda _spec: (
        "a timestamp or date column, or text that spells dates",
        _accepts_datetime,
    ),
    "image": lambda _spec: _PICTURES,
    "numeric": _accepted_numbers,
    "sequence": _accepted_series,
    "binary": lambda _spec: (
        "a boolean, number or string column",
        lambda type_: is_label(type_) or pat.is_floating(type_),
    ),
    "multiclass": lambda _spec: ("a string, integer or boolean column", is_label),
    "multilabel": lambda _spec: _LISTS_OF_LABELS,
}
# The same for a kind of the user's own, by what its graph takes.
_ACCEPTED_AS = {"string": _LABELS, "bytes": _PICTURES, "float32": _NUMBERS}


def check_column(place: str, spec: Any, type_: pa.DataType) -> None:
    """Refuses a column of a type that the kind cannot take.

    Raises:
        BraidError: With the types that it can take.
    """
    of_kind = _ACCEPTED.get(spec.kind)
    expected, test = of_kind(spec) if of_kind else _ACCEPTED_AS[spec.raw("").dtype]
    if not test(type_) and not pat.is_null(type_):
        raise BraidError(
            place,
            expected=f"{expected}, for kind '{spec.kind}'",
            received=f"type {type_}",
            action="Declare another kind or column, or convert the column.",
        )
