"""The class of a column as people would label it: one of nine, decided by a small forest.

The classes are those of Shah et al., "Towards Benchmarking Feature Type Inference for AutoML
Platforms", 2021. `classifier.json` has the forest, which `tests/benchmarks/columns_labelled.py`
makes from columns that people labelled.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict

from transforms.proposal.classes.measures import look, measures
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
FOREST = Path(__file__).with_name("classifier.json")


class Tree(BaseModel):
    """A binary tree whose nodes lie in preorder: what goes left goes to the next node.

    Attributes:
        measure: The index of the measure that each node looks at; of a leaf, -1, [nodes].
        threshold: A measure up to this goes left, [nodes].
        other: The node on the right; of a leaf, the index of its shares, [nodes].
    """

    model_config = ConfigDict(frozen=True)

    measure: tuple[int, ...]
    threshold: tuple[float, ...]
    other: tuple[int, ...]

    def leaf(self, row: np.ndarray) -> int:
        """Returns the index of the shares that a row of measures, [M], ends at."""
        node = 0
        while self.measure[node] >= 0:
            goes_left = row[self.measure[node]] <= self.threshold[node]
            node = node + 1 if goes_left else self.other[node]
        return self.other[node]


class Forest(BaseModel):
    """Trees whose answers are averaged (Geurts et al., "Extremely Randomized Trees", 2006).

    Attributes:
        measures: The measures by their names.
        shares: What leaves answer: for every class, in the order of `CLASSES`, a digit, in ninths.
        trees: The trees.
    """

    model_config = ConfigDict(frozen=True)

    measures: tuple[str, ...]
    shares: tuple[str, ...]
    trees: tuple[Tree, ...]

    def probabilities(self, column: ColumnProfile) -> dict[ColumnClass, float]:
        """Returns the probability of every class."""
        by_name = measures(column)
        row = np.array([by_name[name] for name in self.measures], np.float32)
        answers = [self.shares[tree.leaf(row)] for tree in self.trees]
        sums = np.array([list(map(int, answer)) for answer in answers]).sum(axis=0)
        return dict(zip(CLASSES, (sums / sums.sum()).tolist(), strict=True))


@cache
def shipped() -> Forest:
    """Returns the forest that comes with Braid."""
    return Forest.model_validate(json.loads(FOREST.read_text(encoding="utf-8")))


def column_class(column: ColumnProfile, forest: Forest | None = None) -> ColumnClass:
    """Returns the most probable class of a column, by the shipped forest unless another is given.

    A text with brackets and separators is a list, whatever a forest says that knows few of them.
    """
    if look(column, "list") >= _MOSTLY:
        return "list"
    probabilities = (forest or shipped()).probabilities(column)
    return max(CLASSES, key=probabilities.__getitem__)
