"""Noise: no column feeds it, no record holds it."""

from __future__ import annotations

from typing import Any

from transforms.contract.columns.features import Noise
from transforms.kinds.requests import Learnt


def stored(spec: Noise, learnt: Learnt) -> dict[str, Any]:
    """Returns how the trainer draws it."""
    return {"storage": "drawn", "distribution": spec.distribution}
