"""The projects that `braid init` can start from: a declaration and the table that it is for.

A template is a folder here with a commented `pipeline.yaml`, whose first line says what it is, and
a `table.py` whose `write_table(folder)` writes the table.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from transforms.contract.errors import DeclarationError

_ROOT = Path(__file__).parent
_DECLARATION = "pipeline.yaml"
_DATA = "data"


def names() -> dict[str, str]:
    """Returns what every template is, by its name."""
    found = sorted(path.parent for path in _ROOT.glob(f"*/{_DECLARATION}"))
    return {folder.name: _title(folder / _DECLARATION) for folder in found}


def create(name: str, folder: Path) -> Path:
    """Writes a project from a template and returns the path of its declaration.

    Raises:
        DeclarationError: There is no such template, or the folder has something in it already.
    """
    if name not in names():
        raise DeclarationError(
            f"--template {name}",
            expected=f"one of {', '.join(names())}",
            received=repr(name),
            action="`braid templates` says what each of them is.",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DeclarationError(
            str(folder),
            expected="a folder that is empty or not there yet",
            received="one with something in it" if folder.is_dir() else "a file",
            action="Give another folder; `braid init` never writes over anything.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_table: Callable[[Path], None]
    write_table = importlib.import_module(f"{__name__}.{name}.table").write_table
    write_table(folder / _DATA)
    # The declaration comes last: where it stands, its table is whole.
    declaration = folder / _DECLARATION
    declaration.write_text((_ROOT / name / _DECLARATION).read_text(encoding="utf-8"))
    return declaration


def _title(declaration: Path) -> str:
    with declaration.open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip()
