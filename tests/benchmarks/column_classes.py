"""The making of the classifier of columns from columns that people labelled."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import lightgbm
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold

from transforms.proposal.classes.classifier import CLASSES, Classifier, Trees
from transforms.proposal.classes.measures import measures
from transforms.proposal.classes.names import BUCKETS, NameWeights, name_buckets
from transforms.proposal.classes.profile import ColumnProfile

_FOLDS = 5
_LARGEST = 127  # of a weight and of a leaf: an int8
_MOST_OF_TABLE = 100  # columns of one table that count in full; labels of one table are alike
_ROUNDS, _SPLITS = 300, 11
_TREES = {
    "objective": "multiclass",
    "num_class": len(CLASSES),
    "extra_trees": True,  # the best of random thresholds: 0.01 more accurate than the best of all
    "learning_rate": 0.05,
    "num_leaves": _SPLITS + 1,
    "min_data_in_leaf": 10,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 2.0,
    "boost_from_average": False,  # an answer has to fit in an int8
    "seed": 0,
    "deterministic": True,
    "num_threads": 1,
    "verbose": -1,
}


def learn(profiles: Sequence[ColumnProfile], labels: np.ndarray, tables: np.ndarray) -> Classifier:
    """Returns a classifier that is small enough to ship.

    What names say is learnt from other tables than those whose columns learn to trust it.

    Args:
        profiles: The columns.
        labels: Their classes, [columns].
        tables: The tables that they are of, [columns].
    """
    target = np.array([CLASSES.index(label) for label in labels])
    columns = Counter(tables.tolist())
    weights = np.array([min(1.0, _MOST_OF_TABLE / columns[table]) for table in tables.tolist()])
    names = [profile.name for profile in profiles]
    odds = np.zeros((len(names), len(CLASSES)))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=0)
    for others, own in folds.split(names, target, tables):
        said = _names([names[i] for i in others], target[others], weights[others])
        odds[own] = [said.log_odds(names[i]) for i in own]
    measured = [list(measures(profile).values()) for profile in profiles]
    rows = np.hstack([np.array(measured, np.float32), odds.astype(np.float32)])
    booster = lightgbm.train(_TREES, lightgbm.Dataset(rows, target, weight=weights), _ROUNDS)
    trees, scale = _trees([tree["tree_structure"] for tree in booster.dump_model()["tree_info"]])
    return Classifier(
        measures=tuple(measures(profiles[0])),
        names=_names(names, target, weights),
        trees=trees,
        scale=scale,
    )


def _names(names: Sequence[str], target: np.ndarray, weights: np.ndarray) -> NameWeights:
    """Returns what names say, learnt from columns that have every class."""
    buckets = [name_buckets(name) for name in names]
    lengths = [len(own) for own in buckets]
    values = np.repeat(1 / np.sqrt(np.maximum(lengths, 1)), lengths)
    places = (np.repeat(np.arange(len(names)), lengths), np.concatenate(buckets).astype(int))
    rows = csr_matrix((values, places), shape=(len(names), BUCKETS))
    model = LogisticRegression(C=2.0, max_iter=200, tol=1e-3)
    model.fit(rows, target, sample_weight=weights)
    whole, scale = _int8(model.coef_.T)
    return NameWeights(scale=scale, intercepts=tuple(model.intercept_), weights=_base64(whole))


def _trees(structures: Sequence[Mapping[str, Any]]) -> tuple[Trees, float]:
    """Returns trees, and what an answer of 1 stands for."""
    shape = (len(structures), _SPLITS)
    measure, threshold = np.zeros(shape, np.uint8), np.zeros(shape, "<f2")
    left, right = np.full(shape, -1, np.int8), np.full(shape, -1, np.int8)
    leaves = np.zeros((len(structures), _SPLITS + 1))
    for tree, root in enumerate(structures):
        for node in _nodes(root):
            if "split_index" not in node:
                leaves[tree, node.get("leaf_index", 0)] = node["leaf_value"]
                continue
            at = tree, node["split_index"]
            measure[at], threshold[at] = node["split_feature"], node["threshold"]
            left[at], right[at] = _child(node["left_child"]), _child(node["right_child"])
    whole, scale = _int8(leaves)
    trees = Trees(
        splits=_SPLITS,
        measures=_base64(measure),
        thresholds=_base64(threshold),
        left=_base64(left),
        right=_base64(right),
        leaves=_base64(whole),
    )
    return trees, scale


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for side in ("left_child", "right_child"):
        if side in node:
            yield from _nodes(node[side])


def _child(node: Mapping[str, Any]) -> int:
    return int(node["split_index"] if "split_index" in node else -1 - node["leaf_index"])


def _int8(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Returns values as whole numbers, and what a 1 of them stands for."""
    scale = float(np.abs(values).max()) / _LARGEST
    return np.round(values / scale).astype(np.int8), scale


def _base64(values: np.ndarray) -> bytes:
    return b64encode(np.ascontiguousarray(values).tobytes())
