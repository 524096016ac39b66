from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from trainer.network.heads import head_of
from trainer.network.losses import LOSSES, RowLoss
from transforms.contract.columns.targets import Binary, Multiclass, Multilabel, NumericTarget


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "binary_crossentropy", "focal"])
def test_a_loss_of_any_shape_is_the_mean_of_each_row_times_its_weight(loss):
    truth = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4, 1)
    prediction = np.full_like(truth, 0.3)
    weights = np.array([2.0, 0.0], np.float32)
    rows = np.asarray(LOSSES[loss](truth, prediction)).reshape(2, -1).mean(axis=1)
    mean = float(RowLoss(loss)(truth, prediction, sample_weight=weights))
    assert mean == pytest.approx(2.0 * rows[0] / 2, rel=1e-5)


def test_a_loss_is_made_again_from_its_configuration():
    again = keras.losses.deserialize(keras.losses.serialize(RowLoss("mae")))
    assert float(again(np.zeros((1, 2)), np.array([[1.0, 3.0]]))) == pytest.approx(2.0)


def test_focal_counts_an_easy_row_for_less():
    easy, hard = np.array([[0.9]], np.float32), np.array([[0.1]], np.float32)
    one = np.ones((1, 1), np.float32)
    share = {
        loss: float(RowLoss(loss)(one, easy)) / float(RowLoss(loss)(one, hard))
        for loss in ("focal", "binary_crossentropy")
    }
    assert share["focal"] < share["binary_crossentropy"] / 50


def test_a_smoothed_label_is_shared_among_the_classes():
    truth, prediction = np.array([[1]]), np.array([[0.1, 0.7, 0.2]], np.float32)
    expected = -sum(w * math.log(p) for w, p in zip((0.1, 0.8, 0.1), (0.1, 0.7, 0.2), strict=True))
    assert float(RowLoss("crossentropy", 0.3)(truth, prediction)) == pytest.approx(expected)
    yes, probability = np.ones((1, 1), np.float32), np.array([[0.7]], np.float32)
    expected = -(0.85 * math.log(0.7) + 0.15 * math.log(0.3))
    assert float(RowLoss("binary_crossentropy", 0.3)(yes, probability)) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize(
    ("spec", "truth", "prediction"),
    [
        (Binary(kind="binary", label_smoothing=0.2), [[1.0]], [[0.9]]),
        (Binary(kind="binary", label_smoothing=0.2, loss="focal"), [[1.0]], [[0.9]]),
        (Multiclass(kind="multiclass", label_smoothing=0.2), [[1]], [[0.1, 0.9]]),
        (Multilabel(kind="multilabel", label_smoothing=0.2), [[1.0, 0.0]], [[0.9, 0.1]]),
    ],
    ids=["binary", "focal", "multiclass", "multilabel"],
)
def test_labels_are_smoothed_in_training_alone(spec, truth, prediction):
    head, plain = head_of(spec), spec.model_copy(update={"label_smoothing": 0.0})
    rows = np.array(truth), np.array(prediction, np.float32)
    evaluated = float(head.loss(spec)(*rows))
    assert evaluated == pytest.approx(float(head.training_loss(plain)(*rows)))
    assert float(head.training_loss(spec)(*rows)) > 1.5 * evaluated
    again = keras.losses.deserialize(keras.losses.serialize(head.training_loss(spec)))
    assert again.label_smoothing == 0.2


def test_numbers_have_one_loss():
    spec = NumericTarget(kind="numeric", loss="huber")
    assert head_of(spec).training_loss(spec).loss == head_of(spec).loss(spec).loss == "huber"
