"""The command `braid status`."""

from __future__ import annotations

import click

from flows.commands.options import Project, on_project
from flows.console.harmless import say
from flows.console.output import give


@click.command()
@on_project
@click.option("--all", "every", is_flag=True, help="A line for every partition, however many.")
@click.option(
    "--measure", is_flag=True, help="Measure the drift of new partitions, if a refit depends on it."
)
def status(project: Project, every: bool, measure: bool) -> None:
    """List the source's partitions with their state, and say what a run would do and why."""
    from flows.console.progress import Reporter, console
    from flows.report.status import status_of, status_table
    from flows.steps.drift import measure_ahead

    pipeline, folders = project.pipeline, project.workspace
    if measure:
        measure_ahead(pipeline, folders, project.declaration, Reporter(console()))
    present = status_of(pipeline, folders)
    console().print(status_table(present, every=every))
    for line in present.lines:
        say(line)
    give(present)
