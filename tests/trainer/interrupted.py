"""A training that is interrupted, as by Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainer.training.checkpoint import Checkpoints
from trainer.training.epoch import EpochRunner
from trainer.training.training import train
from transforms.contract.steps.jobs import TrainJob


def train_until(job: TrainJob, *, epoch: int, step: int) -> None:
    """Trains up to a step of an epoch, both counted from 0; the epochs before are kept."""

    def interrupt(_self, running):
        if (running.epoch, running.batches) == (epoch, step):
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EpochRunner, "_tell", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(job)
    assert Checkpoints(Path(job.run_folder) / "training").state().epochs == epoch
