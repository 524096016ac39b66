from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer.network.heads import head_of
from trainer.network.losses import RowLoss
from transforms.contract.columns.targets import BinaryMask, ClassMask, ContinuousImage
from transforms.contract.workspace.manifest import StoredFeature, TargetStatistics

SIZE = {"kind": "image", "height": 2, "width": 2}
MASK = BinaryMask(content="binary_mask", **SIZE)
CLASSES = ClassMask(content="class_mask", classes=3, **SIZE)
DEPTH = ContinuousImage(content="continuous", **SIZE)
TARGETS = [MASK, CLASSES, DEPTH]
NOTHING = TargetStatistics()

# Of two pictures: 2 pixels found, 1 too many, 1 missed.
TRUTH = np.array([[1, 1, 0, 0], [0, 0, 0, 1]], np.float32).reshape(2, 2, 2, 1)
FOUND = np.array([[0.9, 0.2, 0.6, 0.1], [0.1, 0.3, 0.4, 0.6]], np.float32).reshape(2, 2, 2, 1)
IDS = np.array([[0, 1, 2, 2], [0, 0, 0, 1]], np.int64).reshape(2, 2, 2, 1)


def stored(spec):
    dtype, shape = spec.layout()
    return StoredFeature(name="m", role="target", kind="image", dtype=dtype, shape=shape,
                         storage="raw")  # fmt: skip


def metrics(spec, truth, prediction, rows=2):
    """Returns every metric of a target, of so many rows at a time."""
    values = {}
    for name, make in head_of(spec).metrics.items():
        metric = make(spec)
        for start in range(0, 2, rows):
            metric.update(truth[start : start + rows], prediction[start : start + rows])
        values[name] = metric.result()
    return values


def probabilities(classes):
    """Returns 0.8 for the given classes and 0.1 for the two others."""
    return np.where(np.eye(3)[classes[..., 0]] > 0, 0.8, 0.1).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 2])
def test_metrics_of_a_mask_are_those_of_all_pixels(rows):
    assert metrics(MASK, TRUTH, FOUND, rows) == pytest.approx(
        {"iou": 2 / 4, "dice": 4 / 6, "accuracy": 6 / 8}
    )


def test_masks_without_foreground_agree():
    nothing = np.zeros((2, 2, 2, 1), np.float32)
    assert metrics(MASK, nothing, nothing)["dice"] == 1


@pytest.mark.parametrize("rows", [1, 2])
def test_metrics_of_classes(rows):
    wrong = IDS.copy()
    wrong[0, 1, 1] = 0  # of the two pixels of class 2
    values = metrics(CLASSES, IDS, probabilities(wrong), rows)
    assert values == pytest.approx({"mean_iou": (4 / 5 + 1 + 1 / 2) / 3, "accuracy": 7 / 8})


def test_pictures_that_do_not_exist_have_no_metric():
    assert set(metrics(MASK, TRUTH[:0], FOUND[:0]).values()) == {None}


@pytest.mark.parametrize("rows", [1, 2])
def test_metrics_of_a_quantity(rows):
    values = metrics(DEPTH, TRUTH, np.abs(TRUTH - 0.1), rows)
    assert values == pytest.approx({"mae": 0.1, "mse": 0.01, "psnr": 20.0}, rel=1e-5)
    assert metrics(DEPTH, TRUTH, TRUTH)["psnr"] == pytest.approx(100)


def test_dice_loss_by_hand():
    squares = (0.81 + 0.04 + 0.36 + 0.01 + 2, 0.01 + 0.09 + 0.16 + 0.36 + 1)
    rows = [1 - (2 * 1.1 + 1) / (squares[0] + 1), 1 - (2 * 0.6 + 1) / (squares[1] + 1)]
    assert float(RowLoss("dice")(TRUTH, FOUND)) == pytest.approx(np.mean(rows), rel=1e-5)
    weighted = RowLoss("dice")(TRUTH, FOUND, sample_weight=np.array([0.0, 2.0], np.float32))
    assert float(weighted) == pytest.approx(rows[1], rel=1e-5)
    both = float(RowLoss("dice")(TRUTH, FOUND)) + float(
        RowLoss("binary_crossentropy")(TRUTH, FOUND)
    )
    assert float(RowLoss("crossentropy_dice")(TRUTH, FOUND)) == pytest.approx(both, rel=1e-5)


def test_a_perfect_mask_has_no_dice_loss():
    for truth in (TRUTH, np.zeros_like(TRUTH)):
        assert float(RowLoss("dice")(truth, truth)) == pytest.approx(0)


def test_crossentropy_is_the_mean_over_the_pixels():
    loss = float(RowLoss("crossentropy")(IDS, probabilities(IDS)))
    assert loss == pytest.approx(-math.log(0.8), rel=1e-5)


@pytest.mark.parametrize("spec", TARGETS)
@pytest.mark.parametrize("shape", [(7,), (2, 2, 5)])
def test_a_head_gives_a_picture_from_a_map_and_its_loss_is_finite(spec, shape):
    head, x = head_of(spec), keras.Input(shape)
    model = keras.Model(x, head.build("m", spec, stored(spec), x))
    assert tuple(model.output.shape[1:]) == head.shape(spec, stored(spec))
    if len(shape) == 3:
        output = model(np.full((2, *shape), 40.0, np.float32))
        truth = IDS if spec is CLASSES else TRUTH
        assert np.isfinite(float(head.loss(spec)(truth, output)))


def test_what_is_served_can_be_measured_again():
    output = tf.constant(probabilities(IDS))
    served = head_of(CLASSES).serve("m", NOTHING, output)
    assert served["m"].dtype == tf.uint8
    assert (served["m"].numpy() == IDS).all()
    assert head_of(CLASSES).predictions("m", served) is served["m__probabilities"]
    for spec in (MASK, DEPTH):
        served = head_of(spec).serve("m", NOTHING, tf.constant(FOUND))
        assert set(served) == {"m"}
        assert (head_of(spec).predictions("m", served).numpy() == FOUND).all()


def test_a_quantity_has_the_declared_activation():
    def above_one(activation):
        spec = DEPTH.model_copy(update={"activation": activation})
        return head_of(spec).activation(spec)

    assert [above_one(name) for name in ("sigmoid", "relu", "linear")] == [
        "sigmoid", "relu", "linear",
    ]  # fmt: skip
