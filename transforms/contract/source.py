"""Where rows come from, how they are split, and how the transform runs."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from transforms.contract.drift import DriftSpec
from transforms.contract.spec import Bytes, Count, Named, Sensitive, Spec

Format = Literal["parquet", "csv", "jsonl", "arrow"]
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
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
            raise ValueError(f"either path_date or file: true, received {given}")
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
        raise ValueError(
            "path_date to have %Y, then as many of %m, %d, %H and %M as are wanted, each once, "
            f"received {pattern!r}"
        )


def _way_of(value: Any) -> str:
    return "hive" if isinstance(value, str) else "in_path"


PartitionBy = Annotated[
    Annotated[Named, Tag("hive")] | Annotated[PathPartitions, Tag("in_path")],
    Discriminator(_way_of),
]


class SourceSpec(Spec):
    """One table: a file, a folder or a glob, on this machine or in a `gs://` bucket.

    Attributes:
        path: A file, a folder (read with all its subfolders) or a glob of `*`, `?`, `[...]` and
            `**/`. A part that is the very name of a file or folder is no pattern. A relative path
            is taken from the folder of the declaration.
        key: The column that names a row; its values are unique and never null.
        sensitive_key: Whether the keys are kept out of all that people read, as the values of a
            feature that is `sensitive`. The predictions of `braid predict` have them.
        partition_by: What new data arrives by: a hive key (`day` for `day=2026-01-31/`), a date in
            the path (`{path_date: "%Y/%m/%d"}`) or each file (`{file: true}`). Partitions compare
            as numbers, dates or text, by what they all are. Without it the whole table is one.
        windows: How rows are cut from a table of time steps; `key` is then the name of the column
            that is made for their keys.
        allow: Folders, and URLs such as "gs://bucket/photos", whose files the cells of path columns
            may name beside those of the source's folder, with all that is below them. Relative ones
            are taken from the folder of the declaration. Symbolic links are resolved first.
    """

    path: Named
    format: Format = "parquet"
    key: Named
    sensitive_key: Sensitive = False
    partition_by: PartitionBy | None = None
    windows: WindowsSpec | None = None
    allow: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @property
    def partition_column(self) -> str | None:
        """The column that the partitions' folders stand for: the hive key."""
        return self.partition_by if isinstance(self.partition_by, str) else None


Percentage = Annotated[int, Field(ge=0, le=100)]


class HashSplit(Spec):
    """Percentages by hash of the key, or of a group's name: a row never changes its split.

    Attributes:
        column: The column that names a row's group, such as a customer: all rows of a group are in
            one split. Percentages are then of the groups. Without it every row is on its own.
        train: Percentage of training rows.
        validation: Percentage of validation rows.
        test: Percentage of test rows.
    """

    by: Literal["hash"] = "hash"
    column: Named | None = None
    train: Percentage = 80
    validation: Percentage = 10
    test: Percentage = 10

    @model_validator(mode="after")
    def _percentages_add_up(self) -> Self:
        total = self.train + self.validation + self.test
        if total != 100:
            raise ValueError(f"percentages that add up to 100, received a total of {total}")
        if self.train == 0:
            raise ValueError("at least 1 percent of training rows")
        return self


class TrainShare(Spec):
    """A percentage of the rows that the column calls training rows, by hash of the key.

    Attributes:
        from_: The split that gives the rows away, `from` in the declaration.
        percent: How many of its rows go.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[Literal["train"], Field(alias="from")]
    percent: Annotated[int, Field(ge=1, le=50)]


def _values_or_share(value: Any) -> str:
    return "share" if isinstance(value, dict | TrainShare) else "values"


ColumnRows = Annotated[
    Annotated[tuple[str, ...], Tag("values")] | Annotated[TrainShare, Tag("share")],
    Discriminator(_values_or_share),
]


class ColumnSplit(Spec):
    """The split stands in a column.

    Attributes:
        column: The column.
        train: Its values in training rows.
        validation: Its values in validation rows; or, for a table without any, a share of the
            training rows.
        test: The same for test rows.
    """

    by: Literal["column"]
    column: Named
    train: tuple[str, ...] = ("train",)
    validation: ColumnRows = ("validation",)
    test: ColumnRows = ("test",)

    @model_validator(mode="after")
    def _splits_are_disjoint(self) -> Self:
        values = [value for rows in self.values() for value in dict.fromkeys(rows)]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise ValueError(f"values that belong to one split each, received {twice[0]!r} twice")
        _, validation, test = self.percentages()
        if validation + test == 100:
            raise ValueError("a share of the training rows that stays, received 100 percent taken")
        return self

    def values(self) -> tuple[tuple[str, ...], ...]:
        """Returns the values of every split, in the order of `SPLITS`; a share has none."""
        return tuple(
            () if isinstance(rows, TrainShare) else rows
            for rows in (self.train, self.validation, self.test)
        )

    def percentages(self) -> tuple[int, int, int]:
        """Returns what each split gets of the column's training rows, in the order of `SPLITS`."""
        validation, test = (
            rows.percent if isinstance(rows, TrainShare) else 0
            for rows in (self.validation, self.test)
        )
        return 100 - validation - test, validation, test


class TimeSplit(Spec):
    """Rows before `validation_from` train, rows from `test_from` on test.

    The bounds are compared with the column's values in the column's own type: a date or a
    timestamp in ISO 8601, a number, or text.
    """

    by: Literal["time"]
    column: Named
    validation_from: str | int | float
    test_from: str | int | float


def _split_kind(value: Any) -> Any:
    """Returns what decides a split's class; a split that does not say is by hash."""
    return value.get("by", "hash") if isinstance(value, dict) else getattr(value, "by", None)


Split = Annotated[
    Annotated[HashSplit, Tag("hash")]
    | Annotated[ColumnSplit, Tag("column")]
    | Annotated[TimeSplit, Tag("time")],
    Discriminator(_split_kind),
]


class TransformSpec(Spec):
    """How rows become shards.

    Attributes:
        refit: What new rows do to vocabularies and scales. "always" computes them anew from all
            training rows, which transforms every partition anew. "never" keeps the newest transform
            of the same features, targets and split, so that only new partitions are transformed.
            "when_drifted" does so too unless the rows that it was not frozen on differ by too much.
        drift: How much is too much.
        vocabulary: What a refit does to ids. "refit" gives them anew, by falling frequency. With
            "stable" known terms keep theirs and new ones come after them; those that are no longer
            among the most frequent keep a slot too, so that a vocabulary may outgrow its size.
        shard_bytes: A shard is closed once it has this size. 128 MiB keeps the number of files
            small and is read in a second.
        min_shards: At least so many training shards in the whole data set, so that parallel
            readers have something to interleave.
        max_reject_fraction: More rejected rows than this, as a share of a run's rows, fail it.
    """

    refit: Literal["always", "never", "when_drifted"] = "always"
    drift: DriftSpec = DriftSpec()
    vocabulary: Literal["refit", "stable"] = "refit"
    shard_bytes: Bytes = 128 * 1024 * 1024
    min_shards: Count = 8
    max_reject_fraction: Annotated[float, Field(ge=0, le=1)] = 0.05


class BeamSpec(Spec):
    """Which Beam runner does the work.

    Attributes:
        runner: "DirectRunner" is Beam's in-process runner on all cores of this machine; any other
            name is passed to Beam.
        options: Beam's pipeline options, by their names (`flink_master`, `project`, ...).
    """

    runner: Named = "DirectRunner"
    options: dict[str, Any] = {}
