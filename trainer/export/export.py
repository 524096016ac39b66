"""One SavedModel: raw columns in, predictions out. It loads with TensorFlow alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.data.noise import Tensors, fill
from trainer.export.calibration import spread_factors
from trainer.export.probabilities import Adjustments, adjusted_answer, decisions
from trainer.export.probability_fitting import fitted_adjustments
from trainer.export.spread import Factors, spreads
from trainer.export.trained import load_model
from trainer.network.heads import head_of
from trainer.network.members import Answer, answer
from trainer.run_folder import DECLARATION_FILE, EXPORT_FOLDER
from trainer.training.warm_start import exported_weights
from transforms.contract.columns.features import RawColumn
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.results import ExportResult
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.files import replacing
from transforms.contract.workspace.layout import GRAPH_FOLDER
from transforms.contract.workspace.manifest import TransformManifest

_DTYPES = {"string": tf.string, "bytes": tf.string, "float32": tf.float32}


def export(job: TrainJob) -> ExportResult:
    """Joins the job's transform graph and its trained model, and commits `export/`."""
    folder = Path(job.run_folder) / EXPORT_FOLDER
    if not folder.exists():
        manifest = job.manifest()
        model = load_model(job.pipeline, manifest, Path(job.run_folder))
        module = tf.Module(name="braid")
        # Holding the loaded graph carries its vocabulary files over.
        graph = job.folders().transform_folder(job.transform) / GRAPH_FOLDER
        with reading(graph / "saved_model.pb", also=(tf.errors.OpError,)):
            module.graph = tf.saved_model.load(str(graph))
        # The variables, not the model: Keras would save traces of its own beside ours.
        module.model_variables = [variable.value for variable in model.variables]
        factors = spread_factors(job, manifest)
        adjustments = fitted_adjustments(job, manifest)
        served = ServedModel(job.pipeline, manifest, module.graph, model, factors, adjustments)
        signatures = serving_signatures(served)
        with replacing(folder) as temporary:
            tf.saved_model.save(module, str(temporary), signatures=signatures)
            document = _declaration(job.pipeline, manifest, model)
            (temporary / DECLARATION_FILE).write_text(document)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return ExportResult(folder=str(folder), bytes=size)


def forward(model: keras.Model, inputs: Tensors, *, with_members: bool = False) -> Answer:
    """Returns what the model answers, also for a batch of no rows.

    TensorFlow's convolutions and recurrent layers fail on an empty batch, so it gets a row of zeros
    that is taken away again.
    """
    rows = tf.shape(next(iter(inputs.values())))[0]
    more = tf.cast(tf.equal(rows, 0), tf.int32)
    filled = {n: tf.pad(x, [[0, more], *[[0, 0]] * (len(x.shape) - 1)]) for n, x in inputs.items()}
    answered = answer(model, filled, with_members=with_members)
    outputs, *members = (
        {name: x[:rows] for name, x in part.items()}
        for part in (answered.outputs, *answered.members)
    )
    return Answer(outputs, tuple(members))


def argument_names(columns: Iterable[str]) -> dict[str, str]:
    """Returns every column's argument in `serving_default`: a column may have any name.

    What is no letter, digit or underscore becomes an underscore; a clash gets a number.
    """
    names: dict[str, str] = {}
    for column in sorted(columns):
        plain = re.sub(r"[^A-Za-z0-9_]", "_", column)
        if not re.match(r"[A-Za-z]", plain) or plain == "self":
            plain = f"column_{plain}"
        name, number = plain, 1
        while name in names.values():
            number += 1
            name = f"{plain}_{number}"
        names[column] = name
    return names


@dataclass(frozen=True)
class ServedModel:
    """A trained model with all that leads from raw columns to what a caller gets.

    Attributes:
        pipeline: The declaration.
        manifest: The frozen transform.
        graph: The loaded transform graph.
        model: The trained model.
        factors: Those of the spreads that are asked for.
        adjustments: Those of probabilities that are asked for.
    """

    pipeline: PipelineSpec
    manifest: TransformManifest
    graph: Any
    model: keras.Model
    factors: Factors
    adjustments: Adjustments

    def predict(self, given: Tensors) -> Tensors:
        """Returns every output.

        Args:
            given: Raw columns by their names, and noise, which is drawn where it is NaN.
        """
        manifest = self.manifest
        raws = {raw.name: given[raw.name] for raw in manifest.raw_inputs()}
        rows = tf.shape(next(iter(raws.values())))[0]
        # The graph takes every declared column; what depends on these alone is pruned away.
        raws |= {r.name: tf.fill((rows, *r.shape), _missing(r)) for r in manifest.unused}
        transformed = self.graph.transform_features(raws)
        inputs = {s.name: transformed[s.name] for s in manifest.inputs() if s.storage != "drawn"}
        inputs |= {s.name: fill(s, given[s.name]) for s in manifest.noise()}
        network = forward(self.model, inputs, with_members=bool(self.factors))
        answered = adjusted_answer(self.adjustments, network)
        served: Tensors = {}
        for name, target in self.pipeline.targets.items():
            served |= head_of(target).serve(name, manifest.targets[name], answered.outputs[name])
        served |= decisions(self.adjustments, served)
        return served | spreads(self.pipeline, manifest, answered, self.factors)


def serving_signatures(served: ServedModel) -> dict[str, Any]:
    """Returns the concrete functions `serving_default` and `serving_examples`.

    Noise is an argument of the first; the second always draws it.
    """
    manifest = served.manifest
    arguments = argument_names(raw.name for raw in manifest.serving_inputs())

    def serve(tensors: Tensors) -> Tensors:
        return served.predict({column: tensors[name] for column, name in arguments.items()})

    def serve_examples(examples_B: tf.Tensor) -> Tensors:
        rows = tf.shape(examples_B)[0]
        noise = {s.name: tf.fill((rows, *s.shape), math.nan) for s in manifest.noise()}
        return served.predict(parse_examples(examples_B, manifest.raw_inputs()) | noise)

    examples = tf.TensorSpec([None], tf.string, name="examples")
    return {
        "serving_default": _concrete(serve, _tensor_specs(manifest)),
        "serving_examples": _concrete(serve_examples, examples),
    }


def _concrete(function: Callable[[Any], Tensors], signature: Any) -> Any:
    return tf.function(function, input_signature=[signature]).get_concrete_function()


def _tensor_specs(manifest: TransformManifest) -> dict[str, tf.TensorSpec]:
    columns = manifest.serving_inputs()
    names = argument_names(raw.name for raw in columns)
    return {
        names[raw.name]: tf.TensorSpec([None, *raw.shape], _DTYPES[raw.dtype], name=names[raw.name])
        for raw in columns
    }


def parse_examples(examples_B: tf.Tensor, columns: Iterable[RawColumn]) -> Tensors:
    """Parses serialized `tf.Example` into raw columns; what is missing there is a missing value."""
    columns = tuple(columns)
    parsed = tf.io.parse_example(examples_B, {raw.name: _example_feature(raw) for raw in columns})
    return parsed | {raw.name: _fitted(raw, parsed[raw.name]) for raw in columns if raw.padded}  # type: ignore[no-any-return]


def _fitted(raw: RawColumn, lists: tf.Tensor) -> tf.Tensor:
    """Returns lists of any length cut or padded as in the shards, [B, *raw.shape]."""
    if raw.dtype == "string":  # a missing text does not count there
        texts = tf.ragged.boolean_mask(lists, lists != "")
        return texts.to_tensor("", shape=[None, *raw.shape])
    cut = lists[:, : raw.shape[0]]
    room = [[0, 0], [0, raw.shape[0] - tf.shape(cut)[1]], *[[0, 0]] * (len(raw.shape) - 1)]
    padded = tf.pad(cut, room, constant_values=_missing(raw))
    return tf.ensure_shape(padded, [None, *raw.shape])


def _example_feature(raw: RawColumn) -> Any:
    dtype, missing = _DTYPES[raw.dtype], _missing(raw)
    if raw.padded:
        return tf.io.FixedLenSequenceFeature(
            raw.shape[1:], dtype, allow_missing=True, default_value=missing
        )
    default = np.full(raw.shape, missing).tolist()
    return tf.io.FixedLenFeature(raw.shape, dtype, default_value=default)


def _missing(raw: RawColumn) -> str | float:
    return math.nan if raw.dtype == "float32" else ""


def _declaration(pipeline: PipelineSpec, manifest: TransformManifest, model: keras.Model) -> str:
    columns = [raw.name for raw in manifest.serving_inputs()]
    document = {
        "pipeline": pipeline.model_dump(mode="json"),
        "transform": manifest.model_dump(mode="json"),
        "arguments": argument_names(columns),
        "weights": [weight.model_dump(mode="json") for weight in exported_weights(model)],
    }
    return json.dumps(document, indent=1)
