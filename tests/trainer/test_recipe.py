"""The length, the pace and the number of trainings that follow from the rows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trainer.world import manifest_of, pipeline_of
from trainer.recipe import Recipe, recipe_of
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.training import TrainingSpec
from transforms.contract.workspace.manifest import StoredFeature, TransformManifest

PHOTO = {"kind": "image", "height": 8, "width": 8}


def table(width: int = 1, **training: Any) -> PipelineSpec:
    """Returns the pipeline of a table of so many numbers."""
    return parse(
        {
            "name": "table",
            "source": {"path": "data", "key": "id"},
            "features": {"numbers": {"kind": "numeric", "length": width}},
            "targets": {"sold": {"kind": "binary"}},
        }
    ).model_copy(update={"training": TrainingSpec(**training)})


def manifest(width: int = 1, rows: int = 0) -> TransformManifest:
    numbers = StoredFeature(
        name="numbers", role="feature", kind="numeric", dtype="float32", shape=(width,)
    )
    whole = manifest_of(pipeline_of())
    return whole.model_copy(update={"stored": (numbers,), "rows": rows})


def recipe(rows: int, validation: int | None = 1_000, width: int = 1, **training: Any) -> Recipe:
    return recipe_of(table(width, **training), manifest(width), rows, validation)


def test_a_tiny_table_has_small_batches_and_two_thousand_steps():
    tiny = recipe(100)
    assert (tiny.batch_size, tiny.epochs, tiny.steps) == (16, 320, None)
    # Validated every 50 steps or so, of which an epoch has 7.
    assert (tiny.epochs_per_round, tiny.patience) == (8, 6)
    assert (tiny.ema, tiny.members, tiny.refit) == (0.9911, 5, True)


def test_a_middling_table_has_batches_of_a_sixteenth():
    middling = recipe(2_000)
    assert (middling.batch_size, middling.epochs, middling.epochs_per_round) == (128, 128, 4)


def test_a_large_table_has_large_batches_ten_epochs_and_no_second_training():
    large = recipe(1_000_000)
    assert (large.batch_size, large.epochs, large.epochs_per_round) == (1_024, 10, 1)
    assert (large.patience, large.planned_steps()) == (3, 9_770)
    assert (large.ema, large.refit) == (0.998, False)


@pytest.mark.parametrize(
    ("rows", "width", "members"),
    [
        *((20_000, 10, 5), (20_001, 10, 3), (100_000, 10, 3), (100_001, 10, 1)),
        *((20_000, 500, 3), (20_000, 1_500, 1)),
    ],
)
def test_the_more_there_is_to_read_the_fewer_members_there_are(rows, width, members):
    assert recipe(rows, width=width).members == members


def test_too_few_validation_rows_choose_nothing():
    few = recipe(100, validation=29)
    assert (few.steps, few.planned_steps(), few.patience, few.refit) == (1_000, 1_000, None, True)
    assert recipe(100, validation=30).patience == 6
    assert not recipe(100, validation=0).refit
    assert not recipe(100, warm_start="champion").refit


@pytest.mark.parametrize(("rows", "blend"), [(0, False), (29, False), (30, True), (None, True)])
def test_a_blend_takes_validation_rows_also_where_it_is_declared(rows, blend):
    assert recipe(100, rows, blend="linear").blend is blend


def test_what_is_declared_holds():
    declared = {"epochs": 7, "batch_size": 32, "early_stopping_patience": 2}
    others = {"ema": 0.5, "members": 2, "refit": None}
    plan = recipe(100, **declared, **others)
    assert (plan.epochs, plan.epochs_per_round, plan.batch_size) == (7, 1, 32)
    assert (plan.patience, plan.ema, plan.members, plan.refit) == (2, 0.5, 2, False)
    assert recipe(1_000_000, members=5, refit="all", ema=0).model_dump() == recipe(
        1_000_000
    ).model_dump() | {"members": 5, "refit": True, "ema": 0.0}
    assert recipe(100, early_stopping_patience=None).patience is None


def test_declared_steps_are_in_place_of_epochs():
    plan = recipe(100, steps=500)
    assert (plan.steps, plan.epochs, plan.planned_steps()) == (500, 80, 500)


def test_a_patience_in_epochs_has_rounds_of_one_epoch():
    assert recipe(100, early_stopping_patience=9).epochs_per_round == 1


def test_a_table_with_pictures_has_smaller_batches_and_fewer_steps():
    pictures = recipe_of(pipeline_of(training={}), manifest(), 1_000, 100)
    assert (pictures.batch_size, pictures.planned_steps()) == (32, 1_248)
    numbers = recipe(1_000)
    assert (numbers.batch_size, numbers.planned_steps()) == (64, 2_048)


def test_one_that_makes_pictures_is_trained_once_and_alone():
    pipeline = pipeline_of(targets={"mask": PHOTO | {"content": "binary_mask"}}, training={})
    plan = recipe_of(pipeline, manifest(), 100, 50)
    assert (plan.members, plan.refit) == (1, False)


def test_training_that_begins_early_follows_from_the_rows_that_the_transform_saw():
    plan = recipe_of(table(start="streaming"), manifest(), 100, None)
    assert (plan.members, plan.refit, plan.patience) == (1, False, 6)


def test_adversarial_training_averages_nothing_and_has_no_early_end():
    plan = recipe(100, objective="adversarial")
    assert (plan.ema, plan.members, plan.patience, plan.refit) == (
        0.0,
        1,
        None,
        False,
    )


def test_a_training_on_all_rows_has_the_steps_that_were_the_best():
    again = recipe(100).on_all_rows(150, 350)
    assert (again.rows, again.steps, again.epochs) == (150, 350, 38)
    assert (again.epochs_per_round, again.patience, again.refit) == (6, None, False)
    assert again.planned_steps() == 350


def test_a_recipe_is_a_line_in_words():
    assert recipe(100).in_words() == (
        "batch 16, up to 2,240 steps, patience 336 steps, weights averaged at 0.9911, 5 members, "
        "blended with a linear model, then on validation rows too; because 100 rows"
    )
    assert recipe(1_000, validation=0, members=1, ema=0).in_words() == (
        "batch 64, up to 1,000 steps, no early stop; because 1,000 rows"
    )
