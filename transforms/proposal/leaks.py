"""Columns that alone predict a target: what nobody knows before the target is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.proposal.sampled_column import SampledColumn
from transforms.proposal.target_choice import TargetChoice

_FEWEST = 100  # rows with both values: with fewer, chance makes perfect columns
_FEWEST_OF_A_CLASS = 10
_AUC = 0.999
_SUM_SKILL = 0.99999  # R2 of a sum, which is exact but for rounding
_SKILL = 0.999  # R2, or the share of a constant answer's errors that is gone


def leak(feature: SampledColumn, target: SampledColumn, choice: TargetChoice) -> str | None:
    """Returns how well a column alone predicts a target, in words, if it is too good.

    Numbers are taken as they are; the values of any column also as groups, whose answer is learnt
    on half of the rows and held against the rest.
    """
    if not (feature.is_scalar and target.is_scalar):
        return None
    there = pc.and_(feature.texts.is_valid(), target.texts.is_valid())
    rows = np.flatnonzero(there.to_numpy(zero_copy_only=False))
    rows = np.random.default_rng(0).permutation(rows)  # or every other row may be of one class
    if len(rows) < _FEWEST:
        return None
    if choice.spec.learns_numbers:
        return _of_number(feature, target.numbers, rows)
    labels = _codes(target.texts)
    counts = np.unique(labels[rows], return_counts=True)[1]
    if len(counts) < 2 or np.sort(counts)[-2] < _FEWEST_OF_A_CLASS:
        return None
    if len(counts) == 2 and feature.number_share == 1.0:
        auc = _auc(feature.numbers[rows], labels[rows] == labels[rows].max())
        if max(auc, 1 - auc) >= _AUC:
            return f"AUC {max(auc, 1 - auc):.3f}"
    share = _right(_codes(feature.texts)[rows], labels[rows])
    return None if share is None else f"{share:.1%} right"


def leaking_sum(
    features: Sequence[SampledColumn], target: SampledColumn, choice: TargetChoice
) -> tuple[str, ...]:
    """Returns the columns of which a number is the sum or difference, each with its weight.

    None of them can be done without; there are none if the target is no such sum.
    """
    if not (choice.spec.learns_numbers and target.is_scalar):
        return ()
    rows = np.isfinite(target.numbers)
    able = [c for c in features if c.is_scalar and np.isfinite(c.numbers[rows]).all()]
    able = [column for column in able if np.std(column.numbers[rows])]
    if rows.sum() < max(_FEWEST, 10 * len(able)) or not able or not np.std(target.numbers[rows]):
        return ()
    scaled = np.stack([_standardized(c.numbers[rows]) for c in (*able, target)], axis=1)
    moments = scaled.T @ scaled / len(scaled)
    kept = np.arange(len(able))
    if _skill(moments, kept) < _SUM_SKILL:
        return ()
    for column in range(len(able)):
        rest = kept[kept != column]
        if len(rest) and _skill(moments, rest) >= _SUM_SKILL:
            kept = rest
    return tuple(able[column].name for column in kept)


def _standardized(numbers: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (numbers - numbers.mean()) / numbers.std()
    return scaled


def _skill(moments: np.ndarray, columns: np.ndarray) -> float:
    """Returns the R2 of a linear model of some columns; the target is the last one."""
    gram, products = moments[np.ix_(columns, columns)], moments[columns, -1]
    weights = np.linalg.lstsq(gram, products, rcond=None)[0]
    return float(2 * weights @ products - weights @ gram @ weights)


def _of_number(feature: SampledColumn, numbers: np.ndarray, rows: np.ndarray) -> str | None:
    rows = rows[np.isfinite(numbers[rows])]
    answers = numbers[rows]
    if len(rows) < _FEWEST or not answers.std():
        return None
    if feature.number_share == 1.0 and np.std(feature.numbers[rows]):
        numbers = feature.numbers[rows]
        # By their ranks too: the logarithm of a target gives it away as well.
        for those, them in ((numbers, answers), (_ranks(numbers), _ranks(answers))):
            r2 = float(np.corrcoef(those, them)[0, 1]) ** 2
            if r2 >= _SKILL:
                return f"R2 {r2:.4f}" + (" of the ranks" if those is not numbers else "")
    groups = _codes(feature.texts)[rows]
    means, known = _learnt(groups, answers)
    if known is None:
        return None
    left = answers[1::2][known] - means[known]
    r2 = 1 - float(np.mean(left**2) / np.var(answers[1::2][known]).clip(1e-30))
    return f"R2 {r2:.4f}" if r2 >= _SKILL else None


def _right(groups: np.ndarray, labels: np.ndarray) -> float | None:
    """Returns the share of right answers by group, if hardly a wrong one of a constant is left."""
    size = int(labels.max()) + 1
    if len(np.unique(groups)) > len(groups) / 5:
        return None
    table = np.zeros((int(groups.max()) + 1, size))
    np.add.at(table, (groups[::2], labels[::2]), 1)
    known = table.sum(axis=1)[groups[1::2]] > 0
    answers = table.argmax(axis=1)[groups[1::2]]
    wrong = np.mean(answers[known] != labels[1::2][known]) if known.any() else 1.0
    constant = 1 - np.bincount(labels).max() / len(labels)
    return float(1 - wrong) if known.mean() > 0.9 and 1 - wrong / constant >= _SKILL else None


def _learnt(groups: np.ndarray, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns every odd row's mean of its group over the even rows, and which have one."""
    size = int(groups.max()) + 1
    counts = np.bincount(groups[::2], minlength=size)
    sums = np.bincount(groups[::2], weights=answers[::2], minlength=size)
    known = counts[groups[1::2]] > 0
    many = len(np.unique(groups)) > len(groups) / 5
    means = (sums / np.maximum(counts, 1))[groups[1::2]]
    return means, None if many or known.mean() < 0.9 else known


def _codes(texts: pa.Array) -> np.ndarray:
    """Returns a number for every different text, int64 [rows]; that of nulls is 0."""
    indices = texts.dictionary_encode().indices
    return np.asarray(pc.fill_null(pc.add(indices, 1), 0).to_numpy(zero_copy_only=False), np.int64)


def _ranks(numbers: np.ndarray) -> np.ndarray:
    """Returns the places of numbers in their order, from 1 on; equal ones share their mean."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def _auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Returns the area under the ROC curve, of equal scores the mean over both orders."""
    ranks = _ranks(scores)
    yes = int(positive.sum())
    no = len(positive) - yes
    return float((ranks[positive].sum() - yes * (yes + 1) / 2) / (yes * no))
