"""Noise: no column feeds it, no record holds it."""

from __future__ import annotations

from typing import Any

from transforms.contract.columns.features import Noise


def drawn(spec: Noise) -> dict[str, Any]:
    """Returns what `StoredFeature` says of how the trainer draws it."""
    return {"storage": "drawn", "distribution": spec.distribution}
