"""A quicker start of TensorFlow, Keras and Beam."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Keras imports these if they are installed, for its plots, its wrappers for scikit-learn and data
# frames in `fit`. Nothing here uses those, and they were a third of the CPU time of its import.
_NOT_NEEDED = ("matplotlib", "pandas", "sklearn")


@contextmanager
def quick_start() -> Iterator[None]:
    """Hides some libraries from what is imported in the block, and looks for no garbage among it.

    Afterwards the libraries are there again. What was imported stays, and is never looked through:
    that took a third of a step's start.
    """
    hidden = [name for name in _NOT_NEEDED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # an import of it fails
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
        for name in hidden:
            del sys.modules[name]
