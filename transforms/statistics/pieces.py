"""Pieces of a number column: the edges between which an encoder may treat it apart."""

from __future__ import annotations

import numpy as np

_PIECES = 48  # of equally many rows, and as many of equally many distinct values


def edges_of_columns(sample: np.ndarray | None, width: int) -> list[list[float]]:
    """Returns the edges of every column's pieces, rising; none for a column of one value.

    Quantiles of the rows lie close where rows are many. Those of the distinct values see the rest
    of a column that has one value nearly everywhere.

    Gorishniy, Rubachev and Babenko, "On Embeddings for Numerical Features in Tabular Deep
    Learning", 2022, have the former.

    Args:
        sample: float32 [rows, width], NaN for missing; None without any.
        width: The number of columns.
    """
    if sample is None:
        return [[] for _ in range(width)]
    return [_edges(column) for column in sample.T]


def _edges(column: np.ndarray) -> list[float]:
    present = column[~np.isnan(column)]
    distinct = np.unique(present)
    if len(distinct) < 2:
        return []
    shares = np.linspace(0, 1, _PIECES + 1)
    cuts = [np.quantile(values, shares, method="inverted_cdf") for values in (present, distinct)]
    return [float(edge) for edge in np.unique(np.concatenate(cuts))]
