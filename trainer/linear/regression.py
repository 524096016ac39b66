"""Ridge and logistic regression, whose penalty is chosen on the validation rows.

B rows, D columns, R directions, K numbers or classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.linear.answers import INVERSE_LINKS, Link, answer_loss

# Of the squared weights, halved, beside the sum of the rows' losses. The largest comes first, so
# that the next one begins near its solution; without validation rows the middle one is taken.
PENALTIES = (100.0, 3.0, 0.1)
_MOST_ITERATIONS = 60
_TOLERANCE = 1e-4  # of a step, against the largest weight
_LEAST_EIGENVALUE = 1e-6  # against the largest: below it float32 has only noise
# The largest that the second derivative of a row's loss can be: Böhning, "Multinomial Logistic
# Regression Algorithm", 1992.
_CURVATURES: dict[Link, float] = {"sigmoid": 0.25, "softmax": 0.5, "identity": 1.0}


@dataclass(frozen=True)
class LinearModel:
    """One target's model.

    Attributes:
        link: From scores to answers.
        offset: What is subtracted from the columns, float32 [D].
        weights: float32 [D, K].
        bias: float32 [K].
        penalty: The one that was chosen.
    """

    link: Link
    offset: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    penalty: float

    def answers(self, columns_BD: np.ndarray) -> np.ndarray:
        """Returns probabilities or numbers, float32 [B, K]."""
        scores = (columns_BD - self.offset) @ self.weights + self.bias
        return np.asarray(INVERSE_LINKS[self.link](scores), np.float32)


def fit_linear(
    link: Link,
    columns_BD: np.ndarray,
    truths_BK: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray] | None,
    penalties: Sequence[float] = PENALTIES,
) -> LinearModel:
    """Returns the model whose penalty has the lowest loss on the validation rows.

    Args:
        link: From scores to answers.
        columns_BD: float32, the training rows.
        truths_BK: float32, their classes as 0 and 1, or their numbers.
        validation: The same two of the validation rows; without them the middle penalty is taken.
        penalties: Those to choose from, the largest first.
    """
    offset = columns_BD.mean(axis=0)
    centered_BD = columns_BD - offset
    axes_DR = principal_axes(centered_BD)
    fitted = [
        LinearModel(link, offset, axes_DR @ weights_RK, bias_K, penalty)
        for penalty, weights_RK, bias_K in _fits(link, centered_BD @ axes_DR, truths_BK, penalties)
    ]
    if validation is None:
        return fitted[len(fitted) // 2]
    columns, truths = validation
    return min(fitted, key=lambda model: answer_loss(link, truths, model.answers(columns)))


def principal_axes(centered_BD: np.ndarray) -> np.ndarray:
    """Returns the directions in which rows differ, float32 [D, R]: orthonormal columns.

    Along them the columns are uncorrelated, so that a ridge regression is a division, and the
    penalty is that of the columns themselves. Of the two products the smaller one is decomposed.
    """
    rows, columns = centered_BD.shape
    if columns <= rows:
        values, vectors = np.linalg.eigh((centered_BD.T @ centered_BD).astype(np.float64))
    else:
        values, vectors = np.linalg.eigh((centered_BD @ centered_BD.T).astype(np.float64))
    kept = values > _LEAST_EIGENVALUE * max(float(values[-1]), 0.0)
    values, axes = values[kept], vectors[:, kept]
    if columns > rows:
        axes = centered_BD.T @ (axes / np.sqrt(values))
    return np.asarray(axes, np.float32)


def _fits(
    link: Link, rotated_BR: np.ndarray, truths_BK: np.ndarray, penalties: Sequence[float]
) -> Sequence[tuple[float, np.ndarray, np.ndarray]]:
    """Returns (penalty, weights [R, K], bias [K]) of every penalty."""
    mean_K = truths_BK.mean(axis=0)
    squares_R1 = np.square(rotated_BR).sum(axis=0)[:, np.newaxis]
    if link == "identity":
        product_RK = rotated_BR.T @ (truths_BK - mean_K)
        return [(p, product_RK / (squares_R1 + p), mean_K) for p in penalties]
    weights_RK = np.zeros((rotated_BR.shape[1], truths_BK.shape[1]), np.float32)
    bias_K = _scores_of(link, mean_K)
    fits = []
    for penalty in penalties:
        weights_RK, bias_K = _logistic(
            link, rotated_BR, truths_BK, squares_R1, penalty, (weights_RK, bias_K)
        )
        fits.append((penalty, weights_RK, bias_K))
    return fits


def _scores_of(link: Link, shares_K: np.ndarray) -> np.ndarray:
    """Returns the scores that give the classes' shares, so that the weights begin at 0."""
    shares_K = np.clip(shares_K, 1e-4, 1 - 1e-4)
    odds = shares_K / (1 - shares_K) if link == "sigmoid" else shares_K
    return np.asarray(np.log(odds), np.float32)


def _logistic(
    link: Link,
    rotated_BR: np.ndarray,
    truths_BK: np.ndarray,
    squares_R1: np.ndarray,
    penalty: float,
    start: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Returns weights and bias of a logistic regression.

    Every step minimizes a quadratic that bounds the loss from above (Böhning, see above), from a
    point ahead of the last one (Nesterov, "A Method of Solving a Convex Programming Problem with
    Convergence Rate O(1/k^2)", 1983), which starts anew when it points uphill (O'Donoghue and
    Candès, "Adaptive Restart for Accelerated Gradient Schemes", 2015).
    """
    curvature, inverse = _CURVATURES[link], INVERSE_LINKS[link]
    bound_R1 = curvature * squares_R1 + penalty
    (weights, bias), pace = start, 1.0
    ahead, bias_ahead = weights, bias
    for _ in range(_MOST_ITERATIONS):
        errors_BK = inverse(rotated_BR @ ahead + bias_ahead) - truths_BK
        slope_RK = rotated_BR.T @ errors_BK + penalty * ahead
        # Columns have mean 0, so that the bias has a bound of its own.
        bias_slope_K = errors_BK.sum(axis=0)
        new = ahead - slope_RK / bound_R1
        new_bias = bias_ahead - bias_slope_K / (curvature * len(truths_BK))
        step, bias_step = new - weights, new_bias - bias
        uphill = float(np.sum(slope_RK * step) + np.sum(bias_slope_K * bias_step)) > 0
        next_pace = 1.0 if uphill else (1 + np.sqrt(1 + 4 * pace * pace)) / 2
        momentum = np.float32(0.0 if uphill else (pace - 1) / next_pace)
        ahead, bias_ahead = new + momentum * step, new_bias + momentum * bias_step
        weights, bias, pace = new, new_bias, next_pace
        if np.abs(step).max(initial=0.0) <= _TOLERANCE * max(1.0, np.abs(new).max(initial=0.0)):
            break
    return weights, bias
