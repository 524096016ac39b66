"""An epoch's rows and their order, whether they are parsed anew or held."""

from __future__ import annotations

import pytest

from tests.trainer.data.numbered_rows import LAYOUT
from tests.trainer.world import recipe_with
from trainer.data.held import HeldRows
from trainer.data.stream import training_batches


def held(files, recipe, **asked):
    rows = HeldRows(files, LAYOUT)
    return map(rows.unpack, rows.batches(recipe, **asked))


def parsed(files, recipe, **asked):
    return training_batches(files, LAYOUT, recipe, **asked)


@pytest.fixture(params=[parsed, held], ids=lambda draw: draw.__name__)
def numbers(request, files):
    """Returns a function of a recipe and epochs that gives the numbers of every batch's rows."""

    def drawn(*, batch_size=32, seed=17, **asked):
        recipe = recipe_with(batch_size=batch_size, seed=seed)
        batches = request.param(files, recipe, **asked)
        return [inputs["x"].numpy().astype(int).tolist() for inputs, _, _ in batches]

    return drawn


@pytest.fixture
def order(numbers):
    """Returns a function like `numbers` of all batches in a row."""
    return lambda **asked: [row for rows in numbers(**asked) for row in rows]


def test_an_epoch_has_every_row_once_and_mixes_the_files(order):
    rows = order(epoch=0)
    assert sorted(rows) == list(range(300))
    assert rows != sorted(rows)
    assert len({row // 25 for row in rows[:32]}) >= 6


def test_the_order_is_a_function_of_seed_and_epoch(order):
    first = order(epoch=0)
    assert order(epoch=0) == first
    assert order(epoch=1) != first
    assert order(epoch=0, seed=18) != first


def test_epochs_of_a_round_follow_on_one_another_within_a_batch(numbers, order):
    both = order(epoch=2, epochs=2)
    assert both == order(epoch=2) + order(epoch=3)
    assert order(epoch=2, epochs=2, first_batch=5) == both[5 * 32 :]
    batches = numbers(epoch=0, epochs=2, batch_size=128)
    assert [len(rows) for rows in batches] == [128, 128, 128, 128, 88]
