"""The commands `braid promote`, `braid rollback` and `braid history`."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import DECLARATION, SET, WORKSPACE, open_pipeline
from flows.console.harmless import say
from flows.console.output import give


def _bounded(_context: click.Context, _option: click.Parameter, reason: str) -> str:
    from trainer.registry.history import LONGEST_REASON

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
@DECLARATION
@click.argument("version", type=click.IntRange(1))
@REASON
@WORKSPACE
@SET
def promote(
    declaration: Path,
    version: int,
    reason: str,
    workspace: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Make a registered version the champion, whatever its gate said.

    Its export is checked, loaded and has to answer before the alias moves; one that is missing or
    damaged is refused, and the champion stays. `braid serve` follows.
    """
    from flows.commands.promotion import promote as make_champion

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    make_champion(pipeline, folders, str(version), reason)


@click.command()
@DECLARATION
@REASON
@WORKSPACE
@SET
def rollback(
    declaration: Path, reason: str, workspace: Path | None, overrides: tuple[str, ...]
) -> None:
    """Make the champion before this one the champion again, with the same care as `promote`.

    The same again goes back one further. Refused when there was none.
    """
    from flows.commands.promotion import roll_back

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    roll_back(pipeline, folders, reason)


@click.command()
@DECLARATION
@WORKSPACE
@SET
def history(declaration: Path, workspace: Path | None, overrides: tuple[str, ...]) -> None:
    """List how versions were registered and became the champion: when, by whom and why."""
    from flows.console.progress import console
    from flows.report.history import show_history
    from flows.steps.registration import reach_registry

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    name = pipeline.registered_name()
    past = reach_registry(pipeline, folders).history(name)
    give(past)
    if not past.registrations and not past.changes:
        say(f"No version of {name} is registered yet.")
    else:
        show_history(console(), past)
