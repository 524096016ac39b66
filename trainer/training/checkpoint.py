"""The state of a training after an epoch and within one, as it lies on disk.

`state.json` names the weights that belong to it and is renamed into place after them. The position
within the epoch that runs lies in one file with its weights. A process that is killed at any moment
leaves the state of the last whole epoch, and a position that belongs to the next one or is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainer.training.early_stopping import TrainingState
from transforms.contract.errors import BraidError
from transforms.contract.spec import Spec
from transforms.contract.workspace.documents import read_json, reading
from transforms.contract.workspace.files import remove_temporaries, replacing, write_atomic

_STATE_FILE = "state.json"


class Position(Spec):
    """The place that a round has reached.

    Attributes:
        epoch: The number of its first epoch, from 0.
        batches: Those that have been learnt.
        rows: The rows in them.
        sums: Every reported loss of a batch times its rows, added up.
        seconds: As in the epoch's record, so far.
        waited: Those of the seconds that the model waited for data.
        first_waited: Those of them that it waited for the first batch.
        transform_waited: As in the epoch's record, so far.
        cpu_seconds: As in the epoch's record, so far.
    """

    epoch: int
    batches: int = 0
    rows: int = 0
    sums: dict[str, float] = {}
    seconds: float = 0.0
    waited: float = 0.0
    first_waited: float = 0.0
    transform_waited: float = 0.0
    cpu_seconds: float = 0.0


class Checkpoints:
    """The checkpoints of one training: the last epoch's, the best epoch's, one of the next epoch.

    The methods' `states` are variables beside the model's that a step changes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def beginning(self) -> Path:
        """The file that says what the training began with, if that was a registered model."""
        return self._folder / "warm_start.json"

    def state(self) -> TrainingState:
        """Returns the committed state, or that of a training that has not begun."""
        path = self._folder / _STATE_FILE
        if not path.exists():
            return TrainingState()
        return read_json(path, TrainingState, action=self._begin_anew)

    def has_begun(self) -> bool:
        """Returns whether there is anything to go on from."""
        epochs = self.state().epochs
        return epochs > 0 or self.position(epochs) is not None

    def save(self, model: keras.Model, state: TrainingState) -> None:
        """Commits the model as it is after the state's last epoch."""
        remove_temporaries(self._folder)
        with replacing(self._weights(state.epochs - 1)) as temporary, temporary.open("wb") as file:
            np.savez(file, *_values(_variables(model)))
        write_atomic(self._folder / _STATE_FILE, state.model_dump_json(indent=1))
        kept = {self._weights(state.epochs - 1), self._weights(state.best_epoch or 0)}
        for path in self._folder.glob("epoch-*.npz"):
            if path not in kept:
                path.unlink()
        self._within.unlink(missing_ok=True)

    def restore(self, model: keras.Model, epoch: int) -> None:
        """Brings back the model as it was after an epoch.

        Raises:
            BraidError: The checkpoint is from another model.
        """
        self._assign(self._weights(epoch), _variables(model))

    def save_within(
        self, model: keras.Model, states: Sequence[keras.Variable], position: Position
    ) -> None:
        """Commits the model as it is within an epoch, in place of an earlier such checkpoint."""
        with replacing(self._within) as temporary, temporary.open("wb") as file:
            text = np.array(position.model_dump_json())
            np.savez(file, *_values([*_variables(model), *states]), position=text)

    def position(self, epoch: int) -> Position | None:
        """Returns the committed position within an epoch, or None if it is to be begun."""
        if not self._within.exists():
            return None
        path = self._within
        with reading(path, action=self._begin_anew), np.load(path, allow_pickle=False) as arrays:
            position = Position.model_validate_json(arrays["position"].item())
        # A process that is killed while it commits an epoch leaves a position within that one.
        return position if position.epoch == epoch else None

    def restore_within(self, model: keras.Model, states: Sequence[keras.Variable]) -> None:
        """Brings back the model and the states as they were at the committed position.

        Raises:
            BraidError: The checkpoint is from another model.
        """
        self._assign(self._within, [*_variables(model), *states])

    def _assign(self, path: Path, variables: Sequence[Any]) -> None:
        with reading(path, action=self._begin_anew), np.load(path, allow_pickle=False) as arrays:
            count = sum(name.startswith("arr_") for name in arrays.files)
            values = [arrays[f"arr_{index}"] for index in range(count)]
        shapes = [tuple(variable.shape) for variable in variables]
        if [value.shape for value in values] != shapes:
            raise BraidError(
                str(path),
                expected=f"the {len(shapes)} variables of the declared model",
                received=f"{len(values)} variables of other shapes",
                action=f"The model has changed since; delete {self._folder} and run again.",
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    @property
    def _begin_anew(self) -> str:
        return f"Delete {self._folder}, and run again: the training then begins anew."

    @property
    def _within(self) -> Path:
        return self._folder / "within-epoch.npz"

    def _weights(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:04d}.npz"


@dataclass(frozen=True)
class InitialValues:
    """All that a step reads and writes, as it was before the first one."""

    variables: Sequence[Any]
    values: Sequence[np.ndarray]

    def restore(self) -> None:
        """Brings the values back."""
        for variable, value in zip(self.variables, self.values, strict=True):
            variable.assign(value)


def initial_values(model: keras.Model) -> InitialValues:
    """Returns the present values of a model that has not been trained yet."""
    variables = _variables(model)
    return InitialValues(variables, _values(variables))


def _values(variables: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(variable) for variable in variables]


def _variables(model: keras.Model) -> list[Any]:
    """Returns all that a step reads and writes: weights, dropout's random states, optimizers.

    Keras's own weight files leave the random states out.
    """
    variables = list(model.variables)
    for optimizer in getattr(model, "optimizers", (model.optimizer,)):
        inner = getattr(optimizer, "inner_optimizer", None)  # in mixed precision
        variables += [*optimizer.variables, *(inner.variables if inner else ())]
    return list({id(variable): variable for variable in variables}.values())
