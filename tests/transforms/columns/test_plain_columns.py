"""Every type that Arrow has, in every part that a column can play: refused, or read."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as paipc
import pytest

from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.reading.batches import BatchReader
from transforms.reading.keys import check_unique
from transforms.source.formats import read_piece
from transforms.source.scan import check_schema, open_filesystem, scan
from transforms.source.units import plan_units

ROWS = 6


def column(type_: pa.DataType, *values: Any) -> pa.Array:
    return pa.array(([*values, None] * ROWS)[:ROWS], type_)


def dictionary(values: pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 1, 0, 1], pa.int8()), values)


def runs(values: pa.Array) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(pa.array([2, ROWS], pa.int32()), values)


def lists(type_: pa.DataType, *values: Any) -> pa.Array:
    return pa.array([list(values), None, [], [values[0]], list(values), [None, values[0]]], type_)


TEXTS = [pa.string(), pa.large_string(), pa.string_view()]
BYTES = [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(1)]
NUMBERS = [
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32()),
    *(pa.uint64(), pa.float16(), pa.float32(), pa.float64()),
]
DECIMALS = [pa.decimal32(5, 2), pa.decimal64(9, 2), pa.decimal128(20, 2), pa.decimal256(50, 2)]
LISTS = [pa.list_, pa.large_list, pa.list_view, pa.large_list_view]
TIMES = [pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")] + [
    pa.timestamp("us", tz=zone) for zone in ("UTC", "Europe/Berlin", "+05:30", "No/Where")
]

COLUMNS: dict[str, pa.Array] = {
    **{str(t): column(t, "2026-01-01", "1") for t in TEXTS},
    **{str(t): column(t, b"1", b"2") for t in BYTES},
    **{str(t): column(t, 1, 2) for t in NUMBERS},
    **{str(t): column(t, Decimal("1.5"), Decimal("2")) for t in DECIMALS},
    **{str(t): column(t, datetime(2026, 1, 1), datetime(1969, 1, 1)) for t in TIMES},
    "bool": column(pa.bool_(), True, False),
    "null": pa.nulls(ROWS),
    "int64 beyond a double": column(pa.int64(), 2**63 - 1, -(2**63)),
    "uint64 beyond int64": column(pa.uint64(), 2**64 - 1, 2**63),
    "float extremes": column(pa.float64(), 1e308, float("-inf"), float("nan"), 5e-324),
    "time beyond years": column(pa.timestamp("s"), 2**60, -(2**60)),
    "date32": column(pa.date32(), date(2026, 1, 1), date(1, 1, 1)),
    "date64": column(pa.date64(), date(2026, 1, 1), date(1, 1, 1)),
    "time32": column(pa.time32("ms"), time(1)),
    "time64": column(pa.time64("ns"), time(1)),
    "duration": column(pa.duration("ns"), timedelta(1)),
    "interval": column(pa.month_day_nano_interval(), (1, 2, 3)),
    "struct": column(pa.struct({"a": pa.int64()}), {"a": 1}),
    "map": column(pa.map_(pa.string(), pa.int64()), [("a", 1)]),
    "uuid": column(pa.uuid(), b"0" * 16),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), column(pa.int8(), 0, 1)),
    "json": pa.ExtensionArray.from_storage(pa.json_(), column(pa.string(), "{}")),
    "dictionary of dates": dictionary(pa.array([date(2026, 1, 1), date(2027, 1, 1)])),
    "runs of numbers": runs(pa.array([1.5, None])),
    "runs of dictionary": runs(pa.array(["a", "b"]).dictionary_encode()),
    **{f"dictionary of {t}": dictionary(pa.array(["1", "2026-01-01"], t)) for t in TEXTS},
    **{f"dictionary of {t}": dictionary(pa.array([1, 2], t)) for t in (pa.int64(), pa.float32())},
    **{f"runs of {t}": runs(pa.array(["1", None], t)) for t in TEXTS},
    **{f"{of.__name__} {t}": lists(of(t), "a", "b") for of in LISTS for t in TEXTS},
    **{f"{of.__name__} {t}": lists(of(t), 1, 2) for of in LISTS for t in NUMBERS[3:9:5]},
    **{
        f"{of.__name__} of steps": lists(of(of(pa.float32())), [1.0, 2.0], [3.0, 4.0])
        for of in LISTS
    },
    "lists of dictionary": lists(pa.list_(pa.dictionary(pa.int8(), pa.string())), "a", "b"),
    "pairs": pa.array([[1.0, 2.0], None, [3.0, 4.0]] * 2, pa.list_(pa.float32(), 2)),
    "pairs of views": pa.array([["a", "b"], None] * 3, pa.list_(pa.string_view(), 2)),
    "lists of runs": pa.ListArray.from_arrays([0, 1, 2, 3, 4, 5, 6], runs(pa.array(["a", "b"]))),
}  # fmt: skip

DAY = "2026-01-01"
SOURCE = {"format": "arrow", "key": "id"}
PARTS: dict[str, dict[str, Any]] = {
    "key": {"source": {"key": "x"}},
    "group": {"split": {"by": "hash", "column": "x", "train": 60, "validation": 20, "test": 20}},
    "split": {"split": {"by": "column", "column": "x", "train": ["1"], "test": ["2"]}},
    "time": {"split": {"by": "time", "column": "x", "validation_from": DAY, "test_from": DAY}},
    "number": {"split": {"by": "time", "column": "x", "validation_from": 1, "test_from": 2}},
    **{
        kind: {"features": {"x": {"kind": kind, **keys}}}
        for kind, keys in {
            "categorical": {},
            "numeric": {},
            "text": {},
            "datetime": {},
            "image": {"height": 8, "width": 8},
        }.items()
    },
    "identity": {"features": {"x": {"kind": "categorical", "encoding": "identity", "buckets": 9}}},
    "categories": {"features": {"x": {"kind": "categorical", "length": 2}}},
    "numbers": {"features": {"x": {"kind": "numeric", "length": 2}}},
    "series": {"features": {"x": {"kind": "sequence", "length": 2, "variable": True}}},
    "steps": {"features": {"x": {"kind": "sequence", "length": 2, "channels": 2}}},
    "binary": {"targets": {"x": {"kind": "binary", "positive": "1"}}},
    "class": {"targets": {"x": {"kind": "multiclass"}}},
    "labels": {"targets": {"x": {"kind": "multilabel", "length": 2}}},
    "amount": {"targets": {"x": {"kind": "numeric"}}},
}  # fmt: skip


def pipeline_of(folder: Path, part: str, values: pa.Array) -> PipelineSpec:
    columns = {"x": values, "y": pa.array(range(ROWS)), "id": pa.array(map(str, range(ROWS)))}
    batch = pa.RecordBatch.from_pydict(columns)
    with paipc.new_file(str(folder / "a.arrow"), batch.schema) as writer:
        writer.write_batch(batch)
    keys = PARTS[part]
    return parse(
        {
            "name": "p",
            "source": {"path": str(folder), "format": "arrow", "key": "id"}
            | keys.get("source", {}),
            "features": keys.get("features", {"y": {"kind": "numeric"}}),
            "targets": keys.get("targets", {"z": {"kind": "numeric", "column": "y"}}),
            **({"split": keys["split"]} if "split" in keys else {}),
        }
    )


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_any_type_is_refused_or_read(tmp_path: Path, name: str, part: str) -> None:
    pipeline = pipeline_of(tmp_path, part, COLUMNS[name])
    scanned = scan(pipeline.source)
    try:
        check_schema(pipeline, scanned.files())
    except BraidError:
        return
    if part == "key":
        with suppress(BraidError):  # of keys that are shared
            check_unique(pipeline, scanned.partitions, Workspace(tmp_path / "workspace"))
    filesystem, _ = open_filesystem(pipeline.source.path)
    units = plan_units(scanned.partitions[0], format_="arrow", filesystem=filesystem, at_least=1)
    reader = BatchReader(pipeline)
    batches = [batch for unit in units for batch in reader.read(unit, 4)]
    assert sum(batch.rows for batch in batches) == ROWS
    assert sum(len(batch.keys) + len(batch.rejects) for batch in batches) == ROWS


ACCEPTED = {
    "string_view": {"key", "group", "split", "time", "number", "text", "categorical", "numeric"},
    "dictionary of string_view": {"key", "group", "split", "time", "number", "text", "numeric"},
    "runs of string_view": {"key", "group", "split", "time", "number", "text", "categorical"},
    "binary_view": {"image"},
    "list_view string_view": {"categories", "labels"},
    "large_list_view int64": {"categories", "labels", "numbers", "series"},
    "large_list_view of steps": {"steps"},
    "dictionary of float": {"number", "numeric", "amount"},
}


@pytest.mark.parametrize(("name", "part"), [(n, p) for n in ACCEPTED for p in sorted(ACCEPTED[n])])
def test_a_layout_is_taken_for_what_the_same_values_are_taken_for(
    tmp_path: Path, name: str, part: str
) -> None:
    pipeline = pipeline_of(tmp_path, part, COLUMNS[name])
    check_schema(pipeline, scan(pipeline.source).files())


@pytest.mark.parametrize("name", COLUMNS)
def test_a_plain_column_has_the_same_values(tmp_path: Path, name: str) -> None:
    pipeline = pipeline_of(tmp_path, "numeric", COLUMNS[name])
    scanned = scan(pipeline.source)
    filesystem, _ = open_filesystem(pipeline.source.path)
    (unit,) = plan_units(scanned.partitions[0], format_="arrow", filesystem=filesystem, at_least=1)
    batches = list(read_piece("arrow", filesystem, unit.pieces[0], ["x"], 4))
    plain = pa.concat_arrays([batch.column(0) for batch in batches])
    wanted = COLUMNS[name].storage if name in ("uuid", "json", "bool8") else COLUMNS[name]
    if "beyond" not in name and "Where" not in name and "extremes" not in name:
        assert plain.to_pylist() == wanted.to_pylist()
