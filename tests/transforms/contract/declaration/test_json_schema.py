"""The JSON Schema: beside these tests every declaration of this folder's tests is held against it
(`every_declaration_is_held_against_the_schema`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

import flows.templates
from tests.cases import FEATURES
from transforms.contract.declaration.json_schema import (
    MODELINE,
    SCHEMA_FILE,
    declaration_schema,
    write_schema,
)

SCHEMA = declaration_schema()
CLASSES = {"the pipeline": SCHEMA, **SCHEMA["$defs"]}
TEMPLATES = sorted(Path(flows.templates.__file__).parent.glob("*/*.yaml"))
MINIMAL = {
    "name": "rows",
    "source": {"path": "data", "key": "id"},
    "features": {"x": {"kind": "numeric"}},
    "targets": {"y": {"kind": "binary"}},
}


def wrong(document: dict) -> list[str]:
    """Returns what the schema has against a declaration, as YAML gives it to an editor."""
    text = json.loads(json.dumps(document, default=str))
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(text)]


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", list(CLASSES))
def test_every_key_has_a_description_and_a_default_unless_it_is_required(name):
    required = CLASSES[name].get("required", [])
    for key, value in CLASSES[name].get("properties", {}).items():
        assert value.get("description"), f"{name}.{key}: add it to the attributes of the docstring"
        assert "default" in value or key in required, f"{name}.{key}"


def test_a_description_is_the_docstrings_in_the_words_of_yaml():
    description = SCHEMA["$defs"]["Numeric"]["properties"]["default"]["description"]
    assert description == (
        "What a missing value becomes before scaling; null is the training rows' mean."
    )
    assert SCHEMA["$defs"]["Numeric"]["description"] == (
        "A number, or a list of `length` numbers, in a row."
    )


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_templates_are_valid(path):
    assert wrong(yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize("case", FEATURES, ids=lambda case: case.name)
def test_every_kind_and_every_encoder_that_reads_it_is_valid(case):
    for encoder in case.encoders or [None]:
        model = {"model": {"encoders": {"x": encoder}}} if encoder else {}
        assert wrong({**MINIMAL, "features": {"x": case.declaration}, **model}) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"features": {"x": {"kind": "my_kinds.phone", "digits": 9}}},
        {"split": {"train": 60, "validation": 20, "test": 20}},
        {"split": {"by": "column", "column": "f", "validation": {"from": "train", "percent": 9}}},
        {"source": {"path": "d", "key": "id", "partition_by": {"path_date": "%Y"}}},
        {"model": {"fusion": {"hidden": [8]}}},
        {"training": {"epochs": "auto", "early_stopping_patience": None}},
        {"gate": [{"at_least": 0.5}, {"metric": "test_loss", "at_most": 1}]},
    ],
)
def test_what_a_key_chooses_between_is_valid(changed):
    assert wrong(MINIMAL | changed) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"feature": {}},
        {"features": {"x": {}}},
        {"features": {"x": {"kind": "number"}}},
        {"features": {"x": {"kind": "numeric", "lenght": 3}}},
        {"features": {"x-y": {"kind": "numeric"}}},
        {"targets": {"y": {"kind": "image", "height": 8, "width": 8}}},
        {"model": {"encoders": {"x": {"units": 4}}}},
        {"model": {"fusion": {"width": 8}}},
        {"split": {"by": "day"}},
        {"training": {"epochs": 0}},
    ],
)
def test_what_no_class_takes_is_refused(changed):
    assert wrong(MINIMAL | changed) != []


def test_a_schema_stands_beside_the_declaration_that_names_it(tmp_path):
    folder = flows.templates.create("categorical-numeric", tmp_path / "mine").parent
    assert (folder / "pipeline.yaml").read_text().startswith(MODELINE)
    assert json.loads((folder / SCHEMA_FILE).read_text()) == SCHEMA
    (folder / SCHEMA_FILE).write_text("my own")
    write_schema(folder)
    assert (folder / SCHEMA_FILE).read_text() == "my own"
