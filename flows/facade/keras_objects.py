"""Braid's own layers and losses, made known to Keras once that is imported.

Keras loads a `model.keras` that names them only if they are registered, and registering needs
Keras, which takes seconds to import: nobody should wait for it who does not use it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

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
    """Finds Keras, once, with a loader that registers afterwards."""

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        """Returns where Keras is, if that is what is imported."""
        if fullname != _KERAS:
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Registering(spec.loader)
        return spec


class _Registering(Loader):
    """Loads Keras as its own loader does, and registers."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Makes the module."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Fills it."""
        self._loader.exec_module(module)
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        _register()
