from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.trainer.world import DECLARATION, manifest_of, pipeline_of
from trainer.augment import augment_inputs
from trainer.model import build_model
from transforms.contract.augment import AlignedGeometry, Augmentation

CHANGES = [
    {"flip": "horizontal"},
    {"flip": "vertical"},
    {"rotate": 0.25},
    {"shift": 0.3},
    {"zoom": 0.3},
    {"brightness": 0.3},
    {"contrast": 0.5},
]
EVERYTHING = {name: value for change in CHANGES[1:] for name, value in change.items()}
PIXELS = np.random.default_rng(1).integers(0, 256, (6, 9, 8, 3)).astype(np.uint8)


def augmented(change, training=True, seed=1):
    keras.utils.set_random_seed(seed)
    tensor = keras.Input((9, 8, 3), dtype="uint8")
    model = keras.Model(tensor, augment_inputs({"f": Augmentation(**change)}, {"f": tensor})["f"])
    return np.asarray(model(PIXELS, training=training))


def test_every_change_is_tested():
    tested = {name for change in CHANGES for name in change} | {"interpolation"}
    assert tested == set(Augmentation.model_fields)


@pytest.mark.parametrize("change", [*CHANGES, EVERYTHING])
def test_pixels_change_in_training_only_and_stay_pixels(change):
    changed = augmented(change)
    assert changed.shape == PIXELS.shape
    assert changed.dtype == np.float32
    assert changed.min() >= 0
    assert changed.max() <= 255
    assert (changed != PIXELS).any()
    np.testing.assert_array_equal(augmented(change, training=False), PIXELS)


@pytest.mark.parametrize("change", [*CHANGES, EVERYTHING])
def test_changes_follow_the_seed(change):
    np.testing.assert_array_equal(augmented(change), augmented(change))
    assert (augmented(change) != augmented(change, seed=2)).any()


def test_a_flip_mirrors_along_its_own_axis():
    for found, picture in zip(augmented({"flip": "horizontal"}), PIXELS, strict=True):
        assert (found == picture).all() or (found == picture[:, ::-1]).all()


def test_two_pictures_of_a_row_change_apart():
    keras.utils.set_random_seed(1)
    tensor = keras.Input((9, 8, 3), dtype="uint8")
    spec = Augmentation(rotate=0.25)
    changed = augment_inputs({"left": spec, "right": spec}, {"left": tensor, "right": tensor})
    model = keras.Model(tensor, [changed["left"], changed["right"]])
    left, right = model(PIXELS, training=True)
    assert (np.asarray(left) != np.asarray(right)).any()


def aligned(training, **own):
    keras.utils.set_random_seed(1)
    geometry = AlignedGeometry(
        columns=("rgb", "depth"), flip="horizontal", rotate=0.1, shift=0.2, zoom=0.2,
        interpolation="nearest",
    )  # fmt: skip
    inputs = {
        "rgb": keras.Input((9, 8, 3), dtype="uint8", name="rgb"),
        "depth": keras.Input((9, 8, 1), dtype="uint8", name="depth"),
    }
    model = keras.Model(inputs, augment_inputs({"geometry": geometry, **own}, inputs))
    found = model({"rgb": PIXELS, "depth": PIXELS[..., 1:2]}, training=training)
    return np.asarray(found["rgb"]), np.asarray(found["depth"])


def test_aligned_pictures_move_alike():
    rgb, depth = aligned(training=True)
    np.testing.assert_array_equal(rgb[..., 1:2], depth)
    assert (rgb != PIXELS).any()
    assert set(np.unique(depth)) <= set(np.unique(PIXELS))  # nearest makes no values between
    rgb, depth = aligned(training=False)
    np.testing.assert_array_equal(rgb, PIXELS)
    np.testing.assert_array_equal(depth, PIXELS[..., 1:2])


def test_an_aligned_picture_may_change_its_own_brightness():
    rgb, depth = aligned(training=True, rgb=Augmentation(brightness=0.5))
    assert (rgb[..., 1:2] != depth).any()
    np.testing.assert_array_equal(depth, aligned(training=True)[1])


def test_the_states_of_the_changes_are_part_of_a_checkpoint():
    # Else a resumed training would draw other changes than an undisturbed one.
    def states(**model):
        pipeline = pipeline_of(model=DECLARATION["model"] | model)
        built = build_model(pipeline, manifest_of(pipeline))
        return [v for v in built.variables if v.name == "seed_generator_state"]

    assert len(states(augment={"photo": EVERYTHING})) == len(states()) + len(EVERYTHING)


def test_mixed_precision_changes_pixels_in_float32():
    model = DECLARATION["model"] | {"augment": {"photo": EVERYTHING}}
    pipeline = pipeline_of(model=model)
    built = build_model(pipeline, manifest_of(pipeline), mixed_precision=True)
    assert built.get_layer("photo.contrast").compute_dtype == "float32"
