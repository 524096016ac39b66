from __future__ import annotations

import pytest

from flows.steps.budget import check_budget, rows_per_split
from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import (
    RejectCount,
    ReplacedCount,
    Shard,
    ShardManifest,
    total_rejects,
    total_replaced,
)


def _shard(split: str, rows: int, content: str = "stored") -> Shard:
    return Shard(
        file=f"{split}-{content}", split=split, content=content, rows=rows, bytes=1, checksum="0"
    )


def _reject(column: str, reason: str, rows: int, key: str = "k") -> RejectCount:
    return RejectCount(
        column=column, reason=reason, rows=rows, example_key=key, example_file="day=1/a.parquet"
    )


def _manifest(rows: int, *, rejects=(), replaced=(), splits=None) -> ShardManifest:
    splits = splits if splits is not None else {"train": 8, "validation": 1, "test": 1}
    shards = [_shard(split, count) for split, count in splits.items()]
    shards.append(_shard("test", 1, "raw"))
    return ShardManifest(
        transform="t",
        partition="p",
        partition_fingerprint="f",
        shards=tuple(shards),
        rows=rows,
        rejects=rejects,
        replaced=replaced,
    )


def test_rejects_of_partitions_add_up_and_the_worst_comes_first():
    first = _manifest(10, rejects=(_reject("photo", "truncated", 1, "a"),))
    second = _manifest(
        10, rejects=(_reject("photo", "truncated", 1, "b"), _reject("price", "missing", 3, "c"))
    )
    assert [
        (r.column, r.reason, r.rows, r.example_key) for r in total_rejects([first, second])
    ] == [
        ("price", "missing", 3, "c"),
        ("photo", "truncated", 2, "a"),
    ]


def test_replaced_values_add_up():
    part = _manifest(10, replaced=(ReplacedCount(column="floor", reason="missing", rows=2),))
    assert [(r.column, r.rows) for r in total_replaced([part, part])] == [("floor", 4)]


def test_rows_per_split_leave_the_raw_copies_out():
    assert rows_per_split([_manifest(10)]) == {"train": 8, "validation": 1, "test": 1}


def test_a_share_of_exactly_the_budget_passes():
    check_budget([_manifest(20, rejects=(_reject("photo", "truncated", 1),))], 0.05)


def test_too_many_rejects_name_the_worst_reason_with_an_example():
    parts = [
        _manifest(20, rejects=(_reject("price", "missing", 1), _reject("photo", "huge", 2, "L7")))
    ]
    with pytest.raises(BraidError) as caught:
        check_budget(parts, 0.05)
    assert caught.value.place == "column 'photo'"
    assert "3 of 20 rows (15.0%)" in caught.value.received
    assert "'huge'" in caught.value.received
    assert "key L7 in day=1/a.parquet" in caught.value.received
    assert "max_reject_fraction" in caught.value.action


def test_all_rows_rejected_within_the_budget_leaves_nothing_to_train_on():
    part = _manifest(5, rejects=(_reject("price", "missing", 5),), splits={})
    with pytest.raises(
        BraidError, match=r"expected train rows.*none among 5 rows, 5 of them rejected"
    ):
        check_budget([part], 1.0)


def test_an_empty_table_is_called_empty():
    with pytest.raises(BraidError, match="empty table"):
        check_budget([_manifest(0, splits={})], 0.05)
