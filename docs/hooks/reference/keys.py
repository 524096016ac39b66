"""The pages on the declaration: every key, kind, encoder and target kind, from its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator

from reference.documents import Section, sections, written
from transforms.contract.columns.features import FeatureSpec
from transforms.contract.declaration.json_schema import declaration_schema
from transforms.contract.network.encoders import (
    ENCODERS_BY_FEATURE_KIND,
    EncoderSpec,
    encoders_of,
)

# What is under these keys has a page of its own.
_OWN_PAGES = ("features", "targets", "model", "training")
_TITLES = {
    "keys.md": "The declaration",
    "features.md": "Features and their kinds",
    "targets.md": "Targets and their kinds",
    "model.md": "Model and encoders",
    "training.md": "Training",
}


def declaration_pages() -> dict[str, str]:
    """Returns the text of each page on the declaration, in Markdown, by its name."""
    schema = declaration_schema()
    parts = sections(schema, "pipeline.yaml", page_of)
    texts = written(schema, parts, dict(_notes(parts)))
    return {page: f"# {title}\n\n{_contents(page)}{texts[page]}" for page, title in _TITLES.items()}


def page_of(path: str) -> str:
    """Returns the page on what keys lead to, by those keys with dots between them."""
    key = path.partition(".")[0]
    return f"{key}.md" if key in _OWN_PAGES else "keys.md"


def _contents(page: str) -> str:
    """Returns links to the pages on other keys, for the page on the document."""
    if page != "keys.md":
        return ""
    others = (f"[{title}]({name})" for name, title in _TITLES.items() if name != page)
    return f"{', '.join(others)} have pages of their own.\n\n"


def _notes(parts: list[Section]) -> Iterator[tuple[str, str]]:
    """Yields, of each kind, which encoders read it, and of each encoder, which kinds it reads."""
    by_name = {part.definition: part for part in parts}
    by_title = {part.title: part for part in parts}
    readers = dict[type[EncoderSpec], list[str]]()
    for kind in ENCODERS_BY_FEATURE_KIND:
        feature = by_title[f"features.NAME: {{kind: {kind}}}"]
        links = [by_name[e.__name__].link("features.md") for e in encoders_of(kind)]
        yield feature.definition, f"Encoders, the default first: {', '.join(links)}."
        for encoder in encoders_of(kind):
            readers.setdefault(encoder, []).append(feature.link("model.md"))
    for encoder, kinds in readers.items():
        yield encoder.__name__, f"Reads {', '.join(kinds)}."
    yield FeatureSpec.__name__, "[A kind of your own](../own-kinds.md), by its import path."
