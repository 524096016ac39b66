"""Pages on the keys of a document, from its JSON Schema: a section for each of its objects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pymdownx.slugs import slugify

_SLUG = slugify(case="lower")
_CODE = re.compile(r"(`[^`]*`)")
_BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "up to {}",
    "exclusiveMaximum": "below {}",
}
_CHOOSING = ("kind", "by", "content")
_NAMES = {"string": "text", "array": "list", "object": "mapping", "null": "`null`"}


@dataclass(frozen=True)
class Section:
    """The place of an object's keys.

    Attributes:
        definition: The object's name in the schema; "" is the document.
        page: The page that the section is on.
        title: The keys that lead to the object, and those that choose it among others.
    """

    definition: str
    page: str
    title: str

    def link(self, page: str) -> str:
        """Returns a link to the section from a page, by what chooses the object among others."""
        there = "" if page == self.page else self.page
        label = self.title.partition(": {")[2].rstrip("}") or self.title
        return f"[{text(label)}]({there}#{_SLUG(self.title, '-')})"


def sections(schema: Mapping[str, Any], title: str, page_of: Callable[[str], str]) -> list[Section]:
    """Returns the sections of a document, each object where it is met first.

    Args:
        schema: The document's JSON Schema.
        title: The document's own.
        page_of: From the keys that lead to an object, with dots between them, to its page.
    """
    met = {"": Section("", page_of(""), title)}

    def walk(path: str, value: Mapping[str, Any]) -> None:
        for key, item in value.get("properties", {}).items():
            for keys, name in _objects(f"{path}.{key}".lstrip("."), item):
                definition = schema["$defs"][name]
                if name not in met and "properties" in definition:
                    met[name] = Section(name, page_of(keys), f"{keys}{_choice(definition, item)}")
                    walk(keys, definition)

    walk("", schema)
    return list(met.values())


def written(
    schema: Mapping[str, Any], parts: list[Section], notes: Mapping[str, str]
) -> dict[str, str]:
    """Returns the text of the sections, in Markdown, by their page.

    Args:
        schema: The document's JSON Schema.
        parts: Its sections.
        notes: What is to be said of objects beside their keys, by their names in the schema.
    """
    texts = dict[str, str]()
    for part in parts:
        value = schema["$defs"][part.definition] if part.definition else schema
        rows = _rows(value, schema, parts, part.page)
        lines = (f"## {text(part.title)}", text(value.get("description", "")))
        blocks = [*lines, notes.get(part.definition, ""), table(_HEAD, rows)]
        texts.setdefault(part.page, "")
        texts[part.page] += "\n\n".join(filter(None, blocks)) + "\n\n"
    return texts


_HEAD = ("key", "type", "without it", "what it is")


def _rows(
    value: Mapping[str, Any], schema: Mapping[str, Any], parts: list[Section], page: str
) -> Iterator[tuple[str, ...]]:
    links = {part.definition: part.link(page) for part in parts}
    for key, item in value["properties"].items():
        described = item.get("description") or _described(item, schema["$defs"])
        yield (
            f"`{key}`",
            _type(item, schema["$defs"], links),
            "required" if key in value.get("required", ()) else _default(item),
            text(described),
        )


def _objects(path: str, value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yields the names of the objects that a key may have, with the keys that lead to them."""
    if "$ref" in value:
        yield path, _name(value)
    for item in (*value.get("oneOf", ()), *value.get("anyOf", ())):
        yield from _objects(path, item)
    yield from _objects(path, value["items"]) if isinstance(value.get("items"), dict) else ()
    for item in _values(value):
        yield from _objects(f"{path}.NAME", item)


def _values(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Returns the schemas of the values of a mapping whose keys are names of a user's."""
    others = value.get("additionalProperties")
    named = value.get("patternProperties", {}).values()
    return [*named, *([others] if isinstance(others, dict) else [])]


def _name(value: Mapping[str, Any]) -> str:
    return str(value["$ref"]).rpartition("/")[2]


def _choice(definition: Mapping[str, Any], key: Mapping[str, Any]) -> str:
    """Returns the keys that choose an object among the others of a key, as they are written."""
    constant = {k: v["const"] for k, v in definition["properties"].items() if "const" in v}
    words = [f"{name}: {constant[name]}" for name in _CHOOSING if name in constant]
    if not words and len(list(_objects("", key))) > 1:
        words = [name for name in definition.get("required", ()) if name != "kind"]
    return f": {{{', '.join(words)}}}" if words else ""


def _type(value: Mapping[str, Any], definitions: Mapping[str, Any], links: dict[str, str]) -> str:
    """Returns what a key may be, in words."""
    if "$ref" in value:
        name = _name(value)
        return links[name] if name in links else _type(definitions[name], definitions, links)
    choices = [*value.get("oneOf", ()), *value.get("anyOf", ())]
    if choices:
        return " or ".join(dict.fromkeys(_type(c, definitions, links) for c in choices))
    if "const" in value or "enum" in value:
        constants = value["enum"] if "enum" in value else [value["const"]]
        return " or ".join(f"`{_word(constant)}`" for constant in constants)
    if "prefixItems" in value:
        items = (_type(item, definitions, links) for item in value["prefixItems"])
        return f"a list: {', '.join(items)}"
    kind = value.get("type", "anything")
    if kind == "array" and isinstance(value.get("items"), dict) and value["items"]:
        return f"list of {_type(value['items'], definitions, links)}"
    if kind == "object" and _values(value):
        types = [_type(item, definitions, links) for item in _values(value)]
        return f"by name, {' or '.join(types)}"
    bounds = [words.format(f"{value[key]:,}") for key, words in _BOUNDS.items() if key in value]
    if kind == "boolean":
        return "`true` or `false`"
    return " ".join([_NAMES.get(kind, kind), *bounds])


def _default(value: Mapping[str, Any]) -> str:
    if "default" not in value:
        return ""
    default = value["default"]
    # Those of an object's keys are in its own section.
    return "its defaults" if isinstance(default, dict) and default else f"`{_word(default)}`"


def _word(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def _described(value: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """Returns what the one object is that a key has, for a key that says no more itself."""
    names = {name for _, name in _objects("", value)}
    return str(definitions[names.pop()].get("description", "")) if len(names) == 1 else ""


def text(plain: str) -> str:
    """Returns a text of the code as Markdown, in which code is in backticks and all else plain."""
    parts = _CODE.split(plain)
    parts[::2] = [re.sub(r"([*_<\[\]])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    """Returns a table in Markdown."""
    lines = [head, ("---",) * len(head), *rows]
    cells = ([re.sub(r"\s+", " ", cell).replace("|", "\\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)
