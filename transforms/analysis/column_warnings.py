"""Sentences about columns that a model can learn little or nothing from, from their statistics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc

from transforms.contract.columns.features import MOST_CUT, FeatureSpec
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.statistics.accumulators import Accumulated


def column_warnings(pipeline: PipelineSpec, total: Accumulated) -> dict[str, str]:
    """Returns a sentence for every feature whose column is empty, constant or cut.

    Args:
        pipeline: The declaration.
        total: What the training rows add up to. Of pictures and of categories without a vocabulary
            it says nothing.
    """
    if not total.rows:
        return {}
    return {
        name: sentence
        for name, feature in pipeline.column_features().items()
        if (sentence := next(_sentences(name, feature, total), None)) is not None
    }


def _sentences(name: str, feature: FeatureSpec, total: Accumulated) -> Iterator[str]:
    if _is_empty(name, total):
        yield f"Feature '{name}' has no value in any training row; remove it, or mend its column."
    if _is_constant(name, feature, total):
        yield f"Feature '{name}' has the same value in every training row; it teaches nothing."
    share = total.cut[name] / total.rows
    if share > MOST_CUT:
        _, (kept,) = feature.layout()
        yield (
            f"Feature '{name}' is cut in {share:.0%} of the training rows, which have more than "
            f"{kept} terms; features.{name}.length keeps more of them."
        )


def _is_empty(name: str, total: Accumulated) -> bool:
    if name in total.missing:
        return total.missing[name] == total.rows
    return name in total.moments and not total.moments[name][0].any()


def _is_constant(name: str, feature: FeatureSpec, total: Accumulated) -> bool:
    if name in total.missing:
        counts = total.counts(name)
        counts = counts.filter(pc.greater(pc.binary_length(counts["term"]), 0))
        # Once in every row, and nothing else in any.
        return bool(counts["count"].to_pylist() == [total.rows])
    if name not in total.moments:
        return False
    count, _, _, low, high, missing = total.moments[name]
    tells = feature.has_indicator and bool(missing.any())
    return bool(count.all() and np.array_equal(low, high)) and not tells
