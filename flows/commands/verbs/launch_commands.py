"""The commands that lead to flows: `braid run`, `tune`, `backfill` and `deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.exit_codes import EXIT_CODES, PARTITIONS_FAILED
from flows.commands.options import RETRAIN, Project, on_project
from flows.console.harmless import say
from flows.console.output import give

if TYPE_CHECKING:
    from flows.records.backfill_record import Training


@click.command()
@on_project
@RETRAIN
def run(project: Project, retrain: bool) -> None:
    """Bring the model up to date with the table: only what is not done yet is done."""
    from flows.commands.ended_run import tell_end
    from flows.commands.launch import launch
    from flows.console.progress import console

    screen = console()
    folder, record = launch(
        screen,
        project.declaration,
        project.pipeline,
        project.workspace,
        project.overrides,
        retrain=retrain,
    )
    code = tell_end(screen, folder, record)
    give({"folder": folder, "run": record})
    click.get_current_context().exit(code)


@click.command()
@on_project
@click.option("--trials", type=click.IntRange(1), default=30, show_default=True, help="In all.")
@click.option("--minutes", type=click.FloatRange(0.01), default=20.0, show_default=True)
@click.option("--no-run", is_flag=True, help="Only tell which keys are the best.")
@click.option("--write", type=click.Path(path_type=Path), help="A declaration to write them to.")
def tune(project: Project, trials: int, minutes: float, no_run: bool, write: Path | None) -> None:
    """Try other keys of training and model on the validation rows, and run with the best.

    Keys that are declared stay, and the first trial is the declaration as it is. The same command
    goes on with the trials that have ended; the minutes are those of one command.
    """
    from flows.commands.tune import tune_and_run

    order = (project.declaration, project.pipeline, project.workspace, project.overrides)
    code = tune_and_run(*order, trials=trials, minutes=minutes, run=not no_run, write=write)
    click.get_current_context().exit(code)


@click.command()
@on_project
@click.option("--from", "first", metavar="VALUE", help="The first partition, by its value.")
@click.option("--to", "last", metavar="VALUE", help="The last partition; it is done too.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="How many partitions at the same time; by default half as many as there are cores.",
)
@click.option(
    "--train",
    type=click.Choice(["once", "each", "none"]),
    default="once",
    show_default=True,
    help="When to train: once at the end, after each partition in order, or not at all.",
)
def backfill(
    project: Project, first: str | None, last: str | None, workers: int | None, train: Training
) -> None:
    """Transform a range of partitions, each on its own, then train on all that is committed.

    What is committed is skipped, and a partition that fails does not stop the others: it is
    reported, nothing is trained, and the exit code is 1. The same command again does only what is
    missing. All partitions get the transform that is frozen already, or else one that is frozen on
    the whole range.
    """
    from flows.commands.launch import launch_backfill
    from flows.console.progress import console
    from flows.records.backfill_record import RECORD_FILE
    from flows.records.record import read_record
    from flows.report.backfill_report import show_backfill
    from flows.report.summary import show

    pipeline, folders = project.pipeline, project.workspace
    screen = console()
    folder, record = launch_backfill(
        screen,
        project.declaration,
        pipeline,
        folders,
        project.overrides,
        first=first,
        last=last,
        workers=workers,
        train=train,
    )
    run = read_record(folders.run(pipeline.name, record.runs[-1])) if record.runs else None
    if run is not None:
        show(screen, run)
    show_backfill(screen, record)
    say(f"{folder / RECORD_FILE}")
    give({"folder": folder, "backfill": record, "run": run})
    failed = PARTITIONS_FAILED if record.failed() else 0
    trained = EXIT_CODES[record.outcome] if record.outcome else 0
    click.get_current_context().exit(failed or trained)


@click.command()
@on_project
def deploy(project: Project) -> None:
    """Put the pipeline on the Prefect server of PREFECT_API_URL, with its schedule.

    Deploys the pipeline and its backfill to the work pool `cpu`, and with `training.dispatch:
    deployment` its training to `gpu`. The same again changes nothing; a schedule, a training or a
    webhook that is no longer declared is removed. Declaration and workspace have to have the same
    paths on every machine with a worker.
    """
    from flows.commands.launch import launch_deployment

    lines = launch_deployment(
        project.declaration, project.pipeline, project.workspace, project.overrides
    )
    for line in lines:
        say(line)
    give({"on_the_server": lines})
