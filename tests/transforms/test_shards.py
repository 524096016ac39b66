from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.contract.fingerprint import checksum
from transforms.shards import ShardWriter


def writer(folder: Path, lanes: int, shard_bytes: int) -> ShardWriter:
    return ShardWriter(
        folder, "train", split="train", content="stored", lanes=lanes, shard_bytes=shard_bytes
    )


def read(path: Path) -> list[bytes]:
    """TensorFlow checks the frames that it reads."""
    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


@settings(max_examples=40, deadline=None)
@given(
    batches=st.lists(st.lists(st.binary(max_size=40), max_size=20), max_size=4),
    lanes=st.integers(1, 3),
    shard_bytes=st.integers(1, 200),
)
def test_records_go_to_lanes_in_turn_and_to_a_new_file_when_one_is_full(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[list[bytes]],
    lanes: int,
    shard_bytes: int,
) -> None:
    folder = tmp_path_factory.mktemp("shards")
    shards = writer(folder, lanes, shard_bytes)
    for batch in batches:
        shards.write(batch)
    files = {shard.file: read(folder / shard.file) for shard in shards.close()}

    records = [record for batch in batches for record in batch]
    for lane in range(lanes):
        expected = records[lane::lanes]
        mine: list[list[bytes]] = []
        while expected:
            stop, size = 0, 0
            while stop < len(expected) and size < shard_bytes:
                size += len(expected[stop])
                stop += 1
            mine.append(expected[:stop])
            expected = expected[stop:]
        for content in mine:
            name = next(name for name, found in files.items() if found == content)
            del files[name]
    assert files == {}


def test_more_than_is_put_together_at_once_is_written_whole(tmp_path: Path) -> None:
    records = [bytes([index]) * 300_000 for index in range(10)] + [b"", b"x"]
    shards = writer(tmp_path, 1, 1 << 30)
    shards.write(records)
    (shard,) = shards.close()
    assert read(tmp_path / shard.file) == records


def test_a_shard_tells_what_its_file_is(tmp_path: Path) -> None:
    shards = writer(tmp_path, 1, 100)
    shards.write([b"a" * 10, b"b" * 20])
    (shard,) = shards.close()
    path = tmp_path / shard.file
    assert (shard.rows, shard.bytes) == (2, path.stat().st_size)
    assert shard.checksum == checksum(path)


def test_what_is_not_whole_has_a_temporary_name_and_can_be_abandoned(tmp_path: Path) -> None:
    shards = writer(tmp_path, 2, 15)
    shards.write([b"a" * 20, b"b", b"c"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".tmp-train-01.tfrecord",
        ".tmp-train-02.tfrecord",
        "train-00.tfrecord",
    ]
    shards.abandon()
    assert [path.name for path in tmp_path.iterdir()] == ["train-00.tfrecord"]
