"""Holds the classifier of columns against labels that people gave, and makes the one that ships.

`python -m tests.benchmarks.columns_labelled --data FILE` learns from the tables of four fifths and
judges on those of the fifth that is left, five times, so that every column is judged by a
classifier that saw no column of its table. It then does so with columns split at random, as the
published figures are: that is how much it helps to have seen a table's other columns. `--write`
makes `classifier.json` of `transforms.proposal` from all of them. The file has a row per column
(`table`, `column`, `label`, the fields of `ColumnProfile`, `sample_1` to `sample_5`), as in the ML
Data Prep Zoo of Shah et al., "Towards Benchmarking Feature Type Inference for AutoML Platforms",
2021.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import precision_recall_fscore_support
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from tests.benchmarks.column_classes import learn
from transforms.proposal.classes.classifier import CLASSES, CLASSIFIER, column_class
from transforms.proposal.classes.profile import SAMPLES, ColumnProfile

_FOLDS = 5


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


def judge(labels: np.ndarray, answers: np.ndarray) -> str:
    """Returns accuracy, and precision and recall of every class, as lines."""
    precision, recall, _, count = precision_recall_fscore_support(
        labels, answers, labels=list(CLASSES), zero_division=0
    )
    right = np.mean(labels == answers)
    lines = [f"{len(labels):,} columns, accuracy {right:.3f}", "class precision recall columns"]
    lines += [
        f"{name:<18} {p:.3f} {r:.3f} {n:>6,}"
        for name, p, r, n in zip(CLASSES, precision, recall, count, strict=True)
    ]
    return "\n".join(lines)


def _in_brief(labels: np.ndarray, answers: np.ndarray) -> str:
    """Returns accuracy, and precision and recall of the two most frequent kinds, as a line."""
    kinds = ("categorical", "numeric")
    precision, recall, _, _ = precision_recall_fscore_support(
        labels, answers, labels=list(kinds), zero_division=0
    )
    told = (f"{n} {p:.3f} {r:.3f}" for n, p, r in zip(kinds, precision, recall, strict=True))
    return f"{len(labels):,} columns, accuracy {np.mean(labels == answers):.3f}, {', '.join(told)}"


def answers_of(
    profiles: Sequence[ColumnProfile],
    labels: np.ndarray,
    tables: np.ndarray,
    folds: Iterable[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Returns the class of every column by a classifier that learnt from the other folds."""
    answers = labels.copy()
    for train, test in folds:
        classifier = learn([profiles[i] for i in train], labels[train], tables[train])
        answers[test] = [column_class(profiles[i], classifier) for i in test]
    return answers


def main() -> None:
    """Prints the figures, and writes the classifier if that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="The labelled columns, Parquet.")
    parser.add_argument("--write", action="store_true", help="Make the classifier that ships.")
    given = parser.parse_args()
    rows = pq.read_table(given.data).to_pylist()
    profiles = [profile_of(row) for row in rows]
    labels = np.array([row["label"] for row in rows])
    tables = np.array([row["table"] for row in rows])
    by_table = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    folds = list(by_table.split(profiles, labels, tables))
    answers = answers_of(profiles, labels, tables, folds)
    parts = "\n".join(_in_brief(labels[test], answers[test]) for _, test in folds)
    figures = judge(labels, answers)
    sys.stdout.write(f"Every table held out once:\n{figures}\nEvery part by itself:\n{parts}\n")
    largest = max(set(tables), key=lambda table: int((tables == table).sum()))
    rest = tables != largest
    figures = judge(labels[rest], answers[rest])
    sys.stdout.write(f"\nWithout the largest table, {largest}:\n{figures}\n")
    at_random = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    answers = answers_of(profiles, labels, tables, at_random.split(profiles, labels))
    sys.stdout.write(f"\nEvery column held out once, at random:\n{judge(labels, answers)}\n")
    if given.write:
        classifier = learn(profiles, labels, tables)
        CLASSIFIER.write_text(classifier.model_dump_json() + "\n", encoding="utf-8")
        sys.stdout.write(f"\n{CLASSIFIER}: {CLASSIFIER.stat().st_size / 1024:.0f} KiB\n")


if __name__ == "__main__":
    main()
