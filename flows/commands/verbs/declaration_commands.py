"""The commands before a run: `braid init`, `templates`, `validate` and `schema`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.options import DECLARATION, FORMAT, FROM, SET, TARGETS
from flows.console.harmless import say
from flows.console.output import OUTPUT, give

if TYPE_CHECKING:
    from transforms.contract.declaration.source import Format


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--template", help="What to start from; `listings` by default.")
@FROM
@TARGETS
@FORMAT
def init(
    folder: Path,
    template: str | None,
    table: str | None,
    targets: tuple[str, ...],
    format_: Format | None,
) -> None:
    """Write a commented pipeline.yaml for your own table, or for a template's."""
    from flows.commands.init import init as write

    write(folder, table=table, targets=targets, format_=format_, template=template)


@click.command()
def templates() -> None:
    """List what `braid init` can start from."""
    from flows.templates import names

    titles = names()
    width = max(map(len, titles))
    for name, title in titles.items():
        say(f"{name:<{width}}  {title}")
    give(titles)


@click.command()
@DECLARATION
@SET
@click.pass_context
def validate(context: click.Context, declaration: Path, overrides: tuple[str, ...]) -> None:
    """Check a declaration against the table's schema and a sample of its values, in seconds.

    Exit code 1 if so many of the rows looked at would be rejected that a run fails.
    """
    from flows.commands.validate import validate as look

    context.exit(look(declaration, overrides))


@click.command()
def schema() -> None:
    """Print the JSON Schema of the declaration: every key, explained, for editors.

    A file that begins with `# yaml-language-server: $schema=braid.schema.json` is checked and
    completed by what this command writes into braid.schema.json beside it.
    """
    from transforms.contract.declaration.json_schema import declaration_schema, schema_text

    if OUTPUT.json:
        give(declaration_schema())
    else:
        click.echo(schema_text(), nl=False)
