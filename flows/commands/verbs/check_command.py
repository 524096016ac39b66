"""The command `braid check`."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import DECLARATION_OR_ALL, WORKSPACE, open_either


@click.command()
@DECLARATION_OR_ALL
@WORKSPACE
@click.option("--repair", is_flag=True, help="Remove what is damaged and a run makes again.")
@click.pass_context
def check(
    context: click.Context, declaration: Path | None, workspace: Path | None, repair: bool
) -> None:
    """Verify a whole workspace: shards, transforms, records, models and registered versions.

    Each file that is not as it was written is named, with what to do. --repair removes what a run
    makes again, and never a record or a model. Exit code 0 if all is whole, or is so after the
    repair, 1 if not.
    """
    from flows.commands.check import check as verify

    folders, pipeline = open_either(declaration, workspace)
    context.exit(verify(folders, pipeline, repair=repair))
