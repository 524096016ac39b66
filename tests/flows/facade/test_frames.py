"""Frames of other libraries, to Arrow and back."""

from __future__ import annotations

import sys
from types import ModuleType

import pandas as pd
import pyarrow as pa
import pytest

from braid.frames import are_equal, like, to_arrow
from transforms.contract.errors import DeclarationError

TABLE = pa.table({"id": ["a", "b"], "area": [1.5, None]})


class Streamed:
    """A table that speaks Arrow's PyCapsule interface and nothing else, as Polars' does."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return TABLE.__arrow_c_stream__(requested_schema)


class Converted:
    """A table that has only `to_arrow`."""

    def to_arrow(self) -> pa.Table:
        return TABLE


def test_arrow_and_what_speaks_it_is_taken_as_it_is():
    assert to_arrow(TABLE) == TABLE
    assert to_arrow(TABLE.to_batches()[0]) == TABLE
    assert to_arrow(Streamed()) == TABLE
    assert to_arrow(Converted()) == TABLE
    assert like(Streamed(), TABLE) is TABLE


def test_a_pandas_frame_comes_back_with_its_index():
    frame = pd.DataFrame({"id": ["a", "b"], "area": [1.5, 2.0]}, index=[7, 3])
    assert to_arrow(frame).column_names == ["id", "area"]
    back = like(frame, pa.table({"price": [10.0, 20.0]}))
    pd.testing.assert_frame_equal(back, pd.DataFrame({"price": [10.0, 20.0]}, index=[7, 3]))


def test_an_index_with_a_name_is_a_column():
    frame = pd.DataFrame({"area": [1.5, 2.0]}, index=pd.Index(["a", "b"], name="id"))
    assert to_arrow(frame).to_pydict() == {"id": ["a", "b"], "area": [1.5, 2.0]}
    assert list(like(frame, pa.table({"price": [1.0, 2.0]})).index) == ["a", "b"]


def test_a_polars_frame_comes_back_as_one(monkeypatch):
    polars = ModuleType("polars")
    polars.from_arrow = lambda table: ("a polars frame of", table)
    monkeypatch.setitem(sys.modules, "polars", polars)
    frame = type("DataFrame", (Streamed,), {"__module__": "polars.dataframe.frame"})()
    assert to_arrow(frame) == TABLE
    assert like(frame, TABLE) == ("a polars frame of", TABLE)


def test_a_column_of_several_types_is_named():
    frame = pd.DataFrame({"id": ["a", "b"], "area": [1, "large"]})
    with pytest.raises(DeclarationError, match=r"one type of values in a column.*area"):
        to_arrow(frame)


@pytest.mark.parametrize("value", [[1, 2], {"id": [1]}, None])
def test_what_is_no_frame_is_refused(value):
    with pytest.raises(DeclarationError, match="expected a frame of pandas, Polars or Arrow"):
        to_arrow(value)


def test_tables_are_equal_by_their_values_whoever_wrote_them():
    nan = float("nan")
    one = pa.table({"s": [[1.0, nan], None, []], "t": pa.array([["a"], [], None])})
    texts = pa.array([["a"], [], None], pa.large_list(pa.large_string()))
    other = pa.table({"s": one["s"].cast(pa.large_list(pa.float64())), "t": texts})
    assert are_equal(one, one)
    assert are_equal(one, other)
    assert not are_equal(one, other.set_column(1, "t", pa.array([["b"], [], None])))
    assert not are_equal(one, other.set_column(0, "s", pa.array([[1.0], [nan], []])))
