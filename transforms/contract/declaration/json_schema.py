"""The JSON Schema of a declaration, by which editors complete, explain and check one.

Pydantic gives types and bounds; the docstrings of the classes give each key its description. What a
rule joins from several keys is beyond a schema, and is left to `braid validate`.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from transforms.contract.columns.features import FeatureSpec
from transforms.contract.declaration.pipeline import PipelineSpec

SCHEMA_FILE = "braid.schema.json"
# By which editors with the YAML language server find the schema of a file, relative to it.
MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}\n"
_TAG = "x-tag"  # of an alternative, until all classes are there
_IMPORT_PATH = r"^\w+(\.\w+)+$"
_ATTRIBUTE = re.compile(r"^    (\w+): (.*)$")
_SECTION = re.compile(r"^[A-Z]\w+:$")


def declaration_schema() -> dict[str, Any]:
    """Returns the JSON Schema (draft 2020-12) of a declaration."""
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema_of(PipelineSpec)}


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Returns the JSON Schema of a class, in which docstrings describe the keys."""
    schema = model.model_json_schema(schema_generator=_Generator)
    _finish(schema, schema.get("$defs", {}))
    return schema


def write_schema(folder: Path) -> None:
    """Writes the schema beside a declaration that begins with `MODELINE`, unless one is there."""
    path = folder / SCHEMA_FILE
    if not path.exists():
        path.write_text(schema_text(), encoding="utf-8")


def schema_text() -> str:
    """Returns the schema as the text of its file."""
    return json.dumps(declaration_schema(), indent=1) + "\n"


class _Generator(GenerateJsonSchema):
    """Pydantic's schemas, with what they lack for an editor.

    Every key has a description and, unless it is required, a default. Of alternatives that a key
    chooses between, that key is required, so that exactly one of them holds.
    """

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Returns the schema of one class."""
        made = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        made["description"], told = summary_of(model), dict(_descriptions(model))
        for key, value in made.get("properties", {}).items():
            value.pop("title", None)
            field = next((n for n, f in model.model_fields.items() if key in (n, f.alias)), key)
            described = told.get(field)
            if "const" in value:  # it chooses this class among others
                described = described or made["description"]
            if described is not None:
                value["description"] = described
        if model is FeatureSpec:  # which stands for the kinds of a user's own
            made["properties"]["kind"]["pattern"] = _IMPORT_PATH
            made["additionalProperties"] = True
        return made

    def tagged_union_schema(self, schema: core_schema.TaggedUnionSchema) -> JsonSchemaValue:
        """Returns the schema of alternatives, each marked with the tag that chooses it."""
        key = schema["discriminator"]
        default = None if isinstance(key, str) else cast("Callable[[Any], Any]", key)({})
        return {
            "oneOf": [
                {**self.generate_inner(choice), **({} if tag == default else {_TAG: tag})}
                for tag, choice in schema["choices"].items()
            ]
        }


def _finish(part: Any, definitions: dict[str, Any]) -> None:
    """Replaces marks of tags by the key that is required, and closes mappings to other names."""
    if isinstance(part, list):
        for item in part:
            _finish(item, definitions)
    if not isinstance(part, dict):
        return
    tag = part.pop(_TAG, None)
    if tag is not None and "$ref" in part:
        properties = definitions[part["$ref"].rpartition("/")[2]]["properties"]
        part["required"] = [key for key, value in properties.items() if value.get("const") == tag]
    if "patternProperties" in part:
        part.setdefault("additionalProperties", False)
    for item in part.values():
        _finish(item, definitions)


def summary_of(model: type[BaseModel]) -> str:
    """Returns what a class is: its docstring down to its attributes."""
    lines = inspect.cleandoc(model.__doc__ or "").splitlines()
    end = next((i for i, line in enumerate(lines) if _SECTION.match(line)), len(lines))
    return _joined(lines[:end])


def _descriptions(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Yields (field, what its docstring says of it), those of base classes first."""
    for each in reversed(model.__mro__):
        if not (issubclass(each, BaseModel) and each.__doc__):
            continue
        lines = inspect.cleandoc(each.__doc__).splitlines()
        name, text = "", list[str]()
        for line in [*lines[_attributes(lines) :], "    end: "]:
            begun = _ATTRIBUTE.match(line)
            if begun and name:
                yield name, _joined(text)
            if begun:
                name, text = begun[1], [begun[2]]
            else:
                text.append(line)


def _attributes(lines: list[str]) -> int:
    return lines.index("Attributes:") + 1 if "Attributes:" in lines else len(lines)


def _joined(lines: list[str]) -> str:
    """Returns the paragraphs of a text, each on one line."""
    paragraphs = "\n".join(line.strip() for line in lines).strip().split("\n\n")
    text = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
    return re.sub(r"\bNone\b", "null", text)  # as YAML has it
