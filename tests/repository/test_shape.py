"""The shape of the packages: small folders, modules and functions."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import flows

ROOT = Path(flows.__file__).parent.parent
PACKAGES = ("flows", "trainer", "transforms")
MOST_MODULES = 13  # of a folder, besides __init__
MOST_LINES = 400  # of a module
MOST_FUNCTION_LINES = 50


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns its length without its decorators, which for a command are a table of options."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def long_functions(path: Path) -> list[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = (n for n in nodes if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return [f"{path}: {f.name}" for f in functions if lines_of(f) > MOST_FUNCTION_LINES]


def test_a_folder_has_few_modules():
    counts = Counter(path.parent for path in modules() if path.name != "__init__.py")
    many = {str(folder.relative_to(ROOT)): n for folder, n in counts.items() if n > MOST_MODULES}
    assert many == {}


def test_a_module_is_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert [path for path, lines in lengths.items() if lines > MOST_LINES] == []


def test_a_function_is_short():
    assert [name for path in modules() for name in long_functions(path)] == []
