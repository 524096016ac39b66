from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.interrupted import train_until
from tests.trainer.world import DECLARATION, pipeline_of, training_with
from trainer.data.augment import Augmenter
from trainer.training.training import train
from transforms.contract.network.augment import AlignedGeometry, Augmentation

CHANGES = [
    {"flip": "horizontal"},
    {"flip": "vertical"},
    {"rotate": 0.25},
    {"shift": 0.3},
    {"zoom": 0.3},
    {"shear": 0.4},
    {"brightness": 0.3},
    {"contrast": 0.5},
]
EVERYTHING = {name: value for change in CHANGES[1:] for name, value in change.items()}
PIXELS = np.random.default_rng(1).integers(0, 256, (6, 9, 8, 3)).astype(np.uint8)


def changed(augmenter, inputs, targets=None, *, epoch=0, steps=1):
    """Returns inputs and targets as the last of some steps of an epoch gives them."""
    augmenter.start(epoch)
    step = tf.function(augmenter)
    batch = ({n: tf.constant(v) for n, v in inputs.items()},
             {n: tf.constant(v) for n, v in (targets or {}).items()}, {})  # fmt: skip
    for _ in range(steps):
        output = step(batch)
    return [{name: np.asarray(value) for name, value in part.items()} for part in output[:2]]


def augmented(change, seed=1, **how):
    augmenter = Augmenter({"f": Augmentation(**change)}, seed=seed)
    return changed(augmenter, {"f": PIXELS}, **how)[0]["f"]


def test_every_change_is_tested():
    tested = {name for change in CHANGES for name in change} | {"interpolation"}
    assert tested == set(Augmentation.model_fields)


@pytest.mark.parametrize("change", [*CHANGES, EVERYTHING])
def test_pixels_change_and_stay_pixels(change):
    pictures = augmented(change)
    assert (pictures.shape, pictures.dtype) == (PIXELS.shape, PIXELS.dtype)
    assert (pictures != PIXELS).any()


@pytest.mark.parametrize("change", [*CHANGES, EVERYTHING])
def test_changes_follow_seed_epoch_and_step(change):
    first = augmented(change)
    np.testing.assert_array_equal(first, augmented(change))
    for other in ({"seed": 2}, {"epoch": 1}, {"steps": 3}):
        assert (first != augmented(change, **other)).any()


def test_a_flip_mirrors_along_its_own_axis():
    for flipped, picture in zip(augmented({"flip": "horizontal"}), PIXELS, strict=True):
        assert (flipped == picture).all() or (flipped == picture[:, ::-1]).all()


def test_a_shear_moves_lines_against_each_other():
    line = np.zeros((1, 20, 20, 1), np.uint8)
    line[:, :, 10] = 255
    augmenter = Augmenter({"f": Augmentation(shear=0.5, interpolation="nearest")}, seed=5)
    sheared = changed(augmenter, {"f": line})[0]["f"][0, :, :, 0]
    assert (sheared[:5].argmax(axis=1) != sheared[-5:].argmax(axis=1)).all()


def test_two_pictures_of_a_row_change_apart_and_others_not_at_all():
    spec = Augmentation(rotate=0.25)
    augmenter = Augmenter({"left": spec, "right": spec}, seed=1)
    inputs, _ = changed(augmenter, dict.fromkeys(("left", "right", "other"), PIXELS))
    assert (inputs["left"] != inputs["right"]).any()
    np.testing.assert_array_equal(inputs["other"], PIXELS)


GEOMETRY = {"flip": "horizontal", "rotate": 0.1, "shift": 0.2, "zoom": 0.2, "shear": 0.1}
MASK = (PIXELS[..., :1] > 127).astype(np.float32)


def aligned(columns=("rgb", "depth"), interpolation="nearest", **own):
    geometry = AlignedGeometry(columns=columns, interpolation=interpolation, **GEOMETRY)
    augmenter = Augmenter({"geometry": geometry, **own}, masks={"mask"}, seed=1)
    inputs = {"rgb": PIXELS, "depth": PIXELS[..., 1:2]}
    return changed(augmenter, inputs, {"mask": MASK})


def test_aligned_pictures_move_alike():
    (inputs, targets) = aligned()
    np.testing.assert_array_equal(inputs["rgb"][..., 1:2], inputs["depth"])
    assert (inputs["rgb"] != PIXELS).any()
    assert set(np.unique(inputs["depth"])) <= set(np.unique(PIXELS))  # no values between
    np.testing.assert_array_equal(targets["mask"], MASK)  # it is not among the columns


def test_a_target_moves_with_its_picture():
    inputs, targets = aligned(("rgb", "mask"))
    np.testing.assert_array_equal(targets["mask"], inputs["rgb"][..., :1] > 127)
    assert (targets["mask"] != MASK).any()
    assert targets["mask"].dtype == np.float32


def test_a_mask_keeps_its_values_whatever_its_pictures_interpolation():
    inputs, targets = aligned(("rgb", "mask"), "bilinear")
    assert set(np.unique(targets["mask"])) == {0.0, 1.0}
    assert (targets["mask"] != MASK).any()
    np.testing.assert_array_equal(targets["mask"], aligned(("rgb", "mask"))[1]["mask"])
    assert (inputs["rgb"] != aligned(("rgb", "mask"))[0]["rgb"]).any()


def test_masks_alone_move_alike_too():
    geometry = AlignedGeometry(columns=("mask", "other"), **GEOMETRY)
    augmenter = Augmenter({"all": geometry}, masks={"mask", "other"}, seed=1)
    _, targets = changed(augmenter, {}, {"mask": MASK, "other": 1 - MASK})
    np.testing.assert_array_equal(targets["mask"], 1 - targets["other"])
    assert (targets["mask"] != MASK).any()


def test_an_aligned_picture_may_change_its_own_brightness():
    inputs, _ = aligned(rgb=Augmentation(brightness=0.5))
    assert (inputs["rgb"][..., 1:2] != inputs["depth"]).any()
    np.testing.assert_array_equal(inputs["depth"], aligned()[0]["depth"])


def test_a_resumed_training_draws_the_changes_of_an_undisturbed_one(trainer_world, monkeypatch):
    pipeline = pipeline_of(
        model=DECLARATION["model"] | {"augment": {"photo": EVERYTHING}},
        training=training_with(epochs=3, early_stopping_patience=None),
    )

    def losses(job):
        history = json.loads((Path(job.run_folder) / "history.json").read_text())
        return [epoch["loss"] for epoch in history["epochs"]]

    whole = trainer_world.job("augmented", pipeline)
    train(whole)
    broken = trainer_world.job("augmented-and-killed", pipeline)
    train_until(broken, epoch=1, step=2)
    train(broken)
    assert losses(broken) == losses(whole)
    plain = trainer_world.job("not-augmented", pipeline_of(training=pipeline.training.model_dump()))
    train(plain)
    assert losses(plain) != losses(whole)
