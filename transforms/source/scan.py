"""Lists a source's files and the partitions they make, and checks that the declaration fits them.

Nothing here imports TensorFlow or Beam: `braid validate` is made of it.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.types as pat

from transforms.columns.expressions import RowExpression
from transforms.columns.plain_columns import plain_schema
from transforms.columns.schema import check_column, column_names, is_scalar
from transforms.columns.splits import time_bounds
from transforms.contract.columns.features import FeatureSpec, RawColumn
from transforms.contract.columns.targets import TargetSpec
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.source import SourceSpec
from transforms.contract.declaration.split import Split, TimeSplit
from transforms.contract.errors import BraidError
from transforms.contract.fingerprint import fingerprint
from transforms.contract.workspace.layout import written_folders
from transforms.contract.workspace.partition import Partition, SourceFile
from transforms.source.formats import format_of, read_schema, suffixes_of
from transforms.source.partitions import PartitionOrder, hive_value
from transforms.source.windows import check_long_table, window_schema

WHOLE_TABLE = "all"  # the name of the only partition of a table that has none
_WILDCARD = re.compile(r"[*?\[]")
_HIVE = pa.string()  # what a folder's name is
_FOOTER_THREADS = 16  # footers are small and, in a bucket, far away


@dataclass(frozen=True)
class Scan:
    """The content of a source at one moment.

    Attributes:
        partitions: In their order, which `PartitionOrder` says.
    """

    partitions: tuple[Partition, ...]

    def files(self) -> tuple[SourceFile, ...]:
        """Returns every file of the source."""
        return tuple(file for partition in self.partitions for file in partition.files)


def open_filesystem(path: str) -> tuple[pafs.FileSystem, str]:
    """Returns the file system of a local path or a URI, and the path within it."""
    if "://" in path:
        filesystem, inner = pafs.FileSystem.from_uri(path)
        return filesystem, inner
    return pafs.LocalFileSystem(), path


def source_folder(source: SourceSpec) -> str:
    """Returns the folder, a path or a URI, that the source's relative image paths start from."""
    filesystem, place, pattern = _place(source.path)
    below = len(pattern.split("/")) if pattern else 0
    if not pattern and filesystem.get_file_info(place).type == pafs.FileType.File:
        below = 1
    path, query, options = source.path, "", ""
    if "://" in path:
        path, query, options = path.partition("?")
    for _ in range(below):
        path = posixpath.dirname(path)
    return path + query + options


def _place(path: str) -> tuple[pafs.FileSystem, str, str]:
    """Returns a file system, the file or folder there, and the pattern of files below it or "".

    A part of the path that a file or folder has for its name is no pattern: `[`, `*` and `?` may
    stand in the name of a folder that the source lies in.
    """
    filesystem, inner = open_filesystem(path)
    parts = inner.split("/")
    for index, part in enumerate(parts):
        if _WILDCARD.search(part):
            named = filesystem.get_file_info("/".join(parts[: index + 1]))
            if named.type == pafs.FileType.NotFound:
                return filesystem, "/".join(parts[:index]) or "/", "/".join(parts[index:])
    return filesystem, inner, ""


def scan(source: SourceSpec) -> Scan:
    """Lists the source's files and groups them into partitions.

    Raises:
        BraidError: The path is not there, cannot be read, holds no file of the format or files of
            several, or has a file outside the declared partitions.
    """
    infos = _list(source)
    if not infos:
        raise BraidError(
            source.path,
            expected=f"at least one file that ends in {' or '.join(suffixes_of(source.format))}",
            received="none",
            action="Correct source.path or source.format.",
        )
    _, folder = open_filesystem(source_folder(source))
    groups: dict[str, list[SourceFile]] = {}
    for info in sorted(infos, key=lambda i: i.path):
        file = SourceFile(path=info.path, size=info.size, modified_ns=info.mtime_ns or 0)
        groups.setdefault(_partition_name(source, folder, info.path), []).append(file)
    partitions = [_partition(source, folder, name, files) for name, files in groups.items()]
    order = PartitionOrder(part.value for part in partitions)
    # Files that differ in their suffix alone have equal values.
    return Scan(tuple(sorted(partitions, key=lambda p: (order.key(p.value), p.name))))


def check_schema(
    pipeline: PipelineSpec, files: Iterable[SourceFile], *, features_only: bool = False
) -> None:
    """Holds the declaration against the schema of every file.

    Args:
        pipeline: The declaration.
        files: The files of its source.
        features_only: Whether the rows are to be predicted, so that only the key and the features
            are needed.

    Raises:
        BraidError: A file is not of the declared format, lacks a declared column, or has one of a
            type that its kind cannot take.
    """
    filesystem, _ = open_filesystem(pipeline.source.path)

    def check(file: SourceFile) -> None:
        schema = plain_schema(read_schema(pipeline.source.format, filesystem, file.path))
        _check_columns(pipeline, schema, file.path, features_only=features_only)

    with ThreadPoolExecutor(_FOOTER_THREADS) as threads:
        for _ in threads.map(check, files):
            pass


def _check_columns(
    pipeline: PipelineSpec, schema: pa.Schema, path: str, *, features_only: bool
) -> None:
    check_unique_names(schema, path)
    if pipeline.source.windows is not None:
        check_long_table(pipeline, schema, path, labelled=not features_only)
        schema = window_schema(pipeline, schema, labelled=not features_only)
        pipeline, path = pipeline.of_windows(path), f"the windows of {path}"
    derived = {} if features_only else _check_expressions(pipeline, schema, path)
    present = set(schema.names) | {pipeline.source.partition_column}
    for place, column in column_names(pipeline, features_only=features_only):
        if column not in present:
            raise BraidError(
                f"{place}, in {path}",
                expected=f"a column '{column}'",
                received=f"the columns {', '.join(schema.names)}",
                action="Name an existing column with `column:`, or correct the table.",
            )
    _check_key(pipeline, schema, path)
    if not features_only:
        _check_split(pipeline.split, schema, path)
    features = pipeline.column_features()
    declared: list[tuple[str, FeatureSpec | TargetSpec, RawColumn]] = [
        (f"features.{name}", features[name], raw) for name, raw in pipeline.raw_features().items()
    ]
    if not features_only:
        declared += [
            (f"targets.{name}", pipeline.targets[name], raw)
            for name, raw in pipeline.raw_targets().items()
        ]
    for place, spec, raw in declared:
        for column in raw.columns:
            if place in derived:
                check_column(f"{place}.expression, in {path}", spec, derived[place])
            elif column in schema.names:
                where = f"{place}, column '{column}' of {path}"
                check_column(where, spec, schema.field(column).type)


def _check_expressions(
    pipeline: PipelineSpec, schema: pa.Schema, path: str
) -> dict[str, pa.DataType]:
    """Holds the declared expressions against a file's columns.

    Returns:
        The types of the targets that are one, by their places.
    """
    types = {field.name: field.type for field in schema}
    folder = pipeline.source.partition_column
    if folder is not None:
        types.setdefault(folder, _HIVE)
    if pipeline.source.where is not None:
        place = f"source.where, in {path},"
        RowExpression(place, pipeline.source.where).check_condition(types)
    return {
        f"targets.{name}": RowExpression(
            f"targets.{name}.expression, in {path},", target.expression
        ).type_in(types)
        for name, target in pipeline.targets.items()
        if target.expression is not None
    }


def check_unique_names(schema: pa.Schema, path: str) -> None:
    """Refuses a table in which two columns have one name.

    Raises:
        BraidError: Two have.
    """
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise BraidError(
            path,
            expected="a name of its own for every column",
            received=f"'{twice[0]}' more than once",
            action="Rename the columns.",
        )


def _check_key(pipeline: PipelineSpec, schema: pa.Schema, path: str) -> None:
    for key in pipeline.source.key_columns:
        if key not in schema.names:
            continue  # it is the partition's, which is text
        type_ = schema.field(key).type
        if not is_scalar(type_):
            raise BraidError(
                f"source.key, column '{key}' of {path}",
                expected="a column of strings, numbers or times",
                received=f"type {type_}",
                action="Declare another column as the key, or convert it.",
            )


def _check_split(split: Split, schema: pa.Schema, path: str) -> None:
    if split.column is None:
        return
    # A column that no file has is the partition's.
    type_ = schema.field(split.column).type if split.column in schema.names else _HIVE
    if isinstance(split, TimeSplit):
        time_bounds(split, type_)
    elif not (is_scalar(type_) or pat.is_null(type_)):
        raise BraidError(
            f"split.column, column '{split.column}' of {path}",
            expected="a column of strings, numbers, booleans or times",
            received=f"type {type_}",
            action="Declare another column for the split, or convert it.",
        )


def _list(source: SourceSpec) -> list[pafs.FileInfo]:
    """Returns the files of the declared format under the source's path.

    Those whose name or folder begins with "." or "_" are none of it, nor is what Braid writes into
    a workspace that lies there.
    """
    try:
        filesystem, place, pattern = _place(source.path)
        info = filesystem.get_file_info(place)
        if info.type == pafs.FileType.File:
            return [info]
        if info.type == pafs.FileType.NotFound:
            raise FileNotFoundError
        listed = filesystem.get_file_info(pafs.FileSelector(place, recursive=True))
        for file in listed:
            _ = file.path  # which fails if it is no UTF-8
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise BraidError(
            f"source.path {source.path}",
            expected="a file, a folder or a glob that can be read",
            received="nothing there" if missing else " ".join(str(error).split()),
            action="Correct source.path, or give this user access to it.",
        ) from None
    below = {posixpath.relpath(info.path, place): info for info in listed}
    written = written_folders(below)
    files = [
        info
        for path, info in below.items()
        if info.type == pafs.FileType.File
        and path.endswith(suffixes_of(source.format))
        and not any(part.startswith((".", "_")) for part in path.split("/"))
        and not any(str(folder) in written for folder in PurePosixPath(path).parents)
        and (not pattern or _matches(path, pattern))
    ]
    return files if source.format else _of_one_format(source, files)


def _of_one_format(source: SourceSpec, files: list[pafs.FileInfo]) -> list[pafs.FileInfo]:
    """Returns the Parquet files, if there are some, or else all files, of whatever one format."""
    formats = {info.path: format_of(info.path) for info in files}
    there = sorted(set(formats.values()))
    if "parquet" in there:
        return [info for info in files if formats[info.path] == "parquet"]
    if len(there) > 1:
        raise BraidError(
            source.path,
            expected="files of one format, where source.format is not declared",
            received=f"files of {' and '.join(there)}",
            action=f"Declare source.format: {there[0]}, or another one of them.",
        )
    return files


def _matches(path: str, pattern: str) -> bool:
    """Returns whether a path fits a pattern: "*" is any text, and "**/" any folders or none."""
    shorter = pattern.replace("**/", "")
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, shorter)


def is_partitioned(source: SourceSpec, path: str) -> bool:
    """Returns whether a file of the source lies in a partition as it declares them."""
    _, folder = open_filesystem(source_folder(source))
    return _named_in(source, folder, path) is not None


def _named_in(source: SourceSpec, folder: str, path: str) -> str | None:
    rule = source.partition_by
    if rule is None:
        return WHOLE_TABLE
    if isinstance(rule, str):
        return _hive_folder(rule, path)
    below = posixpath.relpath(path, folder)
    return below if rule.file else rule.date_in(below)


def _partition_name(source: SourceSpec, folder: str, path: str) -> str:
    """Returns the name of the partition that a file below the source's folder belongs to."""
    name, rule = _named_in(source, folder, path), source.partition_by
    if name is None:
        expected = (
            f"a folder '{rule}=VALUE' in the path"
            if rule is None or isinstance(rule, str)
            else f"a date like {rule.path_date} in the path below {folder}"
        )
        raise BraidError(
            path,
            expected=f"{expected}, as source.partition_by declares",
            received="none",
            action="Move the file to such a place, or correct source.partition_by.",
        )
    return name


def _hive_folder(key: str, path: str) -> str | None:
    folders = reversed(posixpath.dirname(path).split("/"))
    return next((folder for folder in folders if folder.startswith(f"{key}=")), None)


def _partition(source: SourceSpec, folder: str, name: str, files: list[SourceFile]) -> Partition:
    # The folder's own path is left out, so that a table that moves as a whole stays the same. The
    # path below it is part of the rows' names, and so of their splits, where no key names them.
    is_named_by_path = source.key_rows is None
    content = [
        [
            posixpath.relpath(file.path, folder)
            if is_named_by_path
            else posixpath.basename(file.path),
            file.size,
            file.modified_ns,
        ]
        for file in sorted(files, key=lambda f: f.path)
    ]
    value = partition_value(source, name)
    return Partition(name=name, value=value, fingerprint=fingerprint(content), files=tuple(files))


def partition_value(source: SourceSpec, name: str) -> str | None:
    """Returns what a partition compares by; of a file, its name without the format's suffix."""
    rule = source.partition_by
    if rule is None:
        return None
    if isinstance(rule, str):
        return hive_value(name.removeprefix(f"{rule}="))
    if rule.file:
        suffixes = (suffix for suffix in suffixes_of(source.format) if name.endswith(suffix))
        suffix = max(suffixes, key=len, default="")
        return name.removesuffix(suffix)
    return name
