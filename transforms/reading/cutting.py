"""Cutting the windows of a long table into a table of their own, with pyarrow and NumPy alone.

The long table's columns are held in memory; the windows, `length` times as much, are not.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.source import WINDOW_SPLIT_COLUMN
from transforms.contract.declaration.split import SPLITS
from transforms.contract.errors import BraidError
from transforms.contract.spec import Spec
from transforms.contract.workspace.documents import read_json, reading
from transforms.contract.workspace.files import remove_temporaries, replacing, write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.partition import Partition, SourceFile
from transforms.reading.long_table import LongTable, read_long_table
from transforms.source.changes import unchanged
from transforms.source.windows import window_schema, windows_of

_TABLE_FILE = "windows.parquet"
_COUNTS_FILE = "windows.json"
_CHUNK_BYTES = 16 * 1024 * 1024  # of windows in memory, and so in a row group
_CHUNK_ROWS = 65_536

_SLASH = pa.scalar("/", pa.large_string())

OnWindows = Callable[[int, int], None]


class WindowCounts(Spec):
    """The counts of a cutting into windows.

    Attributes:
        rows: Rows of the long table.
        entities: How many series they make.
        short: Those of them that have no whole window.
        windows: Windows that were written.
        straddling: Windows whose next steps lie in two splits, which were left out.
    """

    rows: int
    entities: int
    short: int
    windows: int
    straddling: int


class NoWindow(BraidError):  # noqa: N818 - it names what happened
    """A long table out of which no window can be cut.

    Args:
        table: Its path.
        sizes: The rows of every series, int64 [series].
        needed: The rows that a window needs.

    Attributes:
        rows: The rows that were read.
    """

    def __init__(self, table: str, sizes: np.ndarray, needed: int) -> None:
        self.rows = int(sizes.sum())
        super().__init__(
            f"source.windows of {table}",
            expected=f"a series of at least {needed} rows, with its next steps in one split",
            received=f"{len(sizes):,} series, the longest of {max(sizes, default=0):,} rows",
            action="Give more rows, or shorter windows (length, horizon).",
        )


Cut = tuple[Partition, WindowCounts]  # the windows' partition with its file, and what was cut


def committed_windows(workspace: Workspace, partition: Partition) -> Cut | None:
    """Returns the partition with its file of windows, if they are cut already."""
    folder = workspace.windows(partition.fingerprint)
    counts = folder / _COUNTS_FILE
    if not (counts.exists() and (folder / _TABLE_FILE).exists()):
        return None
    return _cut(folder, partition, read_json(counts, WindowCounts))


def read_windows(folder: Path) -> WindowCounts:
    """Returns what was cut into a folder, whose table has as many rows.

    Raises:
        DamagedFile: The table or what is told of it is not as it was written.
    """
    path = folder / _TABLE_FILE
    counts = read_json(folder / _COUNTS_FILE, WindowCounts)
    with reading(path):
        rows = sum(batch.num_rows for batch in pq.ParquetFile(path).iter_batches())
        if rows != counts.windows:
            raise ValueError(f"{rows:,} rows, of {counts.windows:,} windows")
    return counts


def write_windows_of_run(
    pipeline: PipelineSpec, workspace: Workspace, partition: Partition, on_windows: OnWindows
) -> Cut:
    """Cuts and commits the windows of a run. The caller holds the lock of their fingerprint.

    Raises:
        BraidError: As of `write_windows`.
    """
    folder = workspace.windows(partition.fingerprint)
    if folder.exists():
        remove_temporaries(folder)
    with replacing(folder / _TABLE_FILE) as temporary:
        counts = write_windows(pipeline, partition.files, temporary, on_windows=on_windows)
    write_atomic(folder / _COUNTS_FILE, counts.model_dump_json())
    return _cut(folder, partition, counts)


def _cut(folder: Path, partition: Partition, counts: WindowCounts) -> Cut:
    path = folder / _TABLE_FILE
    stat = path.stat()
    file = SourceFile(path=str(path), size=stat.st_size, modified_ns=stat.st_mtime_ns)
    return partition.model_copy(update={"files": (file,)}), counts


def write_windows(
    pipeline: PipelineSpec,
    files: tuple[SourceFile, ...],
    path: Path,
    *,
    labelled: bool = True,
    most_rows: int | None = None,
    on_windows: OnWindows | None = None,
) -> WindowCounts:
    """Cuts the windows of a long table into a Parquet file.

    Args:
        pipeline: The declaration, with windows and a split by time.
        files: The long table's files.
        path: The file to write.
        labelled: Whether a window needs its next steps and gets a split. Without them there is a
            window at every step that has a whole one behind it, whatever the stride.
        most_rows: Of a longer table only the first so many rows are read.
        on_windows: Is told the windows that are written and their number.

    Raises:
        NoWindow: No window can be cut.
        BraidError: A row has no time, no entity or no number where one is needed, two rows of an
            entity have one time, or there is no row; or a file changed while it was read.
    """
    with unchanged(pipeline.source.path, files):
        steps = read_long_table(pipeline, files, labelled=labelled, most_rows=most_rows)
    ends, straddling = _window_ends(pipeline, steps, labelled=labelled)
    needed = windows_of(pipeline).length + (windows_of(pipeline).horizon if labelled else 0)
    begins = np.unique(steps.first)
    sizes = steps.last[begins] - begins + 1
    if len(ends) == 0:
        raise NoWindow(pipeline.source.path, sizes, needed)
    schema = window_schema(pipeline, steps.kept.schema, labelled=labelled)
    chunk = _chunk_rows(pipeline, len(steps.values), needed)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(ends), chunk):
            part = ends[start : start + chunk]
            writer.write_table(_windows(pipeline, steps, part, schema, labelled=labelled))
            if on_windows is not None:
                on_windows(start + len(part), len(ends))
    return WindowCounts(
        rows=len(steps.first),
        entities=len(begins),
        short=int((sizes < needed).sum()),
        windows=len(ends),
        straddling=straddling,
    )


def _chunk_rows(pipeline: PipelineSpec, columns: int, needed: int) -> int:
    """Returns how many windows are held at a time.

    Args:
        pipeline: The declaration.
        columns: The columns of values, four bytes a number.
        needed: The steps of a window with those next ones that it needs, which are held twice: as
            a list and one by one.
    """
    row_bytes = 4 * max(1, columns) * (2 * needed - windows_of(pipeline).length)
    return max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // row_bytes))


def _window_ends(
    pipeline: PipelineSpec, steps: LongTable, *, labelled: bool
) -> tuple[np.ndarray, int]:
    """Returns the last row of every window, and how many windows straddle two splits."""
    windows = windows_of(pipeline)
    row = np.arange(len(steps.first))
    behind = row - steps.first - (windows.length - 1)
    if not labelled:
        return np.flatnonzero(behind >= 0), 0
    whole = (behind >= 0) & (behind % windows.stride == 0) & (row + windows.horizon <= steps.last)
    ends = np.flatnonzero(whole)
    # In the order of time, what lies between the first and the last next step is in their split.
    in_one_split = steps.region[ends + 1] == steps.region[ends + windows.horizon]
    return ends[in_one_split], int((~in_one_split).sum())


def _windows(
    pipeline: PipelineSpec,
    steps: LongTable,
    ends: np.ndarray,
    schema: pa.Schema,
    *,
    labelled: bool,
) -> pa.Table:
    windows = windows_of(pipeline)
    key = steps.time.take(pa.array(ends))
    if steps.entity is not None:
        key = pc.binary_join_element_wise(steps.entity.take(pa.array(ends)), key, _SLASH)
    (name,) = pipeline.source.name_columns
    columns: dict[str, pa.Array | pa.ChunkedArray] = {name: key}
    columns |= {name: steps.kept[name].take(pa.array(ends)) for name in windows.keep}
    behind = ends[:, None] + np.arange(1 - windows.length, 1)
    ahead = ends[:, None] + np.arange(1, windows.horizon + 1) if labelled else None
    for name, values in steps.values.items():
        columns[name] = _lists(values[behind])
        if ahead is not None:
            later = values[ahead]
            columns[f"{name}_next"] = _lists(later)
            for step in range(windows.horizon):
                columns[f"{name}_next_{step + 1}"] = pa.array(later[:, step])
    if labelled:
        columns[WINDOW_SPLIT_COLUMN] = pa.array(SPLITS).take(pa.array(steps.region[ends + 1]))
    return pa.table([columns[name] for name in schema.names], schema=schema)


def _lists(values: np.ndarray) -> pa.ListArray:
    rows, width = values.shape
    offsets = np.arange(0, rows * width + 1, width, dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(values.ravel()))
