from __future__ import annotations

import numpy as np
import pytest

from tests.trainer.world import example, write_shard
from trainer.data.shards import ShardFile


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShardFile, ...]:
    """Twelve files of 25 numbered rows, of which x is 0 to 299."""
    folder = tmp_path_factory.mktemp("numbers")
    shards = []
    for index in range(12):
        records = [
            example({"x": np.float32(25 * index + row), "y": np.float32(0)}) for row in range(25)
        ]
        shard = write_shard(folder, f"train-{index:05d}.tfrecord", "train", "stored", records)
        shards.append(ShardFile(folder / shard.file, shard))
    return tuple(shards)
