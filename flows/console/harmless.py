"""Text of tables, servers and users, made harmless for the medium that shows it.

A name or a value may hold what a terminal or a page would obey: escape sequences, marks that turn
the direction of writing, markup. Every writer sends what it did not write itself through the
function of its medium. Secrets are masked in all of them.
"""

from __future__ import annotations

import re
import unicodedata

import click

from flows.console.output import OUTPUT
from transforms.contract.masking import masked

# Control characters, half characters, and separators of lines that are no newline.
_OBEYED = {"Cc", "Cs", "Zl", "Zp"}
# Marks that change the direction of all that follows (Unicode Standard Annex 9), and the tags that
# nobody sees.
_TURNING = {"\u061c", "\u200e", "\u200f", *map(chr, range(0x202A, 0x202F)), "\ufeff"}
_TURNING |= {*map(chr, range(0x2066, 0x206A)), *map(chr, range(0xE0000, 0xE0080))}
_MARKDOWN = re.compile(r"([\\`*\[\]|~])")
_ESCAPED_BRACKET = re.compile(r"(\\+)\[(?![a-z#/@][^\[]*?\])")
_LINK = re.compile(r"(?i)\b(https?|ftp|www)(?=:|\.)")


def plain(text: str, *, lines: bool = False) -> str:
    """Returns text for a terminal without markup, with what that would obey spelled out.

    Args:
        text: Any text.
        lines: Whether it may have several lines.
    """
    keeps = {"\n"} if lines else set()
    return "".join(
        char.encode("unicode_escape").decode()
        if char not in keeps and (unicodedata.category(char) in _OBEYED or char in _TURNING)
        else char
        for char in masked(text)
    )


def console(text: str, *, lines: bool = False) -> str:
    """Returns text for a rich console, where square brackets are markup."""
    import rich.markup  # slow to load, and most commands print plain lines

    shown = plain(text, lines=lines)
    body = shown.rstrip("\\")
    ending = shown[len(body) :]
    # Rich escapes what would be a tag; before another bracket it takes the last backslash away.
    escaped = rich.markup.escape(_ESCAPED_BRACKET.sub(r"\1\\[", body))
    # An empty tag after backslashes, as they mean something else before a tag than at the end.
    return escaped + (f"{ending}{ending}[b][/b]" if ending else "")


def markdown(text: str) -> str:
    """Returns text for one line or one cell of Markdown: no HTML, link, picture or code."""
    escaped = _MARKDOWN.sub(r"\\\1", plain(text))
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Else a bare address becomes a link.
    return _LINK.sub(lambda match: f"{match[1][:-1]}&#{ord(match[1][-1])};", escaped)


def chat(text: str) -> str:
    """Returns text for a chat program: Slack takes what is in angle brackets for links and calls.

    Its lines are kept.
    """
    escaped = plain(text, lines=True).replace("&", "&amp;")
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


def say(text: str, *, err: bool = False) -> None:
    """Writes a line to the terminal that is neither wrapped nor marked up.

    Args:
        text: The line.
        err: Whether it is an error, which goes to the standard error, as all does with `--json`.
    """
    click.echo(plain(text), err=err or OUTPUT.json)
