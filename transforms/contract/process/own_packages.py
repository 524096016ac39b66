"""Braid's own packages, found whatever folders a user's project has.

A wheel has them inside of the package `braid`: `braid.flows` and so on. In a checkout they are
`flows`, `transforms` and `trainer`, and a project's folder of such a name, in the working directory
or on PYTHONPATH, would be taken for them.

`python -P own_packages.py MODULE ARGUMENTS` is `python -m MODULE ARGUMENTS`, with ours found first.
It is started by its path, so that nothing has to be found before. It imports nothing of ours.
"""

from __future__ import annotations

import runpy
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

_NAME = "transforms.contract.process.own_packages"
_PREFIX = __name__.removesuffix(_NAME)  # "braid." in a wheel
_ROOT = Path(__file__).absolute().parents[3]
_FACADE = _ROOT / "flows" / "facade"
# What this checkout has; a wheel needs no finder.
_FOLDERS = (
    {name: _ROOT / name for name in ("flows", "transforms", "trainer")} | {"braid": _FACADE}
    if _FACADE.is_dir()
    else {}
)


class OwnFirst(MetaPathFinder):
    """Finds the packages of this checkout, and nothing else."""

    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        """Returns where a package of ours is; Python finds what is in it by its path."""
        folder = _FOLDERS.get(fullname)
        if folder is None:
            return None
        return spec_from_file_location(
            fullname, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )


def find_own_first() -> None:
    """Lets imports of this process find the packages of this checkout before all others.

    Raises:
        ImportError: Another package of such a name is imported already.
    """
    for name, folder in _FOLDERS.items():
        there = getattr(sys.modules.get(name), "__path__", None)
        if there is not None and str(folder) not in there:
            raise ImportError(
                f"Braid's package '{name}' is hidden by another, of {', '.join(there)}: import "
                "braid before it, or install Braid's wheel, where it is a part of `braid`.",
                name=name,
            )
    # By its name: this file is loaded by its path too, and its class is another one then.
    if _FOLDERS and not any(type(f).__name__ == OwnFirst.__name__ for f in sys.meta_path):
        sys.meta_path.insert(0, OwnFirst())


def full_name(module: str) -> str:
    """Returns the name that a module of ours has in this process.

    Args:
        module: Its name in a checkout, such as "trainer.network", or "braid".
    """
    return module if module == "braid" else f"{_PREFIX}{module}"


def python_m(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs a module of ours as a program.

    Args:
        module: Its name in a checkout.
        *arguments: Of the program.
    """
    # -P: modules of the working directory must not be taken for installed ones.
    return [sys.executable, "-P", __file__, full_name(module), *arguments]


if __name__ == "__main__":
    find_own_first()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
