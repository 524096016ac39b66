"""The frozen statistics inside the preprocessing function.

TFT's own analyzers would read all rows again for every transform; these give what was merged from
the partitions' statistics, so that freezing a transform costs no pass over the data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from transforms.requests import Fitted, Moments, Request, VocabularyRequest
from transforms.statistics import read_moments, read_quantiles, vocabulary_path


def fit(requests: Iterable[Request], folder: Path) -> Fitted:
    """Returns the answers to all requests, for the preprocessing function that is being traced.

    Args:
        requests: What the kinds ask for.
        folder: Where `freeze` wrote the answers.
    """
    return Fitted(
        vocabularies={
            request.name: str(vocabulary_path(folder, request.name))
            for request in requests
            if isinstance(request, VocabularyRequest)
        },
        moments={name: _moments(column) for name, column in read_moments(folder).items()},
        quantiles={
            name: tf.constant(boundaries, tf.float32)
            for name, boundaries in read_quantiles(folder).items()
        },
    )


def _moments(column: Mapping[str, list[float]]) -> Moments:
    names = ("mean", "deviation", "minimum", "maximum")
    return Moments(*(tf.constant(np.asarray(column[name]), tf.float32) for name in names))
