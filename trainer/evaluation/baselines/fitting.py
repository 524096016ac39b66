"""The baselines of a table, fitted on a sample of its training rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trainer.data.shards import ShardFile
from trainer.evaluation.baselines.constant import Constant
from trainer.evaluation.baselines.nearest import NearestNeighbour, fit_nearest
from trainer.linear.answers import Answered, answered_targets
from trainer.linear.blend import LinearBlend
from trainer.linear.design import compact
from trainer.linear.fitting import MOST_VALIDATION_ROWS, fit_blend, labelled
from trainer.linear.sample import Sample, sample_rows
from trainer.network.scores import Arrays
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import StoredFeature, TransformManifest


class Baseline(Protocol):
    """An answer that costs next to nothing."""

    @property
    def name(self) -> str:
        """Its field of `Baselines`."""
        ...

    @property
    def targets(self) -> frozenset[str]:
        """The targets that it answers."""
        ...

    def predict(self, inputs: Arrays, rows: int) -> Mapping[str, np.ndarray]:
        """Returns predictions as `SplitScores.update` takes them, of `rows` rows.

        Args:
            inputs: Every input as the stream gives it, [B, ...].
            rows: B.
        """
        ...


@dataclass(frozen=True)
class Linear:
    """A linear model of all features.

    Attributes:
        answered: The targets.
        model: The linear model, alone.
    """

    answered: Mapping[str, Answered]
    model: LinearBlend

    name = "linear"

    @property
    def targets(self) -> frozenset[str]:
        """Every target that it answers."""
        return frozenset(self.model.spec.targets)

    def predict(self, inputs: Arrays, rows: int) -> dict[str, np.ndarray]:
        """Returns predictions as `SplitScores.update` takes them."""
        del rows
        return {
            target: self.answered[target].predictions(answers.numpy())
            for target, answers in self.model.linear_answers(inputs).items()
        }


@dataclass(frozen=True)
class Nearest:
    """The most similar training row's answer.

    Attributes:
        features: The series.
        answered: The targets.
        models: The model of each.
    """

    features: tuple[StoredFeature, ...]
    answered: Mapping[str, Answered]
    models: Mapping[str, NearestNeighbour]

    name = "nearest"

    @property
    def targets(self) -> frozenset[str]:
        """Every target that it answers."""
        return frozenset(self.models)

    def predict(self, inputs: Arrays, rows: int) -> dict[str, np.ndarray]:
        """Returns predictions as `SplitScores.update` takes them."""
        del rows
        series = [compact(s, inputs[s.name]).numpy() for s in self.features]
        series_BW = np.concatenate(series, axis=1)
        return {
            target: self.answered[target].predictions(model.answers(series_BW))
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
    answered = answered_targets(pipeline, manifest)
    constant = Constant(answered, sample, pictures=not manifest.noise())
    features = tuple(s for s in manifest.inputs() if s.storage != "drawn")
    if not answered or not features:
        return (constant,)
    chosen_on = sample_rows(validation, manifest, batch_size)
    if _are_series(features) and all(how.link != "identity" for how in answered.values()):
        return (constant, _nearest(features, answered, sample, chosen_on))
    model = fit_blend(features, answered, sample, chosen_on)
    return (constant,) if model is None else (constant, Linear(answered, model))


def _nearest(
    features: tuple[StoredFeature, ...],
    answered: Mapping[str, Answered],
    sample: Sample,
    validation: Sample | None,
) -> Nearest:
    models: dict[str, NearestNeighbour] = {}
    for name, how in answered.items():
        training = labelled(name, how, _side_by_side(sample), sample)
        chosen_on = None
        if validation is not None:
            chosen_on = labelled(
                name, how, _side_by_side(validation), validation, MOST_VALIDATION_ROWS
            )
        if training is not None:
            models[name] = fit_nearest(how.link, *training, chosen_on)
    return Nearest(features, answered, models)


def _side_by_side(sample: Sample) -> np.ndarray:
    return np.concatenate(list(sample.features.values()), axis=1)


def _are_series(features: Sequence[StoredFeature]) -> bool:
    return all(s.kind == "sequence" for s in features if s.role == "feature")
