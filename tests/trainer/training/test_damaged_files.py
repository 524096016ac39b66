"""Files of a training that were cut or replaced: each is one error that names it."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from trainer.export.serving import load
from trainer.training.checkpoint import Checkpoints, Position
from trainer.training.early_stopping import TrainingState
from transforms.contract.workspace.documents import DamagedFile


def network() -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    model.compile(optimizer="adam", loss="mse")
    return model


def resume(checkpoints: Checkpoints) -> None:
    checkpoints.state()
    checkpoints.position(1)
    checkpoints.restore(network(), 0)


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    kept = Checkpoints(tmp_path)
    model = network()
    kept.save(model, TrainingState(epochs=1, best_epoch=0))
    kept.save_within(model, [], Position(epoch=1))
    return kept


@pytest.mark.parametrize("cut", [0, 5, -5])
@pytest.mark.parametrize("name", ["state.json", "epoch-0000.npz", "within-epoch.npz"])
def test_a_checkpoint_that_was_cut_is_named_with_how_to_begin_anew(
    tmp_path: Path, checkpoints: Checkpoints, name: str, cut: int
) -> None:
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DamagedFile, match=f"Delete {tmp_path}, and run again") as raised:
        resume(checkpoints)
    assert raised.value.place == str(path)


def test_a_checkpoint_of_pickles_is_not_loaded(tmp_path: Path, checkpoints: Checkpoints) -> None:
    with (tmp_path / "epoch-0000.npz").open("wb") as file:
        np.savez(file, arr_0=np.array([{"a": 1}], object))
    with pytest.raises(DamagedFile, match="pickle"):
        checkpoints.restore(network(), 0)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pipeline": {}, "transform": {}}'])
def test_an_export_whose_declaration_is_none_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "braid.json").write_text(content)
    with pytest.raises(DamagedFile, match="or use another version") as raised:
        load(tmp_path)
    assert raised.value.place == str(tmp_path / "braid.json")
