"""Training, an epoch at a time: whoever kills it loses at most the epoch that was running."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from trainer.augment import Augmenter
from trainer.checkpoint import Checkpoints, TrainingState
from trainer.epoch import EpochRunner, refuse_non_finite
from trainer.heads import head_of
from trainer.model import build_model
from trainer.optimizers import build_optimizer
from trainer.seam import check_seam
from trainer.shards import ShardFile, count_rows, shard_files, verify
from trainer.stream import BatchLayout, evaluation_batches, readable_errors, training_batches
from transforms.contract.errors import BraidError
from transforms.contract.jobs import TrainJob
from transforms.contract.manifest import TransformManifest
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.workspace import replacing, write_atomic

MODEL_FILE = "model.keras"
HISTORY_FILE = "history.json"


@dataclass(frozen=True)
class TrainingData:
    """The verified shards that a training reads."""

    train: tuple[ShardFile, ...]
    validation: tuple[ShardFile, ...]

    @property
    def rows(self) -> int:
        """Training rows."""
        return count_rows(self.train)


def train(job: TrainJob) -> dict[str, Any]:
    """Trains a model, or goes on where a killed training was, and commits `model.keras`.

    Returns:
        What the run's record keeps of it: epochs, seconds, rows per second, the best epoch (from
        1), the share of time that the model waited for data, the number of parameters, warnings.

    Raises:
        BraidError: There are no training rows, a shard is damaged, the shards do not fit the
            declaration, or the loss stops being a number.
    """
    folder = Path(job.run_folder)
    if (folder / MODEL_FILE).exists():
        result: dict[str, Any] = json.loads((folder / HISTORY_FILE).read_text())["result"]
        return result
    pipeline, manifest = job.pipeline, job.manifest()
    check_seam(pipeline, manifest)
    data = _data(job)
    # Before the model is built: its initial weights and dropout's states come from this seed.
    keras.utils.set_random_seed(pipeline.training.seed)
    model = build_model(pipeline, manifest, mixed_precision=pipeline.training.mixed_precision)
    compile_model(model, pipeline, math.ceil(data.rows / pipeline.training.batch_size))
    checkpoints = Checkpoints(folder / "training")
    with readable_errors((*data.train, *data.validation)):
        state = _run_epochs(model, pipeline, manifest, data, checkpoints)
    if state.best_epoch is None:
        raise ValueError("a training has at least one epoch")
    checkpoints.restore(model, state.best_epoch)
    result = _result(state, model, data)
    history = {"result": result, "epochs": [r.model_dump() for r in state.history]}
    write_atomic(folder / HISTORY_FILE, json.dumps(history, indent=1))
    with replacing(folder / MODEL_FILE) as temporary:
        model.save(temporary)
    return result


def compile_model(model: keras.Model, pipeline: PipelineSpec, steps_per_epoch: int) -> None:
    """Gives a model its losses and optimizer.

    A target's loss is a mean over all rows, masked ones included: a row's pull on the weights
    does not depend on how many others of its batch have a label.
    """
    training = pipeline.training
    model.compile(
        optimizer=build_optimizer(training, steps_per_epoch * training.epochs),
        loss={name: head_of(target).loss(target) for name, target in pipeline.targets.items()},
        loss_weights={name: target.loss_weight for name, target in pipeline.targets.items()},
        # XLA pays on a GPU; on a CPU its compilation costs more than these models' steps save.
        jit_compile="auto" if tf.config.list_physical_devices("GPU") else False,
    )
    model.optimizer.build(model.trainable_variables)


def _data(job: TrainJob) -> TrainingData:
    data = TrainingData(shard_files(job, "train"), shard_files(job, "validation"))
    if data.rows == 0:
        raise BraidError(
            f"the training split of pipeline '{job.pipeline.name}'",
            expected="at least one row",
            received=f"none in {len(job.partitions)} partitions",
            action="Look at the rejects and at the split in the declaration.",
        )
    verify((*data.train, *data.validation))
    return data


def _run_epochs(
    model: keras.Model,
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    data: TrainingData,
    checkpoints: Checkpoints,
) -> TrainingState:
    training = pipeline.training
    state = checkpoints.state()
    if state.epochs:
        checkpoints.restore(model, state.epochs - 1)
    layout = BatchLayout.for_training(pipeline, manifest)
    augmenter = Augmenter(pipeline.model.augment, seed=training.seed)
    runner = EpochRunner(model, training, data.rows, augmenter)
    while not state.stopped:
        batches = training_batches(data.train, layout, training, epoch=state.epochs)
        record = runner.run(batches, state.epochs)
        loss = _validation_loss(model, manifest, data.validation, training.batch_size)
        record = record.model_copy(update={"validation_loss": loss})
        state = state.after(
            record, patience=training.early_stopping_patience, epochs=training.epochs
        )
        checkpoints.save(model, state)
    return state


def _validation_loss(
    model: keras.Model,
    manifest: TransformManifest,
    files: Sequence[ShardFile],
    batch_size: int,
) -> float | None:
    """Returns the loss on the validation rows, without class weights; None without rows."""
    if count_rows(files) == 0:
        return None
    batches = evaluation_batches(files, BatchLayout.for_evaluation(manifest), batch_size)
    steps = math.ceil(count_rows(files) / batch_size)
    loss = float(model.evaluate(batches, steps=steps, verbose=0, return_dict=True)["loss"])
    refuse_non_finite(loss, "the validation loss")
    return loss


def _result(state: TrainingState, model: keras.Model, data: TrainingData) -> dict[str, Any]:
    seconds = sum(record.seconds for record in state.history)
    waited = sum(record.seconds * record.input_wait_share for record in state.history)
    warnings = []
    if count_rows(data.validation) == 0:
        warnings.append("There are no validation rows: the training loss chose the best epoch.")
    return {
        "epochs": state.epochs,
        "seconds": seconds,
        "rows_per_second": data.rows * state.epochs / seconds,
        "best_epoch": (state.best_epoch or 0) + 1,
        "input_wait_share": waited / seconds,
        "parameters": int(model.count_params()),
        "warnings": warnings,
    }
