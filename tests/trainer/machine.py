"""A virtual environment with some requirements alone, out of what is installed here.

Nothing is downloaded: its site-packages are links to the installed distributions' files.
"""

from __future__ import annotations

import csv
import re
import sysconfig
import tomllib
import venv
from collections import defaultdict
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement

_PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def declared(extra: str) -> list[str]:
    """Returns what `pip install braid[extra]` requires."""
    project = tomllib.loads(_PROJECT.read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"][extra]]


def closure(requirements: list[str]) -> dict[str, Distribution]:
    """Returns the installed distributions that requirements need, by normalized name."""
    needed: dict[str, Distribution] = {}
    extras: dict[str, set[str]] = defaultdict(set)
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        name = _normalized(wanted.name)
        if name in needed and wanted.extras <= extras[name]:
            continue
        extras[name] |= wanted.extras
        needed[name] = distribution(wanted.name)
        for own in map(Requirement, needed[name].requires or ()):
            chosen = ("", *extras[name])
            if own.marker is None or any(own.marker.evaluate({"extra": e}) for e in chosen):
                waiting.append(own)
    return needed


def make_environment(folder: Path, requirements: list[str]) -> Path:
    """Makes the environment and returns its interpreter."""
    venv.create(folder, with_pip=False, symlinks=True)
    packages = Path(
        sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)})
    )
    owners: dict[str, set[str]] = defaultdict(set)
    for each in distributions():
        for directory in {parent for name in _files(each) for parent in _parents(name)}:
            owners[directory].add(each.name)
    for each in closure(requirements).values():
        links = set()
        for name in _files(each):
            # The topmost folder that no other distribution shares, or else the file alone.
            own = (parent for parent in _parents(name) if len(owners[parent]) == 1)
            links.add(next(own, name))
        for link in links:
            (packages / link).parent.mkdir(parents=True, exist_ok=True)
            (packages / link).symlink_to(str(each.locate_file(link)))
    return folder / "bin" / "python"


def _files(installed: Distribution) -> list[str]:
    """Returns what it has in site-packages, without compiled bytecode."""
    lines = csv.reader((installed.read_text("RECORD") or "").splitlines())
    names = (line[0] for line in lines)
    return [n for n in names if not n.startswith(("..", "/")) and "__pycache__" not in n]


def _parents(name: str) -> list[str]:
    """Returns the folders that a file lies in, the topmost first."""
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
