"""Modules of the user's own, by their import path."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from transforms.contract.errors import DeclarationError


def search(folder: Path) -> None:
    """Lets modules of a folder be found, after all that is installed.

    Last on the path: a user's module must not hide an installed one.
    """
    path = str(folder.absolute())
    if path not in sys.path:
        sys.path.append(path)


def import_module(name: str, place: str) -> ModuleType:
    """Imports a module; those of the working directory are found too.

    Args:
        name: Such as "my_package.module".
        place: Where the declaration names it.

    Raises:
        DeclarationError: The module is not there, or fails on import.
    """
    search(Path.cwd())
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DeclarationError(
            place,
            expected=f"an importable module {name!r}",
            received=str(error),
            action="Correct the path, or put the module beside the declaration, into the working "
            f"directory {Path.cwd()} or on PYTHONPATH.",
        ) from error
