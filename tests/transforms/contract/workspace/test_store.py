"""A workspace's store: what lies there, and how few requests tell of it."""

from pathlib import Path

import pytest

from tests.support.bucket import URI, memory_bucket
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import Shard, ShardManifest
from transforms.contract.workspace.partition import PartitionId


@pytest.fixture
def bucket():
    with memory_bucket() as memory:
        yield memory


def manifest_of(part: PartitionId) -> ShardManifest:
    shard = Shard(file="a.tfrecord", split="train", rows=7, bytes=1, checksum="c")
    return ShardManifest(
        transform="t",
        partition=part.name,
        partition_fingerprint=part.fingerprint,
        shards=(shard,),
        rows=7,
    )


def test_shards_and_statistics_are_in_the_store_and_the_rest_in_the_workspace():
    workspace = Workspace.declared(Path("/w"), StoreSpec(path="/store"))
    stored = (
        workspace.transform("t"),
        workspace.shards("t", "day=1", "f"),
        workspace.manifest("t", "day=1", "f"),
        workspace.unit("t", "day=1", "f", "00001"),
        workspace.rejects("t", "day=1", "f"),
        workspace.statistics("d", "day=1", "f"),
    )
    assert [str(place.relative_to("/store")) for place in stored] == [
        "transforms/t",
        "shards/t/day=1@f",
        "shards/t/day=1@f/manifest.json",
        "shards/t/day=1@f/units/00001.json",
        "rejects/t/day=1@f",
        "statistics/d/day=1@f.v5.arrow",
    ]
    kept = (workspace.runs("p"), workspace.lock("run", "p"), workspace.keys("id", "day=1", "f"))
    assert all(place.is_relative_to("/w") for place in kept)


def commit(workspace, bucket, parts):
    for part in parts:
        content = manifest_of(part).model_dump_json().encode()
        bucket.put(f"bucket/braid/{workspace.manifest('t', *part).key}", content)


def test_ten_thousand_partitions_are_told_by_one_listing(tmp_path, bucket):
    workspace = Workspace.declared(tmp_path, StoreSpec(path=URI))
    parts = [PartitionId(f"day={number:05d}", "f") for number in range(10_000)]
    commit(workspace, bucket, parts)
    assert workspace.committed("t", [*parts, PartitionId("day=new", "f")]) == set(parts)
    assert bucket.requests == {"list": 1}


def test_a_manifest_is_read_once_by_a_machine(tmp_path, bucket):
    workspace = Workspace.declared(tmp_path, StoreSpec(path=URI))
    parts = [PartitionId(f"day={number:03d}", "f") for number in range(200)]
    commit(workspace, bucket, parts)
    first = workspace.read_all_shards("t", parts)
    assert (len(first), first[parts[0]]) == (200, manifest_of(parts[0]))
    assert workspace.read_all_shards("t", parts) == first
    assert bucket.requests == {"list": 2, "read": 200}


def test_units_go_with_their_partition_alone(tmp_path, bucket):
    workspace = Workspace.declared(tmp_path, StoreSpec(path=URI))
    for name in ("day=1", "day=1@f.x"):
        for unit in ("plan", "00000"):
            workspace.unit("t", name, "f", unit).write_bytes(b"{}")
    workspace.remove_units("t", "day=1", "f")
    assert set(bucket.objects) == {
        "bucket/braid/units/t/day=1@f.x@f.plan.json",
        "bucket/braid/units/t/day=1@f.x@f.00000.json",
    }
