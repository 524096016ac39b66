from __future__ import annotations

import keras
import numpy as np
import pytest

from trainer.losses import LOSSES, RowLoss


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "binary_crossentropy", "focal"])
def test_a_loss_of_any_shape_is_the_mean_of_each_row_times_its_weight(loss):
    truth = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4, 1)
    prediction = np.full_like(truth, 0.3)
    weights = np.array([2.0, 0.0], np.float32)
    rows = np.asarray(LOSSES[loss](truth, prediction)).reshape(2, -1).mean(axis=1)
    found = float(RowLoss(loss)(truth, prediction, sample_weight=weights))
    assert found == pytest.approx(2.0 * rows[0] / 2, rel=1e-5)


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
