"""Braid's own layers and losses, made known to Keras once that is imported.

Keras loads a `model.keras` that names them only if they are registered, and registering needs
Keras, which takes seconds to import: nobody should wait for it who does not use it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from transforms.contract.process.own_packages import full_name

_KERAS = "keras"


def register_with_keras() -> None:
    """Registers them now if Keras is imported already, or else as soon as it is."""
    if _KERAS in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _OnImport())


def _register() -> None:
    # Of a process of ours that imports what it needs of the network, and is in the midst of it.
    if full_name("trainer.network") not in sys.modules:
        import_module(full_name("trainer.custom_objects"))


class _OnImport(MetaPathFinder):
    """Finds Keras, until it is imported, with a loader that registers afterwards."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns where Keras is, if that is what is imported or looked for."""
        if fullname != _KERAS:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Registering(spec.loader, self)
        return spec


class _Registering(Loader):
    """Loads Keras as its own loader does, and registers.

    Args:
        loader: Its own.
        finder: Found it, and is not needed afterwards.
    """

    def __init__(self, loader: Loader, finder: MetaPathFinder) -> None:
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Makes the module."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Fills it."""
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        _register()
