"""Any table against a declaration: every row transformed or rejected, or one error that says why.

The declaration's transform is frozen once, on good rows. A table then goes through what a run does
with it: the scan, the schema, the keys, the analysis of its training rows, the frozen graph, the
records; and through what `braid predict` reads. Of some tables both steps of a run are done as they
are, with Beam.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
from hypothesis import strategies as st

from tests.fuzz.table_files import File, files, good_rows, write
from tests.support.jobs import transform_job
from transforms.analysis.freeze import analyze
from transforms.analysis.request_counter import RequestCounter
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.split import SPLITS
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition
from transforms.reading.batches import BatchReader, RawBatch
from transforms.reading.cutting import write_windows
from transforms.reading.keys import check_unique
from transforms.reading.sensitive import shown_rejects
from transforms.reading.unlabelled import read_features
from transforms.shards.applying import GraphApplier
from transforms.shards.examples import ExampleEncoder
from transforms.shards.transform import transform
from transforms.shards.writer import write_rejects
from transforms.source.scan import check_schema, open_filesystem, scan
from transforms.source.units import plan_units
from transforms.statistics.accumulators import Accumulated
from transforms.statistics.frozen import freeze

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
    {"by": "time", "column": "seen", "validation_from": "2026-01-07", "test_from": "2026-01-10"},
    {"by": "time", "column": "area", "validation_from": 6, "test_from": 9.5},
]  # fmt: skip
_TIMES = {split["column"]: split for split in _SPLITS if split.get("by") == "time"}
_LAYOUTS: list[Any] = [None, "day", {"path_date": "%Y/%m/%d"}, {"file": True}]
_KEYS: list[Any] = ["id", "id", None, ["id", "city"]]
_FILTERS = [None, None, "area > 2 or is_null(slot)", "year(seen) == 2026 and length(words) < 20"]
_EXPRESSIONS = [None, None, "price > 2 * area", "city in ['a', 'b'] or not is_null(photo)"]
_FOLDERS = [
    *("day=1", "day=2", "day=10", "day=2026-01-03", "day=", "day=__HIVE_DEFAULT_PARTITION__"),
    *("day=%2F", "day=%FF", "day=é", "day=a b", "day=[x]*", "day=1/day=2", "2026/01/02", "x"),
    *("2026/13/40", "2026/02/30/09", "_hidden", ".hidden/2026/01/02"),
]

_HIVE = [folder for folder in _FOLDERS if folder.startswith("day=")]
_FITTING = [["x", "day=1"], _HIVE, ["2026/01/02", "2026/01/03/09"], ["x", "a b"]]


@dataclass(frozen=True)
class Table:
    """A table and how it is declared.

    Attributes:
        format: That of its files.
        files: They.
        split: How its rows are split, as one of `_SPLITS`.
        layout: How its files are partitioned, as one of `_LAYOUTS`.
        whole: Whether both steps of a run are done with Beam.
        steps: The column by which its rows are the steps of a long table, if they are.
        key: What names its rows, as one of `_KEYS`.
        where: Which rows are left out, as one of `_FILTERS`.
        sold: What the target `sold` is, as one of `_EXPRESSIONS`.
    """

    format: str
    files: tuple[File, ...]
    split: int
    layout: int
    whole: bool
    steps: str | None = None
    key: int = 0
    where: int = 0
    sold: int = 0


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Draws a table whose good rows are changed in one to three columns or cells."""
    format_ = draw(st.sampled_from(["parquet", "parquet", "arrow", "arrow", "csv", "jsonl"]))
    layout = draw(st.integers(0, len(_LAYOUTS) - 1))
    fitting = _FITTING[layout] * 3 + _FOLDERS
    places = draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=2, unique=True))
    drawn = tuple(draw(files(format_, place)) for place in places)
    whole = draw(st.integers(0, 24)) == 24
    steps = draw(st.sampled_from([None, None, None, "seen", "area"]))
    split = draw(st.integers(0, len(_SPLITS) - 1))
    key, where, sold = (
        draw(st.integers(0, len(ways) - 1)) for ways in (_KEYS, _FILTERS, _EXPRESSIONS)
    )
    return Table(format_, drawn, split, layout, whole, steps, key, where, sold)


def document(folder: Path, table: Table | None) -> dict[str, Any]:
    """Returns the declaration of a table in a folder; without one, of good rows."""
    flat = table is not None and table.format == "csv"
    source: dict[str, Any] = {"path": str(folder), "format": table.format if table else "parquet"}
    rule = _LAYOUTS[table.layout] if table else None
    source |= {"key": _KEYS[table.key if table else 0]}
    targets = _SCALAR_TARGETS if flat else _SCALAR_TARGETS | _LIST_TARGETS
    if table is not None:
        source["where"] = _FILTERS[table.where]
        targets = targets | {"sold": targets["sold"] | {"expression": _EXPRESSIONS[table.sold]}}
    return {
        "name": "fuzz",
        "source": source | ({} if rule is None else {"partition_by": rule}),
        "split": _SPLITS[table.split if table else 0],
        "features": _SCALARS if flat else _SCALARS | _LISTS,
        "targets": targets,
        "model": {"encoders": {"words": {"kind": "bag_of_words"}}},
        "transform": {"max_reject_fraction": 1.0, "min_shards": 1},
    }


def long_document(folder: Path, table: Table) -> dict[str, Any]:
    """Returns the declaration of a table whose rows are steps of time."""
    windows = {"time": table.steps, "entity": "city", "length": 2, "values": ["price"],
               "keep": ["slot", "words"]}  # fmt: skip
    source = {"path": str(folder), "key": "id", "format": table.format, "windows": windows}
    return {
        "name": "fuzz",
        "source": source,
        "split": _TIMES["area" if table.steps == "area" else "seen"],
        "features": {
            "price": {"kind": "sequence", "length": 2},
            "slot": _SCALARS["slot"],
            "words": {"kind": "text", "length": 2},
        },
        "targets": {"next": {"kind": "numeric", "column": "price_next_1"}},
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
    for file in table.files[:1] if table.steps else table.files:  # two would share all times
        write(table.format, file, data)
    ways: list[Callable[[Table, PipelineSpec, Path], None]]
    if table.steps is None:
        pipeline = parse(document(data, table))
        ways = [_run, _predict, *([_whole] if table.whole else [])]
    else:
        pipeline = parse(long_document(data, table))
        ways = [_cut_windows, _predict_windows]
    for reading in ways:
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
        read += batch.rows + batch.left_out
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


def _cut_windows(_table: Table, pipeline: PipelineSpec, workspace: Path) -> None:
    partitions = scan(pipeline.source).partitions
    check_schema(pipeline, [file for part in partitions for file in part.files])
    path = workspace / "windows.parquet"
    path.parent.mkdir()
    files = tuple(file for part in partitions for file in part.files)
    counts = write_windows(pipeline, files, path)
    cut = pipeline.of_windows(str(path))
    batches = _batches(BatchReader(cut), cut, scan(cut.source).partitions)
    if sum(len(b.keys) + len(b.rejects) for b in batches) != counts.windows:
        raise ValueError(f"{counts}, and {[len(b.keys) for b in batches]} rows")


def _predict_windows(_table: Table, pipeline: PipelineSpec, _workspace: Path) -> None:
    for batch in read_features(pipeline, pipeline.source.path, _BATCH_ROWS):
        if len(batch.keys) != batch.rows:
            raise ValueError(f"{batch.rows} windows to predict, {len(batch.keys)} keys")


def _whole(_table: Table, pipeline: PipelineSpec, workspace: Path) -> None:
    job = transform_job(pipeline, workspace)
    check_schema(pipeline, [file for part in job.partitions for file in part.files])
    check_unique(pipeline, job.partitions, Workspace(workspace))
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
