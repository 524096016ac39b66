from __future__ import annotations

from pathlib import Path

from tests.transforms.contract.minimal import error_of
from transforms.contract.declaration.parsing import load
from transforms.contract.network.fusions import ConcatenateFusion


def test_a_fusion_that_does_not_say_concatenates(declaration: Path) -> None:
    assert load(declaration, ["model.fusion.hidden=[3]"]).model.fusion == ConcatenateFusion(
        hidden=(3,)
    )


def test_a_declaration_says_whether_it_needs_the_users_modules(declaration: Path) -> None:
    assert not load(declaration).model.has_user_code
    assert load(declaration, ["model={builder: 'own:build'}"]).model.has_user_code
    custom = "model.encoders.photo={kind: custom, builder: 'own:encode'}"
    assert load(declaration, [custom]).model.has_user_code


def test_a_builder_makes_its_own_encoders_and_takes_augmented_pictures(declaration: Path) -> None:
    both = "model={builder: 'own:f', encoders: {photo: {kind: cnn}}}"
    assert "either a builder or" in error_of(declaration, both)
    augmented = "model={builder: 'own:f', augment: {photo: {zoom: 0.1}}}"
    assert load(declaration, [augmented]).model.augment["photo"].zoom == 0.1
