"""`braid plan`: what a run would do."""

from __future__ import annotations

from pathlib import Path

import click

from flows.commands.options import DECLARATION, SET, WORKSPACE, open_pipeline
from flows.console.harmless import say


@click.command()
@DECLARATION
@WORKSPACE
@SET
@click.option("--retrain", is_flag=True, help="As if a new model were to be trained in any case.")
def plan(
    declaration: Path, workspace: Path | None, overrides: tuple[str, ...], retrain: bool
) -> None:
    """Say what a run would do, step by step: rows, bytes, and what earlier runs took for as many.

    Nothing is run, and nothing is written.
    """
    from flows.console.progress import console
    from flows.records.plan import plan_run
    from flows.records.record import read_records
    from flows.report.partition_states import states_of
    from flows.report.plan_words import plan_table, sentence, total
    from flows.steps.shard_steps import scan_source
    from transforms.source.row_counts import rows_before_reading

    pipeline, folders = open_pipeline(declaration, workspace, overrides)
    planned = plan_run(
        pipeline,
        scan_source(pipeline),
        folders,
        retrain=retrain,
        rows_of=lambda partition: rows_before_reading(pipeline.source, partition),
    )
    records = [record for _, record in read_records(folders, pipeline.name)]
    say(sentence(planned, states_of(planned, folders, records)))
    if planned.steps:
        console().print(plan_table(planned))
        say(total(planned))
