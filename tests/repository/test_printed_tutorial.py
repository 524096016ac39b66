"""The table of docs/tutorial.md, and what the tutorial's first commands print of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import BRAID

PAGE = (Path(__file__).parents[2] / "docs/tutorial.md").read_text()


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Returns a folder with the printed table and the declaration that is proposed of it."""
    folder = tmp_path_factory.mktemp("tutorial")
    (printed,) = re.findall(r"```python\n# make_orders\.py\n(.*?)```", PAGE, re.S)
    subprocess.run([sys.executable, "-c", printed], cwd=folder, check=True)
    assert_printed("head -4 orders.csv", "\n".join(lines_of(folder / "orders.csv")[:4]))
    command = ("init", "orders", "--from", "orders.csv", "--target", "late")
    assert_printed(" ".join(("braid", *command)), run(folder, *command))
    return folder


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [*BRAID, *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def assert_printed(command: str, output: str) -> None:
    printed = re.search(rf"^\$ {re.escape(command)}\n(.*?)^(?:\$|```)", PAGE, re.S | re.M)
    assert printed is not None, command
    assert printed[1].split("\n") == [line.rstrip() for line in f"{output.rstrip()}\n".split("\n")]


def test_the_proposed_declaration_is_the_printed_one(project):
    (printed,) = re.findall(r"```yaml\n(name: orders\n.*?)```", PAGE, re.S)
    proposed = (project / "orders/pipeline.yaml").read_text()
    assert proposed.rstrip().endswith(printed.rstrip())


def test_validate_says_what_is_printed(project):
    command = ("validate", "orders/pipeline.yaml")
    assert_printed(" ".join(("braid", *command)), run(project, *command))
