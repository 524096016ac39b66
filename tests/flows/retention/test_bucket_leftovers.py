"""Leftovers of killed steps in a bucket, and transforms that go."""

import pytest

from flows.retention.exclusion import exclusive
from flows.retention.leftovers import (
    remove_leftovers,
    remove_leftovers_of_others,
    remove_transform,
)
from flows.retention.needed_shards import Needed
from tests.support.bucket import URI, memory_bucket
from tests.support.shards import (
    DAY_1,
    DAY_2,
    OTHERS,
    OURS,
    shard_manifest,
    transform_manifest,
)
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace


@pytest.fixture
def bucket():
    with memory_bucket() as memory:
        yield memory


@pytest.fixture
def workspace(tmp_path):
    return Workspace.declared(tmp_path, StoreSpec(path=URI))


def freeze(workspace, name):
    manifest = transform_manifest(name)
    write_atomic(workspace.transform(name) / "transform.json", manifest.model_dump_json())


def begin(workspace, transform, part):
    write_atomic(workspace.unit(transform, *part.id, "plan"), "{}")
    write_atomic(workspace.unit(transform, *part.id, "00000"), "{}")
    write_atomic(workspace.shards(transform, *part.id) / "train.tfrecord", "x")
    write_atomic(workspace.rejects(transform, *part.id) / "00000.parquet", "x")


def commit(workspace, transform, part):
    """Commits a partition as it is when a kill cuts what follows."""
    begin(workspace, transform, part)
    write_atomic(workspace.shards(transform, *part.id) / "late.tfrecord", "x")
    manifest = shard_manifest(transform, part)
    write_atomic(workspace.manifest(transform, *part.id), manifest.model_dump_json())


def clean_up(workspace, partitions, others=None):
    with exclusive(workspace, "transform", OURS) as hold:
        remove_leftovers(workspace, OURS, partitions, hold, others or Needed())


def keys(bucket):
    return sorted(path.removeprefix("bucket/braid/") for path in bucket.objects)


def committed(transform, part):
    address = f"{part.name}@{part.fingerprint}"
    return [
        f"manifests/{transform}/{address}.json",
        f"rejects/{transform}/{address}/00000.parquet",
        f"shards/{transform}/{address}/train.tfrecord",
    ]


def test_what_led_to_a_commit_goes_and_what_is_begun_stays_for_the_next_attempt(bucket, workspace):
    commit(workspace, OURS, DAY_1)
    begin(workspace, OURS, DAY_2)
    begun = [key for key in keys(bucket) if "day=2" in key]
    clean_up(workspace, [DAY_1, DAY_2])
    assert keys(bucket) == sorted([*committed(OURS, DAY_1), *begun])
    clean_up(workspace, [DAY_1])
    assert keys(bucket) == committed(OURS, DAY_1)


def test_what_another_workspace_has_begun_stays_for_it(bucket, workspace):
    begin(workspace, OURS, DAY_2)
    begun = keys(bucket)
    others = Needed().and_by(OURS, [DAY_2.id])
    clean_up(workspace, [DAY_1], others)
    remove_leftovers_of_others(workspace, OTHERS, others)
    assert keys(bucket) == begun


def test_others_begun_partitions_go_and_their_committed_ones_stay(bucket, workspace):
    freeze(workspace, OTHERS)
    commit(workspace, OTHERS, DAY_1)
    begin(workspace, OTHERS, DAY_2)
    remove_leftovers_of_others(workspace, OURS, Needed())
    assert keys(bucket) == sorted(
        [*committed(OTHERS, DAY_1), f"transforms/{OTHERS}/transform.json"]
    )


def test_a_removal_that_was_killed_is_gone_on_with(bucket, workspace):
    freeze(workspace, OTHERS)
    commit(workspace, OTHERS, DAY_1)
    write_atomic(workspace.transform(OTHERS) / "c-graph", "x")
    delete = bucket.delete_dir

    def killed(path):
        raise OSError("PERMISSION_DENIED")

    bucket.delete_dir = killed
    with (
        exclusive(workspace, "transform", OTHERS) as hold,
        pytest.raises(BraidError, match="PERMISSION_DENIED"),
    ):
        remove_transform(workspace, OTHERS, hold)
    assert workspace.read_transform(OTHERS) is None
    bucket.delete_dir = delete
    remove_leftovers_of_others(workspace, OURS, Needed())
    assert keys(bucket) == []


@pytest.mark.parametrize("kept", [[], [DAY_1]])
def test_a_partition_whose_removal_was_killed_goes(bucket, workspace, kept):
    commit(workspace, OURS, DAY_1)
    clean_up(workspace, [DAY_1])
    delete = bucket.delete_dir

    def killed(path):
        raise OSError("PERMISSION_DENIED")

    bucket.delete_dir = killed
    with pytest.raises(BraidError, match="PERMISSION_DENIED"):
        workspace.remove_partition(OURS, *DAY_1.id)
    bucket.delete_dir = delete
    clean_up(workspace, kept)
    assert keys(bucket) == []
