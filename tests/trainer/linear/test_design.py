from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.linear.design import (
    MOST_COLUMNS,
    DesignMatrix,
    columns_of,
    compact,
    compact_width,
)
from transforms.contract.workspace.manifest import StoredFeature


def feature(kind, dtype="float32", shape=(), cardinality=None, name="x"):
    return StoredFeature(
        name=name, role="feature", kind=kind, dtype=dtype, shape=shape, cardinality=cardinality
    )


def columns(stored, values):
    rows = {stored.name: compact(stored, np.asarray(values)).numpy()}
    design = DesignMatrix(columns_of([stored]))
    design.adapt(rows)
    return design(rows).numpy()


def test_numbers_are_standardized_and_a_constant_one_is_zero():
    matrix = columns(feature("numeric", shape=(2,)), [[1.0, 7.0], [3.0, 7.0]])
    assert matrix.tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_a_category_has_a_column_for_each_id_and_a_list_leaves_its_padding_out():
    assert columns(feature("categorical", "int64", cardinality=3), [0, 2]).tolist() == [
        [1, 0, 0],
        [0, 0, 1],
    ]
    tags = feature("categorical", "int64", (3,), cardinality=3)
    assert columns(tags, [[1, 2, 0], [2, 2, 2]]).tolist() == [[0, 1, 1], [0, 0, 3]]


def test_every_place_of_bucketed_numbers_has_buckets_of_its_own():
    matrix = columns(feature("numeric", "int64", (2,), cardinality=2), [[0, 1], [1, 1]])
    assert matrix.tolist() == [[1, 0, 0, 1], [0, 1, 0, 1]]


def test_buckets_without_room_for_a_column_each_are_numbers():
    crowded = feature("numeric", dtype="int64", shape=(MOST_COLUMNS,), cardinality=3)
    matrix = columns(crowded, [[0] * MOST_COLUMNS, [2] * MOST_COLUMNS])
    assert matrix.tolist() == [[-1.0] * MOST_COLUMNS, [1.0] * MOST_COLUMNS]


def test_ids_beyond_the_room_share_the_last_column():
    many = feature("categorical", "int64", cardinality=5000)
    matrix = columns(many, [0, 1, 998, 4000, 4999])
    assert matrix.shape == (5, 1000)
    assert matrix.argmax(axis=1).tolist() == [0, 1, 998, 999, 999]


def test_a_frequent_term_counts_for_less_and_a_text_has_length_one():
    text = feature("text", "int64", (3,), cardinality=5)
    matrix = columns(text, [[2, 3, 0], [2, 4, 4], [2, 0, 0], [0, 0, 0]])
    assert np.linalg.norm(matrix, axis=1) == pytest.approx([1, 1, 1, 0])
    frequent, rare = np.log(5 / 4) + 1, np.log(5 / 2) + 1
    assert matrix[0, 3] / matrix[0, 2] == pytest.approx(rare / frequent)
    assert matrix[1, 4] / matrix[1, 2] == pytest.approx(2 * rare / frequent)


def test_padding_of_a_series_is_its_mean_and_a_long_series_is_averaged():
    series = feature("sequence", shape=(4, 1))
    nan = float("nan")
    assert compact(series, np.array([[[1.0], [2.0], [nan], [nan]]])).numpy().tolist() == [
        [1, 2, 0, 0]
    ]
    long = compact(
        feature("sequence", shape=(1024, 1)), np.arange(1024.0).reshape(1, 1024, 1)
    ).numpy()
    assert long.shape == (1, 512)
    assert long[0, :3].tolist() == [0.5, 2.5, 4.5]


def test_a_picture_is_a_small_gray_one():
    pixels = np.zeros((1, 16, 16, 3), np.uint8)
    pixels[0, :2, :2] = 255
    small = compact(feature("image", "uint8", (16, 16, 3)), pixels).numpy()
    assert small.shape == (1, 64)
    assert small[0, :2] == pytest.approx([1.0, 0.0], abs=1e-5)


@pytest.mark.parametrize(
    "stored",
    [
        feature("numeric"),
        feature("categorical", "int64", (3,), cardinality=4),
        feature("sequence", shape=(4, 2)),
        feature("sequence", shape=(1024, 2)),
        feature("sequence", shape=(2, 600)),
        feature("image", "uint8", (16, 16, 3)),
    ],
)
def test_the_width_of_what_is_kept_is_known_ahead(stored):
    values = np.zeros((2, *stored.shape), stored.dtype)
    assert compact(stored, values).shape == (2, compact_width(stored))


def test_room_is_shared_fairly():
    wide = feature("numeric", shape=(3000,), name="wide")
    narrow = feature("numeric", name="narrow")
    rows = {"wide": np.zeros((2, 3000), np.float32), "narrow": np.ones((2, 1), np.float32)}
    assert DesignMatrix(columns_of([wide, narrow]))(rows).shape == (2, MOST_COLUMNS)


def test_a_saved_matrix_gives_the_same_columns(tmp_path):
    number, city = feature("numeric"), feature("categorical", "int64", cardinality=3, name="city")
    text = feature("text", "int64", (2,), cardinality=4, name="text")
    rows = {
        "x": np.float32([[5.0], [7.0]]),
        "city": np.int32([[0], [2]]),
        "text": np.int32([[1, 2], [2, 0]]),
    }
    design = DesignMatrix(columns_of([number, city, text]))
    design.adapt(rows)
    inputs = {name: keras.Input(v.shape[1:], dtype=v.dtype, name=name) for name, v in rows.items()}
    keras.Model(inputs, design(inputs)).save(tmp_path / "design.keras")
    again = keras.saving.load_model(tmp_path / "design.keras")
    np.testing.assert_array_equal(again(rows), design(rows))
