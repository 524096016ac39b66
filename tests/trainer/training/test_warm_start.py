"""A training that begins with the champion's weights: by path and shape, rows by what they mean."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.trainer.training.test_resume import killed_within_an_epoch
from tests.trainer.training.test_training import assert_same, outcome
from tests.trainer.world import DECLARATION, add_transform, pipeline_of, training_with
from trainer.export.export import export
from trainer.export.trained import load_model
from trainer.network.model import build_model
from trainer.training.meanings import weights_by_path
from trainer.training.training import train
from trainer.training.warm_start import warm_start
from transforms.contract.steps.jobs import WarmStart

# The champion's vocabulary is red, green, blue: two terms changed places, one is new, one is gone.
NEW_COLORS = ("blue", "pink", "red")


@pytest.fixture(scope="module")
def champion(trainer_run):
    return WarmStart(version="3", folder=trainer_run.results["export"].folder)


@pytest.fixture(scope="module")
def new_world(trainer_world, tmp_path_factory):
    root = tmp_path_factory.mktemp("refit") / "workspace"
    return add_transform(root, "beef", NEW_COLORS)


def warm(world, name, champion, pipeline=None, **training):
    pipeline = pipeline or pipeline_of(training=training_with(warm_start="champion", **training))
    return world.job(name, pipeline, warm_start=champion)


def started(job):
    """Returns the weights before and after a warm start, by path, and what it told."""
    network = build_model(job.pipeline, job.manifest())
    before = {path: np.array(weight) for path, weight in weights_by_path(network).items()}
    told = warm_start(job, job.warm_start, job.manifest(), network)
    after = {path: np.array(weight) for path, weight in weights_by_path(network).items()}
    return before, after, told


@pytest.fixture(scope="module")
def champions(trainer_run):
    """The champion's weights by path."""
    job = trainer_run.job
    model = load_model(job.pipeline, job.manifest(), Path(job.run_folder))
    return {path: np.array(weight) for path, weight in weights_by_path(model).items()}


def test_rows_of_an_embedding_follow_their_terms(new_world, champion, champions):
    before, after, told = started(warm(new_world, "rows", champion))
    # Missing, then red, green, blue, then the bucket of unknown colors.
    missing, red, _, blue, unknown = champions["color.embedding/embeddings"]
    fresh = before["color.embedding/embeddings"][2]
    wanted = [missing, blue, fresh, red, unknown]
    np.testing.assert_array_equal(after["color.embedding/embeddings"], wanted)
    for path in set(after) - {"color.embedding/embeddings"}:
        np.testing.assert_array_equal(after[path], champions[path])
    assert (told.carried, told.weights, told.fresh) == (15, 15, ())
    assert told.terms == {"color": (2, 3), "group": (3, 3)}
    assert told.warnings() == []


def test_the_first_layers_rows_follow_their_terms(trainer_world, new_world, tmp_path):
    encoders = DECLARATION["model"]["encoders"] | {"color": {"kind": "one_hot"}}
    model = DECLARATION["model"] | {"encoders": encoders}
    training = training_with(epochs=1, warm_start="champion")
    pipeline = pipeline_of(model=model, training=training)
    old = trainer_world.job("one-hot", pipeline)
    train(old)
    folder = export(old).folder
    network = load_model(pipeline, old.manifest(), Path(old.run_folder))
    kernel = np.array(weights_by_path(network)["fusion.dense_0/kernel"])

    wider = add_transform(tmp_path, "cafe", ("pink", *NEW_COLORS[::2], "grey"))
    job = warm(wider, "one-hot", WarmStart(version="3", folder=folder), pipeline)
    before, after, told = started(job)
    # The branches stand in the order of the features: of the color, six ids instead of five.
    missing, red, _, blue, unknown = kernel[:5]
    fresh = before["fusion.dense_0/kernel"]
    np.testing.assert_array_equal(
        after["fusion.dense_0/kernel"],
        [missing, fresh[1], blue, red, fresh[4], unknown, *kernel[5:]],
    )
    assert told.terms["color"] == (2, 4)
    assert told.fresh == ()


def test_a_heads_outputs_follow_their_labels(trainer_world, champion, champions, tmp_path):
    shutil.copytree(trainer_world.root, tmp_path / "w", ignore=shutil.ignore_patterns("runs"))
    job = warm(trainer_world, "labels", champion)
    job = job.model_copy(update={"workspace": str(tmp_path / "w")})
    path = job.folders().transform("f00d") / "transform.json"
    document = json.loads(path.read_text())
    assert document["targets"]["group"]["labels"] == ["b", "a", "c"]
    document["targets"]["group"] |= {"labels": ["a", "d", "b"]}
    path.write_text(json.dumps(document))
    before, after, told = started(job)
    b, a, _ = champions["group/bias"]
    np.testing.assert_array_equal(after["group/bias"], [a, before["group/bias"][1], b])
    np.testing.assert_array_equal(after["group/kernel"][:, 0], champions["group/kernel"][:, 1])
    assert told.terms["group"] == (2, 3)


def test_what_has_another_shape_or_name_begins_at_random(trainer_world, champion, champions):
    model = {
        "encoders": DECLARATION["model"]["encoders"]
        | {"photo": {"kind": "cnn", "filters": [4], "units": 12}},
        "fusion": {"kind": "concatenate", "hidden": [16, 8]},
    }
    training = training_with(warm_start="champion")
    job = warm(trainer_world, "shapes", champion, pipeline_of(model=model, training=training))
    before, after, told = started(job)
    assert set(told.fresh) == {
        "photo.dense/kernel", "photo.dense/bias", "fusion.dense_1/kernel", "fusion.dense_1/bias",
    }  # fmt: skip
    for path in told.fresh:
        np.testing.assert_array_equal(after[path], before[path])
    # The photo's vector is wider now; what the layer after it learnt of the others stays.
    kernel, old = after["fusion.dense_0/kernel"], champions["fusion.dense_0/kernel"]
    np.testing.assert_array_equal(kernel[:-12], old[:-8])
    np.testing.assert_array_equal(kernel[-12:], before["fusion.dense_0/kernel"][-12:])
    # The heads see the last dense layer, of another width, and what it joins.
    joined = after["sold/kernel"][8:]
    np.testing.assert_array_equal(joined[:-12], champions["sold/kernel"][16:-8])
    np.testing.assert_array_equal(after["sold/kernel"][:8], before["sold/kernel"][:8])


def test_every_member_goes_on_with_its_own_weights(trainer_world):
    model = {
        "encoders": {"photo": {"kind": "cnn", "filters": [4], "units": 8}},
        "fusion": {"kind": "concatenate", "hidden": [16]},
    }
    training = training_with(epochs=1, members=2, warm_start="champion")
    pipeline = pipeline_of(model=model, training=training)
    old = trainer_world.job("members", pipeline)
    train(old)
    folder = export(old).folder
    trained = load_model(pipeline, old.manifest(), Path(old.run_folder))
    wanted = {path: np.array(weight) for path, weight in weights_by_path(trained).items()}
    start = WarmStart(version="3", folder=folder)
    job = trainer_world.job("members-again", pipeline, warm_start=start)
    network = build_model(pipeline, job.manifest(), members=2)
    told = warm_start(job, start, job.manifest(), network)
    assert told.fresh == ()
    for path, weight in weights_by_path(network).items():
        np.testing.assert_array_equal(weight, wanted[path])
    terms = [path for path in wanted if path.endswith("review.terms/embeddings")]
    assert terms == [f"member_{number}/review.terms/embeddings" for number in (0, 1)]


def test_the_first_epoch_is_better_than_one_from_scratch(new_world, champion):
    def first_loss(job):
        result = train(job)
        (epoch,) = json.loads((Path(job.run_folder) / "history.json").read_text())["epochs"]
        return epoch["loss"], result

    warm_loss, result = first_loss(warm(new_world, "warm", champion, epochs=1))
    scratch = new_world.job("scratch", pipeline_of(training=training_with(epochs=1)))
    scratch_loss, plain = first_loss(scratch)
    assert warm_loss < 0.9 * scratch_loss
    assert result.warm_start.version == "3"
    assert result.warm_start.terms["color"] == (2, 3)
    assert plain.warm_start is None


def test_a_warm_started_training_that_is_killed_goes_on_with_what_it_began_with(
    new_world, champion, tmp_path
):
    options = {"epochs": 3, "batch_size": 4, "early_stopping_patience": None}
    whole = warm(new_world, "undisturbed", champion, **options)
    wanted = train(whole).warm_start
    job = warm(new_world, "killed", champion, **options, checkpoint_seconds=1e-6)
    position = killed_within_an_epoch(job, tmp_path / "log", batches=7)
    assert position.batches >= 7
    # Another champion by now: the checkpoint has what this training began with.
    other = WarmStart(version="4", folder="/nowhere")
    assert train(job.model_copy(update={"warm_start": other})).warm_start == wanted
    assert_same(outcome(job), outcome(whole))


def test_two_backbones_of_the_same_layer_names_are_told_apart():
    def tower(name):
        pixels = keras.Input((2,))
        vector = keras.layers.Dense(3, name="conv1")(pixels)
        return keras.Model(pixels, vector, name=name)

    inputs = {name: keras.Input((2,), name=name) for name in ("left", "right")}
    vectors = [tower(f"{name}.backbone")(tensor) for name, tensor in inputs.items()]
    model = keras.Model(inputs, keras.layers.Add(name="sum")(vectors))
    assert set(weights_by_path(model)) == {
        f"{side}.backbone/conv1/{part}" for side in ("left", "right") for part in ("kernel", "bias")
    }


def test_an_export_of_an_earlier_release_is_no_start(trainer_world, trainer_run, tmp_path):
    folder = shutil.copytree(trainer_run.results["export"].folder, tmp_path / "export")
    document = json.loads((folder / "braid.json").read_text())
    del document["weights"]
    (folder / "braid.json").write_text(json.dumps(document))
    start = WarmStart(version="2", folder=str(folder))
    result = train(warm(trainer_world, "earlier", start, epochs=1))
    assert result.warm_start.carried == 0
    assert result.warnings == (
        "No warm start from version 2: its export is of an earlier release and does not say what "
        "its weights are.",
    )


def test_a_champion_without_a_shape_in_common_is_no_start(trainer_world, trainer_run, tmp_path):
    folder = shutil.copytree(trainer_run.results["export"].folder, tmp_path / "export")
    document = json.loads((folder / "braid.json").read_text())
    for weight in document["weights"]:
        weight["path"] = f"other/{weight['path']}"
    (folder / "braid.json").write_text(json.dumps(document))
    start = WarmStart(version="2", folder=str(folder))
    job = warm(trainer_world, "foreign", start, epochs=1)
    scratch = trainer_world.job("not-warm", job.pipeline)
    assert train(job).warnings == (
        "No warm start from version 2: it has no weight of a path and shape in common.",
    )
    train(scratch)
    assert_same(outcome(job), outcome(scratch))
