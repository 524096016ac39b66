from __future__ import annotations

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from transforms.shards.examples import ExampleEncoder


@given(
    st.lists(st.tuples(st.binary(max_size=400), st.binary(max_size=400)), min_size=1, max_size=5)
)
def test_record_is_parsed_to_the_values_it_was_made_of(pixels: list[tuple[bytes, bytes]]) -> None:
    rows = len(pixels)
    columns = {
        "word_ids": np.arange(3 * rows, dtype=np.int64).reshape(rows, 3),
        "price": np.arange(rows, dtype=np.float32),
        "photo": np.array([left for left, _ in pixels], object),
        "plan": np.array([right for _, right in pixels], object),
    }
    records = ExampleEncoder().encode(columns)
    parsed = tf.io.parse_example(
        records,
        {
            "word_ids": tf.io.FixedLenFeature([3], tf.int64),
            "price": tf.io.FixedLenFeature([], tf.float32),
            "photo": tf.io.FixedLenFeature([], tf.string),
            "plan": tf.io.FixedLenFeature([], tf.string),
        },
    )
    for name, values in columns.items():
        np.testing.assert_array_equal(parsed[name].numpy(), values)


@given(
    st.lists(
        st.lists(st.binary(min_size=1, max_size=200), max_size=3).map(
            lambda row: row + [b""] * (3 - len(row))
        ),
        min_size=1,
        max_size=5,
    )
)
def test_list_of_a_row_is_recorded_without_its_padding(rows: list[list[bytes]]) -> None:
    columns = {"n": np.zeros(len(rows), np.int64), "tags": np.array(rows, object)}
    examples = [tf.train.Example.FromString(r) for r in ExampleEncoder().encode(columns)]
    lists = [list(example.features.feature["tags"].bytes_list.value) for example in examples]
    assert lists == [[value for value in row if value] for row in rows]


def test_record_of_a_large_picture_is_one_example() -> None:
    columns = {"n": np.zeros(1, np.int64), "photo": np.array([bytes(300_000)], object)}
    (record,) = ExampleEncoder().encode(columns)
    example = tf.train.Example.FromString(record)
    assert sorted(example.features.feature) == ["n", "photo"]
    assert len(example.features.feature["photo"].bytes_list.value[0]) == 300_000


def test_rows_of_pictures_alone_are_records_too() -> None:
    first, second = ExampleEncoder().encode({"photo": np.array([b"a", b"bc"], object)})
    for record, value in ((first, b"a"), (second, b"bc")):
        feature = tf.train.Example.FromString(record).features.feature["photo"]
        assert list(feature.bytes_list.value) == [value]


@given(
    st.lists(
        st.tuples(
            st.integers(-(1 << 63), (1 << 63) - 1),
            st.integers(0, 300),
            st.floats(width=32, allow_nan=False),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_numbers_of_all_sizes_are_parsed_to_what_they_were(
    rows: list[tuple[int, int, float]],
) -> None:
    columns = {
        "any": np.array([row[0] for row in rows], np.int64),
        "id" * 70: np.array([row[1] for row in rows], np.int64),
        "steps": np.array([[[row[2], 1.0, np.inf]] * 20 for row in rows], np.float32),
    }
    records = ExampleEncoder().encode(columns)
    specs = {
        name: tf.io.FixedLenFeature(values.shape[1:], values.dtype)
        for name, values in columns.items()
    }
    parsed = tf.io.parse_example(records, specs)
    for name, values in columns.items():
        np.testing.assert_array_equal(parsed[name].numpy(), values)
    example = tf.train.Example.FromString(records[0])  # another parser agrees
    assert list(example.features.feature["any"].int64_list.value) == [rows[0][0]]


def test_no_rows_are_no_records() -> None:
    columns = {"id": np.zeros(0, np.int64), "price": np.zeros((0, 2), np.float32)}
    assert ExampleEncoder().encode(columns) == []
