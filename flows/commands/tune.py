"""The work and the output of `braid tune`."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.ended_run import tell_end
from flows.commands.tuning import Order, as_yaml, check_target, run_best, tune, write_declaration
from flows.console.harmless import say
from flows.console.output import OUTPUT, give
from flows.console.progress import Reporter, console
from flows.report.summary import show_table, trial_table
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.tuning import Tuning, nested
from transforms.contract.workspace.layout import Workspace


def tune_and_run(
    declaration: Path,
    pipeline: PipelineSpec,
    workspace: Workspace,
    overrides: tuple[str, ...],
    *,
    trials: int,
    minutes: float,
    run: bool,
    write: Path | None,
) -> int:
    """Runs trials, tells the best, and runs the pipeline with its keys.

    Args:
        declaration: The path of the pipeline.yaml.
        pipeline: What it declares.
        workspace: Where everything lies.
        overrides: "training.epochs=3" and the like.
        trials: As many as there are to be, those of earlier commands among them.
        minutes: For the trials of this command.
        run: Whether to run the pipeline.
        write: Where a declaration with the best keys goes.

    Returns:
        The exit code.
    """
    if write is not None:
        check_target(write, declaration)
    reporter = Reporter(console())
    order = Order(declaration, overrides, pipeline, workspace, reporter)
    tuning = tune(order, trials=trials, seconds=60 * minutes)
    _show_keys(reporter, tuning, with_table=not run)
    if write is not None:
        write_declaration(write, order, tuning.settings)
        say(f"{write} has the best keys, and not the comments of {declaration.name}.")
    give({"tuning": tuning})
    if not run:
        return 0
    folder, record = run_best(order, tuning)
    give({"tuning": tuning, "folder": folder, "run": record})
    return tell_end(reporter.console, folder, record)


def _show_keys(reporter: Reporter, tuning: Tuning, *, with_table: bool) -> None:
    if with_table and not OUTPUT.quiet:  # the summary of a run has it
        show_table(reporter.console, *trial_table(tuning))
        reporter.console.print()
    if not tuning.settings:
        reporter.note("No trial was better than the declaration as it is.")
        return
    reporter.note(f"Trial {tuning.best} was the best. Its keys, for the declaration:")
    # To be pasted, so that nothing wraps it.
    click.echo("\n" + as_yaml(nested(tuning.settings)), err=OUTPUT.json)
