from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transforms.conftest import Table
from transforms.columns.unusable import not_an_id
from transforms.contract.columns.features import Categorical
from transforms.kinds.features.categorical import encode, requests, usable
from transforms.kinds.requests import Fitted

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


# The tags of the training rows are a, b, c and e; the only d is the fourth of its list, and cut.


def test_list_becomes_the_ids_of_its_values_in_order(transform_kinds: Transform) -> None:
    tags = [["a", "b", "c"], ["zz", "", ""], ["b", "b", ""], ["", "", ""]]
    ids = transform_kinds(tags=tags)["tags"]
    a, b, c = ids[0]
    assert sorted({a, b, c}) == sorted(ids[0])
    assert ids.dtype == np.int64
    assert ids[1:].tolist() == [[5, 0, 0], [b, b, 0], [0, 0, 0]]


def test_vocabulary_of_a_list_counts_every_value(kinds: Table) -> None:
    job = kinds.job()
    folder = job.folders().transform(job.transform) / "statistics" / "vocabularies"
    assert sorted((folder / "tags.txt").read_text().split()) == ["a", "b", "c", "e"]


def test_gap_in_a_list_does_not_count(transform_kinds: Transform) -> None:
    ids = transform_kinds(tags=[["", "a", ""], ["a", "", "b"], ["a", "b", ""]])["tags"]
    assert ids[0].tolist() == [ids[1][0], 0, 0]
    assert ids[1].tolist() == ids[2].tolist()


def test_default_of_a_list_stands_for_an_empty_one_only(transform_kinds: Transform) -> None:
    ids = transform_kinds(tags=[["", "", ""], ["b", "", ""], ["a", "", ""]])["tags_default"]
    assert ids[0].tolist() == ids[1].tolist()
    assert ids[2][1:].tolist() == [0, 0]


def test_list_is_missing_if_all_of_it_is(transform_kinds: Transform) -> None:
    flags = transform_kinds(tags=[["", "", ""], ["", "a", ""]])["tags__missing"]
    assert flags.tolist() == [1.0, 0.0]


HASHED = Categorical(kind="categorical", encoding="hash", buckets=7)
IDS = Categorical(kind="categorical", encoding="identity", buckets=7)
NOTHING_FITTED = Fitted({}, {}, {})


def ids_of(spec: Categorical, values: list[str]) -> list[int]:
    raw = tf.constant(np.array([value.encode() for value in values], object))
    return np.asarray(encode("f", spec, usable(spec, raw), NOTHING_FITTED)).tolist()


@pytest.mark.parametrize("spec", [HASHED, IDS])
def test_without_a_vocabulary_nothing_is_asked_of_the_training_rows(spec: Categorical) -> None:
    assert requests("f", spec, tf.constant([""])) == ()


def test_hash_is_the_same_in_every_version_of_the_code() -> None:
    assert ids_of(HASHED, ["", "Ghent", "Gent", "naïve", "東京"]) == [0, 3, 7, 5, 2]


@settings(deadline=None)  # TensorFlow's first call is slow
@given(st.lists(st.text(min_size=1), min_size=1, max_size=20))
def test_hash_of_a_value_is_one_of_the_buckets(values: list[str]) -> None:
    ids = ids_of(HASHED, values)
    assert all(1 <= i <= 7 for i in ids)
    assert ids == [ids_of(HASHED, [value])[0] for value in values]


NUMBERS_AND_MORE = (
    st.integers(-3, 12).map(str)
    | st.integers().map(str)
    | st.sampled_from(["", "007", "1.0", "1\n", " 1", "+1", "1e0", "true", "\u0661", "9" * 19])
    | st.text(max_size=3)
)


def plain_id(text: str) -> int | None:
    """Returns what Python says of a text as an id of seven; None is no id."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        return None
    return int(text) if int(text) < 7 else None


@settings(deadline=None)  # TensorFlow's first call is slow
@given(st.lists(NUMBERS_AND_MORE, min_size=1, max_size=20))
def test_identity_takes_the_ids_and_reading_names_all_else(values: list[str]) -> None:
    plain = [plain_id(value) for value in values]
    assert ids_of(IDS, values) == [0 if number is None else number + 1 for number in plain]
    column = np.array([value.encode() for value in values], object)
    invalid = {
        row: "not_an_id"
        for row, (value, number) in enumerate(zip(values, plain, strict=True))
        if value and number is None
    }
    assert not_an_id(column, 7) == invalid


def test_served_value_that_is_no_id_counts_as_missing(transform_kinds: Transform) -> None:
    outputs = transform_kinds(slot=["0", "4", "5", "x", ""])
    assert outputs["slot"].tolist() == [1, 5, 0, 0, 0]
    assert outputs["slot__missing"].tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_one_bad_id_costs_its_list(transform_kinds: Transform) -> None:
    outputs = transform_kinds(slots=[["3", "0"], ["3", "4"], ["2", ""]])
    assert outputs["slots"].tolist() == [[4, 1], [0, 0], [3, 0]]
    assert outputs["slots__missing"].tolist() == [0.0, 1.0, 0.0]


def test_default_may_be_an_id() -> None:
    spec = IDS.model_copy(update={"default": "3"})
    assert ids_of(spec, ["", "0"]) == [4, 1]
