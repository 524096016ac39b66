"""The declarations of a sequence, and of the windows of a long table."""

from __future__ import annotations

from typing import Any

import pytest

from transforms.contract.columns.features import RawColumn
from transforms.contract.columns.series import Sequence
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import DeclarationError


def declared(source: dict[str, Any] | None = None, **feature: Any) -> PipelineSpec:
    return parse(
        {
            "name": "p",
            "source": {"path": "data", "key": "id"} | (source or {}),
            "features": {"walk": {"kind": "sequence", "length": 8} | feature},
            "targets": {"y": {"kind": "binary"}},
        }
    )


@pytest.mark.parametrize(
    ("feature", "raw"),
    [
        ({}, RawColumn(name="walk", dtype="float32", shape=(8, 1))),
        (
            {"channels": 3, "column": "accelerometer", "variable": True},
            RawColumn(name="accelerometer", dtype="float32", shape=(8, 3), padded=True),
        ),
        (
            {"columns": ["x", "y"]},
            RawColumn(name="walk", dtype="float32", shape=(8, 2), sources=("x", "y")),
        ),
    ],
)
def test_a_sequence_is_steps_by_channels(feature: dict[str, Any], raw: RawColumn) -> None:
    pipeline = declared(**feature)
    assert pipeline.raw_features()["walk"] == raw
    assert pipeline.features["walk"].layout() == ("float32", raw.shape)
    assert PipelineSpec.model_validate_json(pipeline.model_dump_json()) == pipeline


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ({"column": "a", "columns": ["x", "y"]}, "either column or columns, received both"),
        ({"channels": 3, "columns": ["x", "y"]}, "as many channels as columns, received 3 for 2"),
        ({"columns": ["x", "x"]}, "columns that differ, received x, x"),
        ({"length": 0}, r"features\.walk\.length"),
        ({"scale": "log"}, r"features\.walk\.scale"),
    ],
)
def test_a_sequence_that_cannot_be_is_refused(feature: dict[str, Any], words: str) -> None:
    with pytest.raises(DeclarationError, match=words):
        declared(**feature)


def test_every_setting_of_a_sequence_shapes_the_shards() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"length": 9},
        {"channels": 2},
        {"variable": True},
        {"scale": "none"},
        {"columns": ["x"]},
    ]
    assert len({declared(**change).data_fingerprint() for change in changes}) == len(changes)


def test_a_misspelt_key_of_windows_is_refused_with_the_right_one() -> None:
    windows = {"time": "day", "lenght": 3, "values": ["sales"]}
    with pytest.raises(DeclarationError, match=r"lenght: .*\(did you mean 'length'\?\)") as refused:
        declared({"windows": windows})
    assert "source.windows.length: expected a value" in str(refused.value)


def test_the_table_of_windows_is_read_by_the_splits_in_it() -> None:
    windows = {"time": "day", "length": 8, "values": ["walk"], "horizon": 2}
    split = {"by": "time", "column": "day", "validation_from": 1, "test_from": 2}
    document = declared().model_dump(mode="json")
    document |= {"source": document["source"] | {"windows": windows}, "split": split}
    pipeline = parse(document)
    table = pipeline.of_windows("windows.parquet")
    assert (table.source.path, table.source.format, table.source.key) == (
        "windows.parquet",
        "parquet",
        "id",
    )
    assert table.split.model_dump()["column"] == "split"
    assert isinstance(table.features["walk"], Sequence)
    assert pipeline.source.windows is not None
    assert pipeline.source.windows.next_columns() == ("walk_next", "walk_next_1", "walk_next_2")
    fewer = parse(document | {"split": split | {"test_from": 3}})
    assert fewer.data_fingerprint() != pipeline.data_fingerprint()
