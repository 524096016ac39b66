"""The state of a training after an epoch, as it lies on disk.

`state.json` names the weights that belong to it and is renamed into place after them. A process
that is killed at any moment leaves the state of the last whole epoch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from transforms.contract.errors import BraidError
from transforms.contract.spec import Spec
from transforms.contract.workspace import remove_temporaries, replacing, write_atomic


class EpochRecord(Spec):
    """What one epoch gave.

    Attributes:
        epoch: Its number, from 0.
        loss: The total loss, a mean over the training rows while they were learnt.
        losses: The loss of every target, if there are several; what else the objective reports
            beside it, such as learnt weights or the discriminator's loss.
        validation_loss: None without validation rows.
        seconds: Time of its training steps, without validation and checkpoint.
        rows_per_second: Training rows by those seconds.
        input_wait_share: The share of those seconds that the model waited for data.
    """

    epoch: int
    loss: float
    losses: dict[str, float]
    validation_loss: float | None
    seconds: float
    rows_per_second: float
    input_wait_share: float


class TrainingState(Spec):
    """How far a training is.

    Attributes:
        epochs: Whole epochs so far.
        history: A record of each.
        best_epoch: The one whose weights are the model's if no better comes, from 0.
        best_loss: Its validation loss, or its training loss without validation rows.
        epochs_without_improvement: Since then.
        stopped: No further epoch follows.
    """

    epochs: int = 0
    history: tuple[EpochRecord, ...] = ()
    best_epoch: int | None = None
    best_loss: float | None = None
    epochs_without_improvement: int = 0
    stopped: bool = False

    def after(self, record: EpochRecord, *, patience: int | None, epochs: int) -> TrainingState:
        """Returns the state after one more epoch.

        Args:
            record: The epoch.
            patience: Epochs without improvement until training stops; None keeps the last epoch.
            epochs: Declared epochs.
        """
        loss = record.loss if record.validation_loss is None else record.validation_loss
        better = patience is None or self.best_loss is None or loss < self.best_loss
        waited = 0 if better else self.epochs_without_improvement + 1
        out_of_patience = patience is not None and waited >= patience
        return TrainingState(
            epochs=self.epochs + 1,
            history=(*self.history, record),
            best_epoch=record.epoch if better else self.best_epoch,
            best_loss=loss if better else self.best_loss,
            epochs_without_improvement=waited,
            stopped=out_of_patience or self.epochs + 1 >= epochs,
        )


class Checkpoints:
    """The checkpoints of one training: the last epoch's and the best epoch's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def state(self) -> TrainingState:
        """Returns the committed state, or that of a training that has not begun."""
        path = self._folder / "state.json"
        if not path.exists():
            return TrainingState()
        return TrainingState.model_validate_json(path.read_text())

    def save(self, model: keras.Model, state: TrainingState) -> None:
        """Commits the model as it is after the state's last epoch."""
        remove_temporaries(self._folder)
        with replacing(self._weights(state.epochs - 1)) as temporary, temporary.open("wb") as file:
            np.savez(file, *[np.asarray(variable) for variable in _variables(model)])
        write_atomic(self._folder / "state.json", state.model_dump_json(indent=1))
        kept = {self._weights(state.epochs - 1), self._weights(state.best_epoch or 0)}
        for path in self._folder.glob("epoch-*.npz"):
            if path not in kept:
                path.unlink()

    def restore(self, model: keras.Model, epoch: int) -> None:
        """Sets weights, random states and optimizer to what they were after an epoch.

        Raises:
            BraidError: The checkpoint is from another model.
        """
        variables = _variables(model)
        with np.load(self._weights(epoch)) as arrays:
            values = [arrays[f"arr_{index}"] for index in range(len(arrays.files))]
        shapes = [tuple(variable.shape) for variable in variables]
        if [value.shape for value in values] != shapes:
            raise BraidError(
                str(self._weights(epoch)),
                expected=f"the {len(shapes)} variables of the declared model",
                received=f"{len(values)} variables of other shapes",
                action=f"The model has changed since; delete {self._folder} and run again.",
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def _weights(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:04d}.npz"


def _variables(model: keras.Model) -> list[Any]:
    """Returns all that a step reads and writes: weights, dropout's random states, optimizers.

    Keras's own weight files leave the random states out.
    """
    found = list(model.variables)
    for optimizer in getattr(model, "optimizers", (model.optimizer,)):
        inner = getattr(optimizer, "inner_optimizer", None)  # in mixed precision
        found += [*optimizer.variables, *(inner.variables if inner else ())]
    return list({id(variable): variable for variable in found}.values())
