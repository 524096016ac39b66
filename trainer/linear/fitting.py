"""The linear model of a table, fitted on a sample of its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from trainer.data.shards import ShardFile
from trainer.data.stream import BatchLayout, evaluation_batches, readable_errors
from trainer.linear.answers import Answered, answered_targets
from trainer.linear.blend import (
    SHARES,
    LinearBlend,
    LinearSpec,
    LinearTarget,
    Tensors,
    losses_of_shares,
)
from trainer.linear.design import DesignMatrix, columns_of
from trainer.linear.regression import PENALTIES, LinearModel, fit_linear
from trainer.linear.sample import Sample, sample_rows
from trainer.network.heads import head_of
from trainer.recipe import FEWEST_TO_CHOOSE_BY
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.workspace.manifest import StoredFeature, TransformManifest

# Rows times columns times classes of a logistic regression: some 5 s on two cores.
_MOST_PRODUCTS = 300_000_000
_FEWEST_ROWS = 2_000
MOST_VALIDATION_ROWS = 5_000
_SAMPLE_BATCH = 1_024


def fit_blend(
    features: Sequence[StoredFeature],
    answered: Mapping[str, Answered],
    sample: Sample,
    validation: Sample | None,
    penalties: Mapping[str, float] | None = None,
) -> LinearBlend | None:
    """Returns a linear model of the features, which has no share of any answer yet.

    Args:
        features: What its columns are of.
        answered: The targets.
        sample: Training rows.
        validation: Those that penalties are chosen on.
        penalties: By target, if they are chosen already.

    Returns:
        The model; None if no target has a label.
    """
    columns = columns_of(features)
    design = DesignMatrix(columns)
    design.adapt(sample.features)
    columns_BD = design(sample.features).numpy()
    validation_BD = None if validation is None else design(validation.features).numpy()
    models: dict[str, LinearModel] = {}
    for name, how in answered.items():
        chosen_on = None
        if validation is not None and validation_BD is not None:
            chosen_on = labelled(name, how, validation_BD, validation, MOST_VALIDATION_ROWS)
        choice = PENALTIES if penalties is None else (penalties[name],)
        training = labelled(name, how, columns_BD, sample)
        if training is not None:
            models[name] = fit_linear(how.link, *training, chosen_on, choice)
    if not models:
        return None
    targets = {
        name: LinearTarget(link=model.link, classes=len(model.bias), penalty=model.penalty)
        for name, model in models.items()
    }
    blend = LinearBlend(LinearSpec(features=columns, targets=targets))
    blend.design.set_weights(design.get_weights())
    blend.take(models)
    return blend


def labelled(
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


class Blending:
    """The linear models that a training's networks are blended with.

    Args:
        pipeline: The declaration.
        manifest: What the shards hold.
    """

    def __init__(self, pipeline: PipelineSpec, manifest: TransformManifest) -> None:
        self._pipeline, self._manifest = pipeline, manifest
        self._answered = answered_targets(pipeline, manifest)
        self._features = tuple(s for s in manifest.inputs() if s.storage != "drawn")

    def fit(
        self, network: tf.Module, training: Sequence[ShardFile], validation: Sequence[ShardFile]
    ) -> LinearBlend | None:
        """Returns a linear model of the training rows with its shares beside a network.

        Args:
            network: What `build_model` gives, trained.
            training: The training rows' shards.
            validation: Those that penalties and shares are chosen on.

        Returns:
            The model; None if there is no target or no feature for one, or too few validation rows
            to choose any share.

        Raises:
            BraidError: A record is damaged.
        """
        if not self._answered or not self._features:
            return None
        sample, chosen_on = self._sample(training), self._sample(validation)
        if sample is None or chosen_on is None:
            return None
        blend = fit_blend(self._features, self._answered, sample, chosen_on)
        shares = {} if blend is None else self._shares(blend, network, validation)
        if blend is None or not shares:
            return None
        blend.set_shares(shares)
        return blend

    def fit_again(self, blend: LinearBlend, files: Sequence[ShardFile]) -> LinearBlend:
        """Returns a model of other rows with the penalties and shares that were chosen before.

        If a target has no label among those that are looked at, the model stays as it is.

        Raises:
            BraidError: A record is damaged.
        """
        sample = self._sample(files)
        penalties = {name: target.penalty for name, target in blend.spec.targets.items()}
        answered = {name: self._answered[name] for name in penalties}
        again = None
        if sample is not None:
            again = fit_blend(self._features, answered, sample, None, penalties)
        if again is None or again.spec.targets.keys() != penalties.keys():
            return blend
        again.set_shares(blend.shares())
        return again

    def _sample(self, files: Sequence[ShardFile]) -> Sample | None:
        return sample_rows(files, self._manifest, self._manifest.batch_rows(_SAMPLE_BATCH))

    def _shares(
        self, blend: LinearBlend, network: tf.Module, files: Sequence[ShardFile]
    ) -> dict[str, float]:
        """Returns the share of every target with the lowest loss on the validation rows."""
        losses_of = {
            name: head_of(target).loss(target)
            for name, target in self._pipeline.targets.items()
            if name in blend.spec.targets
        }

        def added_up(
            inputs: Tensors, targets: Tensors, weights: Tensors
        ) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
            answers, linear = network(inputs, training=False), blend.linear_answers(inputs)
            sums = {}
            for name, loss in losses_of.items():
                kept = weights[name] > 0
                shaped = tf.reshape(linear[name], tf.shape(answers[name]))
                rows = (tf.boolean_mask(x, kept) for x in (targets[name], answers[name], shaped))
                link = blend.spec.targets[name].link
                sums[name] = losses_of_shares(link, loss, *rows), tf.math.count_nonzero(kept)
            return sums

        traced = tf.function(added_up, reduce_retracing=True)
        layout = BatchLayout.for_evaluation(self._pipeline, self._manifest)
        batches = evaluation_batches(files, layout, self._manifest.batch_rows(_SAMPLE_BATCH))
        totals = {name: (np.zeros(len(SHARES)), 0) for name in losses_of}
        with readable_errors(files):
            for batch in batches:
                for name, (losses, rows) in traced(*batch).items():
                    before, labelled = totals[name]
                    totals[name] = before + losses.numpy(), labelled + int(rows)
        return {
            name: SHARES[int(np.argmin(losses))]
            for name, (losses, rows) in totals.items()
            if rows >= FEWEST_TO_CHOOSE_BY
        }
