"""The code of a notebook as a program: each cell in order, with what its last expression gives.

`python notebook.py PATH` runs it; nothing but Python is needed.
"""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path


def run(path: Path) -> None:
    """Runs a notebook's code cells in one namespace.

    The value of a cell's last expression is printed: as Markdown where it has that, or else as
    Python shows it.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, cell["id"], "exec"), namespace)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), cell["id"], "eval"), namespace)
            as_markdown = getattr(value, "_repr_markdown_", None)
            if value is not None:
                print(as_markdown() if as_markdown else repr(value))


if __name__ == "__main__":
    run(Path(sys.argv[1]))
