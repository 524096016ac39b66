from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from trainer.evaluation.dependence import refuse_hidden
from transforms.contract.columns.features import RawColumn
from transforms.contract.errors import BraidError

WIND = {"wind": RawColumn(name="w", dtype="float32")}
ROWS = {
    "w": np.array([1.0, np.nan, 3.0], np.float32),
    "area": np.array([1.0, 2.0, 3.0], np.float32),
}


def network(encode, *, activation=tf.nn.relu, others=1.0):
    """Returns a model that adds an encoded feature to another one, as a layer does."""

    def score(columns):
        mixed = activation(encode(columns["w"]) + others * columns["area"])
        return {"price": np.asarray(mixed), "label": np.asarray(["a"] * len(mixed))}

    return score


def test_an_encoder_that_gives_a_number_for_a_missing_value_passes() -> None:
    refuse_hidden(network(lambda w: np.nan_to_num(w)), ROWS, WIND)


def test_an_answer_that_is_finite_and_the_same_for_all_rows_is_refused() -> None:
    hides = network(lambda w: w, activation=lambda x: tf.where(tf.math.is_nan(x), 0.0, x))
    message = r"features.wind: .*depend on the other features.*the same answer for 3 different rows"
    with pytest.raises(BraidError, match=message):
        refuse_hidden(hides, ROWS, WIND)


def test_an_answer_that_is_no_number_is_refused() -> None:
    with pytest.raises(BraidError, match="an answer that is no finite number"):
        refuse_hidden(network(lambda w: w, activation=tf.identity), ROWS, WIND)


def test_a_model_that_never_depended_on_the_others_passes() -> None:
    refuse_hidden(network(lambda w: np.nan_to_num(w), others=0.0), ROWS, WIND)


def test_a_feature_without_any_value_cannot_be_compared() -> None:
    rows = ROWS | {"w": np.full(3, np.nan, np.float32)}
    refuse_hidden(network(lambda w: w), rows, WIND)
