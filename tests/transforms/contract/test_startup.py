from __future__ import annotations

import gc
import subprocess
import sys

from transforms.contract.startup import quick_start

CODE = """
import sys
from transforms.contract.startup import quick_start
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


def test_garbage_is_looked_for_again_afterwards() -> None:
    with quick_start():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
