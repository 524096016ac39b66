"""The commands on a whole workspace: what is there, whether it is whole, and what goes."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import (
    DECLARATION_OR_ALL,
    WORKSPACE,
    Project,
    on_project,
    open_either,
)
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


@click.command()
@on_project
@click.option(
    "--keep",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="How many of the newest runs, and of the newest versions, stay in any case.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would go, and its size.")
def prune(project: Project, keep: int, dry_run: bool) -> None:
    """Remove old runs with their exports, and old versions of the registered model.

    What has an alias, what `braid rollback` goes back to, what a run works with or may be resumed,
    and other pipelines' versions stay, however old. Shards are not its business: a run removes
    those that nothing needs.
    """
    from flows.commands.prune import prune as remove_old

    pipeline, folders = project.pipeline, project.workspace
    remove_old(pipeline, folders, keep=keep, dry_run=dry_run)
