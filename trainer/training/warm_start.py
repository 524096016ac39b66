"""A training that begins with the weights of a registered model, as far as they fit.

What is needed lies in the export alone, so that it may come from another machine: the weights are
the SavedModel's variables, `braid.json` says what their axes stand for, and the vocabularies are
assets of the transform graph inside it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from trainer.network.axes import Axes, Axis
from trainer.run_folder import DECLARATION_FILE
from trainer.training.checkpoint import Checkpoints
from trainer.training.meanings import Meanings, axes_by_path, weights_by_path
from transforms.contract.spec import Spec
from transforms.contract.steps.jobs import TrainJob, WarmStart
from transforms.contract.steps.results import WarmStarted
from transforms.contract.workspace.documents import BRING_BACK, RETRAIN, read_json, read_object
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import GRAPH_FOLDER
from transforms.contract.workspace.manifest import TransformManifest
from transforms.contract.workspace.vocabulary import read_terms


class ExportedWeight(Spec):
    """One weight of an export.

    Attributes:
        path: Its path in the network.
        index: Its place among the SavedModel's `model_variables`.
        axes: What the entries of its axes stand for.
    """

    path: str
    index: int
    axes: Axes


def exported_weights(network: keras.Model) -> list[ExportedWeight]:
    """Returns what an export says of its weights.

    Args:
        network: Its `variables`, in their order, are the SavedModel's `model_variables`.
    """
    axes = axes_by_path(network)
    places = {id(variable): index for index, variable in enumerate(network.variables)}
    return [
        ExportedWeight(path=path, index=places[id(weight)], axes=axes[path])
        for path, weight in weights_by_path(network).items()
    ]


def begin(
    job: TrainJob, manifest: TransformManifest, network: keras.Model, checkpoints: Checkpoints
) -> WarmStarted | None:
    """Gives a new network the weights that the job is to begin with, and notes what they were.

    A training that goes on from a checkpoint has them, and more: only the note is read.
    """
    note = checkpoints.beginning
    if checkpoints.has_begun():
        return read_json(note, WarmStarted, action=RETRAIN) if note.exists() else None
    if job.warm_start is None:
        return None
    started = warm_start(job, job.warm_start, manifest, network)
    write_atomic(note, started.model_dump_json(indent=1))
    return started


def warm_start(
    job: TrainJob, origin: WarmStart, manifest: TransformManifest, network: keras.Model
) -> WarmStarted:
    """Copies the weights of an export into a network where path, shape and meaning agree.

    Entries that stand for a term or for a label go where that is in the network; a new one keeps
    what it began with.
    """
    weights = weights_by_path(network)
    count = len(network.weights)
    exported = _exported(Path(origin.folder))
    if exported is None:
        problem = "its export is of an earlier release and does not say what its weights are."
        return WarmStarted(version=origin.version, weights=count, problem=problem)
    axes = axes_by_path(network)
    graph = job.folders().transform_folder(job.transform) / GRAPH_FOLDER
    mine, others = Meanings(manifest, _terms(manifest, graph)), exported.meanings
    fresh, terms = [], {}
    for path, weight in weights.items():
        value = exported.merged(path, np.asarray(weight), axes[path], mine)
        if value is None:
            fresh.append(path)
            continue
        weight.assign(value)
        for segment in (segment for axis in axes[path] if axis for segment in axis):
            known = mine.vocabulary(segment)
            if known:
                terms[segment.name] = (len(known & others.vocabulary(segment)), len(known))
    carried = len(weights) - len(fresh)
    return WarmStarted(
        version=origin.version,
        carried=carried,
        weights=count,
        fresh=tuple(fresh),
        terms=terms,
        problem=None if carried else "it has no weight of a path and shape in common.",
    )


@dataclass(frozen=True)
class _Exported:
    """The weights of an export."""

    weights: dict[str, ExportedWeight]
    meanings: Meanings
    _reader: Any

    def merged(
        self, path: str, value: np.ndarray, axes: Axes, meanings: Meanings
    ) -> np.ndarray | None:
        """Returns a weight's values with those that the export has; None if it has none.

        Args:
            path: The weight's path.
            value: What the weight has now.
            axes: What its entries stand for.
            meanings: As its own side understands that.
        """
        exported = self.weights.get(path)
        if exported is None or len(exported.axes) != value.ndim:
            return None
        variable = f"model_variables/{exported.index}/.ATTRIBUTES/VARIABLE_VALUE"
        old = self._reader.get_tensor(variable)
        pairs = [
            _pairs(length, axis, meanings, old_length, old_axis, self.meanings)
            for length, axis, old_length, old_axis in zip(
                value.shape, axes, old.shape, exported.axes, strict=True
            )
        ]
        if any(len(to) == 0 for to, _ in pairs):
            return None
        merged = value.copy()
        merged[np.ix_(*(to for to, _ in pairs))] = old[np.ix_(*(origin for _, origin in pairs))]
        return merged


def _pairs(
    length: int, axis: Axis, mine: Meanings, old_length: int, old_axis: Axis, others: Meanings
) -> tuple[Sequence[int], Sequence[int]]:
    """Returns the places of one axis that stand for the same on both sides; none if unlike."""
    if axis is None or old_axis is None:
        same = axis is None and old_axis is None and length == old_length
        places = range(length if same else 0)
        return places, places
    origin = {meaning: place for place, meaning in enumerate(others.of(old_axis))}
    places_of_both = [(to, origin[m]) for to, m in enumerate(mine.of(axis)) if m in origin]
    return [to for to, _ in places_of_both], [place for _, place in places_of_both]


def _exported(folder: Path) -> _Exported | None:
    document = read_object(folder / DECLARATION_FILE, "transform", action=BRING_BACK)
    if "weights" not in document:
        return None
    weights = [ExportedWeight.model_validate_json(json.dumps(w)) for w in document["weights"]]
    manifest = TransformManifest.model_validate_json(json.dumps(document["transform"]))
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    meanings = Meanings(manifest, _terms(manifest, folder))
    return _Exported({weight.path: weight for weight in weights}, meanings, reader)


def _terms(manifest: TransformManifest, saved_model: Path) -> dict[str, tuple[bytes, ...]]:
    named = [s.name for s in manifest.inputs() if s.first_term is not None]
    by_feature = {name: read_terms(saved_model, name) for name in named}
    return {name: terms for name, terms in by_feature.items() if terms is not None}
