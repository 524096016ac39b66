from __future__ import annotations

from pathlib import Path

import pytest

from tests.transforms.contract.minimal import MINIMAL
from transforms.contract.declaration.parsing import load
from transforms.contract.steps.tuning import (
    Trial,
    Tuning,
    changes_in_words,
    next_number,
    ranked,
    read_trials,
    searched_keys,
    settings_of,
    with_settings,
    write_trial,
)

TABLE = """
name: reviews
source: {path: data, key: id}
features:
  country: {kind: categorical}
  price: {kind: numeric}
  weight: {kind: numeric}
  review: {kind: text}
  photo: {kind: image, height: 96, width: 96}
targets:
  sold: {kind: binary}
"""


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(TABLE)
    return path


def trial(number: int, status: str = "complete", loss: float | None = 0.5, **changes) -> Trial:
    return Trial(
        number=number, status=status, loss=loss, changes=changes, parameters={}, seconds=1.0
    )


def names(path: Path, *overrides: str) -> list[str]:
    return [key.name for key in searched_keys(load(path, overrides))]


def test_keys_that_are_left_to_their_defaults_are_searched(declaration):
    assert names(declaration) == [
        "training.learning_rate",
        "training.weight_decay",
        "training.batch_size",
        "training.ema",
        "model.fusion.hidden",
        "model.fusion.dropout",
        "piecewise.units",
        "bag_of_words.units",
        "bag_of_words.dropout",
        "cnn.units",
        "cnn.dropout",
    ]


@pytest.mark.parametrize(
    ("override", "gone"),
    [
        ("training.learning_rate=0.0015", {"training.learning_rate"}),
        ("training.batch_size=auto", {"training.batch_size"}),
        ("training.optimizer=adam", {"training.weight_decay"}),
        ("model.fusion={dropout: 0.15}", {"model.fusion.dropout"}),
        ("model.encoders.photo={kind: cnn}", {"cnn.units", "cnn.dropout"}),
        ("model.features=[country, price]", {"bag_of_words.units", "bag_of_words.dropout",
                                             "cnn.units", "cnn.dropout"}),
    ],
)  # fmt: skip
def test_a_key_that_is_declared_is_not_searched_even_if_it_is_the_default(
    declaration, override, gone
):
    assert set(names(declaration)) - set(names(declaration, override)) == gone


def test_a_network_of_the_users_own_leaves_the_training_to_be_searched(declaration):
    assert {name.partition(".")[0] for name in names(declaration, "model.builder=nets:build")} == {
        "training"
    }


def test_an_encoders_number_is_set_for_all_features_that_it_reads_by_default(declaration):
    pipeline = load(declaration, ["model.encoders.weight={kind: dense}"])
    keys = searched_keys(pipeline)
    assert settings_of(keys, {"piecewise.units": 16, "training.learning_rate": 0.01}) == {
        "training.learning_rate": 0.01,
        "model.encoders.price.kind": "piecewise",
        "model.encoders.price.units": 16,
    }


def test_no_searched_key_shapes_shards(declaration):
    pipeline = load(declaration)
    keys = searched_keys(pipeline)
    values = {"hidden": [32], "dropout": 0.4, "units": 4, "batch_size": 32}
    changes = {key.name: values.get(key.field, 0.005) for key in keys}
    changed = with_settings(pipeline, settings_of(keys, changes))
    assert changed.data_fingerprint() == pipeline.data_fingerprint()
    assert changed.model.fusion.hidden == (32,)
    assert changed.encoder_of("review").units == 4
    assert changed.training.learning_rate == 0.005


def test_without_settings_a_declaration_is_as_it_was(tmp_path):
    path = tmp_path / "minimal.yaml"
    path.write_text(MINIMAL)
    assert with_settings(load(path), {}) == load(path)


def test_trials_are_read_by_number_and_ranked_by_loss_without_those_that_stopped(tmp_path):
    for item in (
        trial(10, loss=0.4, rate=1),
        trial(2, "pruned", 0.1),
        trial(3, "diverged", None),
        trial(0),
    ):
        write_trial(tmp_path, item)
    trials = read_trials(tmp_path)
    assert [item.number for item in trials] == [0, 2, 3, 10]
    assert [item.number for item in ranked(trials)] == [10, 0]
    tuning = Tuning(trials=trials, best=10, settings={}, seconds=4.0, transformed=0)
    assert tuning.pruned() == 1


def test_a_number_that_a_killed_trial_had_is_not_given_again(tmp_path):
    assert next_number(tmp_path, ()) == 0
    (tmp_path / "0000").mkdir()
    assert next_number(tmp_path, ()) == 1
    assert next_number(tmp_path, (trial(4),)) == 5


def test_changes_are_told_by_name():
    changes = {"training.learning_rate": 0.002, "model.fusion.hidden": [64, 64]}
    assert changes_in_words(changes) == "training.learning_rate 0.002, model.fusion.hidden [64, 64]"
