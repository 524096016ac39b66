"""The baselines of a table, fitted on a sample of its training rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from trainer.data.shards import ShardFile
from trainer.evaluation.baselines.answers import LINKS, Answered
from trainer.evaluation.baselines.constant import Constant
from trainer.evaluation.baselines.design import DesignMatrix, compact, flattened
from trainer.evaluation.baselines.linear import LinearModel, fit_linear
from trainer.evaluation.baselines.nearest import NearestNeighbour, fit_nearest
from trainer.evaluation.baselines.sample import Sample, sample_rows
from trainer.network.scores import Arrays
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import StoredFeature, TransformManifest

# Rows times columns times classes of a logistic regression: some 5 s on two cores.
_MOST_PRODUCTS = 300_000_000
_FEWEST_ROWS = 2_000
_MOST_VALIDATION_ROWS = 5_000


class Baseline(Protocol):
    """An answer that costs next to nothing."""

    @property
    def name(self) -> str:
        """Its field of `Baselines`."""
        ...

    @property
    def targets(self) -> frozenset[str]:
        """What it answers."""
        ...

    def predict(self, inputs: Arrays, rows: int) -> Mapping[str, np.ndarray]:
        """Returns predictions as `SplitScores.update` takes them, of `rows` rows.

        Args:
            inputs: Every input as the stream gives it, [B, ...].
            rows: B.
        """
        ...


@dataclass(frozen=True)
class SimpleModel:
    """One model a target, on the same columns.

    Attributes:
        name: "linear" or "nearest".
        features: What the columns are of.
        columns: From every feature as `compact` gives it to float32 [B, D].
        answered: The targets.
        models: The model of each.
    """

    name: Literal["linear", "nearest"]
    features: tuple[StoredFeature, ...]
    columns: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    answered: Mapping[str, Answered]
    models: Mapping[str, LinearModel | NearestNeighbour]

    @property
    def targets(self) -> frozenset[str]:
        """Every target that it answers."""
        return frozenset(self.models)

    def predict(self, inputs: Arrays, rows: int) -> dict[str, np.ndarray]:
        """Returns predictions as `SplitScores.update` takes them."""
        del rows
        given = {s.name: compact(s, np.asarray(inputs[s.name])) for s in self.features}
        columns_BD = self.columns(given)
        return {
            target: self.answered[target].predictions(model.answers(columns_BD))
            for target, model in self.models.items()
        }


def fit_baselines(
    pipeline: PipelineSpec,
    manifest: TransformManifest,
    training: Sequence[ShardFile],
    validation: Sequence[ShardFile],
) -> tuple[Baseline, ...]:
    """Returns the constant answer and, if a target and a feature allow one, a simple model.

    Pictures as targets have the constant answer alone, and none beside noise: a drawn picture is
    one of many that are right, and their mean, which is none of them, has a smaller error.

    Args:
        pipeline: The declaration.
        manifest: The transform that wrote the shards.
        training: The training rows' shards.
        validation: Those that penalties are chosen on.

    Raises:
        BraidError: A record is damaged.
    """
    batch_size = manifest.batch_rows(1024)
    sample = sample_rows(training, manifest, batch_size)
    if sample is None:
        return ()
    stored = {s.name: s for s in manifest.stored}
    answered = {
        name: Answered(target, stored[name], manifest.targets[name], LINKS[type(target)])
        for name, target in pipeline.targets.items()
        if type(target) in LINKS
    }
    constant = Constant(answered, sample, pictures=not manifest.noise())
    features = tuple(s for s in manifest.inputs() if s.storage != "drawn")
    if not answered or not features:
        return (constant,)
    chosen_on = sample_rows(validation, manifest, batch_size)
    return (constant, _simple_model(features, answered, sample, chosen_on))


def _simple_model(
    features: tuple[StoredFeature, ...],
    answered: Mapping[str, Answered],
    sample: Sample,
    validation: Sample | None,
) -> SimpleModel:
    nearest = _are_series(features) and all(how.link != "identity" for how in answered.values())
    columns = flattened if nearest else DesignMatrix(features, sample.features).of
    columns_BD = columns(sample.features)
    validation_BD = None if validation is None else columns(validation.features)
    fit = fit_nearest if nearest else fit_linear
    models: dict[str, LinearModel | NearestNeighbour] = {}
    for name, how in answered.items():
        training = _labelled(name, how, columns_BD, sample)
        chosen_on = None
        if validation is not None and validation_BD is not None:
            chosen_on = _labelled(name, how, validation_BD, validation, _MOST_VALIDATION_ROWS)
        if training is not None:
            models[name] = fit(how.link, *training, chosen_on)
    return SimpleModel("nearest" if nearest else "linear", features, columns, answered, models)


def _are_series(features: Sequence[StoredFeature]) -> bool:
    return all(s.kind == "sequence" for s in features if s.role == "feature")


def _labelled(
    name: str, how: Answered, columns_BD: np.ndarray, sample: Sample, most: int | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns columns and truths of the rows with a label, evenly spaced ones if there are many."""
    rows = np.flatnonzero(sample.weights[name] > 0)
    if not len(rows):
        return None
    if most is None:
        row_products = columns_BD.shape[1] * how.matrix(sample.targets[name][:1]).shape[1]
        most = max(_FEWEST_ROWS, _MOST_PRODUCTS // row_products)
    if len(rows) > most:
        rows = rows[np.linspace(0, len(rows), most, endpoint=False).astype(int)]
    return columns_BD[rows], how.matrix(sample.targets[name][rows])
