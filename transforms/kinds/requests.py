"""The requests of a kind to the analysis, and the answers that it gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import tensorflow as tf

from transforms.contract.columns.targets import NumberScale
from transforms.contract.workspace.manifest import TargetStatistics


@dataclass(frozen=True)
class VocabularyRequest:
    """The most frequent terms.

    Attributes:
        name: The feature or target.
        values: Terms, string [any]; the empty string does not count.
        size: At most so many terms are kept.
        minimum_count: A rarer term is not kept.
    """

    name: str
    values: tf.Tensor
    size: int
    minimum_count: int


@dataclass(frozen=True)
class MomentsRequest:
    """Mean, standard deviation and range of every column.

    Attributes:
        name: The feature or target.
        values: float32 [batch, width], or [batch, steps, width] for moments over all steps; NaN
            does not count.
        members: The features that share the columns equally, if they are asked for together under
            the name of the first one.
    """

    name: str
    values: tf.Tensor
    members: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Whose moments these are."""
        return self.members or (self.name,)


@dataclass(frozen=True)
class ScaleRequest(MomentsRequest):
    """The scale that a target's numbers are learnt on, and their moments.

    Attributes:
        declared: What it is declared to be; None leaves it to the training rows.
    """

    declared: NumberScale | None = None


@dataclass(frozen=True)
class QuantilesRequest:
    """The bounds that cut the training rows of every column into equal parts.

    Attributes:
        name: The feature or target.
        values: float32 [batch, width]; a row with NaN does not count.
        parts: The number of parts.
        members: As those of a `MomentsRequest`.
    """

    name: str
    values: tf.Tensor
    parts: int
    members: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Whose parts these are."""
        return self.members or (self.name,)


Request = VocabularyRequest | MomentsRequest | QuantilesRequest


@dataclass(frozen=True)
class Moments:
    """The answer to a `MomentsRequest`, float32 [width] each; columns without a value have 0, 1."""

    mean: tf.Tensor
    deviation: tf.Tensor
    minimum: tf.Tensor
    maximum: tf.Tensor


@dataclass(frozen=True)
class Learnt:
    """The answers that the analysis wrote down for one name.

    Attributes:
        terms: The vocabulary, in the order of the file; one placeholder if it is empty.
        counts: How often the analysis met each term.
        rows: Training rows with a value, for a name that asked for moments.
        mean: Of each column, for a name that asked for moments.
        deviation: Their standard deviations, likewise.
        minimum: Their smallest values, likewise.
        maximum: Their largest values, likewise.
        edges: Of each column, likewise, rising values between which a piece of it lies: equally
            many rows to a piece, and equally many distinct values, of a sample of the rows.
        scale: What its numbers are learnt on, for a name that asked for it.
    """

    terms: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    rows: int = 0
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    minimum: tuple[float, ...] = ()
    maximum: tuple[float, ...] = ()
    edges: tuple[tuple[float, ...], ...] = ()
    scale: TargetStatistics = field(default_factory=TargetStatistics)


@dataclass(frozen=True)
class Fitted:
    """Every answer, by the name that asked.

    Attributes:
        vocabularies: The path of the vocabulary file, for `tft.apply_vocabulary`.
        moments: The moments.
        quantiles: The boundaries between the parts, float32 [width, parts - 1].
        scales: The scales that targets are learnt on.
    """

    vocabularies: Mapping[str, str]
    moments: Mapping[str, Moments]
    quantiles: Mapping[str, tf.Tensor]
    scales: Mapping[str, TargetStatistics] = field(default_factory=dict)
