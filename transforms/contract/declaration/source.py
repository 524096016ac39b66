"""The source of the rows as a user declares it."""

from __future__ import annotations

import re
from datetime import datetime
from operator import not_
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from transforms.contract.expressions import Expression
from transforms.contract.spec import Count, Named, RuleBroken, Sensitive, Spec

Format = Literal["parquet", "csv", "jsonl", "arrow"]
WINDOW_SPLIT_COLUMN = "split"  # of a table of windows


class WindowsSpec(Spec):
    """Windows cut from a long table, which has one row per time step: each becomes a row.

    A window counts rows, not time: where steps are missing, it spans more of it. A window's row has
    the key "<entity>/<time of the last step>", or the time alone; of each of `values`, say `sales`,
    `sales`, the list of the last `length` numbers, `sales_next`, the list of the next `horizon`
    ones, and those alone as `sales_next_1` and so on; the columns of `keep` as they are at the last
    step; and its split.

    Attributes:
        time: The column that orders the rows of an entity: a date, a timestamp, a number, or text
            that spells one in ISO 8601.
        entity: The column that says whose rows they are; without it they are one series.
        length: Steps in a window.
        stride: Steps from one window to the next, counted from an entity's first row.
        horizon: Steps that are to be predicted.
        values: Number columns; a null is a missing number.
        keep: Other columns.
    """

    time: Named
    entity: Named | None = None
    length: Count
    stride: Count = 1
    horizon: Count = 1
    values: Annotated[tuple[Named, ...], Field(min_length=1)]
    keep: tuple[Named, ...] = ()

    def columns(self) -> tuple[str, ...]:
        """Returns the columns of the long table that are read, each once."""
        named = (self.time, *((self.entity,) if self.entity else ()), *self.values, *self.keep)
        return tuple(dict.fromkeys(named))

    def next_columns(self) -> tuple[str, ...]:
        """Returns the columns that hold what comes after a window."""
        steps = range(1, self.horizon + 1)
        return tuple(
            name
            for value in self.values
            for name in (f"{value}_next", *(f"{value}_next_{step}" for step in steps))
        )


# From coarse to fine: how a part of a date stands in a path, and how long an ISO date is with it.
_DATE_PARTS = {
    "%Y": ("[0-9]{4}", len("2026")),
    "%m": ("[0-9]{2}", len("2026-01")),
    "%d": ("[0-9]{2}", len("2026-01-31")),
    "%H": ("[0-9]{2}", len("2026-01-31T05")),
    "%M": ("[0-9]{2}", len("2026-01-31T05:00")),
}


class PathPartitions(Spec):
    """Partitions by where a file lies; unlike a hive key, they are no column.

    Attributes:
        path_date: A date in the path below the source's folder, such as "%Y/%m/%d" or
            "events-%Y%m%d": a year, and from it on as fine as wanted out of %Y, %m, %d, %H and %M.
        file: Each file is a partition, named by its path below the source's folder.
    """

    path_date: str | None = None
    file: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.path_date is None) == (self.file is None):
            given = self.model_dump(exclude_none=True) or "neither"
            raise RuleBroken(expected="either path_date or file: true", received=str(given))
        if self.path_date is not None:
            _check_date_pattern(self.path_date)
        return self

    def date_in(self, path: str) -> str | None:
        """Returns the last date in a path as the partition's value, or None if there is none."""
        pieces = re.split("(%.)", str(self.path_date))
        length = max(_DATE_PARTS[piece][1] for piece in pieces if piece in _DATE_PARTS)
        text = "".join(
            _DATE_PARTS[piece][0] if piece in _DATE_PARTS else re.escape(piece) for piece in pieces
        )
        # Without a digit on either side: 20260131 holds no date of its first six digits.
        for match in reversed(re.findall(f"(?<![0-9]){text}(?![0-9])", path)):
            try:
                date = datetime.strptime(match, str(self.path_date))
            except ValueError:
                continue  # it has the looks of a date, and a thirteenth month
            return date.isoformat(timespec="minutes")[:length]
        return None


def _check_date_pattern(pattern: str) -> None:
    """Refuses a pattern that does not say what it takes to order dates, or says it twice."""
    named = re.findall("%.?", pattern)
    if not named or sorted(named) != sorted(list(_DATE_PARTS)[: len(named)]):
        raise RuleBroken(
            expected="path_date to have %Y, then as many of %m, %d, %H and %M as are wanted, each "
            "once",
            received=repr(pattern),
        )


def _way_of(value: Any) -> str:
    return "hive" if isinstance(value, str) else "in_path"


PartitionBy = Annotated[
    Annotated[Named, Tag("hive")] | Annotated[PathPartitions, Tag("in_path")],
    Discriminator(_way_of),
]


def _one_or_several(value: Any) -> str:
    return "columns" if isinstance(value, list | tuple) else "column"


Key = Annotated[
    Annotated[Named, Tag("column")]
    | Annotated[tuple[Named, ...], Field(min_length=2, max_length=16), Tag("columns")],
    Discriminator(_one_or_several),
]
ROW_COLUMN = "row"  # what the rows of a table without a key are named in, in its predictions


class SourceSpec(Spec):
    """One table: a file, a folder or a glob, on this machine or in a `gs://` bucket.

    Attributes:
        path: A file, a folder (read with all its subfolders) or a glob of `*`, `?`, `[...]` and
            `**/`. A part that is the very name of a file or folder is no pattern. A relative path
            is taken from the folder of the declaration.
        format: Of the files; by default what their suffixes say, and Parquet where they say nothing
            or there is some. A folder of several other formats has to name one. Lines may be packed
            (`.csv.gz`, `.csv.zst`, `.jsonl.gz`), and the delimiter of CSV is seen: a comma, a
            semicolon, a tab or a bar.
        key: The column that names a row, or several that do so together, such as `[store, day]`;
            its values are unique and never null, and decide a row's split where that is by hash.
            Without a key a row is named by its file and its number there, from 1, such as
            "day=2026-01-01/part-0.parquet:17": no two rows share such a name, so that a row that is
            there twice is two rows, and each keeps its split for as long as its file keeps its name
            and the order of its rows.
        sensitive_key: Whether the keys are kept out of all that people read, as the values of a
            feature that is `sensitive`. The predictions of `braid predict` have them.
        partition_by: What new data arrives by: a hive key (`day` for `day=2026-01-31/`), a date in
            the path (`{path_date: "%Y/%m/%d"}`) or each file (`{file: true}`). Partitions compare
            as numbers, dates or text, by what they all are. Without it the whole table is one.
        where: Which rows there are, by an expression on their columns, such as "fare > 0": the
            others, and those of which it is missing, are left out and counted before anything else
            is asked of a row. Rows to be predicted are not: who asks for a prediction gets one.
        windows: How rows are cut from a table of time steps; `key` is then the name of the column
            that is made for their keys, by default "row".
        allow: Folders, and URLs such as "gs://bucket/photos", whose files the cells of path columns
            may name beside those of the source's folder, with all that is below them. Relative ones
            are taken from the folder of the declaration. Symbolic links are resolved first.
    """

    path: Named
    format: Format | None = None
    key: Key | None = None
    sensitive_key: Sensitive = False
    partition_by: PartitionBy | None = None
    where: Annotated[Expression | None, Field(exclude_if=not_)] = None
    windows: WindowsSpec | None = None
    allow: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _key_is_one(self) -> Self:
        key = self.key_columns
        if len(set(key)) < len(key):
            raise RuleBroken("key", expected="columns that differ", received=", ".join(key))
        if self.windows is not None and len(key) > 1:
            raise RuleBroken(
                "key",
                expected="one name for the column that is made for the windows' keys",
                received=", ".join(key),
            )
        if self.sensitive_key and not key and self.windows is None:
            raise RuleBroken(
                "sensitive_key",
                expected="a key, as a file and a number say nothing of a row",
                received="none",
            )
        return self

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns that name a row; none where its file and its number do."""
        if self.key is None:
            return ()
        return (self.key,) if isinstance(self.key, str) else self.key

    @property
    def key_rows(self) -> Any:
        """All that decides which keys its rows have, windows included, as JSON; None of no key."""
        if self.windows is not None:
            return self.key or ROW_COLUMN
        return {"key": self.key, "where": self.where} if self.key and self.where else self.key

    @property
    def name_columns(self) -> tuple[str, ...]:
        """What predictions and windows have the rows' names in: the key's columns, or `row`."""
        return self.key_columns or (ROW_COLUMN,)

    @property
    def partition_column(self) -> str | None:
        """The column that the partitions' folders stand for: the hive key."""
        return self.partition_by if isinstance(self.partition_by, str) else None
