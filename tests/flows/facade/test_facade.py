"""`import braid`: quick, without frameworks, and with every name that it promises."""

from __future__ import annotations

import subprocess
import sys
from typing import get_type_hints

import braid
from transforms.contract.columns.features import FeatureSpec
from transforms.contract.process.own_packages import python_m

LOADED = """
import runpy, sys
runpy.run_path(sys.argv[1])["find_own_first"]()
import braid
heavy = {"tensorflow", "keras", "prefect", "mlflow", "pyarrow", "apache_beam", "pandas", "pydantic"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_import_loads_no_framework():
    own_packages = python_m("braid")[2]
    done = subprocess.run(
        [sys.executable, "-c", LOADED, own_packages], capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stderr


def test_every_name_is_there_and_is_the_one_that_braid_itself_uses():
    assert {name for name in braid.__all__ if getattr(braid, name) is None} == set()
    assert set(braid.__all__) == set(dir(braid))
    assert braid.FeatureSpec is FeatureSpec
    assert not hasattr(braid, "no_such_name")


def test_what_is_called_is_typed():
    for function in (braid.load, braid.init, braid.run, braid.status, braid.predict):
        hints = function.__annotations__
        assert set(hints) == {*function.__code__.co_varnames[: len(hints) - 1], "return"}
    assert get_type_hints(braid.status)["return"] is braid.PipelineStatus
