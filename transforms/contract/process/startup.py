"""A quicker start of TensorFlow, Keras, Beam and Prefect, and memory that is kept for reuse."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any

# Keras imports these if they are installed, for its plots, its wrappers for scikit-learn and data
# frames in `fit`. Nothing here uses those, and they were a third of the CPU time of its import.
_NOT_NEEDED = ("matplotlib", "pandas", "sklearn")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 1 << 30


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

    Nor is garbage looked for, and memory is kept as by `keep_freed_memory`.
    """
    keep_freed_memory()
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


def keep_freed_memory() -> None:
    """Lets the process keep what is freed for what is allocated next.

    Pixels and activations are allocated and freed batch after batch. What glibc gives back to the
    kernel in between has to be cleared anew each time, a third of the transform's system time.
    With another C library, or `MALLOC_` variables of the user's, nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or any(name.startswith("MALLOC_") for name in os.environ):
        return
    for threshold in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
        mallopt(threshold, _KEPT_BYTES)
