"""The markup of a page: text, tables, cards, pictures. Every text goes through `text`."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from pathlib import Path

from flows.console import harmless

Rows = Iterable[Sequence[str]]

_STYLE = Path(__file__).with_name("report.css")
# The page may load nothing and run nothing, whatever stands in it.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def text(value: str) -> str:
    """Returns text as a page shows it, whatever stands in it."""
    return html.escape(harmless.plain(value))


def document(title: str, body: Iterable[str]) -> str:
    """Returns a whole page, with its style in it.

    Args:
        title: As text.
        body: As markup.
    """
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{text(title)}</title><style>{style}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def section(name: str, *parts: str) -> str:
    """Returns a section with its heading, or nothing without parts."""
    content = "\n".join(filter(None, parts))
    return f'<h2 id="{anchor(name)}">{text(name)}</h2>\n{content}' if content else ""


def anchor(name: str) -> str:
    """Returns the name of a section's place on the page."""
    return "".join(char if char.isalnum() else "-" for char in name.lower())


def table(head: Sequence[str], rows: Rows) -> str:
    """Returns a table of texts, or nothing without rows; columns of numbers are to the right."""
    rows = [tuple(row) for row in rows]
    if not rows:
        return ""
    classes = [
        "number" if all(_is_number(row[place]) for row in rows) else "text"
        for place in range(len(head))
    ]
    lines = [_row("th", head, classes), *(_row("td", row, classes) for row in rows)]
    return f'<div class="scroll"><table>{"".join(lines)}</table></div>'


def _row(tag: str, cells: Sequence[str], classes: Sequence[str]) -> str:
    pairs = zip(cells, classes, strict=True)
    own = (f'<{tag} class="{name}">{text(cell)}</{tag}>' for cell, name in pairs)
    return f"<tr>{''.join(own)}</tr>"


def _is_number(cell: str) -> bool:
    bare = cell.translate(str.maketrans("", "", ",.-+[]%() "))
    return not bare or bare.isdigit() or bare.replace("to", "").replace("e", "").isdigit()


def paragraph(words: str, kind: str = "") -> str:
    """Returns a paragraph of text."""
    return f'<p class="{kind}">{text(words)}</p>'


def card(title: str, *parts: str) -> str:
    """Returns a card with a title; its parts are markup."""
    content = "".join(filter(None, parts))
    return f'<div class="card"><h3>{text(title)}</h3>{content}</div>' if content else ""


def grid(cards: Iterable[str]) -> str:
    """Returns cards beside each other as far as there is room."""
    content = "\n".join(filter(None, cards))
    return f'<div class="grid">{content}</div>' if content else ""


def details(summary: str, content: str) -> str:
    """Returns markup that is shown on demand."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>" if content else ""


def definitions(pairs: Iterable[tuple[str, str]]) -> str:
    """Returns names with their texts."""
    lines = (f"<dt>{text(name)}</dt><dd>{text(words)}</dd>" for name, words in pairs)
    content = "".join(lines)
    return f"<dl>{content}</dl>" if content else ""


def pictures(shown: Iterable[tuple[str, str]]) -> str:
    """Returns pictures with their captions.

    Args:
        shown: Caption, and PNG in base64.
    """
    figures = (
        f'<figure><img alt="{text(name)}" src="data:image/png;base64,{text(png)}">'
        f"<figcaption>{text(name)}</figcaption></figure>"
        for name, png in shown
    )
    content = "".join(figures)
    return f'<div class="pictures">{content}</div>' if content else ""
