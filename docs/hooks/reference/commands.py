"""The page on the commands, each with its arguments and options, as click has them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from flows.commands.cli import cli
from reference.documents import table, text


def commands_page() -> str:
    """Returns the page, in Markdown."""
    parts = [f"# Commands\n\n{_help(cli)}"]
    parts += [_section(name, command) for name, command in sorted(cli.commands.items())]
    return "\n\n".join(parts) + "\n"


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"braid {name}")
    usage = " ".join(command.collect_usage_pieces(context))
    rows = _rows(command, context)
    return "\n\n".join(
        (
            f"## braid {name}",
            f"```\nbraid {name} {usage}\n```",
            _help(command),
            table(("option", "what it is"), rows),
        )
    )


def _help(command: click.Command) -> str:
    return text(inspect.cleandoc(command.help or ""))


def _rows(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            yield f"`{record[0]}`", text(record[1])
