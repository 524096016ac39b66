"""Adversarial training on tiny pictures whose place says their class."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.interrupted import train_until
from tests.trainer.world import example, recipe_with, write_shard
from trainer.network.losses import RowLoss
from trainer.network.model import build_model
from trainer.training.checkpoint import Checkpoints
from trainer.training.early_stopping import TrainingState
from trainer.training.objectives import trainable
from trainer.training.objectives.adversarial import Adversarial
from trainer.training.training import train
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import (
    ShardManifest,
    StoredFeature,
    TargetStatistics,
    TransformManifest,
)
from transforms.contract.workspace.partition import PartitionId

SIDE, NOISE, ROWS = 4, 3, 64
SIDES = partial(keras.Input, (), dtype="int64", name="side")


def generator():
    inputs = {"side": SIDES(), "z": keras.Input((NOISE,), name="z")}
    place = keras.layers.Embedding(2, 4)(inputs["side"])
    x = keras.layers.Concatenate()([place, inputs["z"]])
    x = keras.layers.BatchNormalization(momentum=0.9)(keras.layers.Dense(32)(x))
    x = keras.layers.Dense(SIDE * SIDE, activation="sigmoid")(keras.layers.ReLU()(x))
    return keras.Model(inputs, {"picture": keras.layers.Reshape((SIDE, SIDE, 1))(x)})


def discriminator():
    inputs = {"picture": keras.Input((SIDE, SIDE, 1), name="picture"), "side": SIDES()}
    place = keras.layers.Embedding(2, 4)(inputs["side"])
    x = keras.layers.Dropout(0.2)(keras.layers.Flatten()(inputs["picture"]))
    x = keras.layers.Concatenate()([place, x])
    x = keras.layers.LeakyReLU(0.2)(keras.layers.Dense(32)(x))
    return keras.Model(inputs, keras.layers.Dense(1)(x))


def adversarial(seed=5):
    keras.utils.set_random_seed(seed)
    model = Adversarial(generator(), discriminator(), keras.optimizers.Adam(2e-3, beta_1=0.5))
    model.compile(
        keras.optimizers.Adam(2e-3, beta_1=0.5), {"picture": RowLoss("mse")}, jit_compile=False
    )
    model.optimizer.build(model.network.trainable_variables)
    return model


def batch(seed, weight=1.0):
    """Pictures that are bright on the left for side 0 and on the right for side 1."""
    random = np.random.default_rng(seed)
    side = random.integers(2, size=ROWS)
    pictures = random.uniform(0, 0.2, (ROWS, SIDE, SIDE, 1))
    for row, half in enumerate(side):
        pictures[row, :, 2 * half : 2 * half + 2] = random.uniform(0.8, 1.0)
    inputs = {"side": side, "z": random.normal(size=(ROWS, NOISE)).astype(np.float32)}
    targets = {"picture": pictures.astype(np.float32)}
    weights = {"picture": np.full(ROWS, weight, np.float32)}
    return tf.nest.map_structure(tf.constant, (inputs, targets, weights))


def values_of(variables):
    return [variable.numpy() for variable in variables]


def same(first, second):
    return [np.array_equal(a, b) for a, b in zip(first, second, strict=True)]


@pytest.fixture(scope="module")
def trained():
    model = adversarial()
    step = tf.function(model.train_step)
    logs = [step(batch(number)) for number in range(1500)]
    return model, {name: float(value) for name, value in logs[-1].items()}


def test_the_network_learns_to_make_what_its_conditions_say(trained):
    model, _ = trained
    for side in (0, 1):
        noise = np.random.default_rng(9).normal(size=(50, NOISE)).astype(np.float32)
        made = model.network({"side": np.full(50, side), "z": noise})["picture"].numpy()
        halves = made[:, :, :2].mean(), made[:, :, 2:].mean()
        assert halves[side] > 0.7
        assert halves[1 - side] < 0.3


def test_both_losses_are_reported_and_neither_network_has_won(trained):
    _, logs = trained
    assert set(logs) == {"loss", "generator_loss", "discriminator_loss"}
    assert logs["loss"] == pytest.approx(logs["generator_loss"] + logs["discriminator_loss"])
    assert 0.3 < logs["generator_loss"] < 3


def test_evaluation_is_the_supervised_loss_of_the_network(trained):
    model, _ = trained
    inputs, targets, weights = batch(0)
    made = model.network(inputs, training=False)["picture"].numpy()
    loss = model.evaluate(inputs, targets, sample_weight=weights, verbose=0, return_dict=True)
    assert loss["loss"] == pytest.approx(np.square(made - targets["picture"]).mean(), rel=1e-4)


def test_a_step_trains_both_networks_by_their_own_optimizers():
    model = adversarial()
    networks = (model.network, model.discriminator)
    before = [values_of(network.trainable_variables) for network in networks]
    model.train_step(batch(0))
    for network, values in zip(networks, before, strict=True):
        assert not all(same(values_of(network.trainable_variables), values))
    assert [int(optimizer.iterations) for optimizer in model.optimizers] == [1, 1]


def test_a_masked_row_has_no_picture_to_learn_from():
    model = adversarial()
    before = values_of(model.discriminator.trainable_variables)
    model.train_step(batch(0, weight=0.0))
    assert all(same(values_of(model.discriminator.trainable_variables), before))


def test_a_checkpoint_has_all_that_a_step_depends_on(tmp_path):
    undisturbed = adversarial()
    for number in range(3):
        undisturbed.train_step(batch(number))
    Checkpoints(tmp_path).save(undisturbed, TrainingState(epochs=1))
    undisturbed.train_step(batch(3))

    resumed = adversarial(seed=6)
    Checkpoints(tmp_path).restore(resumed, 0)
    resumed.train_step(batch(3))
    for name in ("network", "discriminator"):
        restored, wanted = (getattr(model, name).variables for model in (resumed, undisturbed))
        assert all(same(values_of(restored), values_of(wanted)))


DECLARATION = {
    "name": "halves",
    "source": {"path": "data", "key": "id"},
    "features": {"side": {"kind": "categorical"}, "z": {"kind": "noise", "dimension": NOISE}},
    "targets": {
        "picture": {"kind": "image", "content": "continuous", "height": SIDE, "width": SIDE}
    },
    "training": {
        "objective": "adversarial",
        "early_stopping_patience": None,
        "epochs": 4,
        "batch_size": 16,
        "discriminator": {"filters": [4], "units": 8},
    },
}
STORED = (
    StoredFeature(name="side", role="feature", kind="categorical", dtype="int64", shape=(),
                  cardinality=3),
    StoredFeature(name="z", role="feature", kind="noise", dtype="float32", shape=(NOISE,),
                  storage="drawn", distribution="normal"),
    StoredFeature(name="picture", role="target", kind="image", dtype="uint8",
                  shape=(SIDE, SIDE, 1), storage="raw"),
)  # fmt: skip


@pytest.fixture(scope="module")
def make_job(tmp_path_factory):
    """Returns a function that gives the job of a run on a workspace with shards of the batch."""
    root = tmp_path_factory.mktemp("halves") / "workspace"
    pipeline, workspace = parse(DECLARATION), Workspace(root)
    manifest = TransformManifest(
        fingerprint="f00d",
        declaration="",
        raw_features=pipeline.raw_features(),
        raw_targets=pipeline.raw_targets(),
        stored=STORED,
        targets={"picture": TargetStatistics()},
        rows=ROWS,
        partitions={"all": "p0"},
    )
    workspace.transform("f00d").mkdir(parents=True)
    (workspace.transform("f00d") / "transform.json").write_text(manifest.model_dump_json())
    folder = workspace.shards("f00d", "all", "p0")
    folder.mkdir(parents=True)
    inputs, targets, _ = batch(0)
    pixels = (targets["picture"].numpy() * 255).astype(np.uint8)
    records = [
        example({"side": int(side) + 1, "picture": picture.tobytes()})
        for side, picture in zip(inputs["side"].numpy(), pixels, strict=True)
    ]
    shards = [
        write_shard(folder, f"{split}.tfrecord", split, "stored", chosen)
        for split, chosen in (("train", records[:50]), ("validation", records[50:]))
    ]
    shard_manifest = ShardManifest(
        transform="f00d",
        partition="all",
        partition_fingerprint="p0",
        shards=tuple(shards),
        rows=ROWS,
    )
    (folder / "manifest.json").write_text(shard_manifest.model_dump_json())

    def make(name, **training):
        (root / "runs" / name).mkdir(parents=True)
        return TrainJob(
            pipeline=parse(DECLARATION | {"training": DECLARATION["training"] | training}),
            workspace=str(root),
            transform="f00d",
            partitions=(PartitionId(name="all", fingerprint="p0"),),
            run_folder=str(root / "runs" / name),
        )

    return make


def test_an_interrupted_training_ends_with_the_same_weights(make_job, monkeypatch):
    undisturbed, interrupted = make_job("undisturbed"), make_job("interrupted")
    train(undisturbed)
    train_until(interrupted, epoch=2, step=3)
    train(interrupted)

    folders = [Path(job.run_folder) for job in (undisturbed, interrupted)]
    histories = [json.loads((f / "history.json").read_text())["epochs"] for f in folders]
    figures = [[(e["losses"], e["validation_loss"]) for e in epochs] for epochs in histories]
    assert figures[0] == figures[1]
    assert set(figures[0][0][0]) == {"generator_loss", "discriminator_loss"}
    # The last checkpoint has everything: both networks, both optimizers, all random states.
    arrays = [np.load(f / "training" / "epoch-0003.npz") for f in folders]
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0].files)


def test_what_is_saved_is_the_generator_alone(make_job):
    job = make_job("saved")
    result = train(job)
    saved = keras.models.load_model(Path(job.run_folder) / "model.keras")
    assert result.parameters == saved.count_params()
    assert set(saved.input) == {"side", "z"}
    assert saved.output["picture"].shape == (None, SIDE, SIDE, 1)


def test_mixed_precision_scales_the_loss_of_the_generator_only(make_job):
    job = make_job("mixed", mixed_precision="float16", epochs=2)
    train(job)
    saved = keras.models.load_model(Path(job.run_folder) / "model.keras")
    assert all(np.isfinite(values).all() for values in saved.get_weights())
    history = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
    assert all(0 < loss < 5 for loss in history[-1]["losses"].values())
    model = trainable(
        build_model(job.pipeline, job.manifest(), mixed_precision="float16"),
        job.pipeline,
        job.manifest(),
        recipe_with(),
    )
    assert hasattr(model.optimizer, "inner_optimizer")
    assert not hasattr(model.discriminator_optimizer, "inner_optimizer")
