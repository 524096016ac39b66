from __future__ import annotations

import numpy as np
import pytest

from tests.trainer.world import example, write_shard
from trainer.data.shards import ShardFile, count_rows, shard_files
from trainer.linear import sample
from trainer.linear.sample import sample_rows
from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import StoredFeature, TransformManifest


def _manifest(*stored):
    return TransformManifest(
        **{"fingerprint": "f", "declaration": "d", "raw_features": {}, "raw_targets": {}},
        **{"stored": stored, "targets": {}, "rows": 4, "partitions": {}},
    )


def test_few_rows_are_all_taken_as_they_are_stored(trainer_world):
    job = trainer_world.job("sample")
    files = shard_files(job, "train")
    taken = sample_rows(files, job.manifest(), 7)
    rows = count_rows(files)
    assert {values.shape for values in taken.features.values()} == {
        (rows, width) for width in (1, 2, 4, 64)
    }
    assert set(taken.features) == {stored.name for stored in job.manifest().inputs()}
    assert taken.targets["group"].shape == (rows, 1)
    assert 0 < taken.weights["group"].sum() < rows


def test_of_many_rows_every_file_gives_its_part(trainer_world, monkeypatch):
    monkeypatch.setattr(sample, "MOST_ROWS", 8)
    job = trainer_world.job("sample")
    files = shard_files(job, "train")
    assert len(files) == 4
    taken = sample_rows(files, job.manifest(), 3)
    whole = [sample_rows([file], job.manifest(), 100) for file in files]
    firsts = np.concatenate([part.targets["cost"][:2] for part in whole])
    np.testing.assert_array_equal(taken.targets["cost"], firsts)


def test_rows_of_wide_features_are_fewer(trainer_world, monkeypatch):
    monkeypatch.setattr(sample, "_MOST_VALUES", 160)
    job = trainer_world.job("sample")
    taken = sample_rows(shard_files(job, "train"), job.manifest(), 1)
    assert len(taken.targets["sold"]) == 2  # of 74 values each


def test_of_pictures_to_predict_only_the_mean_is_kept(tmp_path):
    mask = StoredFeature(
        name="mask", role="target", kind="image", dtype="uint8", shape=(1, 2, 1), storage="raw"
    )
    classes = mask.model_copy(update={"name": "classes", "cardinality": 3})
    weight = StoredFeature(
        name="mask__weight", role="weight", kind="image", dtype="float32", shape=()
    )
    records = [
        example({"mask": bytes(pixels), "classes": bytes(ids), "mask__weight": known})
        for pixels, ids, known in (
            ([0, 255], [0, 1], np.float32(1)),
            ([255, 255], [2, 1], np.float32(1)),
            ([255, 0], [2, 1], np.float32(0)),
        )
    ]
    file = ShardFile(tmp_path / "a", write_shard(tmp_path, "a", "train", "stored", records))
    taken = sample_rows([file], _manifest(mask, classes, weight), 2)
    assert taken.mean_pictures["mask"].tolist() == [[[0.5], [1.0]]]
    thirds = [[[1 / 3, 0, 2 / 3], [0, 1, 0]]]
    np.testing.assert_allclose(taken.mean_pictures["classes"], thirds, rtol=1e-6)
    assert taken.targets == {}


def test_without_rows_there_is_no_sample(trainer_world):
    assert sample_rows([], trainer_world.job("sample").manifest(), 7) is None


def test_a_damaged_shard_is_named(trainer_world, tmp_path):
    job = trainer_world.job("sample")
    file = shard_files(job, "train")[0]
    damaged = tmp_path / "a"
    damaged.write_bytes(file.path.read_bytes()[:-3])
    with pytest.raises(BraidError, match=str(damaged)):
        sample_rows([ShardFile(damaged, file.shard)], job.manifest(), 7)
