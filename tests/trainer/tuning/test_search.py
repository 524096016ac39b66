from __future__ import annotations

import math

import pytest

from tests.trainer.world import DECLARATION, pipeline_of
from trainer.recipe import Recipe
from trainer.tuning.search import PARTS, Search
from transforms.contract.steps.tuning import Trial, searched_keys

RECIPE = Recipe(rows=640, batch_size=64, epochs=10, ema=0.99, seed=17, shuffle_bytes=1 << 20)
KEYS = searched_keys(pipeline_of(training={}, model={"encoders": DECLARATION["model"]["encoders"]}))


def ended(number: int, asked, loss: float | None, status: str = "complete", curve=()) -> Trial:
    return Trial(
        number=number,
        status=status,
        loss=loss,
        changes=asked.changes,
        parameters=asked.parameters,
        curve=curve,
        seconds=1.0,
    )


def searched(count: int, loss_of=lambda asked: 0.5) -> list[Trial]:
    """Returns trials of a search in which each one costs what a function says."""
    search, trials = Search(KEYS, RECIPE), []
    for number in range(count):
        asked = search.ask(number, trials)
        trials.append(ended(number, asked, loss_of(asked)))
    return trials


def test_the_first_trial_is_the_declaration_and_only_the_first():
    trials = searched(6)
    assert trials[0].changes == {}
    assert all(trial.changes for trial in trials[1:])


def test_the_first_trials_keep_some_defaults_and_later_ones_draw_every_number():
    numbers = ("training.learning_rate", "training.weight_decay", "model.fusion.dropout")
    _, *trials = searched(16)
    kept = [sum(name not in trial.changes for name in numbers) for trial in trials]
    assert 0 < sum(kept[:7]) < 3 * 7
    assert sum(kept[7:]) == 0


def test_a_search_of_one_key_does_not_draw_the_declaration_again():
    rate = Search(KEYS[:1], RECIPE)
    first = ended(0, rate.ask(0, []), 0.5)
    assert first.changes == {}
    assert all(rate.ask(number, [first]).changes for number in range(1, 8))


def test_a_first_trial_that_was_lost_is_drawn_again_under_another_number():
    assert Search(KEYS, RECIPE).ask(1, []).changes == {}


def test_what_is_drawn_is_what_its_key_takes():
    for trial in searched(25)[1:]:
        changes = {"training.learning_rate": 0.0015, "training.batch_size": 64} | trial.changes
        assert 0.0003 <= changes["training.learning_rate"] <= 0.006
        assert changes["training.batch_size"] in (32, 64, 128)
        assert trial.changes.get("training.ema", 0.99) in (0.98, 0.99, 0.995)
        assert trial.changes.get("piecewise.units", 8) in (4, 8, 16)
        assert trial.changes.get("bag_of_words.units", 128) in (64, 128, 256)
        assert 0 <= trial.changes.get("model.fusion.dropout", 0.15) <= 0.6
        widths = trial.changes.get("model.fusion.hidden", [256, 256, 256])
        assert set(widths) <= {64, 128, 256, 512}
        assert 2 <= len(widths) <= 4
        assert len(set(widths)) == 1


def test_a_search_that_goes_on_draws_what_an_undisturbed_one_does():
    undisturbed = searched(14, lambda asked: sum(asked.parameters.values()))
    again = Search(KEYS, RECIPE).ask(13, undisturbed[:13])
    assert again.changes == undisturbed[13].changes
    assert again.parameters == undisturbed[13].parameters


def test_a_search_follows_what_trials_gave():
    def far_from_a_high_rate(asked) -> float:
        rate = asked.changes.get("training.learning_rate", 0.0015)
        return abs(math.log(rate / 0.005))

    losses = [trial.loss for trial in searched(40, far_from_a_high_rate)]
    assert sum(losses[25:]) / 15 < 0.6 * sum(losses[1:9]) / 8


@pytest.mark.parametrize(("loss", "stopped"), [(0.9, True), (0.6, False), (0.2, False)])
def test_a_trial_that_is_worse_than_three_quarters_were_at_its_stage_falls_behind(loss, stopped):
    search = Search(KEYS, RECIPE)
    trials: list[Trial] = []
    for number, other in enumerate((0.4, 0.5, 0.55, 0.7, 0.8)):
        asked = search.ask(number, trials)
        trials.append(ended(number, asked, other, curve=(0.85, other)))
    asked = search.ask(5, trials)
    judged = [asked.falls_behind(part, loss) for part in range(1, PARTS + 1)]
    assert not any(judged[:4])
    assert judged[-1] == stopped


def test_trials_that_diverged_or_were_stopped_are_known_to_the_search():
    search = Search(KEYS, RECIPE)
    first = search.ask(0, [])
    trials = [
        ended(0, first, 0.5),
        ended(1, search.ask(1, [ended(0, first, 0.5)]), None, "diverged"),
    ]
    trials.append(ended(2, search.ask(2, trials), 0.7, "pruned", (0.9, 0.7)))
    assert search.ask(3, trials).changes
