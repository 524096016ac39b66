"""`import braid` lets Keras load a model that has Braid's own layers.

The wheel's test loads a whole one, with Braid imported before Keras.
"""

from __future__ import annotations

import subprocess
import sys

from transforms.contract.process.own_packages import python_m

# A process that has nothing of Braid but this, as a notebook.
PROGRAM = """
import runpy, sys
runpy.run_path(sys.argv[1])["find_own_first"]()
import keras
assert not [name for name in keras.saving.get_custom_objects() if name.startswith("braid>")]
import braid
model = keras.Sequential([keras.Input((3,)), keras.saving.get_registered_object("braid>NoNan")()])
model.save("model.keras")
print(type(keras.models.load_model("model.keras").layers[-1]).__module__)
"""


def test_a_keras_that_is_imported_already_learns_of_them(tmp_path):
    command = [sys.executable, "-c", PROGRAM, python_m("braid")[2]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "trainer.network.encoders.sequence\n", done.stderr
