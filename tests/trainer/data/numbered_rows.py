"""Rows of a number and a label, and how they lie in a batch."""

from __future__ import annotations

from trainer.data.stream import BatchLayout
from transforms.contract.workspace.manifest import StoredFeature

NUMBER = StoredFeature(name="x", role="feature", kind="numeric", dtype="float32", shape=())
LABEL = StoredFeature(name="y", role="target", kind="binary", dtype="float32", shape=())
LAYOUT = BatchLayout((NUMBER, LABEL), {})
