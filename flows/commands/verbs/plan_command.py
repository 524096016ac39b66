"""`braid plan`: what a run would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flows.commands.options import RETRAIN, Project, on_project
from flows.console.harmless import say
from flows.console.output import give

if TYPE_CHECKING:
    from flows.records.plan import RunPlan
    from transforms.contract.declaration.pipeline import PipelineSpec
    from transforms.contract.workspace.layout import Workspace


@click.command()
@on_project
@RETRAIN
def plan(project: Project, retrain: bool) -> None:
    """Say what a run would do, step by step: rows, bytes, and what earlier runs took for as many.

    Nothing is run, and nothing is written.
    """
    from flows.console.progress import console
    from flows.records.record import read_records
    from flows.report.partition_states import states_of
    from flows.report.plan_words import plan_table, sentence, total

    pipeline, folders = project.pipeline, project.workspace
    would_do = planned(pipeline, folders, retrain=retrain)
    records = [record for _, record in read_records(folders, pipeline.name)]
    would = sentence(would_do, states_of(would_do, folders, records))
    say(would)
    give({"sentence": would, "steps": would_do.steps})
    if would_do.steps:
        console().print(plan_table(would_do))
        say(total(would_do))


def planned(pipeline: PipelineSpec, workspace: Workspace, *, retrain: bool = False) -> RunPlan:
    """Returns what a run of the source as it is now would do.

    Raises:
        BraidError: The source cannot be listed.
    """
    from flows.records.plan import plan_run
    from flows.steps.shard_steps import scan_source
    from transforms.source.row_counts import rows_before_reading

    return plan_run(
        pipeline,
        scan_source(pipeline),
        workspace,
        retrain=retrain,
        rows_of=lambda partition: rows_before_reading(pipeline.source, partition),
    )
