"""`import braid` lets Keras load a model that has Braid's own layers.

The wheel's test loads a whole one, with Braid imported before Keras.
"""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec

from flows.facade import keras_objects
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


def test_a_look_whether_there_is_keras_does_not_keep_them_from_being_registered(
    tmp_path, monkeypatch
):
    (tmp_path / "keras_stand_in.py").write_text("LAYERS = 3")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    monkeypatch.setattr(keras_objects, "_KERAS", "keras_stand_in")
    times: list[str] = []
    monkeypatch.setattr(keras_objects, "_register", lambda: times.append("now"))
    before = [*sys.meta_path]
    keras_objects.register_with_keras()
    assert find_spec("keras_stand_in") is not None  # as libraries look for what is installed
    assert times == []
    assert import_module("keras_stand_in").LAYERS == 3
    assert times == ["now"]
    assert sys.meta_path == before
    monkeypatch.delitem(sys.modules, "keras_stand_in")
