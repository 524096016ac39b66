"""One SavedModel: raw columns in, predictions out. It loads with TensorFlow alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.heads import head_of
from trainer.model import build_model
from trainer.training import MODEL_FILE
from transforms.contract.features import RawColumn
from transforms.contract.jobs import TrainJob
from transforms.contract.manifest import TransformManifest
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.workspace import replacing

EXPORT_FOLDER = "export"
DECLARATION_FILE = "braid.json"
_DTYPES = {"string": tf.string, "bytes": tf.string, "float32": tf.float32}

Tensors = dict[str, tf.Tensor]


def export(job: TrainJob) -> dict[str, Any]:
    """Joins the job's transform graph and its trained model, and commits `export/`.

    Returns:
        The export's folder and its size in bytes.
    """
    folder = Path(job.run_folder) / EXPORT_FOLDER
    if not folder.exists():
        manifest = job.manifest()
        module = ServingModule(
            job.pipeline,
            manifest,
            graph=tf.saved_model.load(str(job.folders().transform(job.transform) / "graph")),
            model=load_model(job.pipeline, manifest, Path(job.run_folder)),
        )
        with replacing(folder) as temporary:
            tf.saved_model.save(module, str(temporary), signatures=module.signatures())
            (temporary / DECLARATION_FILE).write_text(_declaration(job.pipeline, manifest))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {"folder": str(folder), "bytes": size}


def load_model(
    pipeline: PipelineSpec, manifest: TransformManifest, run_folder: Path
) -> keras.Model:
    """Returns the trained model, computing in float32.

    It is built anew and takes the weights from `model.keras`, so that a builder's own layers need
    not be registered with Keras.
    """
    model = build_model(pipeline, manifest)
    model.load_weights(run_folder / MODEL_FILE)
    return model


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


class ServingModule(tf.Module):  # type: ignore[misc]
    """Transform graph and model behind two signatures. B batch.

    Args:
        pipeline: The declaration.
        manifest: The frozen transform.
        graph: The loaded transform graph; its vocabulary files are saved with the module.
        model: The trained model.
    """

    def __init__(
        self, pipeline: PipelineSpec, manifest: TransformManifest, graph: Any, model: keras.Model
    ) -> None:
        super().__init__(name="braid")
        self.graph = graph
        # The variables, not the model: Keras would save its own traces of it a second time.
        self.model_variables = [variable.value for variable in model.variables]
        self._without_tracking(pipeline, manifest, model)
        self.serve = tf.function(self._serve, input_signature=[_tensor_specs(manifest)])
        self.serve_examples = tf.function(
            self._serve_examples,
            input_signature=[tf.TensorSpec([None], tf.string, name="examples")],
        )

    def signatures(self) -> dict[str, Any]:
        """Returns the SavedModel's signatures."""
        return {
            "serving_default": self.serve.get_concrete_function(),
            "serving_examples": self.serve_examples.get_concrete_function(),
        }

    def _without_tracking(
        self, pipeline: PipelineSpec, manifest: TransformManifest, model: keras.Model
    ) -> None:
        def predict(columns: Mapping[str, tf.Tensor]) -> Tensors:
            outputs = model(self.graph.transform_features(dict(columns)), training=False)
            served: Tensors = {}
            for name, target in pipeline.targets.items():
                statistics = manifest.targets[name]
                served |= head_of(target).serve(name, statistics, outputs[name])
            return served

        columns = manifest.raw_inputs()
        self._predict = predict
        self._arguments = argument_names(raw.name for raw in columns)
        self._example_spec = {raw.name: _example_feature(raw) for raw in columns}

    def _serve(self, arguments: Tensors) -> Tensors:
        return self._predict({c: arguments[name] for c, name in self._arguments.items()})

    def _serve_examples(self, examples_B: tf.Tensor) -> Tensors:
        return self._predict(tf.io.parse_example(examples_B, self._example_spec))


def _tensor_specs(manifest: TransformManifest) -> dict[str, tf.TensorSpec]:
    columns = manifest.raw_inputs()
    names = argument_names(raw.name for raw in columns)
    return {
        names[raw.name]: tf.TensorSpec(
            [None] if raw.length is None else [None, raw.length],
            _DTYPES[raw.dtype],
            name=names[raw.name],
        )
        for raw in columns
    }


def _example_feature(raw: RawColumn) -> Any:
    """Returns how a raw column lies in a `tf.Example`; a missing key is a missing value."""
    shape = [] if raw.length is None else [raw.length]
    missing = np.nan if raw.dtype == "float32" else ""
    return tf.io.FixedLenFeature(
        shape, _DTYPES[raw.dtype], default_value=np.full(shape, missing).tolist()
    )


def _declaration(pipeline: PipelineSpec, manifest: TransformManifest) -> str:
    columns = [raw.name for raw in manifest.raw_inputs()]
    document = {
        "pipeline": pipeline.model_dump(mode="json"),
        "transform": manifest.model_dump(mode="json"),
        "arguments": argument_names(columns),
    }
    return json.dumps(document, indent=1)
