"""How wide a learnt vector is."""

from __future__ import annotations

from transforms.contract.manifest import StoredFeature

_WIDEST = 64


def cardinality_of(stored: StoredFeature) -> int:
    """Returns the number of ids of a feature that is ids."""
    if stored.cardinality is None:
        raise ValueError(f"{stored.name} has no ids")
    return stored.cardinality


def dimension_of(declared: int | None, stored: StoredFeature) -> int:
    """Returns the declared width, or 4 times the fourth root of the number of ids, up to 64."""
    return declared or min(_WIDEST, round(4 * cardinality_of(stored) ** 0.25))
