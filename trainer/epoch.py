"""One epoch's steps: run, timed, watched and told of."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from trainer.augment import Augmenter
from trainer.checkpoint import EpochRecord
from transforms.contract.errors import BraidError
from transforms.contract.model import TrainingSpec
from transforms.contract.progress import report

_REPORT_SECONDS = 0.2  # reading the loss waits for the device, so not at every step


class EpochRunner:
    """Runs epochs of one compiled model; the step is traced once for all of them.

    Args:
        model: The compiled model.
        training: The number of epochs and the size of a batch.
        rows: Training rows.
        augmenter: Changes a batch before the model learns from it.
    """

    def __init__(
        self, model: keras.Model, training: TrainingSpec, rows: int, augmenter: Augmenter
    ) -> None:
        self._model = model
        self._augmenter = augmenter
        self._rows = rows
        self._epochs = training.epochs
        self._steps = math.ceil(rows / training.batch_size)
        self._step: Callable[[Any], Mapping[str, Any]] | None = None
        self._reported = 0.0

    def run(self, batches: tf.data.Dataset, epoch: int) -> EpochRecord:
        """Trains on every batch once.

        Args:
            batches: Of (inputs, targets, sample weights).
            epoch: Its number, from 0.

        Returns:
            The epoch's figures, without a validation loss.

        Raises:
            BraidError: The loss is not a number.
        """
        step = self._step = self._step or self._trace(batches)
        self._model.reset_metrics()
        self._augmenter.start(epoch)
        iterator = iter(batches)
        logs: Mapping[str, Any] = {}
        began = time.perf_counter()
        waited, done = 0.0, 0
        while True:
            asked = time.perf_counter()
            batch = next(iterator, None)
            waited += time.perf_counter() - asked
            if batch is None:
                break
            logs = step(batch)
            done += 1
            self._tell(epoch, done, logs, began)
        losses = {name: float(value) for name, value in logs.items()}
        refuse_non_finite(losses["loss"], f"the loss of epoch {epoch + 1}")
        seconds = time.perf_counter() - began
        return EpochRecord(
            epoch=epoch,
            loss=losses.pop("loss"),
            losses=losses,
            validation_loss=None,
            seconds=seconds,
            rows_per_second=self._rows / seconds,
            input_wait_share=waited / seconds,
        )

    def _trace(self, batches: tf.data.Dataset) -> Callable[[Any], Mapping[str, Any]]:
        """Returns Keras's own training step as a function of one batch.

        `fit` draws the batch inside its compiled function; out here, the wait for data can be told
        from the work. The signature fixes no batch size: a shorter last batch costs no new trace.
        """
        self._model.make_train_function()
        return tf.function(  # type: ignore[no-any-return]
            lambda batch: self._model.train_function([self._augmenter(batch)]),
            input_signature=[batches.element_spec],
        )

    def _tell(self, epoch: int, done: int, logs: Mapping[str, Any], began: float) -> None:
        now = time.perf_counter()
        if now - self._reported < _REPORT_SECONDS and done < self._steps:
            return
        self._reported = now
        loss = float(logs["loss"])
        refuse_non_finite(loss, f"the loss in epoch {epoch + 1}, step {done}")
        report(
            epoch * self._steps + done,
            self._epochs * self._steps,
            unit="steps",
            loss=loss,
            epoch=epoch + 1,
            rows_per_second=done / self._steps * self._rows / (now - began),
        )


def refuse_non_finite(loss: float, what: str) -> None:
    """Stops a training whose loss has left the numbers.

    Raises:
        BraidError: The loss is NaN or infinite.
    """
    if not math.isfinite(loss):
        raise BraidError(
            what,
            expected="a finite number",
            received=str(loss),
            action="Set a lower training.learning_rate, or look at numeric features and targets "
            "with `scale: none`, whose values may be too large.",
        )
