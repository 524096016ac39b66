"""The shape of the packages: small folders, modules and functions."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import flows

ROOT = Path(flows.__file__).parent.parent
PACKAGES = ("flows", "trainer", "transforms")
MOST_MODULES = 13  # of a folder, besides __init__
MOST_LINES = 400  # of a module
MOST_FUNCTION_LINES = 50


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            # Without its decorators, which for a command are a table of its options.
            if (node.end_lineno or node.lineno) - node.lineno + 1 > MOST_FUNCTION_LINES:
                yield f"{path.relative_to(ROOT)}: {node.name}"


def test_a_folder_has_few_modules():
    counts = Counter(path.parent for path in modules() if path.name != "__init__.py")
    many = {str(folder.relative_to(ROOT)): n for folder, n in counts.items() if n > MOST_MODULES}
    assert many == {}


def test_a_module_is_short():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert [path for path, lines in lengths.items() if lines > MOST_LINES] == []


def test_a_function_is_short():
    assert [name for path in modules() for name in long_functions(path)] == []
