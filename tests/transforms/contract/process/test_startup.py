from __future__ import annotations

import gc
import os
import platform
import subprocess
import sys

import pytest

from transforms.contract.process.startup import quick_start

CODE = """
import sys
from transforms.contract.process.startup import quick_start
with quick_start():
    import keras
print([name for name in ("matplotlib", "pandas", "sklearn") if name in sys.modules])
import matplotlib.figure
print(keras.Sequential([keras.layers.Dense(2)])(keras.ops.ones((1, 3))).shape)
"""


def test_keras_starts_without_what_it_does_not_need_and_that_can_be_imported_later() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "(1, 2)"]


def test_a_step_of_the_transforms_starts_quickly_too() -> None:
    code = "from transforms.contract.process.startup import quick_start\nwith quick_start():\n    "
    code += "import transforms.analysis.freeze, transforms.analysis.measure_drift\n    "
    code += "import transforms.shards.transform"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_garbage_is_looked_for_again_afterwards() -> None:
    with quick_start():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


REUSE = """
import ctypes, resource
from transforms.contract.process.startup import keep_freed_memory

def pages() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use(size: int = 300 << 20) -> None:
    taken = libc.malloc(size)
    ctypes.memset(taken, 1, size)
    libc.free(taken)

keep_freed_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
use()
before = pages()
use()
print(pages() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other libraries have other rules")
def test_memory_that_was_freed_is_used_again_unless_the_user_says_otherwise() -> None:
    def new_pages(**variables: str) -> int:
        kept = {name: value for name, value in os.environ.items() if "MALLOC" not in name}
        command = [sys.executable, "-c", REUSE]
        return int(subprocess.check_output(command, env=kept | variables, text=True))

    assert new_pages() < 1_000
    assert new_pages(MALLOC_MMAP_THRESHOLD_="131072") > 10_000
