"""The problems of a declaration, each by its place in the document.

Pydantic says where by a path of keys and of the branches of unions that it has taken. Which of the
two a part of that path is, and which keys there are, is read from pydantic's own schema of the
models, so that nothing has to be listed here: https://docs.pydantic.dev/latest/internals/architecture/.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from transforms.contract.columns.kinds import USER_KIND, declaration_of
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.spec import RuleBroken

_Schema = Mapping[str, Any]  # a `pydantic_core.CoreSchema`
_Path = tuple[int | str, ...]
_ANYTHING: _Schema = {"type": "any"}


@dataclass(frozen=True)
class Problem:
    """One wrong place.

    Attributes:
        place: The keys that lead to it, with dots between them.
        expected: What would have been right there.
        received: What is there instead.
    """

    place: str
    expected: str
    received: str


def problems_of(error: ValidationError, document: Any) -> list[Problem]:
    """Returns every wrong place; alternatives of one place are joined.

    Args:
        error: Of the validation of a `PipelineSpec`.
        document: What was validated.
    """
    merged: dict[str, Problem] = {}
    for item in error.errors(include_url=False):
        problem = _problem(item, _Walk(document))
        other = merged.get(problem.place)
        if other is not None:
            either = f"{other.expected} or {problem.expected}"
            problem = Problem(problem.place, either, other.received)
        merged[problem.place] = problem
    return list(merged.values())


def _problem(item: Any, walk: _Walk) -> Problem:
    """Turns one error as pydantic tells it into a problem."""
    kind, context, loc = item["type"], item.get("ctx", {}), item["loc"]
    if kind == "extra_forbidden":
        path, schema = walk.to(loc[:-1])
        expected = _one_of(walk.keys(schema), str(loc[-1]))
        return Problem(_dotted(*path, loc[-1]), expected, f"the unknown key '{loc[-1]}'")
    path, schema = walk.to(loc)
    received = _short(item.get("input"))
    if kind == "missing":
        return Problem(_dotted(*path), "a value, as this key is required", "nothing")
    if kind == "union_tag_not_found":
        return Problem(_dotted(*path), f"a '{walk.tag_key(schema)}'", "none")
    if kind == "union_tag_invalid":
        expected = f"{walk.tag_key(schema)} to be one of {context['expected_tags']}"
        return Problem(_dotted(*path), expected, repr(context["tag"]))
    reason = context.get("error")
    if isinstance(reason, RuleBroken):
        place = _dotted(*path, *([reason.place] if reason.place else []))
        return Problem(place, reason.expected, reason.received)
    if reason is not None:  # of a kind of the user's own: nobody knows how its sentence goes
        expected = f"another value ({reason})" if str(reason) else "another value"
        return Problem(_dotted(*path), expected, received)
    message = item["msg"].removeprefix("Input should be ")
    return Problem(_dotted(*path), message[0].lower() + message[1:], received)


def _dotted(*path: int | str) -> str:
    return ".".join(str(part) for part in path) or "document"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _one_of(keys: Sequence[str], key: str) -> str:
    if not keys:
        return "a key that is declared"
    close = difflib.get_close_matches(key, keys, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    return f"one of the keys {', '.join(keys)}{hint}"


class _Walk:
    """A walk through the schema of the declaration, along the paths of pydantic's errors.

    Args:
        document: What was validated; it says which kind of the user's own is meant.
    """

    def __init__(self, document: Any) -> None:
        self._document = document
        self._definitions: dict[str, _Schema] = {}

    def to(self, loc: Sequence[int | str]) -> tuple[_Path, _Schema]:
        """Returns the place in the document that a path leads to, and what may stand there."""
        return self._from((), PipelineSpec.__pydantic_core_schema__, loc)

    def keys(self, schema: _Schema) -> list[str]:
        """Returns the keys that a mapping may have; none if the schema does not name them."""
        return sorted(dict(self._fields(schema)))

    def tag_key(self, schema: _Schema) -> str:
        """Returns the key that chooses among the branches of a union."""
        named = schema.get("discriminator")
        if isinstance(named, str):
            return named
        keys = (
            key
            for tag, branch in schema.get("choices", {}).items()
            for key, value in self._fields(self._plain(branch))
            if tag in self._plain(value).get("expected", ())
        )
        return next(keys, "kind")

    def _from(
        self, path: _Path, schema: _Schema, loc: Sequence[int | str]
    ) -> tuple[_Path, _Schema]:
        """Goes on from a place, one part after the other."""
        schema = self._plain(schema)
        if not loc:
            return path, schema
        part, rest = loc[0], loc[1:]
        if schema["type"] == "tagged-union":
            return self._from(path, self._branch(path, schema, part), rest)
        if schema["type"] == "union":  # the part is pydantic's name of a type, such as a model's
            choices = [c[0] if isinstance(c, tuple) else c for c in schema["choices"]]
            models = [c for c in choices if self._plain(c).get("model_name") == part]
            ways = [self._from(path, choice, rest) for choice in models or choices]
            return next((way for way in ways if way[1] is not _ANYTHING), ways[0])
        if tuple(rest) == ("[key]",) and schema["type"] == "dict":  # the key itself is wrong
            return (*path, part), _ANYTHING
        return self._from((*path, part), self._child(schema, part), rest)

    def _branch(self, path: _Path, schema: _Schema, tag: int | str) -> _Schema:
        if tag != USER_KIND:
            return schema["choices"].get(tag, _ANYTHING)  # type: ignore[no-any-return]
        feature = self._document
        for key in path:
            feature = feature[key]
        return declaration_of(feature["kind"]).__pydantic_core_schema__

    def _child(self, schema: _Schema, part: int | str) -> _Schema:
        """Returns what may stand under a key or an index."""
        below: _Schema = dict(self._fields(schema)).get(str(part), _ANYTHING)
        if schema["type"] == "dict":
            below = schema.get("values_schema", _ANYTHING)
        elif isinstance(part, int):
            items = schema.get("items_schema", _ANYTHING)  # a tuple's are those of its places
            below = items[min(part, len(items) - 1)] if isinstance(items, list) else items
        return below

    def _fields(self, schema: _Schema) -> Iterator[tuple[str, _Schema]]:
        """Yields the keys of a mapping as the document spells them, and what they may hold."""
        fields = schema.get("fields")
        for name, field in fields.items() if isinstance(fields, dict) else ():
            alias = field.get("validation_alias")
            yield (alias if isinstance(alias, str) else name), field["schema"]

    def _plain(self, schema: _Schema) -> _Schema:
        """Returns a schema without what only wraps it: validators, defaults, references, models."""
        while True:
            for definition in schema.get("definitions", ()):
                self._definitions[definition["ref"]] = definition
            if "schema" in schema:
                schema = schema["schema"]
            elif schema["type"] == "definition-ref":
                schema = self._definitions.get(schema["schema_ref"], _ANYTHING)
            else:
                return schema
