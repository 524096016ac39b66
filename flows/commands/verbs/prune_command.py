"""The command `braid prune`."""

from __future__ import annotations

import click

from flows.commands.options import Project, on_project


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
