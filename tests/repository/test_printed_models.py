"""The encoder and the model of a user's own that docs/own-models.md prints, as they are printed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.world import DECLARATION, manifest_of, pipeline_of
from trainer.network.model import build_model

PAGE = Path(__file__).parents[2] / "docs/own-models.md"


@pytest.fixture(autouse=True)
def printed_modules(tmp_path, monkeypatch) -> None:
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.S)
    assert {name for name, _ in blocks} == {"my_encoders.py", "my_models.py"}
    for name, text in blocks:
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def answers_of(model: dict, features: int) -> dict[str, np.ndarray]:
    pipeline = pipeline_of(model=model)
    manifest = manifest_of(pipeline)
    network = build_model(pipeline, manifest)
    assert len(network.input) == features
    rows = {s.name: np.ones((4, *s.shape), s.dtype) for s in manifest.inputs()}
    return {name: np.asarray(answer) for name, answer in network(rows).items()}


def test_the_printed_encoder_encodes_a_number():
    encoders = {"price": {"kind": "custom", "builder": "my_encoders:waves"}}
    answers = answers_of(DECLARATION["model"] | {"encoders": encoders}, features=7)
    assert np.isfinite(answers["cost"]).all()


def test_the_printed_model_takes_every_feature_and_gives_every_target():
    answers = answers_of({"builder": "my_models:build"}, features=7)
    assert {name: answer.shape for name, answer in answers.items()} == {
        "sold": (4, 1),
        "group": (4, 3),
        "cost": (4, 1),
    }
    np.testing.assert_allclose(answers["group"].sum(axis=1), 1, rtol=1e-6)
