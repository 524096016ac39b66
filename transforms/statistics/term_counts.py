"""Counts of terms, which can be merged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

_COMPACT_ROWS = 100_000  # counted terms that wait to be merged; about 3 MB of short terms

TERMS_SCHEMA = pa.schema({"term": pa.binary(), "count": pa.int64()})


@dataclass
class TermCounts:
    """Counts of one feature's or target's terms.

    Attributes:
        tables: Arrow tables (term, count): one that is merged, and those that are not merged into
            it yet.
    """

    tables: list[pa.Table] = field(default_factory=list)

    def add(self, values: pa.Array) -> None:
        """Counts terms, Arrow's binary [any]."""
        counted = values.value_counts()
        columns = [counted.field("values"), counted.field("counts")]
        self.merge(TermCounts([pa.table(columns, schema=TERMS_SCHEMA)]))

    def merge(self, other: TermCounts) -> None:
        """Adds the counts of other rows."""
        self.tables = _compacted([*self.tables, *other.tables], _COMPACT_ROWS)

    def table(self) -> pa.Table:
        """Returns one table (term, count) that has every term once."""
        self.tables = _compacted(self.tables, 0)
        return self.tables[0] if self.tables else TERMS_SCHEMA.empty_table()


def _compacted(tables: Sequence[pa.Table], waiting_rows: int) -> list[pa.Table]:
    """Merges the tables once more rows wait than the limit and than are merged already."""
    tables = list(tables)
    if len(tables) < 2:
        return tables
    waiting = sum(table.num_rows for table in tables[1:])
    if waiting <= max(waiting_rows, tables[0].num_rows if waiting_rows else 0):
        return tables
    joined = pa.concat_tables(tables)
    grouped = joined.group_by("term", use_threads=False).aggregate([("count", "sum")])
    return [grouped.rename_columns({"count_sum": "count"}).select(TERMS_SCHEMA.names)]
