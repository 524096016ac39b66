"""Training: whoever kills it loses at most what came after the last checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf

from trainer.data.augment import Augmenter
from trainer.data.input_advice import advice, measured, worth_a_change
from trainer.data.seam import check_seam
from trainer.data.shards import ShardFile, count_rows
from trainer.data.stream import BatchLayout, evaluation_batches
from trainer.linear.blend import LinearBlend, LinearSpec, blended
from trainer.linear.fitting import Blending
from trainer.network.model import build_model
from trainer.recipe import FEWEST_TO_CHOOSE_BY, Recipe
from trainer.run_folder import (
    CHECKPOINT_FOLDER,
    CHOSEN_FILE,
    HISTORY_FILE,
    LINEAR_FILE,
    MODEL_FILE,
    RECIPE_FILE,
)
from trainer.training.checkpoint import Checkpoints, Position, initial_values
from trainer.training.devices import strategy_for
from trainer.training.early_stopping import TrainingState
from trainer.training.epoch import EpochRunner, evaluate_loss, refuse_non_finite, traced
from trainer.training.objectives import learnt_loss_weights, trainable
from trainer.training.optimizers import averaged_weights, take_averages
from trainer.training.training_data import TrainingData
from trainer.training.warm_start import begin
from trainer.training.watching import WatchedMetric, tell_round
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.process.events import is_heard, report_doing
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.results import TrainingHistory, TrainResult, WarmStarted
from transforms.contract.workspace.documents import RETRAIN, read_json, reading
from transforms.contract.workspace.files import replacing, write_atomic
from transforms.contract.workspace.manifest import TransformManifest

_VALIDATION_ROWS = 256  # scored at a time, or a batch of the training
_CACHE_BYTES = 64 * 1024 * 1024  # of validation rows, which every round reads


@dataclass(frozen=True)
class Trained:
    """A training that has come to its end.

    Attributes:
        state: How it went.
        started: What it began with, if that was a registered model.
        warnings: What the run's record is to warn of.
    """

    state: TrainingState
    started: WarmStarted | None
    warnings: tuple[str, ...] = ()


def train(job: TrainJob, *, devices: Sequence[str] | None = None) -> TrainResult:
    """Trains a model, or goes on where a killed training was, and commits `model.keras`.

    Where the recipe says so, a second model is trained on training and validation rows together.
    That is the one that is kept then; the one that was chosen on the validation rows is committed
    as `chosen.keras`, so that these rows can be scored by a model that has not learnt them.

    Args:
        job: The run.
        devices: What to train on, as TensorFlow names it; None is every GPU, or else the CPU.

    Raises:
        BraidError: There are no training rows, a shard is damaged, the shards do not fit the
            declaration, or the loss stops being a number.
    """
    folder = Path(job.run_folder)
    if (folder / MODEL_FILE).exists():
        return read_json(folder / HISTORY_FILE, TrainingHistory, action=RETRAIN).result
    manifest = job.manifest()
    check_seam(job.pipeline, manifest)
    data = TrainingData(job)
    recipe = _recipe(folder, data, manifest)
    report_doing("building the model")
    training = Training(job, manifest, data, recipe, devices, is_watched=is_heard())
    report_doing("tracing a training step")
    chosen = kept = training.run(recipe, Checkpoints(folder / CHECKPOINT_FOLDER))
    training.blend(folder)
    if recipe.refit:
        _save(training.answering(), folder / CHOSEN_FILE)
        rows = data.rows + count_rows(data.validation)
        again = recipe.on_all_rows(rows, chosen.state.best_steps)
        kept = training.run(again, Checkpoints(folder / CHECKPOINT_FOLDER / "refit"), all_rows=True)
        training.blend_again()
    result = training.result(chosen, kept)
    history = TrainingHistory(result=result, epochs=chosen.state.history)
    write_atomic(folder / HISTORY_FILE, history.model_dump_json(indent=1))
    _save(training.answering(), folder / MODEL_FILE)
    return result


def _recipe(folder: Path, data: TrainingData, manifest: TransformManifest) -> Recipe:
    """Returns the recipe that the run has begun with, or begins with."""
    path = folder / RECIPE_FILE
    if path.exists():
        return read_json(path, Recipe, action=RETRAIN)
    recipe = data.recipe(manifest)
    write_atomic(path, recipe.model_dump_json(indent=1))
    return recipe


def _save(network: keras.Model, path: Path) -> None:
    if not path.exists():
        with replacing(path) as temporary:
            network.save(temporary)


class Training:
    """The trainings of one run, of one network after another of the same make.

    Attributes:
        network: The network, with the weights that the last training found the best.

    Args:
        job: The run.
        manifest: What the shards hold.
        data: The shards.
        recipe: What the network is built for: how many members, and how its weights are averaged.
        devices: What to train on.
        after_round: Called with the state of the training once a round is committed.
        is_watched: Whether somebody wants to know how each round ended.
    """

    def __init__(
        self,
        job: TrainJob,
        manifest: TransformManifest,
        data: TrainingData,
        recipe: Recipe,
        devices: Sequence[str] | None = None,
        after_round: Callable[[TrainingState], None] = lambda _: None,
        *,
        is_watched: bool = False,
    ) -> None:
        self._job, self._pipeline, self._manifest = job, job.pipeline, manifest
        self._data, self._recipe, self._after_round = data, recipe, after_round
        self._is_watched = is_watched
        spec = self._pipeline.training
        # Before the model is built: its initial weights and dropout's states come from this seed.
        keras.utils.set_random_seed(spec.seed)
        self._strategy, self._warnings = strategy_for(spec, devices)
        with self._strategy.scope():
            self.network = build_model(
                self._pipeline,
                manifest,
                members=recipe.members,
                mixed_precision=spec.mixed_precision,
            )
            self._model = trainable(self.network, self._pipeline, manifest, recipe)
        # A second training begins as the first one did. It is the same model, as building another
        # and tracing its step takes longer than training a small table.
        self._initial = initial_values(self._model)
        self._augmenter = _augmenter(self._pipeline)
        self._blending = Blending(self._pipeline, manifest)
        self._blend: LinearBlend | None = None
        self._runner = EpochRunner(self._model, recipe, spec.checkpoint_seconds, self._augmenter)

    def run(self, recipe: Recipe, checkpoints: Checkpoints, *, all_rows: bool = False) -> Trained:
        """Trains the network from its initial weights, or goes on where a killed training was.

        Args:
            recipe: How long and how fast.
            checkpoints: Its own.
            all_rows: Whether it learns the validation rows too.
        """
        self._initial.restore()
        started = begin(self._job, self._manifest, self.network, checkpoints)
        with self._data.readable_errors():
            state = self._rounds(self._model, recipe, checkpoints, all_rows=all_rows)
            warnings = () if all_rows else self._advice(state, recipe)
        if state.best_epoch is None:
            raise ValueError("a training has at least one epoch")
        checkpoints.restore(self._model, state.best_epoch)
        take_averages(self._model)
        return Trained(state, started, warnings)

    def blend(self, folder: Path) -> None:
        """Fits the linear model that the network is blended with, if it is to be; writes its make.

        Beside `chosen.keras`, which a killed training has left, it is there already, or was none.

        Args:
            folder: The run's.
        """
        linear = folder / LINEAR_FILE
        if (folder / CHOSEN_FILE).exists():
            if linear.exists():
                with self._strategy.scope():
                    self._blend = LinearBlend(read_json(linear, LinearSpec, action=RETRAIN))
                with reading(folder / CHOSEN_FILE, action=RETRAIN):
                    self.answering().load_weights(folder / CHOSEN_FILE)
            return
        if self._recipe.blend:
            with self._strategy.scope(), self._data.readable_errors():
                self._blend = self._blending.fit(
                    self.network, self._data.train, self._data.validation
                )
        if self._blend is not None:
            write_atomic(linear, self._blend.spec.model_dump_json(indent=1))

    def blend_again(self) -> None:
        """Fits the same linear model on training and validation rows, if there is one."""
        if self._blend is not None:
            files = (*self._data.train, *self._data.validation)
            with self._strategy.scope(), self._data.readable_errors():
                self._blend = self._blending.fit_again(self._blend, files)

    def answering(self) -> keras.Model:
        """Returns the network, blended with the linear model if there is one."""
        if self._blend is None:
            return self.network
        with self._strategy.scope():
            return blended(self.network, self._blend)

    def result(self, chosen: Trained, kept: Trained) -> TrainResult:
        """Returns what the run's record keeps.

        Args:
            chosen: The training that the validation rows judged.
            kept: The training whose network is the model: the same, or one on all rows.
        """
        state, history = chosen.state, chosen.state.history
        seconds = sum(record.seconds for record in history)
        refits = () if kept is chosen else kept.state.history
        waited = sum(record.seconds * record.input_wait_share for record in history)
        warnings = [*self._judgement(state), *self._warnings, *chosen.warnings]
        if kept.started is not None:
            warnings += kept.started.warnings()
        return TrainResult(
            recipe=self._recipe.model_copy(update={"blend": self._blend is not None}).in_words(),
            members=self._recipe.members,
            epochs=state.epochs,
            steps=state.steps,
            best_steps=state.best_steps,
            rows=self._data.rows,
            seconds=seconds,
            refit_seconds=sum(record.seconds for record in refits),
            rows_per_second=self._data.rows * state.epochs / seconds,
            best_epoch=(state.best_epoch or 0) + 1,
            input_wait_share=waited / seconds,
            input_wait_share_by_epoch=tuple(record.input_wait_share for record in history),
            transform_wait_seconds=sum(r.transform_wait_seconds for r in history),
            parameters=int(self.network.count_params()),
            linear_shares={} if self._blend is None else self._blend.shares(),
            loss_weights=learnt_loss_weights(self._model),
            warnings=tuple(warnings),
            devices=self._strategy.num_replicas_in_sync,
            warm_start=_told(kept.started),
        )

    def _judgement(self, state: TrainingState) -> list[str]:
        """Returns what is to be said of what the validation rows chose."""
        sentences = []
        if count_rows(self._data.validation) == 0:
            sentences.append(
                "There are no validation rows: the training loss chose the best epoch."
            )
        elif self._recipe.patience is not None and state.best_epoch == state.epochs - 1:
            sentences.append(
                f"The best epoch is the last one, {state.epochs}: a longer training may be better; "
                "set a higher training.epochs or training.steps."
            )
        if self._pipeline.training.blend == "linear" and self._blend is None:
            sentences.append(
                "No linear model is blended in, as training.blend asks for: its share is chosen on "
                f"{FEWEST_TO_CHOOSE_BY} validation rows at least, of a target that is no picture."
            )
        return sentences

    def _rounds(
        self, model: keras.Model, recipe: Recipe, checkpoints: Checkpoints, *, all_rows: bool
    ) -> TrainingState:
        state = checkpoints.state()
        layout = BatchLayout.for_training(self._pipeline, self._manifest)
        states = self._augmenter.states()
        position = checkpoints.position(state.epochs)
        if position is not None:
            checkpoints.restore_within(model, states)
        elif state.epochs:
            checkpoints.restore(model, state.epochs - 1)
        save = partial(checkpoints.save_within, model, states)
        self._runner.begin(recipe, save)
        validate = None
        while not state.stopped:
            start = position or Position(epoch=state.epochs)
            position = None
            data = self._data.round(layout, recipe, start, all_rows=all_rows)
            record = self._runner.run(data, start, state.steps)
            # Not before the first epoch: its end is when all validation rows are there for sure.
            validate = validate or self._validation(
                model, recipe, () if all_rows else self._data.validation
            )
            validation_loss, metric = validate()
            learnt = {f"{name}_weight": w for name, w in learnt_loss_weights(model).items()}
            record = record.model_copy(
                update={"validation_loss": validation_loss, "losses": record.losses | learnt}
            )
            state = state.after(record, recipe)
            checkpoints.save(model, state)
            self._after_round(state)
            if self._is_watched:
                tell_round(record, recipe, metric)
        return state

    def _validation(
        self, model: keras.Model, recipe: Recipe, files: Sequence[ShardFile]
    ) -> Callable[[], tuple[float | None, dict[str, float]]]:
        """Returns a function that gives the present loss on the validation rows, and a metric.

        They are those of the averaged weights. The loss counts no class weights, and is None
        without rows; the metric is for those who watch, by its name.
        """
        rows = count_rows(files)
        if rows == 0:
            return lambda: (None, {})
        layout = BatchLayout.for_evaluation(self._pipeline, self._manifest)
        most = max(recipe.batch_size, _VALIDATION_ROWS)
        batches = evaluation_batches(files, layout, self._manifest.batch_rows(most))
        if rows * sum(stored.row_bytes() for stored in self._manifest.stored) <= _CACHE_BYTES:
            batches = batches.cache().prefetch(tf.data.AUTOTUNE)
        step = traced(model, "test", batches)

        watched = WatchedMetric(self.network, self._pipeline, self._manifest)

        def present() -> tuple[float, dict[str, float]]:
            with averaged_weights(model):
                loss = evaluate_loss(step, batches)
                refuse_non_finite(loss, "the validation loss")
                return loss, watched.of(batches) if self._is_watched else {}

        return present

    def _advice(self, state: TrainingState, recipe: Recipe) -> tuple[str, ...]:
        """Returns what to change if the model waited for data, at most one sentence or two."""
        seconds = sum(record.seconds for record in state.history)
        waited = sum(record.seconds * record.input_wait_share for record in state.history)
        if not worth_a_change(waited, seconds):
            return ()
        first = sum(record.seconds * record.first_wait_share for record in state.history)
        measurement = measured(
            self._data.train,
            BatchLayout.for_training(self._pipeline, self._manifest),
            recipe.batch_size,
            share=waited / seconds,
            first_share=first / waited,
            seconds_per_batch=waited / state.steps,
            rows_per_second=self._data.rows * state.epochs / seconds,
            cpu_share=sum(record.cpu_seconds for record in state.history) / seconds,
        )
        return (advice(measurement),)


def _told(started: WarmStarted | None) -> WarmStarted | None:
    """Returns a warm start as the record keeps it; what was wrong is a warning."""
    return None if started is None else started.model_copy(update={"problem": None})


def _augmenter(pipeline: PipelineSpec) -> Augmenter:
    masks = [name for name, target in pipeline.targets.items() if target.is_mask]
    return Augmenter(pipeline.model.augment, masks=masks, seed=pipeline.training.seed)
