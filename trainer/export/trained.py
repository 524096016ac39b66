"""A run's trained model, as it lies in the run's folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.export.probabilities import Adjustments, adjusted_answer, decisions
from trainer.export.spread import Factors, spreads
from trainer.linear.blend import LinearBlend, LinearSpec, blended
from trainer.network.heads import head_of
from trainer.network.members import answer
from trainer.network.model import build_model
from trainer.network.scores import Arrays
from trainer.recipe import Recipe
from trainer.run_folder import LINEAR_FILE, MODEL_FILE, RECIPE_FILE
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.documents import RETRAIN, read_json, reading
from transforms.contract.workspace.manifest import TransformManifest

Predict = Callable[[Any], Arrays]


def load_model(
    pipeline: PipelineSpec, manifest: TransformManifest, run_folder: Path, file: str = MODEL_FILE
) -> keras.Model:
    """Returns the trained model, computing in float32.

    It is built anew and takes the weights from the file, so that a builder's own layers need not be
    registered with Keras.
    """
    recipe = read_json(run_folder / RECIPE_FILE, Recipe, action=RETRAIN)
    model = build_model(pipeline, manifest, members=recipe.members)
    linear = run_folder / LINEAR_FILE
    if linear.exists():
        model = blended(model, LinearBlend(read_json(linear, LinearSpec, action=RETRAIN)))
    with reading(run_folder / file, action=RETRAIN):
        model.load_weights(run_folder / file)
    return model


def predictor(
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    run_folder: Path,
    file: str = MODEL_FILE,
    factors: Factors | None = None,
    adjustments: Adjustments | None = None,
) -> Predict:
    """Returns a trained model as a function from stored inputs to what metrics take.

    Args:
        pipeline: The declaration.
        manifest: What the shards hold.
        run_folder: The run's folder.
        file: Which of its models.
        factors: Those of the spreads that are wanted beside the predictions, by the target's name
            with `SPREAD_SUFFIX`.
        adjustments: Those of probabilities, as the export has them.
    """
    made = adjustments or {}
    model = load_model(pipeline, manifest, run_folder, file)
    with_members = bool(factors)
    forward = tf.function(
        lambda inputs: adjusted_answer(made, answer(model, inputs, with_members=with_members)),
        reduce_retracing=True,
    )

    def predict(inputs: Any) -> dict[str, np.ndarray]:
        answered = forward(inputs)
        predictions = {}
        for name, target in pipeline.targets.items():
            head, statistics = head_of(target), manifest.targets[name]
            served = head.serve(name, statistics, answered.outputs[name])
            predictions[name] = np.asarray(head.predictions(name, served))
        predictions |= {name: own.numpy() for name, own in decisions(made, predictions).items()}
        wanted = spreads(pipeline, manifest, answered, factors or {})
        return predictions | {name: np.asarray(spread) for name, spread in wanted.items()}

    return predict
