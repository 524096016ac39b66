"""Reading rows that a model is to score: the features of a table that has no labels."""

from __future__ import annotations

from collections.abc import Iterator

from transforms.contract.errors import BraidError
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.source import Format, SourceSpec
from transforms.formats import SUFFIXES
from transforms.reading import BatchReader, RawBatch
from transforms.source import check_schema, open_filesystem, scan
from transforms.units import plan_units


def read_features(pipeline: PipelineSpec, path: str, batch_rows: int) -> Iterator[RawBatch]:
    """Yields the rows of a table in its order; none is rejected.

    A value that cannot be used counts as missing, and is in the batch's `replaced`.

    Args:
        pipeline: The declaration that the model was trained with.
        path: A file, a folder or a glob, of any format that a source can have.
        batch_rows: Rows to yield at a time.

    Raises:
        BraidError: The path cannot be read, or lacks the key or a feature's column.
    """
    source = SourceSpec(
        path=path,
        format=_format_of(path, pipeline),
        key=pipeline.source.key,
        partition_by=_partition_key(pipeline),
    )
    pipeline = pipeline.model_copy(update={"source": source})
    found = scan(source)
    check_schema(pipeline, found.files(), features_only=True)
    reader = BatchReader(pipeline, features_only=True)
    filesystem, _ = open_filesystem(path)
    for partition in found.partitions:
        for unit in plan_units(partition, format_=source.format, filesystem=filesystem, at_least=1):
            yield from reader.read(unit, batch_rows)


def _partition_key(pipeline: PipelineSpec) -> str | None:
    """Returns the partition key if a feature reads it; otherwise folders may have any name."""
    key = pipeline.source.partition_by
    read = {raw.name for raw in pipeline.raw_features().values()}
    return key if key in read else None


def _format_of(path: str, pipeline: PipelineSpec) -> Format:
    """Returns the format by the path's suffix; a folder has the declared source's format."""
    for name, suffixes in SUFFIXES.items():
        if path.endswith(suffixes):
            return name
    last = path.rsplit("/", 1)[-1]
    if "." in last:
        known = ", ".join(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
        raise BraidError(
            path,
            expected=f"a folder, or a file ending in one of {known}",
            received=last,
            action="Convert the table, or rename the file.",
        )
    return pipeline.source.format
