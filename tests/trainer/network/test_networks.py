"""Networks other than the default: trained, built anew, exported, and the same in both."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.trainer.world import manifest_of, pipeline_of, raw_rows, training_with
from trainer.evaluation.evaluation import evaluate
from trainer.export.export import EXPORT_FOLDER, export
from trainer.export.serving import load
from trainer.network.model import build_model
from trainer.training.training import train


def own_encoder(stored, ids):
    x = keras.layers.Embedding(stored.cardinality, 3, name="own.embedding")(ids)
    return keras.layers.Dense(2, name="own.dense")(x)


CHANGES = {
    "flip": "horizontal",
    "rotate": 0.1,
    "shift": 0.1,
    "zoom": 0.1,
    "brightness": 0.2,
    "contrast": 0.2,
}
NETWORKS = {
    "gated": {
        "encoders": {"review": {"kind": "gru", "units": 4, "bidirectional": True}},
        "augment": {"photo": CHANGES},
        "fusion": {"kind": "gated", "width": 8, "hidden": [8], "modality_dropout": 0.3},
    },
    "attention": {
        "encoders": {"review": {"kind": "transformer", "dimension": 8, "heads": 2, "layers": 1}},
        "fusion": {"kind": "attention", "width": 8, "heads": 2, "hidden": [8]},
    },
    "add": {
        "encoders": {
            "review": {"kind": "conv1d", "dimension": 4, "filters": 4},
            "color": {
                "kind": "custom",
                "builder": "tests.trainer.network.test_networks:own_encoder",
            },
        },
        "fusion": {"kind": "add", "width": 8, "hidden": []},
    },
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_learns_and_its_export_answers_as_it_does(trainer_world, name):
    pipeline = pipeline_of(model=NETWORKS[name], training=training_with(epochs=6))
    job = trainer_world.job(f"network-{name}", pipeline)
    train(job)
    folder = Path(job.run_folder)
    losses = [
        epoch["loss"] for epoch in json.loads((folder / "history.json").read_text())["epochs"]
    ]
    assert min(losses) < losses[0]
    export(job)
    assert evaluate(job).parity < 1e-4
    columns = raw_rows([1, 1, 1])  # an export changes no picture and drops no branch
    served = load(folder / EXPORT_FOLDER).score(
        {n: v for n, v in columns.items() if n in ("color", "unit price", "review", "photo")}
    )
    np.testing.assert_allclose(served["cost"], served["cost"][0], rtol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computes_in_mixed_precision(name):
    pipeline = pipeline_of(model=NETWORKS[name])
    manifest = manifest_of(pipeline)
    model = build_model(pipeline, manifest, mixed_precision="float16")
    rows = {s.name: np.ones((4, *s.shape), s.dtype) for s in manifest.inputs()}
    rows["review"][0] = 0  # a text without words
    for training in (False, True):
        for output in model(rows, training=training).values():
            assert output.dtype == "float32"
            assert np.isfinite(output).all()
