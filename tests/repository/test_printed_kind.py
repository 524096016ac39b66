"""The kind of a user's own that docs/own-kinds.md prints, as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from transforms.contract.columns.kinds import user_module
from transforms.contract.declaration.parsing import parse

PAGE = Path(__file__).parents[2] / "docs/own-kinds.md"


@pytest.fixture
def kind(tmp_path, monkeypatch) -> str:
    """Returns the import path of the printed kind, whose modules are in the working directory."""
    (printed,) = re.findall(r"```python\n(# my_kinds/angle/.*?)```", PAGE.read_text(), re.S)
    modules = re.split(r"^# (my_kinds/angle/\w+\.py): .*$", printed, flags=re.M)[1:]
    for name, text in zip(modules[::2], modules[1::2], strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_kinds.angle"


def test_the_printed_kind_is_declared_encoded_and_read(kind):
    document = {
        "name": "winds",
        "source": {"path": "data", "key": "id"},
        "features": {"wind": {"kind": kind}},
        "targets": {"storm": {"kind": "binary"}},
    }
    wind = parse(document).features["wind"]
    assert wind.layout() == ("float32", (2,))
    transform = user_module(kind, "transform")
    assert transform.requests("wind", wind, None) == ()
    point = transform.encode("wind", wind, tf.constant([0.0, float("nan")]), None)
    np.testing.assert_allclose(point, [[0.0, 1.0], [0.0, 0.0]])
    vector = user_module(kind, "encoder").encode("wind", None, keras.Input((2,)))
    assert vector.shape == (None, 8)
