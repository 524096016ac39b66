"""A quicker start of TensorFlow and Keras."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Keras imports these if they are installed, for its plots, its wrappers for scikit-learn and data
# frames in `fit`. Nothing here uses those, and they were a third of the CPU time of its import.
_NOT_NEEDED = ("matplotlib", "pandas", "sklearn")


@contextmanager
def quick_start() -> Iterator[None]:
    """Hides some libraries from what is imported in the block; afterwards they are there again."""
    hidden = [name for name in _NOT_NEEDED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # an import of it fails
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
