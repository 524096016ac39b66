"""One training of the stream's benchmark: `python -m tests.benchmarks.training WAY SHARE JOB.json`.

WAY is "stream" or "arrays", SHARE that of the training files. Writes what the last epoch took.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np

from tests.benchmarks.stream import Pass, recipe, timed
from trainer.data.shards import ShardFile, count_rows, shard_files
from trainer.data.stream import BatchLayout, evaluation_batches
from trainer.network.model import build_model
from trainer.training import training
from trainer.training.epoch import EpochRunner
from trainer.training.objectives import trainable
from trainer.training.training_data import TrainingData
from transforms.contract.process.startup import keep_freed_memory
from transforms.contract.steps.jobs import TrainJob


def from_stream(job: TrainJob, share: float) -> Pass:
    """Trains as a run does."""
    passes: list[Pass] = []
    run = EpochRunner.run

    def measured(runner: EpochRunner, *arguments: Any) -> Any:
        records: list[Any] = []
        passes.append(timed(lambda: records.append(run(runner, *arguments))))
        return records[0]

    files = {"train": _part(job, share), "validation": ()}
    with patch.object(EpochRunner, "run", measured), patch.object(TrainingData, "_files", files):
        training.train(job)
    return passes[-1]


def from_arrays(job: TrainJob, share: float) -> Pass:
    """Reads everything into arrays and trains the same model on them by Keras's `fit`."""
    files, manifest = _part(job, share), job.manifest()
    layout = BatchLayout.for_training(job.pipeline, manifest)
    rows = count_rows(files)
    parts: tuple[dict[str, np.ndarray], ...] = ({}, {}, {})
    start = 0
    for batch in evaluation_batches(files, layout, 256):
        for arrays, tensors in zip(parts, batch, strict=True):
            for name, tensor in tensors.items():
                value = tensor.numpy()
                whole = arrays.setdefault(name, np.empty((rows, *value.shape[1:]), value.dtype))
                whole[start : start + len(value)] = value
        start += len(value)
    plan = recipe(job, files)
    model = trainable(build_model(job.pipeline, manifest), job.pipeline, manifest, plan)

    def fit() -> None:
        model.fit(*parts[:2], sample_weight=parts[2], batch_size=plan.batch_size, verbose=0)

    return [timed(fit) for _ in range(plan.epochs)][-1]


def _part(job: TrainJob, share: float) -> tuple[ShardFile, ...]:
    files = shard_files(job, "train")
    return files[: round(len(files) * share)]


WAYS: dict[str, Callable[[TrainJob, float], Pass]] = {
    "stream": from_stream,
    "arrays": from_arrays,
}

if __name__ == "__main__":
    way, share, path = sys.argv[1:]
    keep_freed_memory()
    keras.utils.set_random_seed(1)
    outcome = WAYS[way](TrainJob.model_validate_json(Path(path).read_text()), float(share))
    sys.stdout.write(json.dumps(asdict(outcome)) + "\n")
