"""A quicker start of TensorFlow, Keras, Beam and Prefect."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any

# Keras imports these if they are installed, for its plots, its wrappers for scikit-learn and data
# frames in `fit`. Nothing here uses those, and they were a third of the CPU time of its import.
_NOT_NEEDED = ("matplotlib", "pandas", "sklearn")


class _Hider(MetaPathFinder):
    """Says of some libraries that they are not installed.

    A None in `sys.modules` would say so too, but compiled code, such as pyarrow's, takes it for the
    module.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def find_spec(self, fullname: str, *_: Any) -> None:
        """Finds nothing; refuses a hidden library, so that nobody else looks for it."""
        if fullname in self._names:
            raise ModuleNotFoundError(f"No module named '{fullname}'", name=fullname)


@contextmanager
def quick_start() -> Iterator[None]:
    """Hides some libraries from what is imported in the block; afterwards they are there again.

    Nor is garbage looked for.
    """
    hider = _Hider(_NOT_NEEDED)
    sys.meta_path.insert(0, hider)
    try:
        with without_garbage_collection():
            yield
    finally:
        sys.meta_path.remove(hider)


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Looks for no garbage in the block, nor ever after among what was made in it.

    What is imported stays. TensorFlow, Beam and Prefect make so many objects that looking through
    them takes a third of their start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
