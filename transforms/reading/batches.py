"""From a unit of work to batches that the transform graph takes, with every unusable row named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pyarrow as pa

from transforms.columns.conform import Conformed, conform, iso_texts
from transforms.columns.expressions import RowExpression
from transforms.columns.hashing import key_bytes
from transforms.columns.schema import column_names, is_datetime, is_text, number_columns
from transforms.columns.splits import assign_splits
from transforms.columns.texts import NOT_UTF8, bytes_of, utf8_only
from transforms.columns.unusable import mark_unusable
from transforms.contract.columns.features import FeatureSpec, RawColumn
from transforms.contract.columns.targets import TargetSpec
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.reading.path_columns import PathReader
from transforms.reading.reject_policies import settle
from transforms.reading.row_names import RowNames
from transforms.source.formats import read_piece
from transforms.source.scan import open_filesystem
from transforms.source.units import WorkUnit


@dataclass(frozen=True)
class Reject:
    """A row that cannot be used."""

    key: str
    file: str
    column: str
    reason: str
    value: bytes


@dataclass
class RawBatch:
    """Some rows as the graph takes them; rejected rows are no longer among them.

    Attributes:
        keys: The rows' names as UTF-8 bytes objects, [rows]: their keys, or file and number.
        splits: Index into `SPLITS`, int8 [rows].
        columns: float32 or bytes objects, [rows] or [rows, *shape], by the graph's input.
        paths: Of the inputs that were read from files, the cells that name these, [rows].
        rows: The number of source rows, rejected ones included and those left out not.
        file: The file that the rows come from.
        left_out: The number of rows that `source.where` leaves out.
        rejects: Rows that cannot be used.
        refused: Of rows to be predicted, those that would have been left out, by their place among
            the rows; they are still there.
        replaced: How many values were replaced by a default, by (column, reason).
        unusable: How many values each feature or target lacks or cannot use, whatever its policies
            make of them, by (its name, reason).
    """

    keys: np.ndarray
    splits: np.ndarray
    columns: dict[str, np.ndarray]
    rows: int
    file: str
    left_out: int = 0
    rejects: list[Reject] = field(default_factory=list)
    refused: dict[int, Reject] = field(default_factory=dict)
    replaced: Counter[tuple[str, str]] = field(default_factory=Counter)
    unusable: Counter[tuple[str, str]] = field(default_factory=Counter)
    paths: dict[str, np.ndarray] = field(default_factory=dict)

    def cell(self, name: str, row: int) -> bytes:
        """Returns what a row's reject keeps of an input: a file's path, not what is in it."""
        value = self.paths.get(name, self.columns[name])[row]
        if isinstance(value, np.ndarray):
            return b", ".join(filter(None, map(_shown, value.ravel())))
        return _shown(value)

    def keep(self, rows: np.ndarray) -> None:
        """Drops the rows that a mask, bool [rows], leaves out."""
        self.columns = self.select(rows)
        self.keys, self.splits = self.keys[rows], self.splits[rows]
        self.paths = {name: cells[rows] for name, cells in self.paths.items()}

    def select(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Returns the columns of some rows, by a mask or by their numbers."""
        return {name: values[rows] for name, values in self.columns.items()}


@dataclass(frozen=True)
class _Columns:
    """The columns of some rows, [rows] each, by name.

    Attributes:
        given: As the table has them.
        table: With a missing value for every text that is no UTF-8.
        not_utf8: The rows with such a text, by column.
    """

    given: dict[str, pa.Array]
    table: dict[str, pa.Array]
    not_utf8: dict[str, list[int]]

    def cell(self, column: str, row: int) -> bytes:
        """Returns what a row's reject keeps of a column."""
        cell = self.given[column].slice(row, 1)
        return bytes_of(cell) if row in self.not_utf8[column] else _value(cell)


class BatchReader:
    """Reads units of work of one pipeline.

    Args:
        pipeline: The declaration.
        columns: The source columns that the graph will be given; None gives it all.
        features_only: Rows to be predicted: no targets and no splits are read, and a row that the
            policies reject is `refused` and stays, with a missing value for the unusable one.
    """

    def __init__(
        self,
        pipeline: PipelineSpec,
        columns: set[str] | None = None,
        *,
        features_only: bool = False,
    ) -> None:
        self._pipeline = pipeline
        self._features_only = features_only
        self._filesystem, _ = open_filesystem(pipeline.source.path)
        self._files = PathReader(pipeline.source)
        self._names = RowNames(pipeline.source, self._filesystem)
        specs = pipeline.column_features()
        self._specs: list[tuple[str, FeatureSpec | TargetSpec, RawColumn]] = [
            (name, specs[name], raw) for name, raw in pipeline.raw_features().items()
        ]
        if not features_only:
            self._specs += [
                (name, pipeline.targets[name], raw) for name, raw in pipeline.raw_targets().items()
            ]
        if columns is not None:
            self._specs = [item for item in self._specs if item[2].name in columns]
        self._derived = _derived(self._specs)
        where = None if features_only else pipeline.source.where
        self._where = None if where is None else RowExpression("source.where", where)
        asked = [self._where, *self._derived.values()]
        expressed = {column for each in asked if each is not None for column in each.columns}
        self._columns = self._columns_to_read(expressed)
        self._numbers = number_columns(pipeline)

    def _columns_to_read(self, expressed: set[str]) -> list[str]:
        specs = (raw for name, _, raw in self._specs if name not in self._derived)
        source = self._pipeline.source
        names = expressed | {column for raw in specs for column in raw.columns}
        names |= set(source.key_columns)
        if not self._features_only:
            names |= {c for place, c in column_names(self._pipeline) if place == "split.column"}
        names.discard(str(source.partition_column))
        if not names:  # rows are counted by some column, if by none that is asked for
            every = (c for _, c in column_names(self._pipeline) if c != source.partition_column)
            names = set(islice(every, 1))
        return sorted(names)

    def read(self, unit: WorkUnit, batch_rows: int) -> Iterator[RawBatch]:
        """Yields a unit's rows, `batch_rows` source rows at a time, in a fixed order.

        Raises:
            BraidError: A file cannot be read as the declared format.
        """
        source = self._pipeline.source
        for piece in unit.pieces:
            row = self._names.rows_before(piece) + unit.start
            for batch in read_piece(
                source.format,
                self._filesystem,
                piece,
                self._columns,
                batch_rows,
                numbers=self._numbers,
                start=unit.start,
                stop=unit.stop,
            ):
                numbers = np.arange(row, row + batch.num_rows)
                yield self._conform(_columns_in(batch), numbers, piece.path, unit.value)
                row += batch.num_rows

    def conform(self, batch: pa.RecordBatch) -> RawBatch:
        """Returns rows that are in memory: the key and every column that is read, [rows] each."""
        return self.conform_columns(_columns_in(batch), batch.num_rows)

    def conform_columns(self, given: dict[str, pa.Array], rows: int) -> RawBatch:
        """Returns what `conform` does, of columns that are no record batch: one takes its time."""
        return self._conform(given, np.arange(rows), "", None)

    def _conform(
        self, given: dict[str, pa.Array], numbers: np.ndarray, file: str, value: str | None
    ) -> RawBatch:
        """Returns rows as the graph takes them.

        Args:
            given: The rows' columns, [rows] each.
            numbers: The numbers that the rows have in their file, from 0, int64 [rows].
            file: The file that they are from.
            value: What their partition's folder says.
        """
        rows = len(numbers)
        columns, numbers = self._columns_of(given, numbers, value)
        table, not_utf8 = columns.table, columns.not_utf8
        keys = self._names.of_rows(table, file, numbers)
        rejected: dict[int, Reject] = {}
        result = RawBatch(keys, np.zeros(0), {}, len(numbers), file, rows - len(numbers))

        def reject(row: int, column: str, reason: str) -> None:
            if row not in rejected:
                value = columns.cell(column, row)
                rejected[row] = Reject(keys[row].decode(), file, column, reason, value)

        key_columns = self._pipeline.source.key_columns
        split_column = None if self._features_only else self._pipeline.split.column
        for name in filter(None, (*key_columns, split_column)):
            for row in not_utf8[name]:
                reject(row, name, NOT_UTF8)
        nameless = np.flatnonzero(keys == b"") if key_columns else ()
        for name in key_columns if len(nameless) else ():
            for row in nameless[key_bytes(table[name])[nameless] == b""].tolist():
                reject(row, name, "missing")
        if not self._features_only:
            result.splits, problems = assign_splits(self._pipeline.split, keys, table)
            for row, (column, reason) in problems.items():
                reject(row, column, reason)
        for name, spec, raw in self._specs:
            values = [table[column] for column in raw.columns]
            spoilt = [row for column in raw.columns for row in not_utf8[column]]
            for row, reason in self._take(name, spec, raw, values, spoilt, result).items():
                reject(row, raw.columns[0], reason)
        if self._features_only:
            result.refused = rejected
        else:
            _drop(result, rejected)
        return result

    def _columns_of(
        self, given: dict[str, pa.Array], numbers: np.ndarray, value: str | None
    ) -> tuple[_Columns, np.ndarray]:
        """Returns the columns of the rows that are kept, derived ones too, and their numbers."""
        given, numbers = self._kept(given, numbers, value)
        checked = {name: utf8_only(column) for name, column in given.items()}
        table = {name: column for name, (column, _) in checked.items()}
        not_utf8 = {name: rows.tolist() for name, (_, rows) in checked.items()}
        # All of them before any takes the place of a column that another one reads.
        derived = {name: each.values(table) for name, each in self._derived.items()}
        return _Columns(
            given | derived, table | derived, not_utf8 | {name: [] for name in derived}
        ), numbers

    def _kept(
        self, given: dict[str, pa.Array], numbers: np.ndarray, value: str | None
    ) -> tuple[dict[str, pa.Array], np.ndarray]:
        """Returns the columns of the rows that the filter keeps, and the numbers of these rows."""
        folder = self._pipeline.source.partition_column
        if folder is not None and folder not in given:
            given = given | {folder: pa.repeat(pa.scalar(value, pa.string()), len(numbers))}
        if self._where is None:
            return given, numbers
        kept = self._where.holds({n: utf8_only(given[n])[0] for n in self._where.columns})
        mask = pa.array(kept)
        return {name: column.filter(mask) for name, column in given.items()}, numbers[kept]

    def _column(
        self,
        spec: FeatureSpec | TargetSpec,
        raw: RawColumn,
        columns: list[pa.Array],
        result: RawBatch,
    ) -> Conformed:
        unreadable: dict[int, str] = {}
        if raw.dtype == "bytes" and is_text(columns[0].type):
            paths = columns[0].to_pylist()
            result.paths[raw.name] = np.array(paths, object)
            columns[0], unreadable = self._files.read(paths)
        conformed = conform(raw, *columns)
        conformed.missing[list(unreadable)] = False
        conformed.invalid |= unreadable
        mark_unusable(spec, columns[0], conformed)
        return conformed

    def _take(
        self,
        name: str,
        spec: FeatureSpec | TargetSpec,
        raw: RawColumn,
        given: list[pa.Array],
        not_utf8: Iterable[int],
        result: RawBatch,
    ) -> dict[int, str]:
        """Adds a column and its counts to the result; returns the rows to reject."""
        conformed = self._column(spec, raw, given, result)
        for row in not_utf8:
            conformed.missing[row] = False
            conformed.invalid[row] = NOT_UTF8
        if conformed.invalid or conformed.missing.any():
            result.unusable[name, "missing"] += int(np.count_nonzero(conformed.missing))
            result.unusable.update((name, reason) for reason in conformed.invalid.values())
        rejects, replaced = settle(spec, raw, conformed)
        if replaced:
            result.replaced.update({(raw.name, reason): n for reason, n in replaced.items()})
        result.columns[raw.name] = conformed.values
        return rejects


def _columns_in(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    return dict(zip(batch.schema.names, batch.columns, strict=True))


def _derived(
    specs: Iterable[tuple[str, FeatureSpec | TargetSpec, RawColumn]],
) -> dict[str, RowExpression]:
    """Returns the targets that are an expression, by their names, which their columns have."""
    return {
        name: RowExpression(f"targets.{name}.expression", spec.expression)
        for name, spec, _ in specs
        if isinstance(spec, TargetSpec) and spec.expression is not None
    }


def _drop(batch: RawBatch, rejected: dict[int, Reject]) -> None:
    if not rejected:
        return
    keep = np.ones(len(batch.keys), bool)
    keep[list(rejected)] = False
    batch.keep(keep)
    batch.rejects = [rejected[row] for row in sorted(rejected)]


def _shown(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    return b"" if value is None else str(value).encode()


def _value(cell: pa.Array) -> bytes:
    """Returns what a row has of a source column, [1], for its reject."""
    if is_datetime(cell.type):  # Python has neither nanoseconds nor years beyond 9999
        cell = iso_texts(cell)
    value = cell[0].as_py()
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
