"""Files of a table: good rows, of which some columns, cells or bytes are changed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc as paipc
import pyarrow.parquet as pq
from hypothesis import reject
from hypothesis import strategies as st

from tests.fuzz.columns import TEXTS, Column, columns
from tests.transforms.pictures import REAL

_ROWS = 12


def good_rows() -> dict[str, list[Any]]:
    """Returns rows that every kind can use."""
    n, pictures = range(_ROWS), [REAL[name] for name in ("png", "jpeg", "gif", "bmp")]
    return {
        "id": [f"r{i}" for i in n],
        "city": ["aaabc"[i % 5] for i in n],
        "slot": [i % 3 for i in n],
        "area": [float(i) for i in n],
        "seen": [f"2026-01-{1 + i:02}" for i in n],
        "words": [f"a good flat {i}" for i in n],
        "photo": [pictures[i % 4] for i in n],
        "tags": [["a", "b", "c"][: i % 4] for i in n],
        "pair": [[float(i), -1.0] for i in n],
        "wave": [[1.0, 2.0, 3.0][: 1 + i % 3] for i in n],
        "steps": [[[float(i), 1.0], [2.0, 3.0]] for i in n],
        "left": [[float(i), 1.0] for i in n],
        "right": [[float(i), 2.0] for i in n],
        "sold": [i % 2 == 0 for i in n],
        "group": ["xyz"[i % 3] for i in n],
        "price": [10.0 * i + 1 for i in n],
        "mask": [pictures[0] for _ in n],
        "labels": [["u", "v"][: i % 3] for i in n],
        "curve": [[float(i), 2.0] for i in n],
    }


@dataclass(frozen=True)
class File:
    """A file of a table.

    Attributes:
        place: Its path below the source's folder, without the suffix.
        changed: Columns that are other than the good ones, [rows]; None has none.
        rows: How many rows it has.
        group: Rows of a row group or record batch.
        cells: Of CSV and JSON lines, what cells hold instead, by row and column.
        noise: What is written into the file's bytes, and where, as a fraction of its length.
    """

    place: str
    rows: int
    group: int
    changed: dict[str, Column | None] = field(default_factory=dict)
    cells: dict[tuple[int, str], Any] = field(default_factory=dict)
    noise: tuple[float, bytes] | None = None


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 3, 2**63, 10**40, 1.5, 1e308, -1e-320])
    | st.sampled_from([t.decode(errors="surrogateescape") for t in TEXTS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@st.composite
def files(draw: st.DrawFn, format_: str, folder: str) -> File:
    """Draws a file of a format in a folder."""
    rows = draw(st.sampled_from([_ROWS, _ROWS, _ROWS, 1, 0]))
    names = st.sampled_from(sorted(good_rows()))
    chosen = draw(st.lists(names, max_size=3, unique=True))
    place, group = f"{folder}/{draw(st.sampled_from(['a', 'b c', 'é', 'day=3']))}", 5
    noise = None
    if draw(st.integers(0, 9)) == 9:
        noise = (draw(st.floats(0, 1)), draw(st.binary(min_size=1, max_size=4)))
    if format_ in ("csv", "jsonl"):
        keys = st.tuples(st.integers(0, max(rows - 1, 0)), names)
        cells = draw(st.dictionaries(keys, _VALUES, max_size=4))
        return File(place, rows, group, {}, cells, noise)
    changed = {name: draw(st.none() | columns(rows) | columns(rows)) for name in chosen}
    return File(place, rows, group, changed, {}, noise)


def write(format_: str, file: File, data: Path) -> None:
    """Writes a file, with its noise; what no writer makes is no example."""
    path = data / f"{file.place}.{format_}"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _WRITERS[format_](file, path)
    except (pa.ArrowException, OSError, OverflowError, ValueError):
        reject()  # no writer of this format makes such a file
    if file.noise is not None:
        content, (where, noise) = bytearray(path.read_bytes()), file.noise
        start = int(where * len(content))
        content[start : start + len(noise)] = noise
        path.write_bytes(content)


def _arrow_table(file: File) -> pa.Table:
    good: Mapping[str, Any] = {
        name: pa.array(values[: file.rows], pa.array(values).type)
        for name, values in good_rows().items()
    }
    arrays = {name: array for name, array in good.items() if file.changed.get(name, 0) is not None}
    arrays |= {name: column.array for name, column in file.changed.items() if column is not None}
    arrays["id"] = arrays.get("id", pa.nulls(file.rows))
    if "id" not in file.changed:  # two files share no key
        arrays["id"] = pa.array([f"{file.place} {row}" for row in range(file.rows)], pa.string())
    return pa.table(arrays)


def _write_parquet(file: File, path: Path) -> None:
    pq.write_table(_arrow_table(file), path, row_group_size=file.group)


def _write_arrow(file: File, path: Path) -> None:
    table = _arrow_table(file)
    with paipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=file.group)


def _rows(file: File) -> list[dict[str, Any]]:
    pictures = {"photo": "a.png", "mask": "a.png"}
    rows = [
        {name: values[row] for name, values in good_rows().items()}
        | {"id": f"{file.place} {row}"}
        | pictures
        for row in range(file.rows)
    ]
    for (row, name), value in file.cells.items():
        if row < len(rows):
            rows[row][name] = value
    return rows


def _write_csv(file: File, path: Path) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, sorted(good_rows()))
    writer.writeheader()
    writer.writerows(_rows(file))
    path.write_bytes(text.getvalue().encode(errors="surrogateescape"))
    (path.parent / "a.png").write_bytes(REAL["png"])


def _write_jsonl(file: File, path: Path) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in _rows(file)]
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(errors="surrogateescape"))
    (path.parent.parent / "a.png").write_bytes(REAL["png"])


_WRITERS: dict[str, Callable[[File, Path], None]] = {
    "parquet": _write_parquet,
    "arrow": _write_arrow,
    "csv": _write_csv,
    "jsonl": _write_jsonl,
}
