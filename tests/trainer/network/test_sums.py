from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.network.encoders import test_encoders as encoders
from tests.trainer.network.test_decoders import decoder
from tests.trainer.network.test_networks import NETWORKS
from tests.trainer.open_sums import open_sums
from tests.trainer.training.objectives import test_adversarial as tiny_pictures
from tests.trainer.world import pipeline_of, training_with
from trainer.data.shards import shard_files
from trainer.data.stream import BatchLayout, evaluation_batches
from trainer.network.encoders import encode
from trainer.network.members import answer
from trainer.network.model import build_model
from trainer.network.sums import Beside, mean, total
from trainer.recipe import recipe_of
from trainer.training.epoch import traced
from trainer.training.objectives import trainable

DEFAULTS = {"encoders": {}, "fusion": {"kind": "concatenate"}}
CASES = {
    **{name: {"model": model} for name, model in NETWORKS.items()},
    "concatenate": {},
    "members": {"model": DEFAULTS, "training": training_with(members=3)},
    "uncertainty": {"training": training_with(loss_balance="uncertainty")},
}


def test_a_total_and_a_mean_are_those_of_their_terms():
    terms = [tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0]), tf.constant([5.0, 0.0])]
    np.testing.assert_array_equal(total(terms), [9.0, 6.0])
    np.testing.assert_array_equal(mean(terms), [3.0, 2.0])


@pytest.mark.parametrize("kind", ["train", "test"])
@pytest.mark.parametrize("name", CASES)
def test_no_sum_of_a_step_has_its_order_from_the_threads(trainer_world, name, kind):
    pipeline = pipeline_of(**CASES[name])
    job = trainer_world.job(f"sums-{name}-{kind}", pipeline)
    manifest = job.manifest()
    recipe = recipe_of(pipeline, manifest, 80, 20)
    network = build_model(pipeline, manifest, members=recipe.members)
    model = trainable(network, pipeline, manifest, recipe)
    layout = BatchLayout.for_training(pipeline, manifest)
    batches = evaluation_batches(shard_files(job, "train"), layout, 16)
    step = traced(model, kind, batches)
    assert open_sums(lambda: step(next(iter(batches)))) == []


def gradients_of(model):
    """Returns a call of a compiled function that gives the gradients of a model's weights."""

    spec = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), model.input)

    @tf.function(input_signature=[spec])  # as in training, the number of rows is not fixed
    def gradients(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(inputs, training=True)))
        return tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    inputs = tf.nest.map_structure(lambda t: tf.zeros((2, *t.shape[1:]), t.dtype), model.input)
    return lambda: gradients(inputs)


@pytest.mark.parametrize(
    ("stored", "spec"),
    [(encoders.WORDS, spec) for spec in encoders.TEXT_ENCODERS]
    + [(encoders.SERIES, spec) for spec in encoders.SEQUENCE_ENCODERS],
)
def test_no_sum_of_an_encoders_gradients_has_its_order_from_the_threads(stored, spec):
    tensor = keras.Input(stored.shape, dtype=stored.dtype, name="f")
    vector = keras.layers.Dense(2)(encode("f", spec, stored, tensor).vector)
    assert open_sums(gradients_of(keras.Model(tensor, vector))) == []


def test_no_sum_of_a_decoders_gradients_has_its_order_from_the_threads():
    assert open_sums(gradients_of(decoder((16, 16), (2, 3, 4), (3,)))) == []


def test_no_sum_of_an_adversarial_step_has_its_order_from_the_threads():
    step = tf.function(tiny_pictures.adversarial().train_step)
    assert open_sums(lambda: step(tiny_pictures.batch(0))) == []


def test_no_sum_of_an_answer_with_its_members_has_its_order_from_the_threads(trainer_world):
    pipeline = pipeline_of(**CASES["members"])
    job = trainer_world.job("sums-answer", pipeline)
    manifest = job.manifest()
    network = build_model(pipeline, manifest, members=3)
    layout = BatchLayout.for_evaluation(pipeline, manifest)
    inputs, _, _ = next(iter(evaluation_batches(shard_files(job, "train"), layout, 16)))
    answers = tf.function(lambda given: answer(network, given, with_members=True))
    assert open_sums(lambda: answers(inputs)) == []


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_branch_begins_with_the_tensor_as_it_is_and_learns(jit_compile):
    inputs = keras.Input((4,))
    branch = keras.layers.LayerNormalization()(Beside()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Add()([inputs, branch])))
    model.compile("sgd", "mse", jit_compile=jit_compile)
    before = model.get_weights()
    model.fit(np.eye(4), np.ones(4), batch_size=3, verbose=0)
    assert all((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    np.testing.assert_array_equal(Beside()(np.eye(4), training=True), np.eye(4))


def test_an_open_sum_is_found():
    @tf.function
    def read_twice(x):
        doubled = x * 2
        return tf.add_n([tf.exp(x), tf.sin(x), doubled]), doubled + 1

    assert len(open_sums(lambda: read_twice(tf.constant([1.0, 2.0])))) == 1
