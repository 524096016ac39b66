"""Metrics of pictures: sums over all pixels of all rows. B batch, H height, W width, C classes."""

from __future__ import annotations

import numpy as np

from trainer.network.scores import LIKELY, Additive, Mean, squared_error, sums_and_counts

_LEAST_ERROR = 1e-10  # that of 100 dB, so that a perfect prediction has a finite ratio


def agrees_by_pixel(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns whether a pixel of a mask is what it is said to be, bool [B, H, W, 1]."""
    return np.asarray((prediction > LIKELY) == (truth > LIKELY))


def class_agrees(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns whether a pixel's likeliest class is its own, bool [B, H, W]."""
    return np.asarray(prediction.argmax(axis=-1) == truth[..., 0])


def intersection_over_union() -> Additive:
    """Returns the common foreground by that of either side; 0 without any."""
    return Additive(_overlap, lambda sums: _share(sums[..., 0], sums[..., 1] - sums[..., 0], 0.0))


def dice() -> Additive:
    """Returns twice the common foreground by the sum of both; 1 without any."""
    return Additive(_overlap, lambda sums: _share(2 * sums[..., 0], sums[..., 1], 1.0))


def mean_intersection_over_union(classes: int) -> Additive:
    """Returns the mean over the classes that truth or prediction has; 0 without any."""

    def terms(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
        said, own = prediction.argmax(axis=-1), truth[..., 0]
        # An id of its own for every row's every class, so that one count has them all.
        first = np.arange(len(own))[:, np.newaxis, np.newaxis] * classes
        counted = (said[said == own] + (first + 0 * own)[said == own], said + first, own + first)
        common, *sizes = (
            np.bincount(ids.ravel(), minlength=len(own) * classes).reshape(len(own), classes)
            for ids in counted
        )
        return np.concatenate([common, sizes[0] + sizes[1]], axis=1)

    def of_sums(sums: np.ndarray) -> np.ndarray:
        common, sizes = np.split(sums, 2, axis=-1)
        some = (sizes > 0).sum(axis=-1)
        return _share(_share(common, sizes - common, 0.0).sum(axis=-1), some, 0.0)

    return Additive(terms, of_sums)


def peak_signal_to_noise() -> Mean:
    """Returns the ratio in dB; the peak is 1, and a perfect prediction has 100."""
    return Mean(squared_error, lambda error: -10 * np.log10(np.maximum(error, _LEAST_ERROR)))


def _overlap(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Returns the common foreground of every row, and that of both sides added up, [B, 2]."""
    own, said = truth > LIKELY, prediction >= LIKELY
    common = sums_and_counts(own & said)[:, 0]
    return np.stack([common, sums_and_counts(own)[:, 0] + sums_and_counts(said)[:, 0]], axis=1)


def _share(part: np.ndarray, whole: np.ndarray, empty: float) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), empty)
