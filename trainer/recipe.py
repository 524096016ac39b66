"""A training with every number known: what is declared, and the rest from the training rows.

The defaults were chosen by `make bench-quality`; below some 1,000 steps tables were undertrained.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.training import TrainingSpec
from transforms.contract.spec import Spec
from transforms.contract.workspace.manifest import TransformManifest

_STEPS = 2_000  # at most, of a table whose epochs are short
_STEPS_WITHOUT_CHOICE = 1_000  # where too few rows validate to say which step was the best
_PATIENCE_STEPS = 300
_ROUND_STEPS = 50  # at least, from one validation to the next: it and its checkpoint take time too
_LEAST_EPOCHS = 10  # at most, of a table whose epochs are long
_LEAST_PATIENCE = 3  # rounds
FEWEST_TO_CHOOSE_BY = 30  # validation rows: fewer say next to nothing
_ROWS_PER_BATCH = 16  # a batch is this share of a small table, and ...
_ROWS_PER_LARGE_BATCH = 1_000  # ... this one of a large table, whose steps are many anyway
_SMALLEST, _LARGE, _LARGEST = 16, 256, 1_024  # batches
_PICTURE_BATCH, _PICTURE_STEPS = 32, 1_200  # at most: a picture is much work for a step
_EMA_SHARE = 20  # weights are averaged over this part of the planned steps, within these bounds:
_FEWEST_AVERAGED, _MOST_AVERAGED = 10, 1_000
# Values that all steps read, weighed by what an encoder makes of each, and training rows: up to
# these bounds so many members take a minute or two on two cores.
_MEMBERS = ((120e6, 20_000, 5), (500e6, 100_000, 3))
_FEWEST_TO_SPREAD = 3  # members whose answers' distance is asked for
_REFIT_WORK = 500e6
_REFIT_ROWS = 50_000
_STEP_WEIGHT = 10  # of a number of a series, which convolutions read many times
_TERM_WEIGHT, _MOST_TERMS = 8, 64  # of a text's term, and how many of its terms a text has
# The values of a row, by the kinds of which they do not count as one each.
_WEIGHED: dict[str, Callable[[int], int]] = {
    "text": lambda values: _TERM_WEIGHT * min(values, _MOST_TERMS),
    "sequence": lambda values: _STEP_WEIGHT * values,
    "image": lambda _values: 0,  # whose encoders are shared
}


class Recipe(Spec):
    """The length, the pace and the number of trainings of a model.

    Attributes:
        rows: Training rows.
        batch_size: Rows in a step.
        epochs: At most so many passes over the rows.
        epochs_per_round: Passes from one validation and checkpoint to the next.
        steps: At most so many optimizer steps; None has no limit but the epochs.
        patience: Rounds without a better validation loss until training stops; None trains to the
            end and keeps the last round.
        ema: The share of the averaged weights that a step keeps; 0 averages nothing.
        members: Networks side by side.
        refit: Whether to train once more on training and validation rows together.
        blend: Whether the answers are blended with a linear model's.
        seed: Of the rows' order, the initial weights, dropout and noise.
        shuffle_bytes: The memory for rows.
    """

    rows: int
    batch_size: int
    epochs: int
    epochs_per_round: int = 1
    steps: int | None = None
    patience: int | None = None
    ema: float = 0.0
    members: int = 1
    refit: bool = False
    blend: bool = False
    seed: int
    shuffle_bytes: int

    def planned_steps(self) -> int:
        """Returns the steps of the whole training if nothing stops it early."""
        steps = math.ceil(self.rows / self.batch_size) * self.epochs
        return steps if self.steps is None else min(steps, self.steps)

    def on_all_rows(self, rows: int, steps: int) -> Recipe:
        """Returns the recipe of the training on all rows, of which nothing is left to choose by.

        Args:
            rows: Training and validation rows.
            steps: Those that were found the best.
        """
        return self.model_copy(
            update={
                "rows": rows,
                "steps": steps,
                "epochs": math.ceil(steps * self.batch_size / rows),
                "epochs_per_round": max(1, _passes(_ROUND_STEPS, self.batch_size, rows)),
                "patience": None,
                "refit": False,
            }
        )

    def in_words(self) -> str:
        """Returns the recipe as a line of the summary."""
        per_round = math.ceil(self.rows / self.batch_size) * self.epochs_per_round
        parts = [f"batch {self.batch_size}, up to {self.planned_steps():,} steps"]
        if self.patience is None:
            parts.append("no early stop")
        else:
            parts.append(f"patience {self.patience * per_round:,} steps")
        if self.ema:
            parts.append(f"weights averaged at {self.ema:g}")
        if self.members > 1:
            parts.append(f"{self.members} members")
        if self.blend:
            parts.append("blended with a linear model")
        if self.refit:
            parts.append("then on validation rows too")
        return f"{', '.join(parts)}; because {self.rows:,} rows"


def recipe_of(
    pipeline: PipelineSpec, manifest: TransformManifest, rows: int, validation_rows: int | None
) -> Recipe:
    """Returns the recipe of a pipeline's training.

    Args:
        pipeline: The declaration; what it says of the training holds.
        manifest: What the shards hold.
        rows: Training rows.
        validation_rows: Rows to choose by; None if they are not known yet.
    """
    training = pipeline.training
    can_choose = validation_rows is None or validation_rows >= FEWEST_TO_CHOOSE_BY
    batch_size = training.batch_size
    has_pictures = any(spec.picture_size is not None for spec in pipeline.features.values())
    if batch_size == "auto":
        batch_size = _batch_size(rows, has_pictures)
    most_steps = _PICTURE_STEPS if has_pictures else _STEPS
    recipe = _of_length(training, rows, batch_size, most_steps, can_choose=can_choose)
    planned = recipe.planned_steps()
    work = planned * batch_size * _values(manifest)
    # Whoever declares how long to train gets a training of that length, and none beside it.
    is_open = training.epochs == "auto" and training.steps is None
    ensemble = is_open and training.objective == "supervised" and _is_averaged_over(pipeline)
    averaged = min(max(planned / _EMA_SHARE, _FEWEST_AVERAGED), _MOST_AVERAGED)
    ema, members, refit = training.ema, training.members, training.refit == "all"
    if ema == "auto":
        ema = round(1 - 1 / averaged, 4) if training.objective == "supervised" else 0.0
    if members == "auto":
        fitting = (n for most, most_rows, n in _MEMBERS if work <= most and rows <= most_rows)
        members = next(fitting, 1) if ensemble else 1
        if pipeline.spread_targets():
            members = max(members, _FEWEST_TO_SPREAD)
    if training.refit == "auto":
        # A champion that learnt the validation rows too leaves nothing that its heir is chosen by.
        affordable = work <= _REFIT_WORK and rows <= _REFIT_ROWS
        refit = ensemble and affordable and training.warm_start is None
    refit = refit and bool(validation_rows)
    blend = can_choose and (training.blend == "linear" or (training.blend == "auto" and ensemble))
    return recipe.model_copy(
        update={"ema": ema, "members": members, "refit": refit, "blend": blend}
    )


def _of_length(
    training: TrainingSpec, rows: int, batch_size: int, most_steps: int, *, can_choose: bool
) -> Recipe:
    """Returns a recipe with epochs, steps, patience and the epochs of a round."""
    per_epoch, per_round, steps = math.ceil(rows / batch_size), 1, training.steps
    is_open = training.early_stopping_patience == "auto"
    if training.epochs != "auto":
        epochs = training.epochs
    else:
        if steps is None and is_open and not can_choose:
            steps = _STEPS_WITHOUT_CHOICE
        passes = _passes(steps or most_steps, batch_size, rows)
        epochs = passes if steps else max(_LEAST_EPOCHS, passes)
        if not isinstance(training.early_stopping_patience, int):  # which counts epochs
            per_round = min(epochs, math.ceil(_ROUND_STEPS / per_epoch))
    patience = None
    if training.early_stopping_patience != "auto":
        patience = training.early_stopping_patience
    elif can_choose and training.objective == "supervised":
        patience = max(_LEAST_PATIENCE, math.ceil(_PATIENCE_STEPS / (per_epoch * per_round)))
    return Recipe(
        rows=rows,
        batch_size=batch_size,
        epochs=epochs,
        epochs_per_round=per_round,
        steps=steps,
        patience=patience,
        seed=training.seed,
        shuffle_bytes=training.shuffle_bytes,
    )


def _passes(steps: int, batch_size: int, rows: int) -> int:
    return math.ceil(steps * batch_size / rows)


def _batch_size(rows: int, has_pictures: bool) -> int:
    small = _power_of_two(rows / _ROWS_PER_BATCH, _SMALLEST, _LARGE)
    if has_pictures:
        return min(small, _PICTURE_BATCH)
    return max(small, _power_of_two(rows / _ROWS_PER_LARGE_BATCH, _SMALLEST, _LARGEST))


def _power_of_two(value: float, least: int, most: int) -> int:
    return int(min(max(2 ** round(math.log2(max(value, 1.0))), least), most))


def _is_averaged_over(pipeline: PipelineSpec) -> bool:
    """Returns whether several networks, and a second training, are worth it by themselves.

    A builder's network may be of any size, and one that makes pictures is large.
    """
    is_early = pipeline.training.start == "streaming"
    return pipeline.model.builder is None and not pipeline.makes_pictures and not is_early


def _values(manifest: TransformManifest) -> int:
    """Returns what a step reads of a row, weighed."""
    return sum(
        _WEIGHED[stored.kind](values)
        if stored.role == "feature" and stored.kind in _WEIGHED
        else values
        for stored in manifest.inputs()
        for values in [math.prod(stored.shape)]
    )
