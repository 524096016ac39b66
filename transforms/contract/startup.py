"""A quicker start of TensorFlow and Keras."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

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

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds nothing; refuses a hidden library, so that nobody else looks for it."""
        if fullname in self._names:
            raise ModuleNotFoundError(f"No module named '{fullname}'", name=fullname)
        return None


@contextmanager
def quick_start() -> Iterator[None]:
    """Hides some libraries from what is imported in the block; afterwards they are there again."""
    hider = _Hider(_NOT_NEEDED)
    sys.meta_path.insert(0, hider)
    try:
        yield
    finally:
        sys.meta_path.remove(hider)
