"""The answer of `braid check` to a store in a bucket."""

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.checks.check_data import check_data
from flows.commands.check import check
from tests.support.bucket import URI, memory_bucket
from tests.support.shards import transform_manifest
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.fingerprint import checksum
from transforms.contract.workspace.cache import writing_folder
from transforms.contract.workspace.files import replacing, write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import (
    RejectCount,
    Shard,
    ShardManifest,
)
from transforms.statistics.accumulators import Accumulated

PART = ("day=1", "f")


@pytest.fixture
def bucket():
    with memory_bucket() as memory:
        yield memory


@pytest.fixture
def workspace(tmp_path, bucket):
    """Returns one with a transform, a partition with one reject, and its statistics."""
    workspace = Workspace.declared(tmp_path / "workspace", StoreSpec(path=URI))
    workspace.root.mkdir()
    frozen = transform_manifest("t")
    with writing_folder(workspace.transform("t"), last="transform.json") as folder:
        write_atomic(folder / "graph" / "saved_model.pb", "graph")
        write_atomic(folder / "transform.json", frozen.model_dump_json())
    shard = workspace.shards("t", *PART) / "train.tfrecord"
    with replacing(shard) as file:
        file.write_bytes(b"records")
        content = checksum(file)
    with replacing(workspace.rejects("t", *PART) / "00000.parquet") as file:
        pq.write_table(pa.table({"key": ["a"]}), file)
    reject = RejectCount(column="x", reason="missing", rows=1, example_key="a", example_file="f")
    manifest = ShardManifest(
        transform="t",
        partition="day=1",
        partition_fingerprint="f",
        shards=(Shard(file=shard.name, split="train", rows=1, bytes=7, checksum=content),),
        rows=2,
        rejects=(reject,),
    )
    write_atomic(workspace.manifest("t", *PART), manifest.model_dump_json())
    Accumulated(rows=1).write(workspace.statistics("d", *PART))
    return workspace


def test_a_whole_bucket_is_whole(workspace):
    looked_at = Counter()
    assert list(check_data(workspace, looked_at)) == []
    assert looked_at == {"transform": 1, "partition": 1, "shard": 1, "statistics file": 1}


DAMAGES = {
    "shards/t/day=1@f/train.tfrecord": "shards/t",
    "rejects/t/day=1@f/00000.parquet": "shards/t",
    "manifests/t/day=1@f.json": "shards/t",
    "statistics/d/day=1@f.v5.arrow": "statistics/d",
    "transforms/t/contents.json": "transforms/t",
    "saved_model.pb": "transforms/t",
}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_object_is_told_and_repaired_by_removing_what_is_remade(
    workspace, bucket, capsys, name, damage
):
    (path,) = (path for path in bucket.objects if path.endswith(name))
    content = bucket.objects.pop(path)
    if damage != "gone":
        changed = content[:-3] if damage == "cut" else b"\xff" * len(content)
        bucket.put(path, changed)
    if damage == "gone" and name.startswith(("manifests", "statistics")):
        assert check(workspace, None, repair=False) == 0  # there is no trace that it ever was there
        return
    assert check(workspace, None, repair=False) == 1
    assert "gs://bucket/braid/" in capsys.readouterr().out
    assert check(workspace, None, repair=True) == 0
    assert not [each for each in bucket.objects if f"/{DAMAGES[name]}/" in each]
    assert check(workspace, None, repair=False) == 0
