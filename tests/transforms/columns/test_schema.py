from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from transforms.columns.schema import check_column
from transforms.contract.columns.datetimes import Datetime
from transforms.contract.columns.features import (
    Categorical,
    Image,
    Numeric,
    Text,
)
from transforms.contract.columns.series import Sequence
from transforms.contract.columns.targets import Binary
from transforms.contract.errors import BraidError

IDENTITY = Categorical(kind="categorical", encoding="identity", buckets=7)


@pytest.mark.parametrize(
    ("spec", "type_"),
    [
        (Categorical(kind="categorical"), pa.float64()),
        (Categorical(kind="categorical"), pa.list_(pa.string())),
        (Categorical(kind="categorical", length=2), pa.string()),
        (Categorical(kind="categorical", length=2), pa.list_(pa.float32())),
        (IDENTITY, pa.bool_()),
        (IDENTITY.model_copy(update={"length": 2}), pa.list_(pa.bool_())),
        (Text(kind="text"), pa.int64()),
        (Image(kind="image", height=8, width=8), pa.int64()),
        (Numeric(kind="numeric"), pa.list_(pa.float32())),
        (Numeric(kind="numeric", length=3), pa.float32()),
        (Numeric(kind="numeric"), pa.timestamp("s")),
        (Datetime(kind="datetime"), pa.int64()),
        (Datetime(kind="datetime"), pa.time64("us")),
        (Binary(kind="binary"), pa.binary()),
    ],
)
def test_column_of_another_type_is_refused(spec: Any, type_: pa.DataType) -> None:
    with pytest.raises(BraidError, match=r"features\.x: expected a .* received type"):
        check_column("features.x", spec, type_)


@pytest.mark.parametrize(
    ("spec", "type_"),
    [
        (Categorical(kind="categorical"), pa.dictionary(pa.int8(), pa.string())),
        (Categorical(kind="categorical", length=2), pa.list_(pa.bool_())),
        (Categorical(kind="categorical", length=2), pa.large_list(pa.int8())),
        (Categorical(kind="categorical", length=2), pa.null()),
        (IDENTITY, pa.int8()),
        (IDENTITY, pa.string()),
        (Image(kind="image", height=8, width=8), pa.string()),
        (Image(kind="image", height=8, width=8), pa.binary()),
        (Numeric(kind="numeric", length=3), pa.list_(pa.int16(), 3)),
        (Binary(kind="binary"), pa.float64()),
        (Text(kind="text"), pa.null()),
        (Datetime(kind="datetime"), pa.timestamp("ns", "Europe/Brussels")),
        (Datetime(kind="datetime"), pa.date64()),
        (Datetime(kind="datetime"), pa.dictionary(pa.int8(), pa.string())),
    ],
)
def test_column_of_a_fitting_type_is_accepted(spec: Any, type_: pa.DataType) -> None:
    check_column("features.x", spec, type_)


def test_lists_are_what_a_series_is_made_of() -> None:
    flat, nested = pa.list_(pa.float32()), pa.list_(pa.list_(pa.float32()))
    one = Sequence(kind="sequence", length=3)
    two = Sequence(kind="sequence", length=3, channels=2)
    several = Sequence(kind="sequence", length=3, columns=("x", "y"))
    for spec, type_ in ((one, flat), (one, nested), (two, nested), (several, flat)):
        check_column("features.x", spec, type_)
    for spec, type_ in ((two, flat), (several, nested), (one, pa.list_(pa.string()))):
        with pytest.raises(BraidError, match="a column of lists of"):
            check_column("features.x", spec, type_)
    with pytest.raises(BraidError, match="CSV has no lists; Parquet and JSON lines do"):
        check_column("features.x", one, pa.string())


def test_list_column_asks_for_a_length() -> None:
    with pytest.raises(BraidError, match="a column of lists needs `length`"):
        check_column("features.x", Categorical(kind="categorical"), pa.list_(pa.string()))
