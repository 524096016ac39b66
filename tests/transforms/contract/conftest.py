from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from tests.transforms.contract.minimal import MINIMAL
from transforms.contract.columns.kinds import USER_KIND
from transforms.contract.declaration import parsing
from transforms.contract.declaration.json_schema import declaration_schema
from transforms.contract.declaration.pipeline import PipelineSpec

# What a rule of several keys says; of a kind of one's own a schema knows nothing but its path.
_BEYOND_A_SCHEMA = {"value_error", "finite_number"}


@pytest.fixture
def declaration(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(MINIMAL)
    return path


class _HeldAgainstSchema:
    """Validates declarations, and demands that the JSON Schema is of the same opinion."""

    def __init__(self) -> None:
        self._pipeline = parsing.FITTING_PIPELINE
        self._schema = Draft202012Validator(declaration_schema())

    def validate_json(self, text: str) -> PipelineSpec:
        wrong = [error.message for error in self._schema.iter_errors(json.loads(text))]
        try:
            spec = self._pipeline.validate_json(text)
        except ValidationError as error:
            expressible = [
                each
                for each in error.errors()
                if each["type"] not in _BEYOND_A_SCHEMA and USER_KIND not in each["loc"]
            ]
            assert wrong or not expressible, f"the schema takes what is wrong: {expressible}"
            raise
        assert not wrong, f"the schema refuses what is valid: {wrong}"
        return spec


@pytest.fixture(scope="session")
def schema_and_rules() -> Any:
    return _HeldAgainstSchema()


@pytest.fixture(autouse=True)
def every_declaration_is_held_against_the_schema(
    monkeypatch: pytest.MonkeyPatch, schema_and_rules: Any
) -> None:
    monkeypatch.setattr(parsing, "FITTING_PIPELINE", schema_and_rules)
