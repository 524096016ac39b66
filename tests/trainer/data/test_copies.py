"""Batches of shards that lie in a bucket: those of the same shards on a disk."""

from dataclasses import replace

import numpy as np
import pytest

from tests.support.bucket import memory_bucket, place_in
from tests.trainer.world import example, recipe_with, write_shard
from trainer.data.shards import ShardFile, verify
from trainer.data.stream import (
    BatchLayout,
    arriving_batches,
    evaluation_batches,
    readable_errors,
    sampled_records,
    training_batches,
)
from transforms.contract.workspace import cache
from transforms.contract.workspace.documents import DamagedFile
from transforms.contract.workspace.manifest import StoredFeature

NUMBER = StoredFeature(name="x", role="feature", kind="numeric", dtype="float32", shape=())
LAYOUT = BatchLayout((NUMBER,), {})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A hundred files of three rows, of which x is 0 to 299."""
    folder = tmp_path_factory.mktemp("numbers")
    shards = []
    for index in range(100):
        records = [example({"x": np.float32(3 * index + row)}) for row in range(3)]
        shard = write_shard(folder, f"train-{index:05d}.tfrecord", "train", "stored", records)
        shards.append(ShardFile(folder / shard.file, shard))
    return tuple(shards)


def order(files, **where):
    return numbers(training_batches(files, LAYOUT, recipe_with(batch_size=32), **where))


@pytest.fixture
def bucket():
    with memory_bucket() as memory:
        yield memory


@pytest.fixture
def stored(files, bucket, tmp_path):
    """The same shards in a bucket, of which the cache is to have no more than it must."""
    size = files[0].shard.bytes
    store = place_in(tmp_path / "cache", cache_bytes=size)
    held = cache.cache_of(store.bucket)
    found = []
    for file in files:
        place = store / "shards" / file.path.name
        place.upload(file.path)
        path = held.path_of(place, file.shard.checksum)
        found.append(replace(file, path=path, stored=place))
    return tuple(found)


def numbers(batches):
    return np.concatenate([inputs["x"].numpy() for inputs, _, _ in batches]).astype(int).tolist()


def test_the_rows_of_an_epoch_come_in_the_same_order(files, stored):
    verify(stored)
    assert order(stored, epoch=1, epochs=2) == order(files, epoch=1, epochs=2)
    assert order(stored, epoch=0, first_batch=4) == order(files, epoch=0, first_batch=4)


def test_rows_are_evaluated_sampled_and_arrive_in_the_same_order(files, stored):
    recipe = recipe_with(batch_size=32)
    assert numbers(evaluation_batches(stored, LAYOUT, 32)) == numbers(
        evaluation_batches(files, LAYOUT, 32)
    )
    assert list(sampled_records(stored, 50)) == list(sampled_records(files, 50))
    arriving = [
        numbers(arriving_batches(lambda each=each: [each[:60], each[60:]], LAYOUT, recipe))
        for each in (stored, files)
    ]
    assert arriving[0] == arriving[1]


def test_the_cache_stays_within_its_bound(stored):
    numbers(evaluation_batches(stored, LAYOUT, 32))
    (bucket,) = {file.stored.bucket for file in stored}
    sizes = [path.stat().st_size for path in (bucket.cache / "files").iterdir()]
    assert len(sizes) < 50


def test_a_shard_that_comes_torn_is_fetched_again(files, stored, bucket):
    bucket.torn = 2
    assert numbers(evaluation_batches(stored, LAYOUT, 32)) == list(range(300))


def test_a_lost_shard_is_an_error_that_names_its_object(stored, bucket):
    stored[5].stored.delete()
    with (
        pytest.raises(DamagedFile, match=r"gs://bucket/braid/shards/train-00005.*no such object"),
        readable_errors(stored),
    ):
        list(evaluation_batches(stored, LAYOUT, 32))
