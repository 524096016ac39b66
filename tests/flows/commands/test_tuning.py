"""The command's side of a tuning, without its trials; the whole is tested end to end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from flows.commands.tuning import (
    Order,
    as_overrides,
    as_yaml,
    check_target,
    tune,
    write_declaration,
)
from flows.console.progress import Reporter
from transforms.contract.declaration.parsing import load
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.steps.tuning import nested
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock

TABLE = """\
# what is written loses this line
name: flats
source: {path: data, format: csv, key: id}
features:
  area: {kind: numeric}
  floor: {kind: numeric}
targets:
  sold: {kind: binary}
"""
SETTINGS = {
    "training.weight_decay": 0.00005,
    "training.batch_size": 32,
    "model.fusion.hidden": [64, 64],
    "model.encoders.area.kind": "piecewise",
    "model.encoders.area.units": 16,
}


@pytest.fixture
def declaration(tmp_path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(TABLE)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.csv").write_text("id,area,floor,sold\na,50.5,1,1\nb,61,2,0\n")
    return path


def order_of(declaration: Path, *overrides: str) -> Order:
    return Order(
        declaration,
        overrides,
        load(declaration, overrides),
        Workspace(declaration.parent / "workspace"),
        Reporter(Console(file=io.StringIO())),
    )


def test_the_best_keys_are_overrides_of_the_declaration(declaration):
    pipeline = load(declaration, as_overrides(SETTINGS))
    assert pipeline.training.weight_decay == 0.00005
    assert pipeline.training.batch_size == 32
    assert pipeline.model.fusion.hidden == (64, 64)
    assert pipeline.encoder_of("area").units == 16
    assert pipeline.encoder_of("floor").units == 8


def test_the_best_keys_are_shown_as_they_stand_in_a_declaration(declaration):
    text = as_yaml(nested(SETTINGS))
    assert "training: {weight_decay: 5.0e-05, batch_size: 32}" in text
    declaration.write_text(TABLE + text)
    assert load(declaration).model.fusion.hidden == (64, 64)


def test_a_written_declaration_is_whole_and_has_what_was_set_by_hand(declaration):
    target = declaration.with_name("tuned.yaml")
    write_declaration(target, order_of(declaration, "training.steps=20"), SETTINGS)
    assert load(target) == load(declaration, ["training.steps=20", *as_overrides(SETTINGS)])
    assert "area: {kind: numeric}" in target.read_text()
    assert list(yaml.safe_load(target.read_text())) == [
        "name", "source", "features", "targets", "training", "model",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "received"),
    [("pipeline.yaml", "the declaration itself"), ("elsewhere/tuned.yaml", "elsewhere")],
)
def test_a_declaration_is_not_written_where_it_would_be_wrong(declaration, target, received):
    with pytest.raises(DeclarationError, match=received):
        check_target(declaration.parent / target, declaration)
    check_target(declaration.with_name("tuned.yaml"), declaration)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["training.dispatch=deployment"], "training.dispatch: expected local"),
        (
            [
                "training={learning_rate: 0.001, weight_decay: 0.1, batch_size: 8, ema: 0.9}",
                "model={fusion: {hidden: [8], dropout: 0.1}, encoders: {area: {kind: dense}, "
                "floor: {kind: dense}}}",
            ],
            "expected a key that is left to its default, received none",
        ),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_anything_is_read(declaration, overrides, message):
    with pytest.raises(DeclarationError, match=message):
        tune(order_of(declaration, *overrides), trials=3, seconds=60)
    assert not (declaration.parent / "workspace").exists()


def test_a_run_of_the_same_pipeline_excludes_a_tuning(declaration):
    order = order_of(declaration)
    lock = order.workspace.lock("run", "flats")
    with exclusive_lock(lock, holder="run"), pytest.raises(BraidError, match="no other run"):
        tune(order, trials=3, seconds=60)
