"""The commands on runs that have ended: `braid runs` and `braid compare`."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import DECLARATION_OR_ALL, WORKSPACE, open_either, open_workspace
from flows.console.output import give


@click.command()
@DECLARATION_OR_ALL
@WORKSPACE
def runs(declaration: Path | None, workspace: Path | None) -> None:
    """List what ran and how it ended: one pipeline's runs, or all of a workspace."""
    from flows.console.progress import console
    from flows.report.listing import show_runs

    folders, pipeline = open_either(declaration, workspace)
    show_runs(console(), folders, None if pipeline is None else pipeline.name)


@click.command()
@click.argument("left", metavar="RUN")
@click.argument("right", metavar="RUN")
@WORKSPACE
def compare(left: str, right: str, workspace: Path | None) -> None:
    """Show two runs side by side: how they ended, their metrics, and what they declare otherwise.

    A run is named by its id, which `braid runs` lists, or by its folder.
    """
    from flows.console.progress import console
    from flows.report.comparison import as_result, find_run, show_comparison

    folders = open_workspace(None, workspace)
    pair = find_run(folders, left), find_run(folders, right)
    show_comparison(console(), *pair)
    give(as_result(*pair))
