"""Every layer and loss that a saved model may name: importing this registers them with Keras."""

from __future__ import annotations

from trainer.network import encoders, fusion, heads, losses

__all__ = ["encoders", "fusion", "heads", "losses"]
