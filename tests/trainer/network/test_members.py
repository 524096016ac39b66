"""Members: networks side by side, whose mean answer is the model's."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.world import DECLARATION, STORED, manifest_of, pipeline_of
from trainer.network.members import answers_of_members, members_of
from trainer.network.model import build_model
from trainer.training.objectives.supervised import Supervised

ROWS = 6
# Without dropout, whose chance no two calls share.
FUSION = {"kind": "concatenate", "hidden": [4], "dropout": 0.0}
ENCODERS = DECLARATION["model"]["encoders"]
PHOTO = ENCODERS["photo"] | {"dropout": 0.0}
MODEL = {"encoders": ENCODERS | {"photo": PHOTO}, "fusion": FUSION}


def network_of(members: int, **changes):
    keras.utils.set_random_seed(1)
    pipeline = pipeline_of(model=MODEL | changes)
    return build_model(pipeline, manifest_of(pipeline), members=members)


def rows():
    """Returns values of every feature and indicator of the tiny table."""
    random = np.random.default_rng(1)
    values = {
        "color": random.integers(0, 5, ROWS),
        "price": random.normal(size=ROWS).astype(np.float32),
        "price__missing": np.zeros(ROWS, np.float32),
        "sizes": random.normal(size=(ROWS, 2)).astype(np.float32),
        "band": random.integers(0, 3, ROWS),
        "review": random.integers(0, 5, (ROWS, 4)),
        "photo": random.integers(0, 256, (ROWS, 8, 8, 3)).astype(np.uint8),
    }
    return {name: tf.constant(value) for name, value in values.items()}


@pytest.fixture(scope="module")
def three():
    return network_of(3)


def test_the_networks_answer_is_the_mean_of_its_members(three):
    answers = answers_of_members(three, rows(), training=False)
    assert len(answers) == len(members_of(three)) == 3
    mean = three(rows())
    assert set(mean) == {"sold", "group", "cost"}
    for name, answer in mean.items():
        own = [np.asarray(member[name]) for member in answers]
        np.testing.assert_allclose(answer, np.mean(own, axis=0), rtol=1e-5, atol=1e-6)
        assert not np.allclose(own[0], own[1]), "members begin apart"


def test_a_network_alone_is_its_only_member():
    alone = network_of(1)
    assert members_of(alone) == [alone]
    (answer,) = answers_of_members(alone, rows(), training=False)
    np.testing.assert_array_equal(answer["sold"], alone(rows())["sold"])


def test_columns_may_have_the_names_that_members_go_by():
    number = STORED[1].model_copy(update={"name": "member_0"})
    picture = STORED[6].model_copy(update={"name": "trunk"})
    target = STORED[7].model_copy(update={"name": "member_1"})
    features = {"member_0": {"kind": "numeric"}, "trunk": DECLARATION["features"]["photo"]}
    pipeline = pipeline_of(
        features=features,
        targets={"member_1": {"kind": "binary"}},
        model={"encoders": {"trunk": PHOTO}, "fusion": FUSION},
    )
    stored = {"stored": (number, picture, target)}
    manifest = manifest_of(pipeline_of()).model_copy(update=stored)
    alone = build_model(pipeline, manifest)
    assert members_of(alone) == [alone]
    network = build_model(pipeline, manifest, members=2)
    values = {"member_0": rows()["price"], "trunk": rows()["photo"]}
    own = [own["member_1"] for own in answers_of_members(network, values, training=False)]
    assert len(own) == 2
    np.testing.assert_allclose(network(values)["member_1"], np.mean(own, axis=0), rtol=1e-5)


def test_every_member_learns_by_its_own_loss_and_the_mean_answer_is_judged():
    network = network_of(2)
    pipeline = pipeline_of(model=MODEL)
    targets = {
        "sold": np.array([[0], [1], [0], [1], [1], [0]], np.float32),
        "group": np.array([[0], [1], [2], [0], [1], [2]]),
        "cost": np.linspace(-1, 1, ROWS, dtype=np.float32)[:, None],
    }
    weights = {name: np.ones(ROWS, np.float32) for name in targets}

    def loss(of, training):
        model = Supervised(of, pipeline)
        answers = model(rows(), training=training)
        return float(model.compute_loss(None, targets, answers, weights, training=training))

    # The picture's normalization takes the batch in training: so both by what they answer then.
    answers = answers_of_members(network, rows(), training=True)
    one = Supervised(network, pipeline)
    own = [
        float(
            one.compute_loss(
                None, targets, {n: [a] for n, a in answer.items()}, weights, training=True
            )
        )
        for answer in answers
    ]
    learnt = loss(network, training=True)
    assert learnt == pytest.approx(np.mean(own), rel=1e-5)
    mean = {name: (answers[0][name] + answers[1][name]) / 2 for name in targets}
    together = float(one.compute_loss(None, targets, mean, weights, training=False))
    assert together < learnt - 1e-4, "the mean answer is better than its parts"
    judged = network(rows())
    assert loss(network, training=False) == pytest.approx(
        float(one.compute_loss(None, targets, judged, weights, training=False)), rel=1e-5
    )


def test_members_share_the_encoder_of_pictures_and_have_all_others_for_themselves(three):
    alone = network_of(1)
    paths = [weight.path for weight in three.weights]
    photo = [path for path in paths if path.startswith("photo.")]
    assert len(photo) == len(set(photo)) == sum("photo." in w.path for w in alone.weights)
    assert paths.count("color.embedding/embeddings") == 3
    assert [layer.name for layer in three.layers].count("members.trunk") == 1
    shared = sum(math.prod(w.shape) for w in alone.weights if "photo." in w.path)
    assert three.count_params() == 3 * (alone.count_params() - shared) + shared


def test_tables_without_such_encoders_share_nothing():
    features = {n: f for n, f in DECLARATION["features"].items() if n in ("color", "sizes")}
    pipeline = pipeline_of(features=features, model={"fusion": FUSION})
    manifest = manifest_of(pipeline_of())
    kept = [s for s in manifest.stored if s.role != "feature" or s.name in features]
    manifest = manifest.model_copy(
        update={"stored": tuple(s for s in kept if s.role != "indicator")}
    )
    network = build_model(pipeline, manifest, members=2)
    assert "members.trunk" not in [layer.name for layer in network.layers]
    assert network.count_params() == 2 * build_model(pipeline, manifest).count_params()


def test_a_network_with_members_is_saved(three, tmp_path):
    three.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for name, answer in three(rows()).items():
        np.testing.assert_array_equal(again(rows())[name], answer)
    assert len(members_of(again)) == 3
    answers = answers_of_members(again, rows(), training=False)
    wanted = answers_of_members(three, rows(), training=False)
    np.testing.assert_array_equal(answers[2]["cost"], wanted[2]["cost"])
