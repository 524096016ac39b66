"""One round's steps: run, timed, watched, told of, and gone on with where they were cut.

A round is an epoch, or several of a small table.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf

from trainer.data.augment import Augmenter
from trainer.data.stream import Batch
from trainer.recipe import Recipe
from trainer.training.checkpoint import Position
from trainer.training.devices import batch_step
from transforms.contract.errors import Diverged
from transforms.contract.process.events import report
from transforms.contract.steps.results import EpochRecord

_REPORT_SECONDS = 0.2  # reading the loss waits for the device, so not at every step


Unpack = Callable[[Any], Batch]


def as_it_is(batch: Batch) -> Batch:
    """Returns a batch that is not packed."""
    return batch


@dataclass(frozen=True)
class EpochData:
    """Rows that a round learns from.

    Attributes:
        batches: Those that are left to be learnt: of what `unpack` takes.
        epochs: Passes over the rows in the whole round.
        rows: Rows of the whole round, as often as they are learnt; None while some of them are not
            transformed yet.
        awaited: Returns the seconds so far that the batches waited for the transform.
        unpack: Makes (inputs, targets, sample weights) of what a batch is held as, in the step.
    """

    batches: tf.data.Dataset
    epochs: int
    rows: int | None
    awaited: Callable[[], float] = lambda: 0.0
    unpack: Unpack = as_it_is


class _Running:
    """An epoch as far as it is: its position, and what has not been read from the device yet."""

    def __init__(self, start: Position) -> None:
        self.epoch = start.epoch
        self.batches = start.batches
        self.rows = start.rows
        self.waited = start.waited
        self.first_waited = start.first_waited
        self.transform_waited = start.transform_waited
        self.began = time.perf_counter() - start.seconds
        self.cpu_began = time.process_time() - start.cpu_seconds
        self._sums = dict(start.sums)
        self._unread: list[tuple[dict[str, tf.Tensor], int]] = []

    def add(self, means: dict[str, tf.Tensor], rows: int) -> None:
        """Adds the mean losses of one batch, float64 each, without a wait for the device."""
        self._unread.append((means, rows))
        self.rows += rows
        self.batches += 1

    def wait(self, seconds: float, for_transform: float) -> None:
        """Adds the wait for the next batch.

        Args:
            seconds: All of it.
            for_transform: What of it was for a partition to be transformed: that is no time of the
                epoch's steps, as no faster input would change it.
        """
        self.transform_waited += for_transform
        self.began += for_transform
        self.waited += seconds - for_transform
        if self.batches == 0:
            self.first_waited += seconds - for_transform

    def losses(self) -> dict[str, float]:
        """Returns the mean losses of the rows so far."""
        return {name: total / self.rows for name, total in self._read().items()}

    def position(self, now: float) -> Position:
        return Position(
            epoch=self.epoch,
            batches=self.batches,
            rows=self.rows,
            sums=self._read(),
            seconds=now - self.began,
            waited=self.waited,
            first_waited=self.first_waited,
            transform_waited=self.transform_waited,
            cpu_seconds=time.process_time() - self.cpu_began,
        )

    def _read(self) -> dict[str, float]:
        for means, rows in self._unread:
            for name, mean in means.items():
                self._sums[name] = self._sums.get(name, 0.0) + float(mean) * rows
        self._unread.clear()
        return dict(self._sums)


class EpochRunner:
    """Runs rounds of one compiled model; the step is traced once for all of them.

    Args:
        model: The compiled model.
        recipe: The number of epochs and steps, the size of a batch.
        save_seconds: The time between checkpoints; None makes none within a round.
        augmenter: Changes a batch before the model learns from it.
    """

    def __init__(
        self,
        model: keras.Model,
        recipe: Recipe,
        save_seconds: float | None,
        augmenter: Augmenter,
    ) -> None:
        self._model = model
        self._augmenter = augmenter
        self._save: Callable[[Position], None] | None = None
        self._save_seconds = save_seconds or math.inf
        self._recipe = recipe
        self._before = 0  # steps before the round
        self._steps = 0  # of the round; 0 is not known
        self._step: Callable[[Any], dict[str, tf.Tensor]] | None = None
        self._unpack: Unpack = as_it_is
        self._reported = 0.0
        self._saved = 0.0

    def begin(self, recipe: Recipe, save: Callable[[Position], None]) -> None:
        """Makes the next rounds those of a training; its step is traced once for all trainings.

        Args:
            recipe: As above.
            save: Commits a position within a round.
        """
        self._recipe, self._save = recipe, save

    def run(self, data: EpochData, start: Position, before: int = 0) -> EpochRecord:
        """Trains on the batches of a round, once each.

        Args:
            data: What `start` leaves to be learnt.
            start: How far the round is. If some of it is done, the model and the augmenter are as
                they were then.
            before: Steps before the round.

        Returns:
            The figures of the whole round, without a validation loss.

        Raises:
            Diverged: The loss is not a number.
        """
        batches, self._before = data.batches, before
        step = self._traced(data)
        self._steps = math.ceil((data.rows or 0) / self._recipe.batch_size)
        if self._recipe.steps is not None:
            left = self._recipe.steps - before
            batches = batches.take(left - start.batches)
            self._steps = min(self._steps, left)
        if start.batches == 0:
            self._augmenter.start(start.epoch)
        iterator = iter(batches)
        running = _Running(start)
        self._saved = time.perf_counter()
        while True:
            asked, awaited = time.perf_counter(), data.awaited()
            batch = next(iterator, None)
            running.wait(time.perf_counter() - asked, data.awaited() - awaited)
            if batch is None:
                break
            running.add(step(batch), _rows_of(batch))
            self._tell(running)
            self._keep(running)
        return self._record(running, data.epochs)

    def _traced(self, data: EpochData) -> Callable[[Any], dict[str, tf.Tensor]]:
        """Returns the step for such data; it is traced anew only if its batches lie otherwise."""
        if self._step is None or self._unpack != data.unpack:
            self._unpack = data.unpack
            self._step = traced(
                self._model, "train", data.batches, data.unpack, change=self._augmenter
            )
        return self._step

    def _record(self, running: _Running, epochs: int) -> EpochRecord:
        last = running.epoch + epochs - 1
        losses = running.losses()
        refuse_non_finite(losses["loss"], f"the loss of epoch {last + 1}")
        seconds = time.perf_counter() - running.began
        return EpochRecord(
            epoch=last,
            steps=self._before + running.batches,
            loss=losses.pop("loss"),
            losses=losses,
            validation_loss=None,
            seconds=seconds,
            rows_per_second=running.rows / seconds,
            input_wait_share=running.waited / seconds,
            first_wait_share=running.first_waited / seconds,
            transform_wait_seconds=running.transform_waited,
            cpu_seconds=time.process_time() - running.cpu_began,
        )

    def _keep(self, running: _Running) -> None:
        """Commits the position when it is time; the epoch's figures do not count that."""
        now, cpu = time.perf_counter(), time.process_time()
        is_early = now - self._saved < self._save_seconds
        if self._save is None or is_early or running.batches == self._steps:
            return
        position = running.position(now)
        refuse_non_finite(
            position.sums["loss"], f"the loss in epoch {running.epoch + 1}, step {running.batches}"
        )
        self._save(position)
        self._saved = time.perf_counter()
        running.began += self._saved - now
        running.cpu_began += time.process_time() - cpu

    def _tell(self, running: _Running) -> None:
        now, done = time.perf_counter(), running.batches
        if now - self._reported < _REPORT_SECONDS and done != self._steps:
            return
        self._reported = now
        loss = running.losses()["loss"]
        rows = self._recipe.rows
        epoch = running.epoch + (running.rows - 1) // rows + 1 if self._steps else running.epoch + 1
        refuse_non_finite(loss, f"the loss in epoch {epoch}, step {done}")
        report(
            self._before + done,
            self._recipe.planned_steps() if self._steps else 0,
            unit="steps",
            loss=loss,
            epoch=epoch,
            epochs=self._recipe.epochs,
            rows_per_second=running.rows / (now - running.began),
        )


def evaluate_loss(step: Callable[[Batch], dict[str, tf.Tensor]], batches: Iterable[Batch]) -> float:
    """Returns the mean loss of all rows.

    Args:
        step: What `traced` gives for "test".
        batches: At least one.
    """
    running = _Running(Position(epoch=0))
    for batch in batches:
        running.add(step(batch), _rows_of(batch))
    return running.losses()["loss"]


def traced(
    model: keras.Model,
    kind: Literal["train", "test"],
    batches: tf.data.Dataset,
    unpack: Unpack = as_it_is,
    *,
    change: Callable[[Batch], Batch] = as_it_is,
) -> Callable[[Any], dict[str, tf.Tensor]]:
    """Returns a compiled step: a batch in, its mean losses by name out, float64.

    The signature fixes no batch size: a shorter last batch costs no new trace.

    Args:
        model: The compiled model.
        kind: Whether the step learns.
        batches: What it will be called with.
        unpack: Makes the batch of that.
        change: Applied to the whole batch before.
    """
    spec = batches.element_spec

    def a_row() -> Batch:
        zeros = tf.nest.map_structure(lambda s: tf.zeros([1, *s.shape[1:]], s.dtype), spec)
        return unpack(zeros)

    step = batch_step(model, kind, a_row)

    def run(batch: Any) -> dict[str, tf.Tensor]:
        means = step(change(unpack(batch)))
        return {name: tf.cast(mean, tf.float64) for name, mean in means.items()}

    return tf.function(run, input_signature=[spec])  # type: ignore[no-any-return]


def _rows_of(batch: Any) -> int:
    return int(tf.nest.flatten(batch)[0].shape[0])


def refuse_non_finite(loss: float, what: str) -> None:
    """Stops a training whose loss has left the numbers.

    Raises:
        Diverged: The loss is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise Diverged(
            what,
            expected="a finite number",
            received=str(loss),
            action="Set a lower training.learning_rate, or look at numeric features and targets "
            "with `scale: none`, whose values may be too large.",
        )
