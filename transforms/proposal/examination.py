"""Examines a declaration on a sample of its table's rows, without TensorFlow.

Rows are held against the policies by the reader that transforms them. Pictures are looked at one by
one, and few of them: Pillow decodes them here, which refuses what the transform's decoder refuses
but for rare files.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transforms.columns.expressions import RowExpression
from transforms.columns.schema import column_names, is_label, is_text, number_columns
from transforms.columns.texts import utf8_only
from transforms.contract.columns.features import Image, RawColumn
from transforms.contract.columns.targets import ImageTarget
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.spec import Spec
from transforms.proposal.advice import Declared, advice_on
from transforms.proposal.kind_choice import Read, files_of
from transforms.proposal.picture_columns import refused_pictures
from transforms.proposal.sample import ROWS, Sample, sample_rows
from transforms.proposal.sampled_column import SampledColumn
from transforms.reading.batches import BatchReader, RawBatch
from transforms.reading.cutting import NoWindow, write_windows
from transforms.source.scan import Scan

_PICTURES = 200  # rows whose pictures are decoded
_PICTURE_BYTES = 16 * 1024 * 1024  # of all of them: some 20 million pixels are in a megabyte
_FILES = 10  # that say how large files of pictures are
_SURE = 2.33  # standard deviations of a share: beyond them it is by chance once in a hundred
_WINDOWS_FILE = "windows.parquet"


class ColumnExamination(Spec):
    """The examination of a feature's or a target's values.

    Attributes:
        place: Where it is declared, such as "features.area".
        kind: Its kind.
        rows: Rows that were looked at for it.
        missing: Of them those without a value.
        distinct: Different values, or different entries of lists; None where nobody counts them.
        rejected: Rows that it alone costs, by reason.
        replaced: Values that are missing or unusable and cost no row, by reason.
        advice: Sentences about what to change.
    """

    place: str
    kind: str
    rows: int
    missing: int
    distinct: int | None
    rejected: dict[str, int]
    replaced: dict[str, int]
    advice: tuple[str, ...]

    def missing_share(self) -> float:
        """Returns the share of the rows without a value."""
        return self.missing / self.rows

    def rejected_share(self) -> float:
        """Returns the share of the rows that it alone costs."""
        return sum(self.rejected.values()) / self.rows


class Examination(Spec):
    """The examination of a declaration on the rows of a sample.

    Attributes:
        rows: Rows of the sample; of a table that windows are cut from, windows.
        is_whole: Whether these are all rows.
        rejected: The share of the rows that would be rejected, for whatever reason.
        allowed: `transform.max_reject_fraction`.
        margin: How far above what is allowed a share of these rows may be by chance; 0 if these
            are all rows.
        others: Rows that are rejected for their key or their split, by "column: reason".
        columns: Every feature that a column feeds, and every target.
    """

    rows: int
    is_whole: bool
    rejected: float
    allowed: float
    margin: float
    others: dict[str, int]
    columns: tuple[ColumnExamination, ...]

    @property
    def exceeds_budget(self) -> bool:
        """Whether a run would end by its rejects: all rows are like these, but for chance."""
        return self.rejected > self.allowed + self.margin


def examine(pipeline: PipelineSpec, scanned: Scan) -> Examination | None:
    """Looks at the values of some rows.

    Args:
        pipeline: A declaration that fits the schemas of the files.
        scanned: The source's partitions.

    Returns:
        What it makes of them; None where the first rows of a long table make no whole window.

    Raises:
        BraidError: A file cannot be read, there are no rows, no window can be cut of all rows, or
            the first ones are such that a run would refuse them.
    """
    if pipeline.source.windows is not None:
        return _examine_windows(pipeline, scanned)
    columns = {column for _, column in column_names(pipeline)}
    folder = pipeline.source.partition_column
    folders = {file.path: p.value for p in scanned.partitions for file in p.files}
    read = sample_rows(
        pipeline.source,
        scanned.files(),
        columns - {folder},
        folders if folder in columns else None,
        number_columns(pipeline),
    )
    return _examine(pipeline, read)


def _examine_windows(pipeline: PipelineSpec, scanned: Scan) -> Examination | None:
    """Cuts windows out of the first rows, as a sample of rows here and there has no whole one."""
    with TemporaryDirectory() as folder:
        table = Path(folder) / _WINDOWS_FILE
        try:
            rows = write_windows(pipeline, scanned.files(), table, most_rows=ROWS).rows
        except NoWindow as error:
            if error.rows < ROWS:  # there are no others
                raise
            return None
        windows = pipeline.of_windows(str(table))
        return _examine(windows, Sample(windows.source, (), pq.read_table(table), rows < ROWS))


def _examine(pipeline: PipelineSpec, sample: Sample) -> Examination:
    table, declared = _filtered(pipeline, sample.table), _declared(pipeline)
    given = _with_expressions(pipeline, table)
    pictures = {
        d.raw.name: (d.raw, d.spec) for d in declared if isinstance(d.spec, Image | ImageTarget)
    }
    every = _read(pipeline, table, {d.raw.name for d in declared} - set(pictures))
    read = files_of(pipeline.source)
    few = _few(table, [raw for raw, _ in pictures.values()], read) if pictures else table
    seen = _read(pipeline, few, set(pictures)) if pictures else every
    refused = {n: refused_pictures(spec, seen.columns[n]) for n, (_, spec) in pictures.items()}
    lost = len(every.rejects) / table.num_rows
    if pictures:
        undecodable = sum(
            sum(refused[name].values())
            for name, (_, spec) in pictures.items()
            if spec.invalid == "reject"
        )
        of_pictures = [r for r in seen.rejects if not _is_of_row(pipeline, r.column)]
        lost += (len(of_pictures) + undecodable) / few.num_rows
    of_rows = (r for r in every.rejects if _is_of_row(pipeline, r.column))
    partly = [] if sample.is_whole else [table.num_rows]
    partly += [few.num_rows] if few.num_rows < table.num_rows else []
    allowed = pipeline.transform.max_reject_fraction
    return Examination(
        rows=table.num_rows,
        is_whole=sample.is_whole,
        rejected=min(lost, 1.0),
        allowed=allowed,
        margin=_SURE * math.sqrt(allowed * (1 - allowed) * sum(1 / rows for rows in partly)),
        others=dict(Counter(f"{reject.column}: {reject.reason}" for reject in of_rows)),
        columns=tuple(
            _column(each, given, seen, few.num_rows, refused[each.raw.name], read)
            if each.raw.name in pictures
            else _column(each, given, every, table.num_rows, {}, read)
            for each in declared
        ),
    )


def _filtered(pipeline: PipelineSpec, table: pa.Table) -> pa.Table:
    """Returns the rows that the filter keeps.

    Raises:
        BraidError: There is none.
    """
    if pipeline.source.where is None:
        return table
    kept = RowExpression("source.where", pipeline.source.where).holds(_readable(table))
    table = table.filter(pa.array(kept))
    if not table.num_rows:
        raise BraidError(
            "source.where",
            expected="rows that it keeps",
            received=f"none among {len(kept):,} rows",
            action="Correct the expression.",
        )
    return table


def _with_expressions(pipeline: PipelineSpec, table: pa.Table) -> pa.Table:
    """Returns the rows with what every expression gives as the column of its target's name.

    They are for looking at: the expressions read the table without them.
    """
    expressions = {
        name: RowExpression(f"targets.{name}.expression", target.expression)
        for name, target in pipeline.targets.items()
        if target.expression is not None
    }
    if not expressions:
        return table
    readable = _readable(table)
    derived = {name: expression.values(readable) for name, expression in expressions.items()}
    rest = table.select([name for name in table.column_names if name not in derived])
    for name, values in derived.items():
        rest = rest.append_column(name, values)
    return rest


def _readable(table: pa.Table) -> dict[str, pa.Array]:
    """Returns the columns of some rows, with nulls for texts that are no UTF-8."""
    return {name: utf8_only(table[name].combine_chunks())[0] for name in table.column_names}


def _declared(pipeline: PipelineSpec) -> list[Declared]:
    features, hidden = pipeline.column_features(), pipeline.sensitive_columns()
    return [
        Declared(name, f"features.{name}", features[name], raw, bool(hidden & {*raw.columns}))
        for name, raw in pipeline.raw_features().items()
    ] + [
        Declared(name, f"targets.{name}", spec, raw, bool(hidden & {*raw.columns}))
        for (name, raw), spec in zip(
            pipeline.raw_targets().items(), pipeline.targets.values(), strict=True
        )
    ]


def _read(pipeline: PipelineSpec, table: pa.Table, inputs: set[str]) -> RawBatch:
    """Returns rows as the transform reads them, with the given inputs of its graph."""
    return BatchReader(pipeline, inputs).conform(
        pa.RecordBatch.from_arrays(
            [column.combine_chunks() for column in table.columns], names=table.column_names
        )
    )


def _few(table: pa.Table, pictures: list[RawColumn], read: Read) -> pa.Table:
    """Returns so many rows, evenly from the first to the last, as can be decoded in a second."""
    row_bytes = sum(_mean_bytes(table[raw.columns[0]], read) for raw in pictures)
    most = min(_PICTURES, int(_PICTURE_BYTES / max(row_bytes, 1.0)))
    rows = np.linspace(0, table.num_rows - 1, max(1, min(most, table.num_rows)))
    return table.take(pa.array(np.unique(rows.astype(np.int64))))


def _mean_bytes(column: pa.ChunkedArray, read: Read) -> float:
    if not is_text(column.type):
        return float(column.nbytes) / len(column)
    contents = read(column.slice(0, _FILES).to_pylist())
    return sum(len(content or b"") for content in contents) / len(contents)


def _is_of_row(pipeline: PipelineSpec, column: str) -> bool:
    """Returns whether a column says which row this is or what split it is in, and no more."""
    read = {**pipeline.raw_features(), **pipeline.raw_targets()}.values()
    return all(column not in raw.columns for raw in read)


def _column(
    declared: Declared,
    table: pa.Table,
    batch: RawBatch,
    rows: int,
    refused: dict[str, int],
    read: Read,
) -> ColumnExamination:
    values = utf8_only(table[declared.raw.columns[0]].combine_chunks())[0]
    column = SampledColumn(declared.raw.columns[0], values)
    counted = {r: n for (name, r), n in batch.unusable.items() if name == declared.name and n}
    counted |= refused
    policy = {reason: declared.policy(reason) for reason in counted}
    return ColumnExamination(
        place=declared.place,
        kind=declared.spec.kind,
        rows=rows,
        missing=counted.get("missing", 0),
        distinct=_distinct(column),
        rejected={r: n for r, n in counted.items() if policy[r] == "reject"},
        replaced={r: n for r, n in counted.items() if policy[r] != "reject"},
        advice=tuple(advice_on(declared, column, counted.get("missing", 0) == rows, read)),
    )


def _distinct(column: SampledColumn) -> int | None:
    if column.is_scalar:
        return column.profile.distinct
    if column.is_list and is_label(column.type.value_type):
        return len(pc.list_flatten(column.values).drop_null().unique())
    return None
