from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.contract.fingerprint import checksum
from transforms.shards.writer import ShardWriter


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
    closed = shards.close()
    shards.commit()
    files = {shard.file: read(folder / shard.file) for shard in closed}

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
            name = next(name for name, stored in files.items() if stored == content)
            del files[name]
    assert files == {}


def test_more_than_is_put_together_at_once_is_written_whole(tmp_path: Path) -> None:
    records = [bytes([index]) * 300_000 for index in range(10)] + [b"", b"x"]
    shards = writer(tmp_path, 1, 1 << 30)
    shards.write(records)
    (shard,) = shards.close()
    shards.commit()
    assert read(tmp_path / shard.file) == records


def test_a_shard_tells_what_its_file_is(tmp_path: Path) -> None:
    shards = writer(tmp_path, 1, 100)
    shards.write([b"a" * 10, b"b" * 20])
    (shard,) = shards.close()
    shards.commit()
    path = tmp_path / shard.file
    assert (shard.rows, shard.bytes) == (2, path.stat().st_size)
    assert shard.checksum == checksum(path)


def test_what_is_not_committed_has_a_temporary_name_and_can_be_abandoned(tmp_path: Path) -> None:
    shards = writer(tmp_path, 2, 15)
    shards.write([b"a" * 20, b"b", b"c"])
    names = sorted(path.name.partition("-train")[2] for path in tmp_path.iterdir())
    assert names == ["-00.tfrecord", "-01.tfrecord", "-02.tfrecord"]
    assert all(path.name.startswith(".tmp-") for path in tmp_path.iterdir())
    shards.abandon()
    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.sampled_from(["first", "second"]), min_size=6, max_size=30), st.booleans())
@settings(max_examples=40, deadline=None)
def test_two_attempts_at_one_unit_never_write_into_each_others_files(
    tmp_path_factory: pytest.TempPathFactory, turns: list[str], dies: bool
) -> None:
    folder = tmp_path_factory.mktemp("attempts")
    attempts = {name: writer(folder, 2, 30) for name in ("first", "second")}
    records = [bytes([65 + index]) * index for index in range(15)]
    left = {name: list(records) for name in attempts}
    for name in turns:
        if left[name]:
            attempts[name].write([left[name].pop(0)])
    for record in left["first"]:
        attempts["first"].write([record])
    shards = attempts["first"].close()
    attempts["first"].commit()
    if dies:
        attempts["second"].abandon()
    else:
        for record in left["second"]:
            attempts["second"].write([record])
        attempts["second"].close()
        attempts["second"].commit()
    assert sorted(path.name for path in folder.iterdir()) == sorted(s.file for s in shards)
    for shard in shards:
        assert (folder / shard.file).stat().st_size == shard.bytes
        assert checksum(folder / shard.file) == shard.checksum
