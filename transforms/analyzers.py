"""The frozen statistics inside the preprocessing function.

TFT's own analyzers would read all rows again for every transform; these give what was merged from
the partitions' statistics, so that freezing a transform costs no pass over the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from transforms.requests import (
    Fitted,
    Moments,
    MomentsRequest,
    QuantilesRequest,
    Request,
    VocabularyRequest,
)
from transforms.statistics import NO_TERM, read_moments, read_quantiles, vocabulary_path


def fit(requests: Iterable[Request], folder: Path) -> Fitted:
    """Returns the answers to all requests, for the preprocessing function that is being traced.

    Args:
        requests: What the kinds ask for.
        folder: Where `freeze` wrote the answers.
    """
    requests = list(requests)
    vocabularies = [r for r in requests if isinstance(r, VocabularyRequest)]
    moments, quantiles = read_moments(folder), read_quantiles(folder)
    return Fitted(
        vocabularies=_vocabulary_files(vocabularies, folder) if vocabularies else {},
        moments={
            request.name: _moments([moments[name] for name in request.names])
            for request in requests
            if isinstance(request, MomentsRequest)
        },
        quantiles={
            request.name: tf.constant([cut for n in request.names for cut in quantiles[n]], tf.float32)
            for request in requests
            if isinstance(request, QuantilesRequest)
        },
    )


def _moments(columns: Sequence[Mapping[str, list[float]]]) -> Moments:
    names = ("mean", "deviation", "minimum", "maximum")
    return Moments(
        *(
            tf.constant(np.concatenate([column[name] for column in columns]), tf.float32)
            for name in names
        )
    )


def _vocabulary_files(
    requests: Sequence[VocabularyRequest], folder: Path
) -> Mapping[str, tf.Tensor]:
    """Returns the path of every vocabulary, as assets that the transform graph carries along."""
    files = tft.experimental.ptransform_analyzer(
        inputs=[request.values for request in requests],
        ptransform=_Files([str(vocabulary_path(folder, r.name)) for r in requests]),
        output_dtypes=[tf.string] * len(requests),
        output_shapes=[[]] * len(requests),
        output_asset_default_values=[NO_TERM] * len(requests),
        name="vocabularies",
    )
    return {request.name: file for request, file in zip(requests, files, strict=True)}


class _Files(beam.PTransform):  # type: ignore[misc]
    """Gives paths that are known already; no row is looked at."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__()
        self._paths = paths

    def expand(self, batches: Any) -> Any:
        """Returns one collection a path."""
        return tuple(
            batches.pipeline | f"File[{index}]" >> beam.Create([np.array(path)])
            for index, path in enumerate(self._paths)
        )
