"""A column becomes what its type and its values allow, and says why."""

from __future__ import annotations

from datetime import date, datetime, time

import pyarrow as pa
import pytest

from transforms.contract.columns.features import Categorical, Numeric, Text
from transforms.contract.errors import DeclarationError
from transforms.proposal.kind_choice import choose_feature
from transforms.proposal.sampled_column import SampledColumn
from transforms.proposal.target_choice import choose_target


def _choice(name: str, values: pa.Array):
    return choose_feature(SampledColumn(name, values), lambda cells: [None for _ in cells])


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (pa.nulls(50), "empty"),
        (pa.array(["x"] * 50), "constant"),
        (pa.array([time(1, 2)] * 50), "no kind takes the type time64[us]"),
        (pa.array([{"a": 1}] * 50), "no kind takes the type struct<a: int64>"),
        (pa.array([b"abc"] * 50), "bytes that are no JPEG, PNG, GIF or BMP"),
        (pa.array([f"k{i}" for i in range(50)]), "id: every value differs"),
        (pa.array([float("inf")] * 25 + [float("-inf")] * 25), "no number is finite"),
    ],
)
def test_what_no_kind_can_use_is_left_out_with_the_reason(values, reason):
    choice = _choice("column", values)
    assert choice.spec is None
    assert choice.reason.startswith(reason)


def test_floats_are_numbers_also_where_many_are_infinite():
    values = pa.array([float("inf") if i % 5 == 0 else i % 7 + 0.5 for i in range(100)])
    assert _choice("x", values).spec == Numeric(kind="numeric", invalid="missing_indicator")


def test_numbers_with_leading_zeros_are_a_code():
    values = pa.array([f"0{100 + i % 40}" for i in range(400)])
    assert _choice("amount", values).spec == Categorical(kind="categorical")


def test_names_of_several_words_are_a_text_although_all_differ():
    values = pa.array([f"flag: {word} {i}" for i, word in enumerate(["Norway", "Peru"] * 50)])
    assert _choice("name", values).spec == Text(kind="text")


def test_sentences_that_come_again_and_again_are_categories_and_others_a_text():
    said = ["leave at the door", "ring twice", "fragile, carry it by hand", "please call me first"]
    assert _choice("note", pa.array(said * 100)).spec == Categorical(kind="categorical")
    others = [f"please {said[i % 4]} on floor {i} at {i % 9}" for i in range(400)]
    assert _choice("note", pa.array(others)).spec == Text(kind="text")


def test_numbers_after_a_sign_are_no_dates():
    choice = _choice("hash", pa.array([f"#{i}" for i in range(300)]))
    assert (choice.spec, choice.reason) == (None, "id: every value differs")


def test_a_date_has_no_time_of_day():
    days = pa.array([date(2026, 1 + i % 12, 1 + i % 28) for i in range(60)])
    assert "time_of_day" not in _choice("day", days).spec.parts
    times = pa.array([datetime(2026, 1, 1 + i % 28, i % 24) for i in range(60)])
    assert "time_of_day" in _choice("at", times).spec.parts


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False] * 20, {"kind": "binary"}),
        (["0", "1"] * 20, {"kind": "binary"}),
        (["spam", "ham"] * 20, {"kind": "binary", "positive": "spam"}),
        ([1, 2, 2, 2] * 10, {"kind": "binary", "positive": "1"}),
        (["a", "b", "c"] * 20, {"kind": "multiclass"}),
        ([1, 2, 3] * 20, {"kind": "multiclass"}),
        ([i * 0.5 for i in range(60)], {"kind": "numeric"}),
        (["1.5", "2", "NA", "7.25"] * 20, {"kind": "numeric", "missing": "mask"}),
        ([["a"], ["a", "b"]] * 20, {"kind": "multilabel"}),
        ([[1.0, 2.0]] * 20, {"kind": "numeric", "length": 2}),
    ],
)
def test_a_target_is_what_its_values_are(values, expected):
    spec = choose_target(SampledColumn("y", pa.array(values))).spec
    assert spec.model_dump(exclude_defaults=True) == expected


@pytest.mark.parametrize("values", [["one"] * 50, [f"text {i}" for i in range(50)], [b"x"] * 50])
def test_what_cannot_be_predicted_is_refused(values):
    with pytest.raises(DeclarationError, match="Choose another target"):
        choose_target(SampledColumn("y", pa.array(values)))
