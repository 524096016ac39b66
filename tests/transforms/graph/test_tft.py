from __future__ import annotations

import ast
from pathlib import Path

import pytest
import tensorflow as tf
import tensorflow_transform as tft

import transforms
from transforms.graph.tft import traced_by_tft

SPECS = {"x": tf.TensorSpec([None], tf.float32)}


def test_a_function_is_traced_with_its_outputs():
    module = traced_by_tft(lambda inputs: {"y": inputs["x"] * 2.0}, SPECS)
    assert module.transform_fn({"x": tf.constant([1.0, 3.0])})["y"].numpy().tolist() == [2.0, 6.0]


def test_a_function_that_asks_tft_to_analyze_rows_is_refused():
    with pytest.raises(ValueError, match="its `requests` has to ask"):
        traced_by_tft(lambda inputs: {"y": tft.scale_to_z_score(inputs["x"])}, SPECS)


def test_no_other_module_touches_the_internals_of_tft():
    root = Path(transforms.__file__).parent
    for path in root.rglob("*.py"):
        if path != root / "graph" / "tft.py":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom):
                    assert not (node.module or "").startswith("tensorflow_transform"), path
