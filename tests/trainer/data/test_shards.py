from __future__ import annotations

import pytest
import tensorflow as tf

from tests.trainer.world import write_shard
from trainer.data.shards import ShardFile, count_rows, first_damage, shard_files, verify
from transforms.contract.errors import BraidError


@pytest.fixture
def shard(tmp_path):
    """Three records of 10 bytes: each takes 26 bytes with its framing."""
    records = [bytes([65 + index]) * 10 for index in range(3)]
    return ShardFile(
        tmp_path / "a.tfrecord", write_shard(tmp_path, "a.tfrecord", "train", "stored", records)
    )


def test_an_intact_shard_passes(shard):
    verify([shard])
    assert first_damage(shard.path) is None


def test_a_changed_byte_is_refused_with_file_record_and_place(shard):
    content = bytearray(shard.path.read_bytes())
    content[26 + 15] ^= 1
    shard.path.write_bytes(content)

    with pytest.raises(BraidError) as caught:
        verify([shard])

    assert str(shard.path) == caught.value.place
    assert "record 1 at byte 26: its data has a wrong checksum" in caught.value.received
    assert f"Delete the folder {shard.path.parent}" in caught.value.action


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:-1], "record 2 at byte 52: the file ends within its data"),
        (lambda content: content[:55], "record 2 at byte 52: the file ends within its header"),
        (
            lambda content: content[:52] + b"\xff" + content[53:],
            "record 2 at byte 52: its length has a wrong checksum",
        ),
        (lambda content: content[:52], "a readable file of 52 bytes with other content"),
    ],
)
def test_damage_is_told_apart(shard, damage, words):
    shard.path.write_bytes(damage(shard.path.read_bytes()))
    with pytest.raises(BraidError, match=words):
        verify([shard])


def test_a_missing_shard_is_refused(shard):
    shard.path.unlink()
    with pytest.raises(BraidError, match="no such file"):
        verify([shard])


def test_the_walk_agrees_with_tensorflow(shard):
    content = bytearray(shard.path.read_bytes())
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        shard.path.write_bytes(damaged)
        damage = first_damage(shard.path)
        with pytest.raises(tf.errors.DataLossError):
            list(tf.data.TFRecordDataset(str(shard.path)))
        assert damage is not None
        assert damage.record == place // 26


def test_a_split_is_found_in_every_partition(trainer_world):
    job = trainer_world.job("files")
    train = shard_files(job, "train")
    assert [f"{f.path.parent.name}/{f.path.name}" for f in train] == [
        "day=1@p1/train-00000-00.tfrecord",
        "day=1@p1/train-00000-01.tfrecord",
        "day=2@p2/train-00000-00.tfrecord",
        "day=2@p2/train-00000-01.tfrecord",
    ]
    raw, stored = shard_files(job, "test", "raw"), shard_files(job, "test")
    assert [f.path.name for f in raw] == [f"raw-{f.path.name}" for f in stored]
    splits = [shard_files(job, split) for split in ("train", "validation", "test")]
    assert sum(count_rows(files) for files in splits) == 120
