"""A plan of a run in words: one sentence, and a table of its steps with what they may take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from flows.console.wording import counted
from flows.records.estimates import PlannedStep
from flows.records.plan import RunPlan
from flows.report.partition_states import PartitionStatus, State
from flows.report.tables import terminal_table
from flows.steps.drift import drift_in_words, why_kept
from transforms.contract.declaration.training import PartitionChoice
from transforms.contract.workspace.transform_choice import TransformChoice, Undecided

_HEAD = ("step", "partitions", "rows", "reads", "seconds", "memory", "writes")
_UNITS = ("B", "kB", "MB", "GB", "TB")


def sentence(plan: RunPlan, states: Sequence[PartitionStatus]) -> str:
    """Returns what a run would do and why, in one sentence.

    Args:
        plan: What it would do.
        states: The state of each partition, and of what is gone.
    """
    if plan.finished is not None:
        return f"A run does nothing: nothing is new since run {plan.finished[1].run_id}."
    if isinstance(plan.choice, Undecided):
        new = counted(len(plan.choice.new), "new partition")
        return (
            f"A run first measures the drift of {new} (so does `braid status --measure`); "
            f"without a refit it reuses transform {plan.transform[:4]} and "
            f"{_shards(plan, states)}; {_training(plan)}."
        )
    parts = [_analysis(plan, plan.choice, states), _shards(plan, states), _training(plan)]
    if plan.resumed is not None:
        run, why = plan.resumed.record.run_id, plan.resumed.resumed
        parts.insert(0, f"goes on with run {run}, as {why}")
    return f"A run {'; '.join(parts)}."


def plan_table(plan: RunPlan) -> Table:
    """Returns the steps of a run with their sizes, and with what the last ones took."""
    rows = [(step.name, *_cells(step)) for step in plan.steps]
    return terminal_table(_HEAD, rows, figures=_HEAD[1:])


def total(plan: RunPlan) -> str:
    """Returns what the whole run may take, as far as earlier runs tell."""
    seconds = [step.seconds for step in plan.steps]
    known = [each for each in seconds if each is not None]
    if not known:
        return "No earlier run tells how long that takes."
    text = f"About {_duration(sum(known))} in all, as the last runs took"
    if len(known) < len(seconds):
        text += ", without the steps that none of them tells of"
    peak = max((step.peak_bytes or 0 for step in plan.steps), default=0)
    written = sum(step.written_bytes or 0 for step in plan.steps)
    if peak:
        text += f"; {_size(peak)} of memory for the largest process"
    if written:
        text += f"; {_size(written)} on the disk"
    return f"{text}."


def _cells(step: PlannedStep) -> tuple[str, ...]:
    return (
        "-" if step.partitions is None else f"{step.partitions:,}",
        "-" if step.rows is None else f"{step.rows:,}",
        "-" if step.read_bytes is None else _size(step.read_bytes),
        "-" if step.seconds is None else f"{step.seconds:,.1f}",
        "-" if step.peak_bytes is None else _size(step.peak_bytes),
        "-" if step.written_bytes is None else _size(step.written_bytes),
    )


def _size(count: float) -> str:
    """Returns "1.2 GB" and the like."""
    power = 0
    while count >= 1000 and power < len(_UNITS) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.0f} {_UNITS[power]}" if power == 0 else f"{count:.1f} {_UNITS[power]}"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _analysis(plan: RunPlan, choice: TransformChoice, states: Sequence[PartitionStatus]) -> str:
    pipeline, short = plan.pipeline, choice.name[:4]
    if plan.frozen is not None:
        why = why_kept(pipeline, choice.drift, plan.frozen, plan.partitions)
        return f"reuses transform {short}: {why}"
    if plan.committed is None:
        return f"computes the first transform of these features and targets, {short}"
    if choice.drift is not None:
        return f"computes transform {short}: {drift_in_words(choice.drift)}"
    why = _counted(states, ("new", "changed", "gone from the source"))
    why = why or "the rows are others"
    return f"computes transform {short}: refit is {pipeline.transform.refit}, and {why}"


def _shards(plan: RunPlan, states: Sequence[PartitionStatus]) -> str:
    count = len(plan.partitions)
    if not plan.pending:
        return f"transforms nothing, as shards of all {count:,} are committed"
    if len(plan.pending) == count:
        return f"transforms all of {counted(count, 'partition')}"
    pending = {part.name for part in plan.pending}
    waiting = [state for state in states if state.name in pending]
    return f"transforms {_counted(waiting, ('new', 'changed'))} of {counted(count, 'partition')}"


def _counted(states: Sequence[PartitionStatus], wanted: Sequence[State]) -> str:
    counts = Counter(state.state for state in states)
    return ", ".join(f"{counts[state]:,} {state}" for state in wanted if counts[state])


def _training(plan: RunPlan) -> str:
    if plan.resumed is not None and plan.resumed.record.step("train") is not None:
        return "keeps the trained model"
    chosen, choice = plan.trained, plan.pipeline.training.partitions
    if not isinstance(choice, PartitionChoice):
        return f"trains on all of {counted(len(chosen), 'partition')}"
    return f"trains on {choice.in_words()}: {chosen[0].name} to {chosen[-1].name} ({len(chosen):,})"
