"""The class of a column as people would label it: one of nine, decided by small boosted trees.

The classes are those of Shah et al., "Towards Benchmarking Feature Type Inference for AutoML
Platforms", 2021. `classifier.json` has the trees, which `tests/benchmarks/columns_labelled.py`
makes from columns that people labelled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from pydantic import Base64Bytes, BaseModel, ConfigDict

from transforms.proposal.classes.measures import look, measures
from transforms.proposal.classes.names import NameWeights
from transforms.proposal.classes.profile import ColumnProfile

ColumnClass = Literal[
    "categorical",  # one of several values, also if numbers stand for them
    "context-specific",  # needs a person to say
    "datetime",
    "embedded-number",  # a number inside a text, such as "12 kg"
    "list",
    "not-generalizable",  # no feature: ids, constants
    "numeric",
    "sentence",
    "url",
]
CLASSES: tuple[ColumnClass, ...] = get_args(ColumnClass)
_MOSTLY = 0.8  # of the samples
# A category that is read as a number or left out is lost, and a number read as categories is not.
# With this weight 95 of 100 categorical columns of other people's tables are known.
_WEIGHTS: Mapping[ColumnClass, float] = {"categorical": 1.7}
CLASSIFIER = Path(__file__).with_name("classifier.json")


class Trees(BaseModel):
    """Binary trees of as many splits each; the first is at the root.

    A child is the index of a split, or below zero, -1 - the index of a leaf.

    Attributes:
        splits: Of each tree.
        measures: The index of the measure that each split looks at, uint8 [trees, splits].
        thresholds: A measure up to this goes left, float16 [trees, splits].
        left: The children on the left, int8 [trees, splits].
        right: The children on the right, int8 [trees, splits].
        leaves: What the leaves answer, int8 [trees, splits + 1].
    """

    model_config = ConfigDict(frozen=True)

    splits: int
    measures: Base64Bytes
    thresholds: Base64Bytes
    left: Base64Bytes
    right: Base64Bytes
    leaves: Base64Bytes

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        return (
            self._table(self.measures, "u1"),
            self._table(self.thresholds, "<f2"),
            self._table(self.left, "i1"),
            self._table(self.right, "i1"),
            np.frombuffer(self.leaves, "i1").reshape(-1, self.splits + 1),
        )

    def _table(self, field: bytes, type_: str) -> np.ndarray:
        return np.frombuffer(field, type_).reshape(-1, self.splits)

    def answers(self, row: np.ndarray) -> np.ndarray:
        """Returns the answer of every tree, int8 [trees], for a row of measures, float32 [M]."""
        measures, thresholds, left, right, leaves = self._arrays
        trees = np.arange(len(leaves))
        node = np.zeros(len(leaves), np.int64)
        while (node >= 0).any():
            at = np.maximum(node, 0)
            goes_left = row[measures[trees, at]] <= thresholds[trees, at]
            child = np.where(goes_left, left[trees, at], right[trees, at])
            node = np.where(node >= 0, child, node)
        answered: np.ndarray = leaves[trees, -1 - node]
        return answered


class Classifier(BaseModel):
    """Boosted trees whose splits are chosen among random ones (Friedman, "Greedy Function
    Approximation", 2001; Geurts et al., "Extremely Randomized Trees", 2006).

    Attributes:
        measures: The measures by their names; the log-odds that the column's name gives to every
            class come after them.
        names: What the column's name says.
        trees: A tree of every class in the order of `CLASSES`, then the next of every class.
        scale: The log-odds that an answer of 1 stands for.
    """

    model_config = ConfigDict(frozen=True)

    measures: tuple[str, ...]
    names: NameWeights
    trees: Trees
    scale: float

    def probabilities(self, column: ColumnProfile) -> dict[ColumnClass, float]:
        """Returns the probability of every class."""
        by_name = measures(column)
        row = [by_name[name] for name in self.measures] + list(self.names.log_odds(column.name))
        answers = self.trees.answers(np.array(row, np.float32)).reshape(-1, len(CLASSES))
        log_odds = self.scale * answers.sum(axis=0, dtype=np.int64)
        odds = np.exp(log_odds - log_odds.max())
        return dict(zip(CLASSES, (odds / odds.sum()).tolist(), strict=True))


@cache
def shipped() -> Classifier:
    """Returns the classifier that comes with Braid."""
    return Classifier.model_validate(json.loads(CLASSIFIER.read_text(encoding="utf-8")))


def column_class(column: ColumnProfile, classifier: Classifier | None = None) -> ColumnClass:
    """Returns the class of a column, by the shipped classifier or the one given.

    It is the most probable one; a category counts for more than its probability.

    Few of the labelled columns are lists or codes: a text with brackets and separators is a list,
    but not if it has keys with values, and in "k12" letters are no unit of a number.
    """
    has_keys, is_code = (look(column, name) >= _MOSTLY for name in ("keys", "code"))
    if look(column, "list") >= _MOSTLY and not has_keys:
        return "list"
    probabilities = (classifier or shipped()).probabilities(column)
    refused = {"list": has_keys, "embedded-number": is_code}
    possible = (name for name in CLASSES if not refused.get(name))
    return max(possible, key=lambda name: probabilities[name] * _WEIGHTS.get(name, 1.0))
