"""What `pyproject.toml` cannot say: a wheel has all of Braid inside of the package `braid`.

In the repository `flows`, `transforms` and `trainer` stand side by side; installed so, they would
hide a user's folders of these names. A wheel has them as `braid.flows` and so on, and the imports
between them are written so while it is built. An editable install leaves them where they are.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

PACKAGES = ("flows", "transforms", "trainer")
IMPORT = re.compile(rf"^(\s*)(from|import) (?=({'|'.join(PACKAGES)})\b)", re.MULTILINE)


class InsideBraid(build_py):
    """Copies the sources to below `braid`, with the imports that lead there."""

    def run(self) -> None:
        """Builds; an editable install is nothing to build."""
        if not self.editable_mode:
            shutil.rmtree(self.build_lib, ignore_errors=True)  # it would be packed too
            self.package_dir = {"braid": "flows/facade", **{f"braid.{p}": p for p in PACKAGES}}
            self.packages = [_inside(package) for package in self.packages]
            self.package_data = {_inside(p): files for p, files in self.package_data.items()}
            self.distribution.packages = self.packages
        super().run()

    def build_module(self, module: str, module_file: str, package: str) -> tuple[str, bool]:
        """Copies a module."""
        outfile, copied = super().build_module(module, module_file, package)
        text = Path(outfile).read_text(encoding="utf-8")
        Path(outfile).write_text(IMPORT.sub(r"\1\2 braid.", text), encoding="utf-8")
        return outfile, copied


class OneTopLevel(egg_info):
    """Says in the metadata that `braid` is all that a wheel has at its top."""

    def write_file(self, what: str, filename: str, data: str) -> None:
        """Writes a file of the metadata."""
        super().write_file(what, filename, "braid\n" if what == "top-level names" else data)


def _inside(package: str) -> str:
    return package if package.split(".")[0] == "braid" else f"braid.{package}"


setup(
    cmdclass={"build_py": InsideBraid, "egg_info": OneTopLevel},
    packages=[
        "braid",
        *find_packages(include=[f"{p}*" for p in PACKAGES], exclude=["flows.facade*"]),
    ],
)
