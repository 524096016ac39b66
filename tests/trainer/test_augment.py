from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.trainer.world import DECLARATION, manifest_of, pipeline_of
from trainer.augment import augment
from trainer.model import build_model
from transforms.contract.augment import Augmentation

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
    model = keras.Model(tensor, augment("f", Augmentation(**change), tensor))
    return np.asarray(model(PIXELS, training=training))


def test_every_change_is_tested():
    assert {name for change in CHANGES for name in change} == set(Augmentation.model_fields)


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
    model = keras.Model(tensor, [augment(name, spec, tensor) for name in ("left", "right")])
    left, right = model(PIXELS, training=True)
    assert (np.asarray(left) != np.asarray(right)).any()


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
