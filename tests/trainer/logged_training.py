"""Trains a job slowly, and writes down the rows of every batch before it is learnt.

`python -m tests.trainer.logged_training JOB.json LOG`, to be killed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from trainer.training import epoch
from trainer.training.training import train
from transforms.contract.steps.jobs import TrainJob

_SECONDS = 0.02  # so that a batch outlasts the look at the checkpoint of the one before


def log_batches(path: Path, key: str = "photo") -> None:
    """Makes every later training of this process write a line for a batch: its rows' keys.

    Args:
        path: The file with these lines.
        key: A feature whose first value no two rows share.
    """
    traced = epoch.traced

    def logging(model, kind, batches, unpack, change):
        step = traced(model, kind, batches, unpack, change=change)

        def logged(batch):
            values = unpack(batch)[0][key].numpy()
            keys = values.reshape(len(values), -1)[:, 0].tolist()
            with path.open("a") as file:
                file.write(json.dumps(keys) + "\n")
            time.sleep(_SECONDS)
            return step(batch)

        return logged

    epoch.traced = logging


if __name__ == "__main__":
    log_batches(Path(sys.argv[2]))
    train(TrainJob.model_validate_json(Path(sys.argv[1]).read_text()))
