"""Training, an epoch at a time: whoever kills it loses at most the epoch that was running."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from trainer.augment import Augmenter
from trainer.checkpoint import Checkpoints, TrainingState
from trainer.epoch import EpochRunner, refuse_non_finite
from trainer.model import build_model
from trainer.objectives import learnt_loss_weights, trainable
from trainer.seam import check_seam
from trainer.shards import ShardFile, count_rows, shard_files, verify
from trainer.stream import BatchLayout, evaluation_batches, readable_errors, training_batches
from transforms.contract.errors import BraidError
from transforms.contract.jobs import TrainJob
from transforms.contract.manifest import TransformManifest
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.targets import ImageTarget
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
        1), the share of time that the model waited for data, the number of parameters, the loss
        weights by target if they were learnt, warnings.

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
    network = build_model(pipeline, manifest, mixed_precision=pipeline.training.mixed_precision)
    steps = math.ceil(data.rows / pipeline.training.batch_size) * pipeline.training.epochs
    model = trainable(network, pipeline, manifest, steps)
    checkpoints = Checkpoints(folder / "training")
    with readable_errors((*data.train, *data.validation)):
        state = _run_epochs(model, pipeline, manifest, data, checkpoints)
    if state.best_epoch is None:
        raise ValueError("a training has at least one epoch")
    checkpoints.restore(model, state.best_epoch)
    result = _result(state, model, network, data)
    history = {"result": result, "epochs": [r.model_dump() for r in state.history]}
    write_atomic(folder / HISTORY_FILE, json.dumps(history, indent=1))
    with replacing(folder / MODEL_FILE) as temporary:
        network.save(temporary)
    return result


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
    masks = [n for n, t in pipeline.targets.items() if isinstance(t, ImageTarget) and t.is_mask]
    augmenter = Augmenter(pipeline.model.augment, masks=masks, seed=training.seed)
    runner = EpochRunner(model, training, data.rows, augmenter)
    while not state.stopped:
        batches = training_batches(data.train, layout, training, epoch=state.epochs)
        record = runner.run(batches, state.epochs)
        loss = _validation_loss(model, pipeline, manifest, data.validation)
        record = record.model_copy(update={"validation_loss": loss})
        state = state.after(
            record, patience=training.early_stopping_patience, epochs=training.epochs
        )
        checkpoints.save(model, state)
    return state


def _validation_loss(
    model: keras.Model,
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    files: Sequence[ShardFile],
) -> float | None:
    """Returns the loss on the validation rows, without class weights; None without rows."""
    if count_rows(files) == 0:
        return None
    batch_size = pipeline.training.batch_size
    layout = BatchLayout.for_evaluation(pipeline, manifest)
    batches = evaluation_batches(files, layout, batch_size)
    steps = math.ceil(count_rows(files) / batch_size)
    loss = float(model.evaluate(batches, steps=steps, verbose=0, return_dict=True)["loss"])
    refuse_non_finite(loss, "the validation loss")
    return loss


def _result(
    state: TrainingState, model: keras.Model, network: keras.Model, data: TrainingData
) -> dict[str, Any]:
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
        "parameters": int(network.count_params()),
        "loss_weights": learnt_loss_weights(model),
        "warnings": warnings,
    }
