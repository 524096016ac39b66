"""The frozen statistics inside the preprocessing function.

TFT's own analyzers would read all rows again for every transform; these give what was merged from
the partitions' statistics, so that freezing a transform costs no pass over the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from transforms.kinds.requests import (
    Fitted,
    Moments,
    MomentsRequest,
    QuantilesRequest,
    Request,
    VocabularyRequest,
)
from transforms.statistics.frozen import read_moments, read_quantiles, read_scales, vocabulary_path


def fit(requests: Iterable[Request], folder: Path) -> Fitted:
    """Returns the answers to all requests, for the preprocessing function that is being traced.

    Args:
        requests: What the kinds ask for.
        folder: Where `freeze` wrote the answers.
    """
    requests = list(requests)
    moments, quantiles = read_moments(folder), read_quantiles(folder)
    return Fitted(
        vocabularies={
            request.name: str(vocabulary_path(folder, request.name))
            for request in requests
            if isinstance(request, VocabularyRequest)
        },
        moments={
            request.name: _moments([moments[name] for name in request.names])
            for request in requests
            if isinstance(request, MomentsRequest)
        },
        quantiles={
            request.name: _quantiles([quantiles[name] for name in request.names])
            for request in requests
            if isinstance(request, QuantilesRequest)
        },
        scales=read_scales(folder),
    )


def _moments(members: Sequence[Mapping[str, list[float]]]) -> Moments:
    names = ("mean", "deviation", "minimum", "maximum")
    columns = (np.concatenate([member[name] for member in members]) for name in names)
    return Moments(*(tf.constant(column, tf.float32) for column in columns))


def _quantiles(members: Sequence[list[list[float]]]) -> tf.Tensor:
    return tf.constant(np.concatenate(members), tf.float32)
