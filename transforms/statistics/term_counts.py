"""Counts of terms, which can be merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from transforms.contract.errors import BraidError
from transforms.contract.process.memory import available_bytes
from transforms.contract.workspace.locks import this_process

_COMPACT_ROWS = 100_000  # counted terms that wait to be merged; about 3 MB of short terms
_MANY_ROWS = 1_000_000  # from here on memory is looked at before counted terms are merged
# Bytes for each counted term that is merged, beside two copies of it, as keys and as result: 132 to
# 155 in all were measured for 3 to 40 million terms that are 26 bytes with their counts.
_MERGE_BYTES = 100

TERMS_SCHEMA = pa.schema({"term": pa.binary(), "count": pa.int64()})


@dataclass
class TermCounts:
    """Counts of one feature's or target's terms.

    Attributes:
        tables: Arrow tables (term, count): one that is merged, and those that are not merged into
            it yet.
        name: The feature or target.
    """

    tables: list[pa.Table] = field(default_factory=list)
    name: str = ""

    def add(self, values: pa.Array) -> None:
        """Counts terms, Arrow's binary [any]."""
        counted = values.value_counts()
        columns = [counted.field("values"), counted.field("counts")]
        self.merge(TermCounts([pa.table(columns, schema=TERMS_SCHEMA)]))

    def merge(self, other: TermCounts) -> None:
        """Adds the counts of other rows.

        Raises:
            BraidError: There is not the memory for them.
        """
        self.tables = self._compacted([*self.tables, *other.tables], _COMPACT_ROWS)

    def table(self) -> pa.Table:
        """Returns one table (term, count) that has every term once."""
        self.tables = self._compacted(self.tables, 0)
        return self.tables[0] if self.tables else TERMS_SCHEMA.empty_table()

    def _compacted(self, tables: Sequence[pa.Table], waiting_rows: int) -> list[pa.Table]:
        """Merges the tables once more rows wait than the limit and than are merged already."""
        tables = list(tables)
        if len(tables) < 2:
            return tables
        waiting = sum(table.num_rows for table in tables[1:])
        if waiting <= max(waiting_rows, tables[0].num_rows if waiting_rows else 0):
            return tables
        joined = pa.concat_tables(tables)
        self._refuse_too_many(joined)
        grouped = joined.group_by("term", use_threads=False).aggregate([("count", "sum")])
        return [grouped.rename_columns({"count_sum": "count"}).select(TERMS_SCHEMA.names)]

    def _refuse_too_many(self, joined: pa.Table) -> None:
        """Refuses what would take more memory than there is: the system would end this process."""
        if joined.num_rows < _MANY_ROWS:
            return
        needed, left = 2 * joined.nbytes + joined.num_rows * _MERGE_BYTES, available_bytes()
        if left is not None and needed > left:
            raise BraidError(
                self.name,
                expected="terms whose counts can be merged in memory",
                received=f"{joined.num_rows:,} counted terms, which take {needed / 1e9:,.1f} GB "
                f"more where {left / 1e9:,.1f} are left to process {this_process()}",
                action="Give it more memory, or count fewer terms: a categorical column with "
                "`encoding: hash` counts none.",
            )
