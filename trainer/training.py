"""Training: whoever kills it loses at most what came after the last checkpoint."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras

from trainer.augment import Augmenter
from trainer.checkpoint import Checkpoints, Position, TrainingState
from trainer.data import TrainingData
from trainer.devices import strategy_for
from trainer.epoch import EpochRunner, evaluate_loss, refuse_non_finite, traced
from trainer.model import build_model
from trainer.objectives import learnt_loss_weights, trainable
from trainer.seam import check_seam
from trainer.shards import ShardFile, count_rows
from trainer.stream import BatchLayout, evaluation_batches
from trainer.waiting import advice, measured, worth_a_change
from trainer.warm_start import begin
from transforms.contract.jobs import TrainJob
from transforms.contract.manifest import TransformManifest
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.targets import ImageTarget
from transforms.contract.workspace import replacing, write_atomic

MODEL_FILE = "model.keras"
HISTORY_FILE = "history.json"


def train(job: TrainJob, *, devices: Sequence[str] | None = None) -> dict[str, Any]:
    """Trains a model, or goes on where a killed training was, and commits `model.keras`.

    Args:
        job: The run.
        devices: What to train on, as TensorFlow names it; None is every GPU, or else the CPU.

    Returns:
        What the run's record keeps of it: epochs, seconds, rows per second, the best epoch (from
        1), the share of time that the model waited for data, in all and by epoch, the seconds
        that it waited for the transform beside those, the number of parameters, the loss weights
        by target if they were learnt, what it began with if that was a registered model, warnings.

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
    data = TrainingData(job)
    # Before the model is built: its initial weights and dropout's states come from this seed.
    keras.utils.set_random_seed(pipeline.training.seed)
    strategy, warnings = strategy_for(pipeline.training, devices)
    with strategy.scope():
        network = build_model(pipeline, manifest, mixed_precision=pipeline.training.mixed_precision)
        model = trainable(network, pipeline, manifest, data.steps())
    checkpoints = Checkpoints(folder / "training")
    started = begin(job, manifest, network, checkpoints)
    with data.readable_errors():
        state = _run_epochs(model, pipeline, manifest, data, checkpoints)
        warnings += _advice(state, data, pipeline, manifest)
    if state.best_epoch is None:
        raise ValueError("a training has at least one epoch")
    checkpoints.restore(model, state.best_epoch)
    result = _result(state, model, network, data) | {"devices": strategy.num_replicas_in_sync}
    result["warnings"] += warnings
    if started is not None:
        result["warm_start"] = started.model_dump(mode="json", exclude={"problem"})
        result["warnings"] += started.warnings()
    history = {"result": result, "epochs": [r.model_dump() for r in state.history]}
    write_atomic(folder / HISTORY_FILE, json.dumps(history, indent=1))
    with replacing(folder / MODEL_FILE) as temporary:
        network.save(temporary)
    return result


def _run_epochs(
    model: keras.Model,
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    data: TrainingData,
    checkpoints: Checkpoints,
) -> TrainingState:
    training = pipeline.training
    state = checkpoints.state()
    layout = BatchLayout.for_training(pipeline, manifest)
    masks = [n for n, t in pipeline.targets.items() if isinstance(t, ImageTarget) and t.is_mask]
    augmenter = Augmenter(pipeline.model.augment, masks=masks, seed=training.seed)
    states = augmenter.states()
    position = checkpoints.position(state.epochs)
    if position is not None:
        checkpoints.restore_within(model, states)
    elif state.epochs:
        checkpoints.restore(model, state.epochs - 1)
    runner = EpochRunner(
        model, training, augmenter, partial(checkpoints.save_within, model, states)
    )
    validation_loss = None
    while not state.stopped:
        start = position or Position(epoch=state.epochs)
        position = None
        record = runner.run(data.epoch(layout, start), start)
        # Not before the first epoch: its end is when all validation rows are there for sure.
        validation_loss = validation_loss or _validation_loss(
            model, pipeline, manifest, data.validation
        )
        learnt = {f"{name}_weight": w for name, w in learnt_loss_weights(model).items()}
        record = record.model_copy(
            update={"validation_loss": validation_loss(), "losses": record.losses | learnt}
        )
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
) -> Callable[[], float | None]:
    """Returns a function that gives the present loss on the validation rows.

    It counts no class weights, and is None without rows.
    """
    if count_rows(files) == 0:
        return lambda: None
    layout = BatchLayout.for_evaluation(pipeline, manifest)
    batches = evaluation_batches(files, layout, pipeline.training.batch_size)
    step = traced(model, "test", batches)

    def found() -> float:
        loss = evaluate_loss(step, batches)
        refuse_non_finite(loss, "the validation loss")
        return loss

    return found


def _advice(
    state: TrainingState, data: TrainingData, pipeline: PipelineSpec, manifest: TransformManifest
) -> tuple[str, ...]:
    """Returns what to change if the model waited for data, at most one sentence or two."""
    seconds = sum(record.seconds for record in state.history)
    waited = sum(record.seconds * record.input_wait_share for record in state.history)
    if not worth_a_change(waited, seconds):
        return ()
    first = sum(record.seconds * record.first_wait_share for record in state.history)
    training, epochs = pipeline.training, len(state.history)
    found = measured(
        data.train,
        BatchLayout.for_training(pipeline, manifest),
        training.batch_size,
        share=waited / seconds,
        first_share=first / waited,
        seconds_per_batch=waited / (math.ceil(data.rows / training.batch_size) * epochs),
        rows_per_second=data.rows * epochs / seconds,
        cpu_share=sum(record.cpu_seconds for record in state.history) / seconds,
    )
    return (advice(found),)


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
        "rows": data.rows,
        "seconds": seconds,
        "rows_per_second": data.rows * state.epochs / seconds,
        "best_epoch": (state.best_epoch or 0) + 1,
        "input_wait_share": waited / seconds,
        "input_wait_share_by_epoch": [record.input_wait_share for record in state.history],
        "transform_wait_seconds": sum(record.transform_wait_seconds for record in state.history),
        "parameters": int(network.count_params()),
        "loss_weights": learnt_loss_weights(model),
        "warnings": warnings,
    }
