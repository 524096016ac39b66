"""The columns with a part of their own: key, partitions, time and entity."""

from __future__ import annotations

import posixpath
import re
import time
from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.hashing import key_bytes, key_hashes
from transforms.columns.schema import is_datetime, is_text
from transforms.contract.declaration.source import PathPartitions
from transforms.contract.declaration.split import (
    SPLITS,
    ColumnSplit,
    HashSplit,
    Split,
    SplitName,
    TimeSplit,
    TrainShare,
)
from transforms.proposal.classes.names import name_words
from transforms.proposal.date_formats import is_sorted_by_time
from transforms.proposal.sample import Sample
from transforms.proposal.sampled_column import SampledColumn
from transforms.source.formats import pieces, read_piece
from transforms.source.scan import open_filesystem, source_folder

_HIVE = re.compile(r"^([^=/]+)=")
_PATH_DATES = (
    "year=%Y/month=%m/day=%d",
    "%Y/%m/%d",
    "%Y-%m-%d",
    "%Y_%m_%d",
    "%Y%m%d",
    "year=%Y/month=%m",
    "%Y/%m",
    "%Y-%m",
    "%Y_%m",
)
_ENTITIES = {
    "account", "client", "customer", "device", "house", "household", "member", "patient", "person",
    "player", "sensor", "session", "station", "store", "student", "subject", "user", "vehicle",
}  # fmt: skip
_SPLITS: dict[SplitName, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "eval"),
    "test": ("test", "testing", "holdout"),
}
_SPLIT_NAMES = [name for names in _SPLITS.values() for name in names]
_SHARE = 15  # percent of the training rows, for a split that the column lacks
_CHECK_SECONDS = 3.0  # for keys beyond the sample
_ROWS_OF_AN_ENTITY = 1.5
_FEWEST_ENTITIES = 20
_IN_ORDER = 0.98  # of neighbouring rows
_FEWEST_TIMES = 10
_SMALL = 2_000  # rows: a tenth of fewer judges little
_TO_VALIDATION, _TO_TEST = 0.8, 0.9  # shares of the rows that come before


def choose_key(
    sample: Sample, columns: Sequence[SampledColumn], taken: Collection[str]
) -> tuple[SampledColumn | None, str]:
    """Returns the column that names rows, if there is one, and why.

    Values that all differ do not make it one: those of a price may, and it is to be learnt from.

    Args:
        sample: The rows.
        columns: Their columns.
        taken: Targets, which are no keys.
    """
    able = [c for c in columns if c.is_scalar and c.name and c.name not in taken]
    unique = [c for c in able if c.is_unique and not (c.number_share == 1.0 and c.is_fractional)]
    naming = [c for c in unique if c.is_named_id or c.is_id or c.is_date]
    for column in sorted(naming, key=_key_rank):
        read = column.profile.rows if sample.is_whole else _rows_with_a_key_each(sample, column)
        if read:
            return column, f"every value differs, in {read:,} rows"
    return None, "no column names a row: its file and its number do"


def _key_rank(column: SampledColumn) -> tuple[bool, bool, float]:
    """Sorts by name first, then by looks, then by words; equals stay in the table's order."""
    unlike = column.is_date or column.label in ("sentence", "numeric", "list")
    return (not column.is_named_id, unlike and not column.is_id, round(column.mean_words))


def _rows_with_a_key_each(sample: Sample, column: SampledColumn) -> int:
    """Returns how many rows were looked at beyond the sample; 0 if two of them share a value."""
    deadline = time.monotonic() + _CHECK_SECONDS
    filesystem, _ = open_filesystem(sample.source.path)
    hashes = [key_hashes(key_bytes(column.values))]
    in_sample = True
    for file in sample.files:
        for piece in pieces(sample.source.format, filesystem, file.path, file.size):
            for batch in read_piece(sample.source.format, filesystem, piece, [column.name], 65_536):
                if time.monotonic() > deadline:
                    return _all_differ(hashes)
                if in_sample:  # the sample's rows would be there twice
                    hashes, in_sample = [], False
                hashes.append(key_hashes(key_bytes(batch.column(0))))
    return _all_differ(hashes)


def _all_differ(hashes: Sequence[np.ndarray]) -> int:
    every = np.sort(np.concatenate(hashes))  # `np.unique` takes twenty times as long
    return 0 if bool((every[1:] == every[:-1]).any()) else len(every)


def choose_partitions(sample: Sample) -> tuple[str | PathPartitions | None, str]:
    """Returns what new data arrives by, if the paths of the files say so, and why."""
    _, folder = open_filesystem(source_folder(sample.source))
    below = [posixpath.relpath(file.path, folder) for file in sample.files]
    for pattern in _PATH_DATES:
        rule = PathPartitions(path_date=pattern)
        dates = [rule.date_in(path) for path in below]
        if len(set(dates)) > 1 and None not in dates and not _is_one_hive_key(below):
            return rule, f"a date in the path: {dates[0]} to {dates[-1]}"
    keys = _hive_keys(below)
    if keys:
        count = len({posixpath.dirname(path) for path in below})
        return keys[-1], f"{count:,} folders {keys[-1]}=..."
    return None, ""


def _hive_keys(paths: Sequence[str]) -> list[str]:
    """Returns the keys that the folders of every path have, outermost first."""
    keys: list[list[str]] = [
        [m[1] for folder in path.split("/")[:-1] if (m := _HIVE.match(folder))] for path in paths
    ]
    return keys[0] if all(each == keys[0] for each in keys) else []


def _is_one_hive_key(paths: Sequence[str]) -> bool:
    return len(_hive_keys(paths)) == 1


def choose_split(
    columns: Sequence[SampledColumn], rows: int, *, has_key: bool
) -> tuple[Split, str]:
    """Returns how rows are split, and why: as a column says, by time, by entity or by hash.

    Args:
        columns: All columns but the targets and the key.
        rows: Of the sample.
        has_key: Whether a column names rows.
    """
    for column in columns:
        told = _column_split(column)
        if told is not None:
            return told, f"as the column {column.name} says"
    for column in columns:
        split = _time_split(column)
        if split is not None:
            return split, (
                f"by time, as the rows are in the order of {column.name}: the last tenth tests; "
                "later rows do so too until the dates are moved on"
            )
    train, rest = (70, 15) if rows < _SMALL else (80, 10)
    for column in columns:
        if is_entity(column):
            each = column.present / column.profile.distinct
            return HashSplit(column=column.name, train=train, validation=rest, test=rest), (
                f"{column.name} repeats, {each:.1f} rows each in the sample: all rows of one are "
                "in one split"
            )
    hashed = "key, so" if has_key else "row's file and number, so"
    return HashSplit(train=train, validation=rest, test=rest), (
        f"by hash of the {hashed} that a row never changes its split"
    )


def _column_split(column: SampledColumn) -> ColumnSplit | None:
    """Returns the split that a column names, with a part of the training rows for what it lacks."""
    if not column.is_scalar or not column.name or column.missing_share:
        return None
    if column.profile.distinct > len(_SPLIT_NAMES):
        return None
    names = column.texts.unique().to_pylist()
    parts = {
        split: tuple(n for n in names if n.strip().lower() in _SPLITS[split]) for split in SPLITS
    }
    if not parts["train"] or len(names) < 2 or sum(map(len, parts.values())) < len(names):
        return None
    share = TrainShare.model_validate({"from": "train", "percent": _SHARE})
    return ColumnSplit(
        by="column",
        column=column.name,
        train=parts["train"],
        validation=parts["validation"] or share,
        test=parts["test"] or share,
    )


def is_entity(column: SampledColumn) -> bool:
    """Returns whether a column names what several rows are about, such as a customer."""
    if not (column.is_scalar and column.name) or is_datetime(column.type) or column.missing_share:
        return False
    words = name_words(column.name)
    named = bool(_ENTITIES & set(words)) and (len(words) == 1 or column.is_named_id)
    repeated = column.present / max(column.profile.distinct, 1)
    whole = column.number_share < 1.0 or not column.is_fractional
    return (
        (named or words[-1:] == ["id"])
        and whole
        and column.profile.distinct >= _FEWEST_ENTITIES
        and repeated >= _ROWS_OF_AN_ENTITY
        and column.distinct_share > 0.01  # else it is a category like any other
    )


def _time_split(column: SampledColumn) -> TimeSplit | None:
    if not column.is_scalar or not column.name or not _is_time(column):
        return None
    times = column.values
    order = times.cast(pa.large_string()) if is_text(column.type) else times
    before, after = order.slice(0, len(order) - 1), order.slice(1)
    rising = pc.mean(pc.greater_equal(after, before).cast(pa.float64())).as_py()
    falling = pc.mean(pc.less_equal(after, before).cast(pa.float64())).as_py()
    if max(rising, falling) < _IN_ORDER:
        return None
    ordered = order.take(pc.sort_indices(order))
    bounds = [ordered[int(len(order) * share)] for share in (_TO_VALIDATION, _TO_TEST)]
    shares = [float(pc.mean(pc.less(order, b).cast(pa.float64())).as_py()) for b in bounds]
    if not 0.5 <= shares[0] < shares[1] - 0.02:  # too many rows share a time
        return None
    validation, test = (_spelt(bound, column.type) for bound in bounds)
    return TimeSplit(by="time", column=column.name, validation_from=validation, test_from=test)


def _is_time(column: SampledColumn) -> bool:
    return bool(
        column.is_date
        and column.date_share == 1.0
        and not column.missing_share
        and column.profile.distinct >= _FEWEST_TIMES
        and (is_datetime(column.type) or _are_in_order(column))
    )


def _are_in_order(column: SampledColumn) -> bool:
    """Returns whether dates as texts have the order of their times, as a split compares them."""
    lengths = pc.utf8_length(column.texts.drop_null()).unique()
    return len(lengths) == 1 and is_sorted_by_time(column.date_format)


def _spelt(bound: pa.Scalar, type_: pa.DataType) -> str:
    if pat.is_timestamp(type_):
        bound = bound.cast(pa.timestamp("us", type_.tz), safe=False)
    value = bound.as_py()
    return value if isinstance(value, str) else str(value.isoformat())
