"""Modules of the user's own, by their import path."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Iterator
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
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError) as error:  # of a package that it is in, or of an empty name
        raise _not_importable(name, place, str(error)) from error
    if spec is None or spec.origin is None or not spec.has_location:
        raise _not_importable(name, place, f"No module named {name!r}")
    return Path(spec.origin).read_text(encoding="utf-8")


def check_function(path: str, place: str) -> None:
    """Refuses the import path of a function that its module does not seem to have.

    The module is read and not imported: what it imports may take long, or be on another machine.

    Args:
        path: Such as "my_package.module:function".
        place: Where the declaration names it.

    Raises:
        DeclarationError: There is no such module, it is no Python, or it gives no such name.
    """
    module, _, function = path.partition(":")
    try:
        tree = ast.parse(module_text(module, place))
    except (SyntaxError, ValueError) as error:  # of text with a NUL, or that is no UTF-8
        raise _not_importable(module, place, str(error)) from None
    names = set(_names_of(tree))
    if function not in names and "*" not in names:
        raise DeclarationError(
            place,
            expected=f"a function {function!r} in {module}",
            received="no such name",
            action="Correct the name after the colon.",
        )


def _names_of(tree: ast.Module) -> Iterator[str]:
    """Yields every name that a module might give, whatever branch of it is run."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name
        elif isinstance(node, ast.Name):
            yield node.id


def _not_importable(name: str, place: str, received: str) -> DeclarationError:
    return DeclarationError(
        place,
        expected=f"an importable module {name!r}",
        received=received,
        action="Correct the path, or put the module beside the declaration, into the working "
        f"directory {Path.cwd()} or on PYTHONPATH.",
    )
