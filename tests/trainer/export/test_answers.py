from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from trainer.data.shards import shard_files
from trainer.export import answers as module
from trainer.export.answers import answers
from trainer.export.serving import load
from transforms.contract.errors import BraidError


def test_every_partition_has_its_part_in_the_answers(trainer_run, trainer_world, monkeypatch):
    monkeypatch.setattr(module, "_MOST_ROWS", 4)
    export = f"{trainer_run.job.run_folder}/export"
    job = trainer_world.job("answers", champion=export)
    assert answers(job).rows == 4
    files = shard_files(job, "test", "raw")
    firsts = [record for file in files for record in _records(file.path)[:2]]
    expected = load(export).score_examples(np.array(firsts, object))
    with np.load(Path(job.run_folder) / "answers.npz") as written:
        np.testing.assert_allclose(written["answer.sold"], expected["sold"], atol=1e-6)


def test_a_damaged_shard_is_named(trainer_run, trainer_world, tmp_path):
    root = tmp_path / "workspace"
    shutil.copytree(trainer_world.root, root, ignore=shutil.ignore_patterns("runs"))
    export = f"{trainer_run.job.run_folder}/export"
    job = trainer_world.job("damaged", workspace=str(root), champion=export)
    path = shard_files(job, "test", "raw")[-1].path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BraidError, match=path.name):
        answers(job)


def _records(path):
    return [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
