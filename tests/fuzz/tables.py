"""Any table against a declaration: every row transformed or rejected, or one error that says why.

The declaration's transform is frozen once, on good rows. A table then goes through what a run does
with it: the scan, the schema, the keys, the analysis of its training rows, the frozen graph, the
records; and through what `braid predict` reads. Of some tables both steps of a run are done as they
are, with Beam.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as paipc
import pyarrow.parquet as pq
import tensorflow as tf
from hypothesis import reject
from hypothesis import strategies as st

from tests.fuzz.columns import TEXTS, Column, columns
from tests.jobs import transform_job
from tests.transforms.pictures import REAL
from transforms.accumulators import Accumulated
from transforms.analysis import analyze
from transforms.applying import GraphApplier
from transforms.contract.declaration import parse
from transforms.contract.errors import BraidError
from transforms.contract.jobs import Partition
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.source import SPLITS
from transforms.contract.workspace import Workspace
from transforms.counting import RequestCounter
from transforms.examples import ExampleEncoder
from transforms.keys import check_unique
from transforms.reading import BatchReader, RawBatch
from transforms.scoring import read_features
from transforms.sensitive import shown_rejects
from transforms.shards import write_rejects
from transforms.source import check_schema, open_filesystem, scan
from transforms.statistics import freeze
from transforms.transform import transform
from transforms.units import plan_units

_ROWS = 12
_BATCH_ROWS = 5
_INDICATOR = "missing_indicator"
_PIXELS = {"kind": "image", "height": 4, "width": 4, "max_pixels": 10_000}

# Columns that every format has, and those that CSV has not.
_SCALARS: dict[str, dict[str, Any]] = {
    "city": {"kind": "categorical", "missing": _INDICATOR},
    "shop": {"kind": "categorical", "column": "city", "encoding": "hash", "buckets": 4},
    "slot": {"kind": "categorical", "encoding": "identity", "buckets": 9, "invalid": _INDICATOR},
    **{
        scale: {"kind": "numeric", "column": "area", "scale": scale}
        for scale in ("z_score", "min_max", "log", "quantile", "bucketize", "none")
    },
    "loud": {"kind": "tests.user_kinds.logarithm", "column": "area"},
    "clipped": {"kind": "numeric", "column": "area", "clip": 1.0, "invalid": "default"},
    "seen": {"kind": "datetime", "missing": _INDICATOR},
    "words": {"kind": "text", "length": 6, "ngrams": 2, "weights": "tf_idf"},
    "letters": {"kind": "text", "column": "words", "level": "characters", "length": 5},
    "photo": _PIXELS,
    "picture": _PIXELS | {"column": "photo", "channels": 1, "invalid": _INDICATOR},
}
_LISTS: dict[str, dict[str, Any]] = {
    "tags": {"kind": "categorical", "length": 2},
    "pair": {"kind": "numeric", "length": 2, "missing": _INDICATOR},
    "wave": {"kind": "sequence", "length": 3, "variable": True},
    "steps": {"kind": "sequence", "length": 2, "channels": 2, "missing": _INDICATOR},
    "stereo": {"kind": "sequence", "length": 2, "columns": ["left", "right"]},
}
_SCALAR_TARGETS: dict[str, dict[str, Any]] = {
    "sold": {"kind": "binary"},
    "group": {"kind": "multiclass", "missing": "mask"},
    "price": {"kind": "numeric", "invalid": "mask"},
    "mask": {"kind": "image", "content": "binary_mask", "height": 4, "width": 4},
}
_LIST_TARGETS: dict[str, dict[str, Any]] = {
    "labels": {"kind": "multilabel", "length": 2, "missing": "mask"},
    "curve": {"kind": "sequence", "length": 2},
}
_SPLITS: list[dict[str, Any]] = [
    {"train": 60, "validation": 20, "test": 20},
    {"by": "hash", "column": "city", "train": 60, "validation": 20, "test": 20},
    {"by": "column", "column": "city", "train": ["a"], "validation": ["b"], "test": ["c"]},
    {"by": "column", "column": "slot", "train": ["0", "1"], "validation": {"from": "train",
     "percent": 20}, "test": ["2"]},
    {"by": "time", "column": "seen", "validation_from": "2026-01-03", "test_from": "2026-01-04"},
    {"by": "time", "column": "area", "validation_from": 4, "test_from": 8.5},
]  # fmt: skip
_LAYOUTS: list[Any] = [None, "day", {"path_date": "%Y/%m/%d"}, {"file": True}]
_FOLDERS = [
    *("day=1", "day=2", "day=10", "day=2026-01-03", "day=", "day=__HIVE_DEFAULT_PARTITION__"),
    *("day=%2F", "day=%FF", "day=é", "day=a b", "day=[x]*", "day=1/day=2", "2026/01/02", "x"),
    *("2026/13/40", "2026/02/30/09", "_hidden", ".hidden/2026/01/02"),
]

_HIVE = [folder for folder in _FOLDERS if folder.startswith("day=")]
_FITTING = [["x", "day=1"], _HIVE, ["2026/01/02", "2026/01/03/09"], ["x", "a b"]]


def good_rows() -> dict[str, list[Any]]:
    """Returns rows that every kind can use."""
    n, pictures = range(_ROWS), [REAL[name] for name in ("png", "jpeg", "gif", "bmp")]
    return {
        "id": [f"r{i}" for i in n],
        "city": ["aaabc"[i % 5] for i in n],
        "slot": [i % 3 for i in n],
        "area": [float(i) for i in n],
        "seen": [f"2026-01-0{1 + i % 5}" for i in n],
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


@dataclass(frozen=True)
class Table:
    """A table and how it is declared; `whole` does both steps of a run on it."""

    format: str
    files: tuple[File, ...]
    split: int
    layout: int
    whole: bool


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from([0, -1, 3, 2**63, 10**40, 1.5, 1e308, -1e-320])
    | st.sampled_from([t.decode(errors="surrogateescape") for t in TEXTS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draws a table whose good rows are changed in one to three columns or cells."""
    format_ = draw(st.sampled_from(["parquet", "parquet", "arrow", "arrow", "csv", "jsonl"]))
    layout = draw(st.integers(0, len(_LAYOUTS) - 1))
    fitting = _FITTING[layout] * 3 + _FOLDERS
    places = draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=2, unique=True))
    files = tuple(draw(_files(format_, place)) for place in places)
    whole = draw(st.integers(0, 24)) == 24
    return Table(format_, files, draw(st.integers(0, len(_SPLITS) - 1)), layout, whole)


@st.composite
def _files(draw: st.DrawFn, format_: str, folder: str) -> File:
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


def document(folder: Path, table: Table | None) -> dict[str, Any]:
    """Returns the declaration of a table in a folder; without one, of good rows."""
    flat = table is not None and table.format == "csv"
    source = {"path": str(folder), "key": "id", "format": table.format if table else "parquet"}
    rule = _LAYOUTS[table.layout] if table else None
    return {
        "name": "fuzz",
        "source": source | ({} if rule is None else {"partition_by": rule}),
        "split": _SPLITS[table.split if table else 0],
        "features": _SCALARS if flat else _SCALARS | _LISTS,
        "targets": _SCALAR_TARGETS if flat else _SCALAR_TARGETS | _LIST_TARGETS,
        "model": {"encoders": {"words": {"kind": "bag_of_words"}}},
        "transform": {"max_reject_fraction": 1.0, "min_shards": 1},
    }


@dataclass(frozen=True)
class Frozen:
    """A transform that was frozen on good rows."""

    counter: RequestCounter
    graph: Any
    stored: tuple[str, ...]
    inputs: tuple[str, ...]


@cache
def frozen(*, flat: bool) -> Frozen:
    """Returns the transform of the columns that a format can have, frozen on good rows."""
    root = Path(mkdtemp(prefix="braid-fuzz-"))
    try:
        (root / "data").mkdir()
        pq.write_table(pa.table(good_rows()), root / "data" / "a.parquet")
        table = Table("csv" if flat else "parquet", (), 0, 0, whole=False)
        spec = document(root / "data", table)
        spec["source"]["format"] = "parquet"
        job = transform_job(parse(spec), root / "workspace")
        analyze(job.model_dump_json())
        manifest = job.folders().read_transform(job.transform)
        if manifest is None:
            raise FileNotFoundError(job.transform)
        graph = tf.saved_model.load(str(job.folders().transform(job.transform) / "graph"))
        stored = tuple(stored.name for stored in manifest.in_records())
        inputs = tuple(raw.name for raw in manifest.raw_inputs())
        return Frozen(RequestCounter(job.pipeline), graph, stored, inputs)
    finally:
        shutil.rmtree(root)


def check(table: Table, folder: Path) -> None:
    """Writes a table and does with it what a run and a prediction do.

    Raises:
        Exception: Anything but an error that a user can act on; a row that is lost.
    """
    data, workspace = folder / "data", folder / "workspace"
    for place in (data, workspace):
        shutil.rmtree(place, ignore_errors=True)
    data.mkdir()
    for file in table.files:
        _write(table, file, data)
    pipeline = parse(document(data, table))
    for reading in (_run, _predict, *([_whole] if table.whole else [])):
        try:
            reading(table, pipeline, workspace)
        except BraidError as error:
            told = str(error)
            if not told.strip() or "Traceback" in told:
                raise ValueError(f"an error that says nothing: {told!r}") from error


def _run(table: Table, pipeline: PipelineSpec, workspace: Path) -> None:
    partitions = scan(pipeline.source).partitions
    check_schema(pipeline, [file for part in partitions for file in part.files])
    check_unique(pipeline, partitions, Workspace(workspace))
    fixed = frozen(flat=table.format == "csv")
    total = Accumulated()
    counting = BatchReader(pipeline, fixed.counter.columns)
    for batch in _batches(counting, pipeline, partitions):
        train = batch.splits == SPLITS.index("train")
        if train.any():
            total.rows += int(train.sum())
            fixed.counter.add(batch.select(train), total)
    path = workspace / "statistics.arrow"
    total.write(path)
    statistics = workspace / "statistics"
    statistics.mkdir(parents=True, exist_ok=True)
    freeze(fixed.counter.requests, Accumulated.read(path), statistics)
    read = _transform(fixed, pipeline, partitions, workspace)
    if table.format in ("parquet", "arrow") and all(file.noise is None for file in table.files):
        present = {file.path for part in partitions for file in part.files}
        expected = sum(
            file.rows
            for file in table.files
            if any(path.endswith(f"/{file.place}.{table.format}") for path in present)
        )
        if read != expected:
            raise ValueError(f"{expected} rows were written, and {read} read")


def _batches(
    reader: BatchReader, pipeline: PipelineSpec, partitions: tuple[Partition, ...]
) -> list[RawBatch]:
    source = pipeline.source
    filesystem, _ = open_filesystem(source.path)
    units = [
        unit
        for part in partitions
        for unit in plan_units(part, format_=source.format, filesystem=filesystem, at_least=2)
    ]
    return [batch for unit in units for batch in reader.read(unit, _BATCH_ROWS)]


def _transform(
    fixed: Frozen, pipeline: PipelineSpec, partitions: tuple[Partition, ...], workspace: Path
) -> int:
    """Returns the rows that were read; each of them is a record or a reject."""
    applier, encoder = GraphApplier(pipeline, fixed.graph.transform), ExampleEncoder()
    read = 0
    for number, batch in enumerate(_batches(BatchReader(pipeline), pipeline, partitions)):
        outputs = applier.apply(batch)
        records = encoder.encode({name: outputs[name] for name in fixed.stored})
        encoder.encode({name: batch.columns[name] for name in fixed.inputs})
        if batch.rejects:
            shown = shown_rejects(pipeline, batch.rejects)
            write_rejects(workspace / "rejects" / f"{number}.parquet", shown)
        if len(records) + len(batch.rejects) != batch.rows or len(batch.keys) != len(records):
            counts = (batch.rows, len(records), len(batch.rejects), len(batch.keys))
            raise ValueError(f"rows, records, rejects, keys: {counts}")
        for name in fixed.stored:
            values = outputs[name]
            if values.dtype.kind == "f" and np.isinf(values).any():
                raise ValueError(f"{name} is infinite: {values}")
        read += batch.rows
    return read


def _predict(table: Table, pipeline: PipelineSpec, workspace: Path) -> None:
    graph = frozen(flat=table.format == "csv").graph
    for batch in read_features(pipeline, pipeline.source.path, _BATCH_ROWS):
        names = {raw.name for raw in pipeline.raw_features().values()}
        if len(batch.keys) != batch.rows:
            raise ValueError(f"{batch.rows} rows to predict, {len(batch.keys)} keys")
        # Pictures are judged one by one where they fail together, which `pictures` tries.
        blank = {"photo": np.array([b""] * batch.rows, object)}
        given = {n: tf.constant((batch.columns | blank)[n]) for n in names}
        graph.transform_features(given)


def _whole(table: Table, pipeline: PipelineSpec, workspace: Path) -> None:
    job = transform_job(pipeline, workspace)
    analyze(job.model_dump_json())
    transform(job.model_dump_json())
    for part in job.partitions:
        manifest = job.folders().read_shards(job.transform, part.name, part.fingerprint)
        if manifest is None:
            raise ValueError(f"{part.name} is not committed")
        records = sum(manifest.rows_in(split) for split in SPLITS)
        rejected = sum(count.rows for count in manifest.rejects)
        if records + rejected != manifest.rows:
            raise ValueError(f"{manifest.rows} rows: {records} records, {rejected} rejects")


def _write(table: Table, file: File, data: Path) -> None:
    path = data / f"{file.place}.{table.format}"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _WRITERS[table.format](file, path)
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
