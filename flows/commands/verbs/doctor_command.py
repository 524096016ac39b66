"""The command `braid doctor`."""

from __future__ import annotations

import click

from flows.commands.options import Project, on_project


@click.command()
@on_project
@click.pass_context
def doctor(context: click.Context, project: Project) -> None:
    """Send one unit of the table through the declared runner, and name the link that is broken.

    The job server, the start of a worker, its Python and packages, the workspace and the source as
    the worker sees them, within a minute. Exit code 0 if all hold, 1 if one does not.
    """
    from flows.commands.doctor import doctor as examine

    context.exit(examine(project))
