"""`braid` with a transform that is held up, and a training that writes down what it learns.

`python -m tests.support.early_training run pipeline.yaml ...`; the variables say the rest.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from dataclasses import replace
from pathlib import Path

from tests.support.command import until
from transforms.contract.workspace.manifest import ShardManifest

LOG = "TESTS_EARLY_LOG"  # of the training: a line for a batch
HELD = "TESTS_EARLY_HELD"  # "last": the last partition is committed once the others are learnt
THEN = "TESTS_EARLY_THEN"  # "die": the transform dies instead of committing it


def _hold_the_last_partition() -> None:
    from transforms.shards import transform as module

    commit = module._commit

    def held(job, partition, units):
        if partition == job.partitions[-1]:
            until(lambda: _has_learnt_what_is_committed(job))
            if os.environ.get(THEN) == "die":
                os.kill(os.getpid(), signal.SIGKILL)
        commit(job, partition, units)

    module._commit = held


def _has_learnt_what_is_committed(job) -> bool:
    from trainer.training.checkpoint import Checkpoints

    workspace = job.folders()
    manifests = workspace.root.glob("shards/*/*/manifest.json")
    committed = [ShardManifest.model_validate_json(path.read_text()) for path in manifests]
    batches = sum(manifest.rows_in("train") for manifest in committed)
    batches //= job.pipeline.training.batch_size
    folders = workspace.runs(job.pipeline.name).glob("*/training")
    positions = [Checkpoints(folder).position(0) for folder in folders]
    return any(position and position.batches == batches for position in positions)


def _braid() -> None:
    from flows.commands import cli
    from flows.steps import processes

    run_child = processes.run_child

    def own(step, job, **others):
        if step.name in ("transform", "train"):
            step = replace(step, module="tests.support.early_training")
        return run_child(step, job, **others)

    processes.run_child = own
    cli.main()


if __name__ == "__main__":
    if sys.argv[1] == "transform":
        if os.environ.get(HELD) == "last":
            _hold_the_last_partition()
        runpy.run_module("transforms", run_name="__main__")
    elif sys.argv[1] == "train":
        from tests.trainer.logged_training import log_batches

        log_batches(Path(os.environ[LOG]), key="row")
        runpy.run_module("trainer", run_name="__main__")
    else:
        _braid()
