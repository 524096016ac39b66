"""The state of a training after an epoch: its history, the best epoch, and early stopping."""

from __future__ import annotations

from trainer.recipe import Recipe
from transforms.contract.spec import Spec


class EpochRecord(Spec):
    """A round of the training: one epoch, or several of a small table.

    Attributes:
        epoch: The number of its last epoch, from 0.
        steps: Optimizer steps of the training up to its end.
        loss: The total loss, a mean over the training rows while they were learnt.
        losses: The loss of every target, if there are several; what else the objective reports
            beside it, such as learnt weights or the discriminator's loss.
        validation_loss: None without validation rows.
        seconds: Time of its training steps, without validation, checkpoint, and waiting for the
            transform.
        rows_per_second: Training rows by those seconds.
        input_wait_share: The share of those seconds that the model waited for data.
        first_wait_share: The share of those seconds that it waited for the first batch.
        transform_wait_seconds: Time beside those in which rows had yet to be transformed.
        cpu_seconds: What the process took of all cores meanwhile.
    """

    epoch: int
    steps: int = 0
    loss: float
    losses: dict[str, float]
    validation_loss: float | None
    seconds: float
    rows_per_second: float
    input_wait_share: float
    first_wait_share: float = 0.0
    transform_wait_seconds: float = 0.0
    cpu_seconds: float = 0.0


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
