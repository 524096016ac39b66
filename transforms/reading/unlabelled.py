"""Reading rows that a model is to score: the features of a table that has no labels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.source import (
    ROW_COLUMN,
    Format,
    PartitionBy,
    SourceSpec,
    WindowsSpec,
)
from transforms.contract.errors import BraidError
from transforms.reading.batches import BatchReader, RawBatch
from transforms.reading.cutting import write_windows
from transforms.source.formats import format_of, read_schema, suffixes_of
from transforms.source.scan import Scan, check_schema, is_partitioned, open_filesystem, scan
from transforms.source.units import plan_units


def read_features(
    pipeline: PipelineSpec, path: str, batch_rows: int, *, allow: tuple[str, ...] = ()
) -> Iterator[RawBatch]:
    """Yields the rows of a table in its order; none is rejected.

    They are named as those that were trained on or, where the table lacks the key, by their files
    and numbers: `row_columns` says which. `source.where` leaves none of them out, as whoever asks
    for a prediction gets one. A value that cannot be used counts as missing, and is in the batch's
    `replaced`. With windows the table is a long one, and a row is what ends at any of its steps: a
    series gives one for each step that has enough steps behind it, and what comes next need not be
    known.

    Args:
        pipeline: The declaration that the model was trained with.
        path: A file, a folder or a glob, of any format that a source can have.
        batch_rows: Rows to yield at a time.
        allow: The folders and URLs that cells with paths may name, beside the table's own folder.

    Raises:
        BraidError: The path cannot be read, lacks a feature's column, or has no window.
    """
    source = _source_of(pipeline, path).model_copy(update={"allow": allow})
    pipeline = pipeline.model_copy(update={"source": source})
    scanned = scan(source)
    check_schema(pipeline, scanned.files(), features_only=True)
    if source.windows is None:
        yield from _read(pipeline, scanned, batch_rows)
        return
    with TemporaryDirectory() as folder:
        table = Path(folder) / "windows.parquet"
        write_windows(pipeline, scanned.files(), table, labelled=False)
        pipeline = pipeline.of_windows(str(table))
        yield from _read(pipeline, scan(pipeline.source), batch_rows)


def table_to_score(
    pipeline: PipelineSpec,
    path: str,
    partition_by: PartitionBy | None,
    *,
    allow: tuple[str, ...] = (),
) -> PipelineSpec:
    """Returns a declaration whose source is a table that is scored partition by partition.

    Args:
        pipeline: The declaration that the model was trained with, which cuts no windows.
        path: As of `read_features`.
        partition_by: What makes the partitions, if the table's first file lies in one; else the
            whole table is one. A file that then lies in none is refused by who scans it.
        allow: As of `read_features`.

    Raises:
        BraidError: The path cannot be read.
    """
    source = _source_of(pipeline, path)
    if source.partition_by is None:
        partitioned = source.model_copy(update={"partition_by": partition_by})
        if is_partitioned(partitioned, scan(source).files()[0].path):
            source = partitioned
    return pipeline.model_copy(update={"source": source.model_copy(update={"allow": allow})})


def row_columns(pipeline: PipelineSpec, path: str) -> tuple[str, ...]:
    """Returns the columns that name the rows of a table in its predictions.

    Args:
        pipeline: The declaration that the model was trained with.
        path: As of `read_features`.

    Raises:
        BraidError: The path cannot be read.
    """
    return _source_of(pipeline, path).name_columns


def _source_of(pipeline: PipelineSpec, path: str) -> SourceSpec:
    """Returns a table to be predicted as a source, without the key if its first file lacks it."""
    windows = _windows_of_features(pipeline)
    keyless = SourceSpec(
        path=path,
        format=_format_of(path, pipeline),
        partition_by=_partition_key(pipeline),
        windows=windows,
    )
    key = {"key": pipeline.source.key}
    if windows is not None or pipeline.source.key is None or ROW_COLUMN in pipeline.targets:
        return keyless.model_copy(update=key)
    file = scan(keyless).files()[0].path
    filesystem, _ = open_filesystem(path)
    lacking = set(pipeline.source.key_columns)
    lacking -= set(read_schema(keyless.format, filesystem, file).names)
    folder = pipeline.source.partition_column
    if lacking == {folder} and f"/{folder}=" in file:
        return keyless.model_copy(update={**key, "partition_by": folder})
    return keyless if lacking else keyless.model_copy(update=key)


def row_reader(pipeline: PipelineSpec) -> BatchReader:
    """Returns the reader of rows that come one by one and not as a table.

    They need no key. With windows such a row is a window: it has the lists that would be cut out of
    a long table. No file that a row names is read.

    Args:
        pipeline: The declaration that the model was trained with.
    """
    source = SourceSpec(path=".", partition_by=_partition_key(pipeline))
    return BatchReader(pipeline.model_copy(update={"source": source}), features_only=True)


def _read(pipeline: PipelineSpec, scanned: Scan, batch_rows: int) -> Iterator[RawBatch]:
    reader = BatchReader(pipeline, features_only=True)
    filesystem, _ = open_filesystem(pipeline.source.path)
    for partition in scanned.partitions:
        for unit in plan_units(
            partition, format_=pipeline.source.format, filesystem=filesystem, at_least=1
        ):
            yield from reader.read(unit, batch_rows)


def _windows_of_features(pipeline: PipelineSpec) -> WindowsSpec | None:
    """Returns the windows without the columns that only targets read."""
    windows = pipeline.source.windows
    if windows is None:
        return None
    read = {column for raw in pipeline.raw_features().values() for column in raw.columns}
    values = tuple(name for name in windows.values if name in read)
    keep = tuple(name for name in windows.keep if name in read)
    return windows.model_copy(update={"values": values, "keep": keep})


def _partition_key(pipeline: PipelineSpec) -> str | None:
    """Returns the partition key if a feature reads it; otherwise folders may have any name."""
    key = pipeline.source.partition_column
    read = {column for raw in pipeline.raw_features().values() for column in raw.columns}
    return key if key in read else None


def _format_of(path: str, pipeline: PipelineSpec) -> Format | None:
    """Returns the format by the path's suffix; a folder has the declared source's format."""
    name = path.partition("?")[0] if "://" in path else path  # a URL may have options
    if name.endswith(suffixes_of(None)):
        return format_of(name)
    last = name.rsplit("/", 1)[-1]
    if "." in last:
        raise BraidError(
            path,
            expected=f"a folder, or a file ending in one of {', '.join(suffixes_of(None))}",
            received=last,
            action="Convert the table, or rename the file.",
        )
    return pipeline.source.format
