"""Holds the classifier of columns against labels that people gave, and makes the one that ships.

`python -m tests.benchmarks.columns_labelled --data FILE` learns from the tables of four fifths and
judges on those of the fifth that is left, five times, so that every column is judged by a forest
that saw no column of its table. `--write` then makes `classifier.json` of `transforms.proposal`
from all of them. The file has a row per column (`table`, `column`, `label`, the fields of
`ColumnProfile`, `sample_1` to `sample_5`), as in the ML Data Prep Zoo of Shah et al., "Towards
Benchmarking Feature Type Inference for AutoML Platforms", 2021.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.metrics import precision_recall_fscore_support
from sklearn.model_selection import StratifiedGroupKFold

from transforms.proposal.classes.classifier import CLASSES, FOREST, Forest, Tree, column_class
from transforms.proposal.classes.measures import measures
from transforms.proposal.classes.profile import SAMPLES, ColumnProfile

_FOLDS = 5
_DIGITS = 3  # of a threshold
_SHARES = 9  # a leaf's share of a class is a digit
# Boosted trees and random forests of this size were 0.005 to 0.02 less accurate; 100 full trees,
# which take megabytes, gain 0.002.
_TREES, _LEAVES, _CANDIDATES = 16, 300, 0.6


def profile_of(row: Mapping[str, Any]) -> ColumnProfile:
    """Returns a labelled column as the classifier takes it."""
    numbers = {name: row[name] or 0.0 for name in ("mean", "std", "min", "max")}
    return ColumnProfile(
        name=row["column"] or "",
        rows=row["rows"],
        missing=row["missing"],
        distinct=row["distinct"],
        mean_words=row["mean_words"],
        mean_characters=row["mean_characters"],
        samples=tuple(row[f"sample_{index}"] or "" for index in range(1, SAMPLES + 1)),
        **numbers,
    )


def learn(profiles: Sequence[ColumnProfile], labels: Sequence[str]) -> Forest:
    """Returns a forest that is small enough to ship."""
    rows = np.array([list(measures(profile).values()) for profile in profiles], np.float32)
    model = ExtraTreesClassifier(
        _TREES, max_leaf_nodes=_LEAVES, max_features=_CANDIDATES, random_state=0
    ).fit(rows, [CLASSES.index(label) for label in labels])
    shares: dict[str, int] = {}
    trees = tuple(_tree(estimator.tree_, model.classes_, shares) for estimator in model.estimators_)
    return Forest(measures=tuple(measures(profiles[0])), shares=tuple(shares), trees=trees)


def _tree(tree: Any, classes: np.ndarray, shares: dict[str, int]) -> Tree:
    measure: list[int] = []
    threshold: list[float] = []
    other: list[int] = []

    def answers(node: int) -> set[str]:
        if tree.children_left[node] < 0:
            part = np.zeros(len(CLASSES))
            part[classes] = tree.value[node][0] / tree.value[node][0].sum()
            return {"".join(str(round(share * _SHARES)) for share in part)}
        return answers(tree.children_left[node]) | answers(tree.children_right[node])

    def add(node: int) -> None:
        place = len(measure)
        different = answers(node)
        is_leaf = len(different) == 1  # or a split whose sides answer the same
        measure.append(-1 if is_leaf else int(tree.feature[node]))
        threshold.append(0.0 if is_leaf else float(f"{tree.threshold[node]:.{_DIGITS}g}"))
        other.append(0)
        if is_leaf:
            other[place] = shares.setdefault(different.pop(), len(shares))
            return
        add(tree.children_left[node])
        other[place] = len(measure)
        add(tree.children_right[node])

    add(0)
    return Tree(measure=tuple(measure), threshold=tuple(threshold), other=tuple(other))


def judge(labels: Sequence[str], answers: Sequence[str]) -> str:
    """Returns accuracy, and precision and recall of every class, as lines."""
    precision, recall, _, count = precision_recall_fscore_support(
        labels, answers, labels=list(CLASSES), zero_division=0
    )
    right = np.mean(np.array(labels) == np.array(answers))
    lines = [f"{len(labels):,} columns, accuracy {right:.3f}", "class precision recall columns"]
    lines += [
        f"{name:<18} {p:.3f} {r:.3f} {n:>6,}"
        for name, p, r, n in zip(CLASSES, precision, recall, count, strict=True)
    ]
    return "\n".join(lines)


def main() -> None:
    """Prints the figures, and writes the forest if that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="The labelled columns, Parquet.")
    parser.add_argument("--write", action="store_true", help="Make the forest that ships.")
    given = parser.parse_args()
    rows = pq.read_table(given.data).to_pylist()
    profiles = [profile_of(row) for row in rows]
    labels = np.array([row["label"] for row in rows])
    tables = np.array([row["table"] for row in rows])
    answers = labels.copy()
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    for train, test in folds.split(profiles, labels, tables):
        forest = learn([profiles[i] for i in train], labels[train].tolist())
        answers[test] = [column_class(profiles[i], forest) for i in test]
    sys.stdout.write(f"Every table held out once:\n{judge(labels.tolist(), answers.tolist())}\n")
    largest = max(set(tables), key=lambda table: int((tables == table).sum()))
    rest = tables != largest
    figures = judge(labels[rest].tolist(), answers[rest].tolist())
    sys.stdout.write(f"\nWithout the largest table, {largest}:\n{figures}\n")
    if given.write:
        FOREST.write_text(
            learn(profiles, labels.tolist()).model_dump_json() + "\n", encoding="utf-8"
        )
        sys.stdout.write(f"\n{FOREST}: {FOREST.stat().st_size / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main()
