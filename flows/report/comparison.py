"""Two runs side by side: how they ended, what they measured, and what they declare otherwise."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from flows.console import harmless
from flows.records.record import (
    DECLARED_FILE,
    RECORD_FILE,
    RunRecord,
    pipelines,
    read_record,
)
from flows.report.summary import show_table
from transforms.contract.declaration.judgement.metrics import is_better
from transforms.contract.declaration.split import SPLITS
from transforms.contract.errors import BraidError
from transforms.contract.steps.evaluation import EvaluationResult, read_evaluation
from transforms.contract.workspace.documents import BRING_BACK, read_object
from transforms.contract.workspace.layout import Workspace

_ABSENT = "-"

Rows = list[tuple[str, ...]]


@dataclass(frozen=True)
class ComparedRun:
    """A run with what is compared of it.

    Attributes:
        record: Its record.
        evaluation: Its evaluation, if it came so far.
        declared: The values of the declaration by path, in JSON; None of runs of older versions,
            which have not kept it.
    """

    record: RunRecord
    evaluation: EvaluationResult | None
    declared: Mapping[str, str] | None


def find_run(workspace: Workspace, name: str) -> ComparedRun:
    """Returns a run by its id or its folder.

    Raises:
        BraidError: There is no such run.
    """
    own = [workspace.run(pipeline, name) for pipeline in pipelines(workspace)]
    for folder in (Path(name), *own):
        record = read_record(folder) if (folder / RECORD_FILE).is_file() else None
        if record is not None:
            return ComparedRun(record, read_evaluation(folder), _declared(folder))
    raise BraidError(
        f"run {name}",
        expected=f"the id of a run in {workspace.root}, or a run's folder",
        received="no such run",
        action="`braid runs` lists them; --workspace says where they are.",
    )


def show_comparison(console: Console, left: ComparedRun, right: ComparedRun) -> None:
    """Prints two runs side by side."""
    names = (left.record.run_id, right.record.run_id)
    show_table(console, "Runs", ("", *names), outcomes(left.record, right.record))
    show_table(console, "Metrics", ("metric", *names, "better"), metrics(left, right))
    if left.declared is None or right.declared is None:
        lacking = [run.record.run_id for run in (left, right) if run.declared is None]
        text = f"No declaration is kept of {' and '.join(lacking)}, as an older Braid made them."
        console.print("\n" + harmless.console(text), highlight=False)
        return
    rows = differences(left.declared, right.declared) or [("nothing", _ABSENT, _ABSENT)]
    show_table(console, "What they declare otherwise", ("key", *names), rows)


def as_result(left: ComparedRun, right: ComparedRun) -> dict[str, Any]:
    """Returns two runs side by side for programs."""
    return {
        "left": left.record,
        "right": right.record,
        "metrics": {
            name: {
                "left": left.record.metrics.get(name),
                "right": right.record.metrics.get(name),
                "better": None if better == _ABSENT else better,
            }
            for name, *_, better in metrics(left, right)
        },
        "declared_otherwise": _declared_otherwise(left.declared, right.declared),
    }


def outcomes(left: RunRecord, right: RunRecord) -> Rows:
    """Returns how both ended, and on how many rows."""
    lines = [list(_outcome(record)) for record in (left, right)]
    return [(name, own, other) for (name, own), (_, other) in zip(*lines, strict=True)]


def metrics(left: ComparedRun, right: ComparedRun) -> Rows:
    """Returns every metric of both, those of test rows with their intervals.

    Which one is better is told where both were measured; "alike" if an interval of either has the
    other's value within it.
    """
    names = dict.fromkeys([*left.record.metrics, *right.record.metrics])
    return [
        (name, _measured(left, name), _measured(right, name), _better(left, right, name))
        for name in names
    ]


def differences(left: Mapping[str, str], right: Mapping[str, str]) -> Rows:
    """Returns the keys of two declarations whose values differ, with both values."""
    keys = dict.fromkeys([*left, *right])
    return [
        (key, left.get(key, _ABSENT), right.get(key, _ABSENT))
        for key in keys
        if left.get(key) != right.get(key)
    ]


def _declared_otherwise(
    left: Mapping[str, str] | None, right: Mapping[str, str] | None
) -> list[dict[str, Any]] | None:
    """Returns the keys that differ with their values; one that only one side has, has one value.

    None where one of them is not kept.
    """
    if left is None or right is None:
        return None
    sides = {"left": left, "right": right}
    return [
        {"key": key}
        | {side: json.loads(values[key]) for side, values in sides.items() if key in values}
        for key, *_ in differences(left, right)
    ]


def _outcome(record: RunRecord) -> Iterator[tuple[str, str]]:
    yield "pipeline", record.pipeline
    yield "status", record.status
    yield "started (UTC)", f"{record.started:%Y-%m-%d %H:%M:%S}"
    yield "seconds of work", f"{record.seconds():.0f}"
    yield "partitions", f"{len(record.partitions):,}"
    for split in SPLITS:
        yield f"{split} rows", f"{record.rows.get(split, 0):,}"
    yield "rejected rows", f"{record.rejected():,}"
    yield "model", _ABSENT if record.model is None else f"version {record.model.version}"
    trained = record.training
    yield "epochs", _ABSENT if trained is None else f"{trained.epochs}, best {trained.best_epoch}"
    yield "transform", record.transform
    yield "Braid", record.braid_version


def _measured(run: ComparedRun, name: str) -> str:
    value = run.record.metrics.get(name)
    if value is None:
        return _ABSENT
    interval = _interval(run, name)
    return f"{value:.4f}" + (f" ({interval[0]:.4f} to {interval[1]:.4f})" if interval else "")


def _interval(run: ComparedRun, name: str) -> tuple[float, float] | None:
    return None if run.evaluation is None else run.evaluation.intervals().get(name)


def _better(left: ComparedRun, right: ComparedRun, name: str) -> str:
    values = [run.record.metrics.get(name) for run in (left, right)]
    if None in values:
        return _ABSENT
    own, other = (float(value) for value in values if value is not None)
    for run, value in ((left, other), (right, own)):
        interval = _interval(run, name)
        if interval is not None and interval[0] <= value <= interval[1]:
            return "alike"
    if own == other:
        return "alike"
    return (left if is_better(name, own, other) else right).record.run_id


def _declared(folder: Path) -> dict[str, str] | None:
    path = folder / DECLARED_FILE
    return dict(_leaves(read_object(path, action=BRING_BACK), "")) if path.exists() else None


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yields the keys of a declaration by path, each with its value in JSON."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, f"{path}.{key}" if path else key)
    else:
        yield path, json.dumps(value, ensure_ascii=False)
