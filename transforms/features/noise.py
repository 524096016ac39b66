"""Noise: no column feeds it, no record holds it."""

from __future__ import annotations

from transforms.contract.features import Noise
from transforms.contract.manifest import StoredFeature


def drawn(name: str, spec: Noise) -> StoredFeature:
    """Returns how the trainer draws it."""
    return StoredFeature(
        name=name,
        role="feature",
        kind=spec.kind,
        dtype="float32",
        shape=(spec.dimension,),
        storage="drawn",
        distribution=spec.distribution,
    )
