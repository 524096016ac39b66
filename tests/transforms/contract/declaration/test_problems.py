from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import Tag

from tests.user_kinds.angle.declaration import Declaration
from transforms.contract.columns.features import FeatureSpec
from transforms.contract.columns.kinds import USER_KIND
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import DeclarationError
from transforms.contract.spec import Spec

MINIMAL: dict[str, Any] = {
    "name": "p",
    "source": {"path": "data", "key": "id"},
    "features": {"wind": {"kind": "numeric"}},
    "targets": {"y": {"kind": "binary"}},
}
ANGLE = "tests.user_kinds.angle"
_Keys = tuple[str | int, ...]


class Place(NamedTuple):
    """A place where a declaration may hold a model.

    Attributes:
        path: The keys that lead to it.
        model: The model.
        beside: Keys by the path of their mapping: what chooses this model in the unions above it.
    """

    path: _Keys
    model: type[Spec]
    beside: dict[_Keys, dict[str, Any]]

    def document(self, wrong: str) -> dict[str, Any]:
        """Returns a declaration with a wrong key at this place."""
        value: Any = {**self.beside.get(self.path, {}), wrong: 0}
        for end in range(len(self.path) - 1, -1, -1):
            key, mapping = self.path[end], self.beside.get(self.path[:end], {})
            value = [value] if key == 0 else {**mapping, key: value}
        return {**MINIMAL, **value}


def _places(model: type[Spec], path: _Keys = ()) -> Iterator[Place]:
    """Yields every place below a model, from its annotations."""
    yield Place(path, Declaration if model is FeatureSpec else model, {})
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        yield from _below(hints[name], (*path, field.alias or name))


def _below(hint: Any, path: _Keys) -> Iterator[Place]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated and (discriminator := _discriminator(arguments[1:])) is not None:
        for option in get_args(arguments[0]):
            yield from _branch(option, path, discriminator)
    elif origin is Annotated:
        yield from _below(arguments[0], path)
    elif origin in (Union, UnionType):
        options = [places for option in arguments if (places := list(_below(option, path)))]
        assert len(options) < 2, f"a union of models without a discriminator at {path}"
        yield from options[0] if options else ()
    elif origin is tuple:
        yield from _below(arguments[0], (*path, 0))
    elif origin is dict:
        yield from _below(arguments[1], (*path, "some"))
    elif isinstance(hint, type) and issubclass(hint, Spec):
        yield from _places(hint, path)


def _discriminator(marks: tuple[Any, ...]) -> Any:
    told = (getattr(mark, "discriminator", None) for mark in marks)
    return next((discriminator for discriminator in told if discriminator is not None), None)


def _branch(option: Any, path: _Keys, discriminator: Any) -> Iterator[Place]:
    """Yields the places of a union's branch, with what chooses the branch."""
    tag = next((mark.tag for mark in get_args(option) if isinstance(mark, Tag)), None)
    chosen: dict[_Keys, dict[str, Any]] = {}
    for place in _below(option, path):
        if place.path in (path, (*path, 0)):  # the branch itself, or a list of it
            chosen = {place.path: _choosing(place, discriminator, tag, in_list=place.path != path)}
        mine = {at: {**keys, **place.beside.get(at, {})} for at, keys in chosen.items()}
        yield place._replace(beside={**place.beside, **mine})


def _choosing(place: Place, discriminator: Any, tag: str | None, *, in_list: bool) -> Any:
    """Returns the keys by which a discriminator knows a branch."""
    fields = place.model.model_fields
    constants = {
        name: get_args(field.annotation)[0]
        for name, field in fields.items()
        if get_origin(field.annotation) is Literal
    }
    if isinstance(discriminator, str):
        return {discriminator: constants[discriminator]}
    if tag == USER_KIND:
        return {"kind": ANGLE}
    named = {name: constants[name] for name in ("kind", "by") if name in constants}
    required = {field.alias or name: None for name, field in fields.items() if field.is_required()}
    for value in (named, required):
        if discriminator([value] if in_list else value) == tag:
            return value
    raise AssertionError(f"no keys choose the branch {tag} at {place.path}")


PLACES = [place for place in _places(PipelineSpec) if place.path]


def message_of(document: dict[str, Any]) -> str:
    with pytest.raises(DeclarationError) as refused:
        parse(document)
    return str(refused.value)


@pytest.mark.parametrize(
    "place", PLACES, ids=[".".join(map(str, p.path)) + f"-{p.model.__name__}" for p in PLACES]
)
def test_a_wrong_key_is_named_with_its_place_and_the_key_that_was_meant(place: Place) -> None:
    keys = sorted(field.alias or name for name, field in place.model.model_fields.items())
    meant = max(keys, key=len, default="")
    dotted = ".".join(map(str, place.path))
    assert (
        f"{dotted}.{meant}x: expected one of the keys {', '.join(keys)} (did you mean '{meant}'?), "
        f"received the unknown key '{meant}x'"
    ) in message_of(place.document(f"{meant}x"))


def test_all_branches_of_all_unions_are_among_these_places() -> None:
    models = {place.model.__name__ for place in PLACES}
    assert {"TrainShare", "TimeSplit", "ClassMask", "SharedEncoder", "AlignedGeometry"} <= models
    assert {"GatedFusion", "CosineSchedule", "PartitionChoice", "PathPartitions"} <= models
    assert ("gate", 0) in {place.path for place in PLACES}
    assert Declaration in {place.model for place in PLACES}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"split": {"by": "day"}}, "split: expected by to be one of 'hash', 'column', 'time', "),
        ({"split": "hash"}, "split: expected a 'by', received none"),
        ({"features": {"a": {}}}, "features.a: expected a 'kind', received none"),
        ({"targets": {"a": {}}}, "targets.a: expected a 'kind', received none"),
        ({"model": {"fusion": {"kind": 1}}}, "model.fusion: expected kind to be one of 'concaten"),
        (
            {"targets": {"a": {"kind": "image", "content": "heat"}}},
            "targets.a: expected content to be one of 'binary_mask', 'class_mask', 'continuous', "
            "received 'heat'",
        ),
    ],
)
def test_a_wrong_choice_is_named_by_the_key_that_chooses(
    changes: dict[str, Any], expected: str
) -> None:
    assert expected in message_of({**MINIMAL, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"training": {"epochs": "many"}},
            "training.epochs: expected a valid integer or 'auto', received 'many'",
        ),
        (
            {"training": {"epochs": {"most": 3}}},
            "training.epochs: expected a valid integer or 'auto', received {'most': 3}",
        ),
        (
            {"targets": {"y": {"kind": "binary", "class_weights": {"1": -1}}}},
            "targets.y.class_weights.1: expected greater than or equal to 0, received -1",
        ),
        ({"features": {"a b": {"kind": "numeric"}}}, "features.a b: expected string should match"),
        ({"training": {"": 1}}, "training.: expected one of the keys"),
        ({"model": {"encoders": {"my wind": {"kind": "dense"}}}}, "model.encoders.my wind: expect"),
        (
            {"gate": [{"metric": "test_loss"}, {"at_least": 2.0, "at_most": 1.0}]},
            "gate.1: expected at_least up to at_most, received 2 and 1",
        ),
    ],
)
def test_a_place_has_keys_and_nothing_else(changes: dict[str, Any], expected: str) -> None:
    assert f"declaration: {expected}" in message_of({**MINIMAL, **changes}) or (
        f"\n  {expected}" in message_of({**MINIMAL, **changes})
    )


KIND = """
from pydantic import model_validator
from transforms.contract.columns.features import FeatureSpec
from transforms.contract.spec import RuleBroken


class Declaration(FeatureSpec):
    unit: str = "m"

    @model_validator(mode="after")
    def _is_known(self):
        if self.unit == "feet":
            raise RuleBroken("unit", expected="m or km, received before", received="feet")
        if self.unit == "inches":
            raise ValueError("inches are not supported")
        assert self.unit != "miles", "no miles"
        return self
"""


@pytest.fixture
def users_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "ruled_kinds" / "length"
    folder.mkdir(parents=True)
    (folder / "declaration.py").write_text(KIND)
    monkeypatch.syspath_prepend(tmp_path)
    yield "ruled_kinds.length"
    for name in [name for name in sys.modules if name.startswith("ruled_kinds")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("feet", "features.wind.unit: expected m or km, received before, received feet. "),
        ("inches", "features.wind: expected another value (inches are not supported), received {"),
        ("miles", "features.wind: expected another value (no miles), received {"),
    ],
)
def test_a_users_kind_breaks_with_fields_or_with_a_sentence(
    users_kind: str, unit: str, expected: str
) -> None:
    message = message_of({**MINIMAL, "features": {"wind": {"kind": users_kind, "unit": unit}}})
    assert expected in message
