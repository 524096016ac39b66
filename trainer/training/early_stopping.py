"""The state of a training after an epoch: its history, the best epoch, and early stopping."""

from __future__ import annotations

from trainer.recipe import Recipe
from transforms.contract.spec import Spec
from transforms.contract.steps.results import EpochRecord


class TrainingState(Spec):
    """The state of a training after some rounds.

    Attributes:
        epochs: Whole epochs so far.
        history: A record of each.
        best_epoch: The one whose weights are the model's if no better comes, from 0.
        best_loss: Its validation loss, or its training loss without validation rows.
        rounds_without_improvement: Since then.
        stopped: No further epoch follows.
    """

    epochs: int = 0
    history: tuple[EpochRecord, ...] = ()
    best_epoch: int | None = None
    best_loss: float | None = None
    rounds_without_improvement: int = 0
    stopped: bool = False

    @property
    def steps(self) -> int:
        """Optimizer steps so far."""
        return self.history[-1].steps if self.history else 0

    @property
    def best_steps(self) -> int:
        """Optimizer steps up to the best epoch."""
        return next((r.steps for r in self.history if r.epoch == self.best_epoch), 0)

    def after(self, record: EpochRecord, recipe: Recipe) -> TrainingState:
        """Returns the state after one more round.

        Args:
            record: The round.
            recipe: The patience, and the most epochs and steps.
        """
        loss = record.loss if record.validation_loss is None else record.validation_loss
        better = recipe.patience is None or self.best_loss is None or loss < self.best_loss
        waited = 0 if better else self.rounds_without_improvement + 1
        out_of_patience = recipe.patience is not None and waited >= recipe.patience
        at_the_end = record.epoch + 1 >= recipe.epochs or (
            recipe.steps is not None and record.steps >= recipe.steps
        )
        return TrainingState(
            epochs=record.epoch + 1,
            history=(*self.history, record),
            best_epoch=record.epoch if better else self.best_epoch,
            best_loss=loss if better else self.best_loss,
            rounds_without_improvement=waited,
            stopped=out_of_patience or at_the_end,
        )
