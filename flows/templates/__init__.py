"""The projects that `braid init` can start from: a table, what to make of it, and a page on both.

A template is a folder here with

- a commented `pipeline.yaml`, whose first line says what it is, and, where the same table can be
  used in several ways, more declarations beside it;
- a `table.py`, whose `write_table(folder)` writes the same table every time;
- a `README.md`: what it shows, the commands, and what to expect of them.

Its name has dashes where the folder's has underscores.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path

from transforms.contract.declaration.json_schema import MODELINE, write_schema
from transforms.contract.errors import DeclarationError
from transforms.contract.workspace.layout import PIPELINE_FILE

_ROOT = Path(__file__).parent
PAGE = "README.md"
DATA = "data"


def names() -> dict[str, str]:
    """Returns what every template is, by its name."""
    folders = sorted(path.parent for path in _ROOT.glob(f"*/{PIPELINE_FILE}"))
    return {folder.name.replace("_", "-"): _title(folder / PIPELINE_FILE) for folder in folders}


def source(name: str) -> Path:
    """Returns the folder that a template's files lie in."""
    return _ROOT / name.replace("-", "_")


def create(name: str, folder: Path) -> Path:
    """Writes a project from a template and returns the path of its main declaration.

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
    template = source(name)
    write_table: Callable[[Path], None]
    write_table = importlib.import_module(f"{__name__}.{template.name}.table").write_table
    write_table(folder / DATA)
    variants = sorted(path.name for path in template.glob("*.yaml") if path.name != PIPELINE_FILE)
    # The main declaration comes last: where it stands, everything else is whole.
    write_schema(folder)
    shutil.copyfile(template / PAGE, folder / PAGE)
    for file in (*variants, PIPELINE_FILE):
        text = (template / file).read_text(encoding="utf-8")
        (folder / file).write_text(MODELINE + text, encoding="utf-8")
    return folder / PIPELINE_FILE


def _title(declaration: Path) -> str:
    with declaration.open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").strip()
