"""The command `braid monitor`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.exit_codes import DRIFTED
from flows.commands.options import Project, log_folder, on_project
from flows.console.harmless import say
from flows.console.output import give
from flows.console.wording import counted

if TYPE_CHECKING:
    from transforms.contract.steps.monitoring import Compared, MonitorResult


@click.command()
@on_project
@log_folder("The folder that was given to `braid serve --log`.", required=True)
@click.option("--day", metavar="YYYY-MM-DD", help="Which day, in UTC; by default the newest.")
def monitor(project: Project, log: Path, day: str | None) -> None:
    """Compare a day of served rows with what the champion was made of; exit code 4 if they differ.

    Features are held against the training rows, answers against those for the test rows. Where
    nothing has changed, one day in a hundred is called different by chance, at most.
    """
    from flows.commands.launch import tell_drift
    from flows.console.progress import Reporter, console
    from flows.report.tables import terminal_table
    from flows.steps.monitoring import day_of
    from flows.steps.monitoring import monitor as compare
    from transforms.contract.steps.monitoring import DAY_FOLDER

    pipeline, folders = project.pipeline, project.workspace
    folder = day_of(log, day)
    reporter = Reporter(console())
    champion, result = compare(pipeline, folders, project.declaration, folder, reporter)
    say(
        f"{champion.name} version {champion.version}, {folder.name}: "
        f"{counted(result.rows, 'row')} beside the training rows, "
        f"{counted(result.answers, 'answer')} beside those for the test rows"
    )
    head = ("of", "name", "distance", "chance", "differs")
    rows = [*_rows("feature", result.features), *_rows("answer", result.predictions)]
    console().print(terminal_table(head, rows, figures=("distance", "chance")))
    if result.refused:
        say(f"{counted(result.refused, 'more row')} would be rejected by training.")
    day = folder.name.removeprefix(DAY_FOLDER)
    give({"model": champion.name, "version": champion.version, "day": day, "compared": result})
    context = click.get_current_context()
    differs = _differences(result)
    if not differs:
        say("Nothing differs by more than chance explains.")
        context.exit(0)
    say(f"This day differs in {differs}.")
    tell_drift(pipeline.name, folder.name, f"version {champion.version}", differs)
    context.exit(DRIFTED)


def _rows(what: str, compared: Mapping[str, Compared]) -> list[tuple[str, ...]]:
    ranked = sorted(compared.items(), key=lambda item: item[1].p_value)
    return [
        (what, name, f"{c.distance:.3f}", f"{c.p_value:.2g}", "yes" if c.is_alarm else "")
        for name, c in ranked
    ]


def _differences(result: MonitorResult) -> str:
    """Returns what differs in words; "" is nothing."""
    features = [name for name, compared in result.features.items() if compared.is_alarm]
    answers = [name for name, compared in result.predictions.items() if compared.is_alarm]
    parts = [f"the features {', '.join(features)}"] if features else []
    parts += [f"the answers {', '.join(answers)}"] if answers else []
    return " and in ".join(parts)
