"""The command line. Heavy imports stay inside the commands, so that help and checks are quick."""

from __future__ import annotations

import atexit
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flows.commands.options import (
    ALIAS,
    DECLARATION,
    FORMAT,
    FROM,
    INPUT,
    SET,
    TARGETS,
    VERSION,
    WORKSPACE,
    Commands,
    open_either,
    open_pipeline,
)
from flows.commands.verbs.model_commands import MODEL_COMMANDS
from flows.commands.verbs.plan_command import plan
from flows.commands.verbs.run_commands import compare, runs
from flows.console.harmless import say
from flows.console.output import OUTPUT, give
from flows.console.wording import counted

if TYPE_CHECKING:
    from flows.records.backfill_record import Training
    from transforms.contract.declaration.source import Format


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="braid-pipelines", prog_name="braid")
def cli() -> None:
    """One table of mixed columns in, one registered multi-input, multi-output model out.

    Exit codes: 0 done, 1 it failed or something is damaged, 2 the declaration or the command was
    wrong, 3 the gate refused the model, 4 a monitored day differs, 130 Ctrl-C, 143 SIGTERM.
    """


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--template", help="What to start from; `listings` by default.")
@FROM
@TARGETS
@FORMAT
def init(
    folder: Path,
    template: str | None,
    table: str | None,
    targets: tuple[str, ...],
    format_: Format | None,
) -> None:
    """Write a commented pipeline.yaml for your own table, or for a template's."""
    from flows.commands.verbs import init_command

    init_command.init(folder, table=table, targets=targets, format_=format_, template=template)


@cli.command()
def templates() -> None:
    """List what `braid init` can start from."""
    from flows.templates import names

    titles = names()
    width = max(map(len, titles))
    for name, title in titles.items():
        say(f"{name:<{width}}  {title}")
    give(titles)


@cli.command()
@DECLARATION
@SET
@click.pass_context
def validate(context: click.Context, declaration: Path, overrides: tuple[str, ...]) -> None:
    """Check a declaration against the table's schema and a sample of its values, in seconds.

    Exit code 1 if so many of the rows looked at would be rejected that a run fails.
    """
    from flows.commands.verbs import validate_command

    context.exit(validate_command.validate(declaration, overrides))


@cli.command()
def schema() -> None:
    """Print the JSON Schema of the declaration: every key, explained, for editors.

    A file that begins with `# yaml-language-server: $schema=braid.schema.json` is checked and
    completed by what this command writes into braid.schema.json beside it.
    """
    from transforms.contract.declaration.json_schema import declaration_schema, schema_text

    if OUTPUT.json:
        give(declaration_schema())
    else:
        click.echo(schema_text(), nl=False)


@cli.command()
@DECLARATION
@WORKSPACE
@SET
@click.option("--all", "every", is_flag=True, help="A line for every partition, however many.")
@click.option(
    "--measure", is_flag=True, help="Measure the drift of new partitions, if a refit depends on it."
)
def status(
    declaration: Path,
    workspace: Path | None,
    overrides: tuple[str, ...],
    every: bool,
    measure: bool,
) -> None:
    """List the source's partitions with their state, and say what a run would do and why."""
    from flows.console.progress import Reporter, console
    from flows.report.status import status_of, status_table
    from flows.steps.drift import measure_ahead

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    if measure:
        measure_ahead(pipeline, folders, declaration, Reporter(console()))
    present = status_of(pipeline, folders)
    console().print(status_table(present, every=every))
    for line in present.lines:
        say(line)
    give(present)


@cli.command()
@DECLARATION
@WORKSPACE
@SET
@click.option("--retrain", is_flag=True, help="Train a new model even if nothing is new.")
@click.pass_context
def run(
    context: click.Context,
    declaration: Path,
    workspace: Path | None,
    overrides: tuple[str, ...],
    retrain: bool,
) -> None:
    """Bring the model up to date with the table: only what is not done yet is done."""
    from flows.commands.exit_codes import EXIT_CODES
    from flows.commands.launch import launch
    from flows.console.progress import console
    from flows.records.record import PAGE_FILE, PICTURE_FILE, RECORD_FILE
    from flows.report.summary import show

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    screen = console()
    folder, record = launch(screen, declaration, pipeline, folders, overrides, retrain=retrain)
    show(screen, record)
    for name in () if OUTPUT.quiet else (RECORD_FILE, PICTURE_FILE, PAGE_FILE):
        if (folder / name).exists():
            say(f"{folder / name}")
    give({"folder": folder, "run": record})
    context.exit(EXIT_CODES[record.status])


@cli.command()
@DECLARATION
@WORKSPACE
@SET
@click.option("--trials", type=click.IntRange(1), default=30, show_default=True, help="In all.")
@click.option("--minutes", type=click.FloatRange(0.01), default=20.0, show_default=True)
@click.option("--no-run", is_flag=True, help="Only tell which keys are the best.")
@click.option("--write", type=click.Path(path_type=Path), help="A declaration to write them to.")
@click.pass_context
def tune(
    context: click.Context,
    declaration: Path,
    workspace: Path | None,
    overrides: tuple[str, ...],
    trials: int,
    minutes: float,
    no_run: bool,
    write: Path | None,
) -> None:
    """Try other keys of training and model on the validation rows, and run with the best.

    Keys that are declared stay, and the first trial is the declaration as it is. The same command
    goes on with the trials that have ended; the minutes are those of one command.
    """
    from flows.commands.tune import tune_and_run

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    order = (declaration, pipeline, folders, overrides)
    context.exit(tune_and_run(*order, trials=trials, minutes=minutes, run=not no_run, write=write))


@cli.command()
@DECLARATION
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
@WORKSPACE
@SET
@click.pass_context
def backfill(
    context: click.Context,
    declaration: Path,
    first: str | None,
    last: str | None,
    workers: int | None,
    train: Training,
    workspace: Path | None,
    overrides: tuple[str, ...],
) -> None:
    """Transform a range of partitions, each on its own, then train on all that is committed.

    What is committed is skipped, and a partition that fails does not stop the others: it is
    reported, nothing is trained, and the exit code is 1. The same command again does only what is
    missing. All partitions get the transform that is frozen already, or else one that is frozen on
    the whole range.
    """
    from flows.commands.exit_codes import EXIT_CODES
    from flows.commands.launch import launch_backfill
    from flows.console.progress import console
    from flows.records.backfill_record import RECORD_FILE
    from flows.records.record import read_record
    from flows.report.backfill_report import show_backfill
    from flows.report.summary import show

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    screen = console()
    folder, record = launch_backfill(
        screen,
        declaration,
        pipeline,
        folders,
        overrides,
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
    failed = 1 if record.failed() else 0
    context.exit(failed or (EXIT_CODES[record.trained] if record.trained else 0))


@cli.command()
@DECLARATION
@WORKSPACE
@SET
def deploy(declaration: Path, workspace: Path | None, overrides: tuple[str, ...]) -> None:
    """Put the pipeline on the Prefect server of PREFECT_API_URL, with its schedule.

    Deploys the pipeline and its backfill to the work pool `cpu`, and with `training.dispatch:
    deployment` its training to `gpu`. The same again changes nothing; a schedule, a training or a
    webhook that is no longer declared is removed. Declaration and workspace have to have the same
    paths on every machine with a worker.
    """
    from flows.commands.launch import launch_deployment

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    for line in launch_deployment(declaration, pipeline, folders, overrides):
        say(line)


@cli.command()
@DECLARATION
@INPUT
@click.option(
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the predictions go: .parquet or .csv.",
)
@WORKSPACE
@SET
@ALIAS
@VERSION
@click.option(
    "--keep-invalid", is_flag=True, help="Score rows too that training would reject; they say so."
)
def predict(
    declaration: Path,
    source: Path,
    output: Path,
    workspace: Path | None,
    overrides: tuple[str, ...],
    alias: str,
    version: str | None,
    keep_invalid: bool,
) -> None:
    """Score raw rows with the registered champion; what training would reject gets an error."""
    from flows.console.progress import Reporter, console
    from flows.prediction.predict import predict as score

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    scored, model = score(
        pipeline,
        folders,
        source=source,
        output=output,
        alias=alias,
        version=version,
        reporter=Reporter(console()),
        keep_invalid=keep_invalid,
    )
    say(f"{counted(scored.rows, 'row')} in {output}, by {model}")
    give({"output": output, "model": model, "predictions": scored})
    for line in scored.failures():
        say(line, err=True)


@cli.command()
@DECLARATION
@WORKSPACE
@SET
def models(declaration: Path, workspace: Path | None, overrides: tuple[str, ...]) -> None:
    """List which versions of the pipeline's model are registered, with metrics and aliases."""
    from flows.console.progress import console
    from flows.report.listing import models_table
    from flows.steps.registration import open_registry, reach_registry

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    reach_registry(pipeline, folders)
    table = models_table(pipeline, open_registry(pipeline, folders))
    if table is None:
        say(f"No version of {pipeline.registered_name()} is registered yet.")
    else:
        console().print(table)


@cli.command()
@click.argument("declaration", type=click.Path(path_type=Path), required=False)
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


for command in (runs, compare, plan, *MODEL_COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    from flows.console.failures import end_in_order_on_signals, readable_failures

    end_in_order_on_signals()
    # Python ends by looking through all that was imported for garbage: two seconds of a run.
    atexit.register(gc.freeze)
    with readable_failures("braid"):
        sys.exit(cli(standalone_mode=False))
