"""The declared policies `missing` and `invalid`: the rows that a column rejects, and its values."""

from __future__ import annotations

from collections import Counter

import numpy as np

from transforms.columns.conform import Conformed
from transforms.contract.columns.features import FeatureSpec, RawColumn
from transforms.contract.columns.targets import TargetSpec


def settle(
    spec: FeatureSpec | TargetSpec, raw: RawColumn, conformed: Conformed
) -> tuple[dict[int, str], Counter[str]]:
    """Applies a column's policies; what is invalid becomes a missing value in it.

    Args:
        spec: The feature or target.
        raw: What the graph takes of it.
        conformed: Its values, with those that are missing or invalid.

    Returns:
        The rows to reject, each with its reason, and how many others have a value in place of what
        was missing or, by its reason, invalid.
    """
    rejects: dict[int, str] = {}
    replaced: Counter[str] = Counter()
    missing = int(np.count_nonzero(conformed.missing))
    if missing and spec.missing == "reject":
        rejects = dict.fromkeys(np.flatnonzero(conformed.missing).tolist(), "missing")
    elif missing:
        replaced["missing"] += missing
    if not conformed.invalid:
        return rejects, replaced
    if spec.invalid == "reject":
        rejects |= conformed.invalid
    else:
        replaced.update(conformed.invalid.values())
    # Here as in serving; another feature that reads the column may have a use for the text.
    if raw.dtype != "string" or not spec.graph_judges_texts:
        blank: bytes | float = np.nan if raw.dtype == "float32" else b""
        conformed.values[list(conformed.invalid)] = blank
    return rejects, replaced
