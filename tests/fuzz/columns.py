"""Arrow columns of any type, layout and bits."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import reject
from hypothesis import strategies as st

TEXTS = [
    *(b"", b"a", b"b", b"1", b"0", b"-1.5", b"1e400", b"1_000", b"nan", b"inf", b"true", b"NO"),
    *(b"2026-01-02", b"2026-02-30", b"2026-01-02T05:00:00.123456789+01:00", b"9" * 400, b"x\0y"),
    *(b"\n", b"\r\n", b"\xff\xfe", b"\xed\xa0\x80", "é\u2028東".encode(), b"../a", b"/dev/zero"),
    *(b"file:///etc/passwd", b"gs://b/c", b"a.png", b"[red]x", b"\x1b[2J", b'"', b"w " * 300),
]
_FIXED: dict[pa.DataType, int] = {
    **{t: t.bit_width // 8 for t in (pa.int8(), pa.int16(), pa.int32(), pa.int64())},
    **{t: t.bit_width // 8 for t in (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())},
    **{t: t.bit_width // 8 for t in (pa.float16(), pa.float32(), pa.float64())},
    **{t: t.bit_width // 8 for t in (pa.decimal128(38, 2), pa.decimal256(76, -3))},
    **{t: t.bit_width // 8 for t in (pa.decimal32(9, 0), pa.decimal64(18, 9), pa.date32())},
    **dict.fromkeys((pa.date64(), pa.time64("ns"), pa.duration("s"), pa.duration("ns")), 8),
    **{pa.timestamp(unit): 8 for unit in ("s", "ms", "us", "ns")},
    **{pa.timestamp("us", zone): 8 for zone in ("UTC", "Europe/Berlin", "-23:59", "No/Where")},
    pa.time32("s"): 4,
    pa.binary(3): 3,
    pa.month_day_nano_interval(): 16,
}
_PATTERNS = [
    *(struct.pack("<q", n) for n in (0, 1, 2, -1, 2**63 - 1, -(2**63), 2**53 + 1, 20_000, 1 << 40)),
    *(struct.pack("<d", x) for x in (1.5, -0.0, 1e308, -1e308, 5e-324, 1e39, np.nan, np.inf)),
    *(2 * struct.pack("<f", x) for x in (3.4e38, -3.4e38, 1e-45, 1.0, np.nan, -np.inf)),
]


@dataclass(frozen=True)
class Column:
    """A column, shown in a failure by its type and its bits, whatever they are."""

    array: pa.Array

    def __repr__(self) -> str:
        try:
            shown = repr(self.array.to_pylist())
        except Exception as error:
            shown = f"{type(error).__name__}, {[b and b.hex() for b in self.array.buffers()]}"
        return f"{self.array.type}: {shown[:2000]}"


@st.composite
def columns(draw: st.DrawFn, rows: int) -> Column:
    """Draws a column of any type, [rows]."""
    try:
        return Column(draw(arrays(rows, depth=2)))
    except pa.ArrowException:
        reject()  # Arrow makes no such column


@st.composite
def arrays(draw: st.DrawFn, rows: int, depth: int) -> pa.Array:
    """Draws an array whose type has up to `depth` layers."""
    layers: list[Callable[..., Any]] = [_fixed, _texts, _texts, _plain]
    if depth:
        layers += [_lists, _lists, _dictionary, _runs, _struct, _extension]
    return draw(draw(st.sampled_from(layers))(rows, depth))


@st.composite
def _fixed(draw: st.DrawFn, rows: int, _depth: int) -> pa.Array:
    type_ = draw(st.sampled_from(list(_FIXED)))
    width = _FIXED[type_]
    value = st.sampled_from(_PATTERNS).map(lambda b: (b * 4)[:width])
    value |= st.binary(min_size=width, max_size=width)
    data = b"".join(draw(st.lists(value, min_size=rows, max_size=rows)))
    if type_ == pa.float16() or width < 8:  # a float's pattern is in its last bytes
        data = bytes(reversed(data)) if draw(st.booleans()) else data
    validity = draw(st.none() | st.binary(min_size=rows // 8 + 1, max_size=rows // 8 + 1))
    buffers = [validity and pa.py_buffer(validity), pa.py_buffer(data)]
    return pa.Array.from_buffers(type_, rows, buffers)


@st.composite
def _texts(draw: st.DrawFn, rows: int, _depth: int) -> pa.Array:
    """Draws texts and bytes, of which nothing says that they are UTF-8."""
    types = [
        *((pa.binary(), pa.binary()), (pa.binary(), pa.string())),
        *((pa.large_binary(), pa.large_binary()), (pa.large_binary(), pa.large_string())),
        *((pa.binary_view(), pa.binary_view()), (pa.binary_view(), pa.string_view())),
    ]
    stored, type_ = draw(st.sampled_from(types))
    value = st.none() | st.sampled_from(TEXTS) | st.text(max_size=8).map(str.encode)
    values = pa.array(draw(st.lists(value, min_size=rows, max_size=rows)), stored)
    return pa.Array.from_buffers(type_, rows, values.buffers())


@st.composite
def _plain(draw: st.DrawFn, rows: int, _depth: int) -> pa.Array:
    kind = draw(st.sampled_from(["null", "bool", "small", "union"]))
    if kind == "null":
        return pa.nulls(rows)
    numbers = draw(st.lists(st.none() | st.integers(0, 3), min_size=rows, max_size=rows))
    if kind == "bool":
        return pa.array([n if n is None else n > 1 for n in numbers], pa.bool_())
    small = pa.array(numbers, draw(st.sampled_from([pa.int8(), pa.float64(), pa.uint64()])))
    if kind == "small":
        return small
    types = pa.array([0] * rows, pa.int8())
    return pa.UnionArray.from_sparse(types, [small])


@st.composite
def _lists(draw: st.DrawFn, rows: int, depth: int) -> pa.Array:
    """Draws lists of some or of a fixed length, their views, and maps."""
    lengths = draw(st.lists(st.integers(0, 3), min_size=rows, max_size=rows))
    kind = draw(st.sampled_from(["list", "large", "fixed", "view", "large view", "map"]))
    mask = pa.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), pa.bool_())
    if kind == "fixed":
        size = draw(st.integers(1, 3))
        return pa.FixedSizeListArray.from_arrays(draw(arrays(rows * size, depth - 1)), size)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = draw(arrays(int(offsets[-1]), depth - 1))
    if kind == "map":
        keys = pa.array(range(int(offsets[-1])))
        return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, values)
    if kind == "list":
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, mask=mask)
    if kind == "large":
        return pa.LargeListArray.from_arrays(pa.array(offsets), values, mask=mask)
    views, type_ = (
        (pa.ListViewArray, pa.int32()) if kind == "view" else (pa.LargeListViewArray, pa.int64())
    )
    sizes = pa.array(lengths, type_)
    order = draw(st.permutations(range(rows)))
    array = views.from_arrays(pa.array(offsets[:-1], type_), sizes, values, mask=mask)
    return array.take(pa.array(order, pa.int64())) if draw(st.booleans()) else array


@st.composite
def _dictionary(draw: st.DrawFn, rows: int, depth: int) -> pa.Array:
    values = draw(arrays(draw(st.integers(1, 3)), depth - 1))
    index = st.none() | st.integers(0, len(values) - 1)
    type_ = draw(st.sampled_from([pa.int8(), pa.uint32(), pa.int64()]))
    indices = pa.array(draw(st.lists(index, min_size=rows, max_size=rows)), type_)
    return pa.DictionaryArray.from_arrays(indices, values)


@st.composite
def _runs(draw: st.DrawFn, rows: int, depth: int) -> pa.Array:
    ends = sorted({*draw(st.lists(st.integers(1, max(rows, 1)), max_size=3)), rows} - {0})
    values = draw(arrays(len(ends), depth - 1))
    type_ = draw(st.sampled_from([pa.int16(), pa.int32(), pa.int64()]))
    return pa.RunEndEncodedArray.from_arrays(pa.array(ends, type_), values)


@st.composite
def _struct(draw: st.DrawFn, rows: int, depth: int) -> pa.Array:
    return pa.StructArray.from_arrays([draw(arrays(rows, depth - 1))], ["a"])


@st.composite
def _extension(draw: st.DrawFn, rows: int, _depth: int) -> pa.Array:
    storages: Sequence[tuple[pa.DataType, pa.Array]] = [
        (pa.bool8(), pa.array(([0, 1, None, 5] * rows)[:rows], pa.int8())),
        (pa.uuid(), pa.array(([b"0" * 16, None] * rows)[:rows], pa.binary(16))),
        (pa.json_(), pa.array((["{}", "1", None] * rows)[:rows], pa.string())),
        (pa.opaque(pa.float64(), "t", "v"), pa.array([1.5] * rows, pa.float64())),
    ]
    type_, storage = draw(st.sampled_from(storages))
    return pa.ExtensionArray.from_storage(type_, storage)
