"""`braid compare`: two runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import WORKSPACE, open_workspace


@click.command()
@click.argument("left", metavar="RUN")
@click.argument("right", metavar="RUN")
@WORKSPACE
def compare(left: str, right: str, workspace: Path | None) -> None:
    """Show two runs side by side: how they ended, their metrics, and what they declare otherwise.

    A run is named by its id, which `braid runs` lists, or by its folder.
    """
    from flows.console.progress import console
    from flows.report.comparison import find_run, show_comparison

    folders = open_workspace(Path("pipeline.yaml"), workspace)
    show_comparison(console(), find_run(folders, left), find_run(folders, right))
