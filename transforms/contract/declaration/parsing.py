"""From a YAML document to a `PipelineSpec`, with errors that name the place in the document."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from transforms.contract.columns.kinds import USER_KIND
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.rules.checks import FITTING_PIPELINE
from transforms.contract.declaration.secrets import hide_all, resolve
from transforms.contract.declaration.text_defaults import with_text_defaults
from transforms.contract.declaration.yaml_text import MOST_BYTES, YamlError, read_yaml
from transforms.contract.errors import DeclarationError
from transforms.contract.network.encoders import BackboneEncoder
from transforms.contract.user_modules import search

_ACTION = "Correct the declaration; `braid schema` prints every key with its type and default."


def load(path: Path, overrides: Iterable[str] = ()) -> PipelineSpec:
    """Reads a declaration.

    Args:
        path: The YAML file.
        overrides: "training.epochs=3" and the like; the value is YAML.

    Raises:
        DeclarationError: The file is not there, is not YAML, or declares something wrong. All that
            is wrong is named at once.
    """
    document = read_document(path, overrides)
    search(path.parent)
    spec = parse(document, place=str(path))
    return _with_absolute_weights(_with_absolute_source(spec, path.parent), path.parent)


def hide_secrets(overrides: Iterable[str]) -> tuple[str, ...]:
    """Returns what `--set` said, with secrets that it spells out as variables of this process.

    Overrides are kept by Prefect, as the parameters of a flow.
    """
    return tuple(_hidden(override) for override in overrides)


def _hidden(override: str) -> str:
    document: dict[str, Any] = {}
    _override(document, override)
    path = override.partition("=")[0]
    value: Any = hide_all(document)
    if value == document:
        return override
    for key in path.split("."):
        value = value[key]
    return f"{path}={json.dumps(value)}"  # which is YAML too


def read_document(path: Path, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Returns what a declaration's file says, with other values for some keys.

    Raises:
        DeclarationError: The file is not there or is no YAML mapping, or an override is no setting.
    """
    try:
        document = read_yaml(_text(path))
    except YamlError as error:
        raise DeclarationError(
            str(path),
            expected="a YAML document",
            received=str(error),
            action="Correct the YAML at the line that is named.",
        ) from None
    if not isinstance(document, dict):
        raise DeclarationError(
            str(path),
            expected="a mapping with name, source, features and targets",
            received=type(document).__name__,
            action=_ACTION,
        )
    for override in overrides:
        _override(document, override)
    return document


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for, a device never ends
            raise DeclarationError(
                str(path),
                expected="a YAML file",
                received="a folder" if path.is_dir() else "no regular file",
                action="Give the path of a pipeline.yaml; `braid init DIR` writes one.",
            )
        with path.open(encoding="utf-8") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # of a path with a NUL, of bytes that are not UTF-8
        raise DeclarationError(
            str(path),
            expected="a readable YAML file in UTF-8",
            received=str(getattr(error, "strerror", None) or error),
            action="Give the path of a pipeline.yaml; `braid init DIR` writes one.",
        ) from None


def parse(document: dict[str, Any], place: str = "declaration") -> PipelineSpec:
    """Validates a declaration that is already a mapping.

    Raises:
        DeclarationError: With every wrong place, one a line; or a variable has no value.
    """
    try:
        text = json.dumps(with_text_defaults(document), default=str, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise DeclarationError(
            place,
            expected="keys that are text, finite numbers, and no value that holds itself",
            received=str(error),
            action="Correct the YAML.",
        ) from None
    try:
        return FITTING_PIPELINE.validate_json(json.dumps(resolve(json.loads(text), place)))
    except ValidationError as error:
        problems = _problems(error, document)
    if len(problems) == 1:
        where, expected, received = problems[0]
        raise DeclarationError(
            f"{place}: {where}", expected=expected, received=received, action=_ACTION
        )
    lines = "".join(f"\n  {w}: expected {e}, received {r}" for w, e, r in problems)
    raise DeclarationError(
        place,
        expected="a valid declaration",
        received=f"{len(problems)} wrong places:{lines}\n",
        action=_ACTION,
    )


def _override(document: dict[str, Any], override: str) -> None:
    path, separator, value = override.partition("=")
    if not separator or not all(path.split(".")):
        raise DeclarationError(
            f"--set {override}",
            expected="a path in the declaration and a value, such as training.epochs=3",
            received=repr(override),
            action="Write --set PATH=VALUE.",
        )
    *parents, last = path.split(".")
    place: Any = document
    for parent in parents:
        place = place.setdefault(parent, {}) if isinstance(place, dict) else None
    if not isinstance(place, dict):
        raise DeclarationError(
            f"--set {override}",
            expected="a path through mappings of the declaration",
            received=repr(path),
            action="Name a key that the declaration has or may have.",
        )
    try:
        place[last] = read_yaml(value)
    except YamlError as error:
        raise DeclarationError(
            f"--set {override}",
            expected="a value in YAML",
            received=str(error),
            action="Write the value as it would stand in the YAML file.",
        ) from None


def _with_absolute_source(spec: PipelineSpec, folder: Path) -> PipelineSpec:
    """Takes the source's relative paths from the declaration's folder, wherever a command runs."""

    def absolute(path: str) -> str:
        return path if "://" in path else str((folder / path).absolute())

    allow = tuple(map(absolute, spec.source.allow))
    paths = {"path": absolute(spec.source.path), "allow": allow}
    return spec.model_copy(update={"source": spec.source.model_copy(update=paths)})


def _with_absolute_weights(spec: PipelineSpec, folder: Path) -> PipelineSpec:
    """Takes an encoder's relative weights file from the declaration's folder."""
    encoders = {
        name: encoder.model_copy(update={"weights": str((folder / encoder.weights).absolute())})
        if isinstance(encoder, BackboneEncoder) and encoder.weights
        else encoder
        for name, encoder in spec.model.encoders.items()
    }
    model = spec.model.model_copy(update={"encoders": encoders})
    return spec.model_copy(update={"model": model})


def _problems(error: ValidationError, document: Any) -> list[tuple[str, str, str]]:
    """Returns (path, expected, received) for every error; alternatives of one place are joined."""
    merged: dict[str, tuple[list[str], str]] = {}
    for item in error.errors(include_url=False):
        loc, parents = _document_path(item["loc"], document)
        expected, received = _explain(item, loc, parents)
        where = ".".join(str(part) for part in loc) or "document"
        if expected.startswith("@"):  # a rule that joins several places names the one to correct
            where, _, expected = expected.removeprefix("@").partition(" ")
        merged.setdefault(where, ([], received))[0].append(expected)
    return [(where, " or ".join(e), received) for where, (e, received) in merged.items()]


def _document_path(loc: Sequence[int | str], document: Any) -> tuple[list[int | str], list[str]]:
    """Drops the union tags that pydantic puts between the keys of the document.

    Returns the path in the document, and pydantic's whole path as text, tags included.
    """
    path: list[int | str] = []
    place = document
    tagged = False
    for index, part in enumerate(loc):
        if not tagged and isinstance(place, dict) and part == place.get("by"):
            tagged = True  # {by: column, column: fold}: pydantic has the tag before any key
            continue
        inside = isinstance(place, dict) and part in place
        inside = inside or (isinstance(place, list) and isinstance(part, int) and part < len(place))
        if inside:
            path.append(part)
            place = place[part]
            tagged = False
        elif index == len(loc) - 1 and isinstance(place, dict):
            if not tagged and _is_tag(part, place):
                continue
            path.append(part)  # a key that is missing
    return path, [str(part) for part in loc]


def _is_tag(part: int | str, place: dict[str, Any]) -> bool:
    return part in (
        place.get("kind"),
        place.get("content"),
        place.get("by", "hash"),
        "one",
        "many",
        "single",
        "several",
        "hive",
        "every",
        "some",
        "in_path",
        "share",
        "[key]",
        USER_KIND,
    )


def _explain(item: Any, path: list[int | str], loc: list[str]) -> tuple[str, str]:
    kind, context, value = item["type"], item.get("ctx", {}), item.get("input")
    if kind == "extra_forbidden":
        known = _keys_at(loc[:-1])
        close = difflib.get_close_matches(str(path[-1]), known, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        keys = f"one of the keys {', '.join(known)}" if known else "a key that the kind declares"
        return f"{keys}{hint}", f"the unknown key '{path[-1]}'"
    if kind == "missing":
        return "a value, as this key is required", "nothing"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tag = context.get("discriminator", "'kind'").strip("'")
        tag = "by" if tag == "_split_kind()" else "kind" if tag.endswith("_kind()") else tag
        received = repr(context["tag"]) if "tag" in context else "none"
        choices = context.get("expected_tags")
        return f"{tag} to be one of {choices}" if choices else f"a '{tag}'", received
    if kind == "value_error":
        rule, separator, received = str(context["error"]).partition(", received ")
        return rule, received if separator else _short(value)
    message = item["msg"].removeprefix("Input should be ")
    return message[0].lower() + message[1:], _short(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _keys_at(loc: list[str]) -> list[str]:
    """Returns the keys that the declaration may have at a place, read from its JSON Schema."""
    schema = PipelineSpec.model_json_schema()
    nodes = [schema]
    for part in loc:
        nodes = [child for node in nodes for child in _children(node, part, schema)]
    # What may be left out is "this or null" in the schema.
    nodes = [option for node in nodes for option in node.get("anyOf", [node])]
    keys = [key for node in nodes for key in _resolve(node, schema).get("properties", {})]
    return sorted(set(keys))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node


def _children(node: dict[str, Any], part: str, schema: dict[str, Any]) -> list[dict[str, Any]]:
    node = _resolve(node, schema)
    if node.get("properties", {}).get("by", {}).get("const") == part:
        return [node]
    if part in node.get("properties", {}):
        return [node["properties"][part]]
    if node.get("properties", {}).get("kind", {}).get("const") == part:
        return [node]
    for union in ("oneOf", "anyOf"):
        if union in node:
            mapping = node.get("discriminator", {}).get("mapping", {})
            if part in mapping:
                found = mapping[part]  # itself a union where a kind has several contents
                return [{"$ref": found} if isinstance(found, str) else found]
            return [c for child in node[union] for c in _children(child, part, schema)]
    if isinstance(node.get("additionalProperties"), dict):
        return [node["additionalProperties"]]
    if "patternProperties" in node:
        return list(node["patternProperties"].values())
    if part.isdigit() and "items" in node:
        return [node["items"]]
    if part in ("single", "several"):  # one of these has `columns`, and by that alone is known
        return [node] if ("columns" in node.get("properties", {})) == (part == "several") else []
    return [node] if part in ("one", "many", "in_path", "some", "share") else []
