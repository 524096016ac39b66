"""The commands `braid promote`, `braid rollback` and `braid history`."""

from __future__ import annotations

import click

from flows.commands.options import Project, on_project
from flows.console.harmless import say
from flows.console.output import give


def _bounded(_context: click.Context, _option: click.Parameter, reason: str) -> str:
    from trainer.registry.champions import LONGEST_REASON

    if len(reason) > LONGEST_REASON:
        raise click.BadParameter(
            f"it has {len(reason):,} characters, and the history keeps {LONGEST_REASON}."
        )
    return reason


REASON = click.option(
    "--reason",
    default="",
    metavar="TEXT",
    callback=_bounded,
    help="Why, for those who read the history.",
)


@click.command()
@on_project
@click.argument("version", type=click.IntRange(1))
@REASON
def promote(project: Project, version: int, reason: str) -> None:
    """Make a registered version the champion, whatever its gate said.

    Its export is checked, loaded and has to answer before the alias moves; one that is missing or
    damaged is refused, and the champion stays. `braid serve` follows.
    """
    from flows.commands.promotion import promote as make_champion

    pipeline, folders = project.pipeline, project.workspace
    make_champion(pipeline, folders, str(version), reason)


@click.command()
@on_project
@REASON
def rollback(project: Project, reason: str) -> None:
    """Make the champion before this one the champion again, with the same care as `promote`.

    The same again goes back one further. Refused when there was none.
    """
    from flows.commands.promotion import roll_back

    pipeline, folders = project.pipeline, project.workspace
    roll_back(pipeline, folders, reason)


@click.command()
@on_project
def history(project: Project) -> None:
    """List how versions were registered and became the champion: when, by whom and why."""
    from flows.console.progress import console
    from flows.report.history import show_history
    from flows.steps.registration import reach_registry

    pipeline, folders = project.pipeline, project.workspace
    name = pipeline.registered_name()
    past = reach_registry(pipeline, folders).history(name)
    give(past)
    if not past.registrations and not past.changes:
        say(f"No version of {name} is registered yet.")
    else:
        show_history(console(), past)


@click.command()
@on_project
def models(project: Project) -> None:
    """List which versions of the pipeline's model are registered, with metrics and aliases."""
    from flows.console.progress import console
    from flows.report.listing import models_table
    from flows.steps.registration import reach_registry

    pipeline, folders = project.pipeline, project.workspace
    table = models_table(pipeline, reach_registry(pipeline, folders))
    if table is None:
        say(f"No version of {pipeline.registered_name()} is registered yet.")
    else:
        console().print(table)
