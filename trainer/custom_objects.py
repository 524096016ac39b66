"""Every layer and loss that a saved model may name: importing this registers them with Keras."""

from __future__ import annotations

from trainer.linear import blend
from trainer.network import encoders, fusion, heads, losses

__all__ = ["blend", "encoders", "fusion", "heads", "losses"]
