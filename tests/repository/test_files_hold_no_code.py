"""The files that the shipped code reads: none that others wrote runs when it is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import flows

ROOT = Path(flows.__file__).parent.parent
SOURCES = [
    path
    for package in ("flows", "infra", "trainer", "transforms")
    for path in sorted((ROOT / package).rglob("*.py"))
]


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_arrays_are_read_without_pickles(path: Path) -> None:
    for name, call in calls(path):
        if name in ("np.load", "numpy.load"):
            given = {k.arg: ast.unparse(k.value) for k in call.keywords}
            assert given.get("allow_pickle") == "False", f"line {call.lineno}"
        assert name not in ("eval", "exec"), f"line {call.lineno}"
