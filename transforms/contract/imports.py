"""Modules of the user's own, by their import path."""

from __future__ import annotations

import importlib
import importlib.util
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
        raise _not_importable(name, place, str(error)) from error


def module_text(name: str, place: str) -> str:
    """Returns a module's source. The module is not imported, only the packages that it is in.

    Args:
        name: Such as "my_package.module".
        place: Where the declaration names it.

    Raises:
        DeclarationError: There is no such module, or no source of it.
    """
    search(Path.cwd())
    try:
        found = importlib.util.find_spec(name)
    except ImportError as error:  # of a package that it is in
        raise _not_importable(name, place, str(error)) from error
    if found is None or found.origin is None or not found.has_location:
        raise _not_importable(name, place, f"No module named {name!r}")
    return Path(found.origin).read_text(encoding="utf-8")


def _not_importable(name: str, place: str, received: str) -> DeclarationError:
    return DeclarationError(
        place,
        expected=f"an importable module {name!r}",
        received=received,
        action="Correct the path, or put the module beside the declaration, into the working "
        f"directory {Path.cwd()} or on PYTHONPATH.",
    )
