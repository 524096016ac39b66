"""Words to vectors. B batch, L words, D width. Id 0 pads at the end and never counts."""

from __future__ import annotations

import keras

from trainer.network.axes import ids_of, with_axes
from trainer.network.dropout import Dropout
from trainer.network.encoders import ordered
from trainer.network.encoders.embedding import cardinality_of, embedding
from trainer.network.encoders.encoded import Encoded
from trainer.network.encoders.pooling import IdCounts, KnownIds, TermSum, Weighted
from transforms.contract.columns.features import FIRST_TERM
from transforms.contract.network.encoders import (
    BagOfWordsEncoder,
    Conv1dEncoder,
    GruEncoder,
    LstmEncoder,
    TransformerEncoder,
)
from transforms.contract.workspace.manifest import StoredFeature

_DIMENSION = 64  # of a word's vector, where the declaration names none


def bag_of_words(
    name: str, spec: BagOfWordsEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> Encoded:
    """Returns how often each term occurs, by the feature's weights if it has them.

    Padding and unknown terms are left out.

    Returns:
        [B, units], what is above 0 of the learnt projection; or [B, D] of a vocabulary of D terms
        without `units`.
    """
    weights = list(stored.term_weights) if stored.term_weights else None
    if spec.units is not None:
        terms = TermSum(
            cardinality_of(stored), spec.units, weights, dropout=spec.dropout, name=f"{name}.terms"
        )
        terms = with_axes(terms, embeddings=((ids_of(stored),), None))
        return Encoded(keras.layers.ReLU(name=f"{name}.relu")(terms(ids_BL)))
    counts_BD = IdCounts(cardinality_of(stored), FIRST_TERM, name=f"{name}.counts")(ids_BL)
    if weights is not None:
        counts_BD = Weighted(weights[FIRST_TERM:], name=f"{name}.weighted")(counts_BD)
    counts_BD = Dropout(spec.dropout, name=f"{name}.dropout")(counts_BD)
    return Encoded(counts_BD, ids=ids_of(stored, first=FIRST_TERM))


def recurrent(
    name: str,
    spec: LstmEncoder | GruEncoder,
    stored: StoredFeature,
    ids_BL: keras.KerasTensor,
) -> keras.KerasTensor:
    """Returns the state after the last word, [B, units], or [B, 2 * units] both ways."""
    return ordered.recurrent(
        name, spec, *_words(name, spec.dimension or _DIMENSION, stored, ids_BL)
    )


def conv1d(
    name: str, spec: Conv1dEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns every last filter's strongest answer over the words, [B, filters]."""
    return ordered.conv1d(name, spec, *_words(name, spec.dimension or _DIMENSION, stored, ids_BL))


def transformer(
    name: str, spec: TransformerEncoder, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> keras.KerasTensor:
    """Returns the mean over the words after layers of self-attention, [B, dimension]."""
    return ordered.transformer(name, spec, *_words(name, spec.dimension, stored, ids_BL))


def _words(
    name: str, dimension: int, stored: StoredFeature, ids_BL: keras.KerasTensor
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Returns the words' learnt vectors [B, L, D] and their mask."""
    embed = embedding(name, dimension, stored)
    return embed(ids_BL), KnownIds(name=f"{name}.known")(ids_BL)
