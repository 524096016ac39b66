"""The command `braid monitor`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.commands.exit_codes import DRIFTED
from flows.commands.options import Project, log_folder, on_project
from flows.console.harmless import say
from flows.console.output import give
from flows.console.wording import counted

if TYPE_CHECKING:
    from flows.steps.live_metrics import LiveMetrics
    from transforms.contract.steps.monitoring import Compared, MonitorResult


@click.command()
@on_project
@log_folder("The folder that was given to `braid serve --log`.", required=True)
@click.option(
    "--day",
    metavar="YYYY-MM-DD",
    help="Which day, in UTC; by default the newest, and with --labels their rows of all days.",
)
@click.option(
    "--labels",
    metavar="TABLE",
    help="What came true: a file, a folder or a glob with the key and the columns of targets.",
)
def monitor(project: Project, log: Path, day: str | None, labels: str | None) -> None:
    """Compare a day of served rows with what the champion was made of; exit code 4 if they differ.

    Features are held against the training rows, answers against those for the test rows. Where
    nothing has changed, one day in a hundred is called different by chance, at most. With labels,
    the champion's metrics on the rows that they are of are held against those on the test rows.
    """
    from flows.commands.launch import tell_drift
    from flows.console.progress import Reporter, console
    from flows.steps import live_metrics
    from flows.steps.monitoring import days_of
    from flows.steps.monitoring import monitor as compare
    from transforms.contract.steps.monitoring import DAY_FOLDER

    pipeline, folders = project.pipeline, project.workspace
    days = days_of(log, day)
    folder = days[-1]
    reporter = Reporter(console())
    champion, result = compare(pipeline, folders, project.declaration, folder, reporter)
    say(
        f"{champion.name} version {champion.version}, {folder.name}: "
        f"{counted(result.rows, 'row')} beside the training rows, "
        f"{counted(result.answers, 'answer')} beside those for the test rows"
    )
    _tell_day(result)
    given: dict[str, Any] = {
        "model": champion.name,
        "version": champion.version,
        "day": folder.name.removeprefix(DAY_FOLDER),
        "compared": result,
    }
    differs = _differences(result)
    if labels is not None:
        place = labels if "://" in labels else str(Path(labels).absolute())
        live = live_metrics.live_metrics(
            pipeline, folders, project.declaration, days, place, reporter
        )
        given["live"] = live
        differs = " and in ".join(filter(None, (differs, _tell_live(live))))
    give(given)
    if differs:
        tell_drift(pipeline.name, folder.name, f"version {champion.version}", differs)
    click.get_current_context().exit(DRIFTED if differs else 0)


def _tell_day(result: MonitorResult) -> None:
    """Shows how a day of served rows differs."""
    from flows.console.progress import console
    from flows.report.tables import terminal_table

    head = ("of", "name", "distance", "chance", "differs")
    rows = [*_rows("feature", result.features), *_rows("answer", result.predictions)]
    console().print(terminal_table(head, rows, figures=("distance", "chance")))
    if result.refused:
        say(f"{counted(result.refused, 'more row')} would be rejected by training.")
    differs = _differences(result)
    nothing = "Nothing differs by more than chance explains."
    say(f"This day differs in {differs}." if differs else nothing)


def _tell_live(live: LiveMetrics) -> str:
    """Shows the metrics of rows whose labels came later; returns in words which are worse."""
    from flows.console.progress import console
    from flows.report.tables import figure_text, terminal_table

    head = ("metric", "served rows", "test rows", "difference, all but for chance", "worse")
    rows = [
        (
            name,
            figure_text(metric.live),
            figure_text(metric.test),
            "-" if metric.interval is None else "{:+.4f} to {:+.4f}".format(*metric.interval),
            "yes" if metric.is_worse else "",
        )
        for name, metric in live.metrics.items()
    ]
    if rows:
        console().print(terminal_table(head, rows, figures=head[1:4]))
    for sentence in live.notes:
        say(sentence)
    worse = [name for name, metric in live.metrics.items() if metric.is_worse]
    return f"the live metrics {', '.join(worse)}" if worse else ""


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
