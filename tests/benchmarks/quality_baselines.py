"""The simple models that Braid's defaults are held against, fitted on training and validation rows.

Ke et al., "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", 2017, with its defaults;
logistic regression on TF-IDF of words and pairs of words; one nearest neighbour on raw series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from tests.benchmarks.quality_tables import SplitTable

Predictions = dict[str, np.ndarray]  # of the test rows, [rows], by the baseline's name
_LONGEST_FIT = 2_000  # iterations; the default of 100 ends before C = 100 has converged


def constant(split: SplitTable) -> np.ndarray:
    """Returns one answer for all test rows: the share of yes, the commonest label or the mean."""
    truth = split.truth(split.fitted)
    if split.table.task == "multiclass":
        labels, counts = np.unique(truth, return_counts=True)
        return np.full(split.test.num_rows, labels[counts.argmax()])
    return np.full(split.test.num_rows, truth.mean())


def baselines(split: SplitTable) -> Predictions:
    """Returns the baselines' predictions; the first is the one that decides."""
    return _BASELINES.get(split.table.name, _boosted_trees)(split)


def _boosted_trees(split: SplitTable) -> Predictions:
    # Here, as its wheel wants the system's libgomp.so.1, which the other baselines do without.
    import lightgbm

    fitted, test = _frame(split, split.fitted), _frame(split, split.test)
    for name in fitted.columns:
        if not pd.api.types.is_numeric_dtype(fitted[name]):
            fitted[name] = fitted[name].astype("category")
            categories = fitted[name].cat.categories
            # A category that no fitted row has is a missing one.
            seen = test[name].where(test[name].isin(categories))
            test[name] = pd.Categorical(seen, categories=categories)
    truth = split.truth(split.fitted)
    if split.table.task == "numeric":
        trees = lightgbm.LGBMRegressor(verbose=-1).fit(fitted, truth)
        return {"LightGBM": np.asarray(trees.predict(test))}
    trees = lightgbm.LGBMClassifier(verbose=-1).fit(fitted, truth)
    return {"LightGBM": np.asarray(trees.predict_proba(test))[:, 1]}


def _frame(split: SplitTable, part: pa.Table) -> pd.DataFrame:
    """Returns the features; of a time the hour, the month and the day of the week."""
    frame = part.select(split.table.columns(part.schema)).to_pandas()
    for name in split.table.times:
        moments = pd.to_datetime(frame.pop(name)).dt
        frame[f"{name}_hour"] = moments.hour
        frame[f"{name}_month"] = moments.month
        frame[f"{name}_weekday"] = moments.day_of_week
    return frame


def _spam_words(split: SplitTable) -> Predictions:
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    fitted = words.fit_transform(split.fitted["text"].to_pylist())
    model = _logistic(10).fit(fitted, split.truth(split.fitted))
    test = words.transform(split.test["text"].to_pylist())
    return {"logistic regression on words": model.predict_proba(test)[:, 1]}


def _emoji_words(split: SplitTable) -> Predictions:
    words = TfidfVectorizer(ngram_range=(1, 2))
    fitted, test = words.fit_transform(_emoji_texts(split.fitted)), _emoji_texts(split.test)
    truth = split.truth(split.fitted)
    return {
        f"logistic regression on words, C = {strength}": _logistic(strength)
        .fit(fitted, truth)
        .predict(words.transform(test))
        for strength in (10, 1, 100)
    }


def _emoji_texts(part: pa.Table) -> list[str]:
    pairs = zip(part["name"].to_pylist(), part["keywords"].to_pylist(), strict=True)
    return [f"{name} {keywords}" for name, keywords in pairs]


def _logistic(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=_LONGEST_FIT)


def _nearest_neighbour(split: SplitTable) -> Predictions:
    fitted, test = (part["signal"].to_pylist() for part in (split.fitted, split.test))
    steps = max(map(len, fitted + test))
    model = KNeighborsClassifier(1).fit(_flat(fitted, steps), split.truth(split.fitted))
    return {"nearest neighbour": model.predict(_flat(test, steps))}


def _flat(signals: list[list], steps: int) -> np.ndarray:
    """Returns series as vectors of equal length; what a shorter one lacks is 0."""
    arrays = [np.asarray(signal, np.float64).reshape(len(signal), -1) for signal in signals]
    return np.stack([np.pad(a, ((0, steps - len(a)), (0, 0))).ravel() for a in arrays])


_BASELINES: Mapping[str, Callable[[SplitTable], Predictions]] = {
    "sms": _spam_words,
    "emoji": _emoji_words,
    "arrow_head": _nearest_neighbour,
    "italy_power": _nearest_neighbour,
    "gun_point": _nearest_neighbour,
    "vowels": _nearest_neighbour,
}
