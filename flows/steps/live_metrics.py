"""The champion's metrics on served rows whose labels came later, beside those of its test rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

from flows.console.progress import Reporter
from flows.console.wording import counted
from flows.steps.monitoring import Champion, find_champion, scratch
from flows.steps.processes import Processes
from flows.steps.work import search_path
from transforms.contract.declaration.judgement.metrics import metric_of
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import DeclarationError
from transforms.contract.steps.evaluation import (
    EvaluationResult,
    MeasuredRows,
    Resampled,
    read_evaluation,
)
from transforms.contract.steps.jobs import TrainJob
from transforms.contract.steps.monitoring import DAY_FOLDER, LabelsJob, LabelsResult
from transforms.contract.steps.step import LABELS, LIVE
from transforms.contract.workspace.layout import Workspace

_CHANCE = 0.01  # of any metric being called worse where none is, as of a false alarm of drift
_FEWEST_ROWS = 30  # of a target; of fewer, no bootstrap says what chance makes
_NORMAL = NormalDist()


@dataclass(frozen=True)
class LiveMetric:
    """A metric of served rows beside that of the test rows.

    Attributes:
        live: Of the served rows that have labels.
        test: Of the test rows of the champion's run; None if that is not known.
        interval: Where the difference of the two lies, live less test, all but for chance; None
            where it cannot be said.
        is_worse: Whether it is worse by more than chance.
    """

    live: float
    test: float | None = None
    interval: tuple[float, float] | None = None
    is_worse: bool = False


@dataclass(frozen=True)
class LiveMetrics:
    """What late labels say of the champion.

    Attributes:
        days: Whose rows were joined, as YYYY-MM-DD.
        labels: What was joined, and what was not.
        metrics: By the names of an evaluation's metrics without the split, such as "sold_auc".
        notes: What bears on them, as sentences.
    """

    days: tuple[str, ...]
    labels: LabelsResult
    metrics: dict[str, LiveMetric]
    notes: tuple[str, ...]


def live_metrics(
    pipeline: PipelineSpec,
    workspace: Workspace,
    declaration: Path,
    days: Sequence[Path],
    labels: str,
    reporter: Reporter,
) -> LiveMetrics:
    """Joins late labels with the champion's answers, and measures these.

    Args:
        pipeline: The declaration, which says which registry and model are meant.
        workspace: Where the champion's transform and evaluation are.
        declaration: The path of the pipeline.yaml.
        days: The folders of the days of a log.
        labels: The table, as a source's path.
        reporter: Is told about progress.

    Raises:
        BraidError: There is no champion, rows have no key to be joined by, or the labels cannot be
            read or have two rows of one key.
    """
    champion = find_champion(pipeline, workspace)
    own = champion.pipeline
    if own.source.windows is not None or not own.source.key_columns:
        raise DeclarationError(
            f"--labels {labels}",
            expected="a declared source.key, whose columns served rows and labels are joined by",
            received="windows" if own.source.windows is not None else "none",
            action="Leave --labels away, or declare a key and train with it.",
        )
    with scratch() as folder:
        processes = Processes(folder, reporter, search_path(own, declaration))
        joined, live = _measure(champion, workspace, days, labels, processes)
    evaluation = _evaluation(champion, workspace)
    metrics = compare(own, joined, live, evaluation)
    notes = (*_joined(joined), *_judged(joined, metrics, evaluation))
    named = tuple(day.name.removeprefix(DAY_FOLDER) for day in days)
    return LiveMetrics(named, joined, metrics, notes)


def _measure(
    champion: Champion,
    workspace: Workspace,
    days: Sequence[Path],
    labels: str,
    processes: Processes,
) -> tuple[LabelsResult, MeasuredRows]:
    """Returns what is joined, and the metrics of it; no row without a label that can be used."""
    own, root, transform = champion.pipeline, str(workspace.root), champion.transform.name
    job = LabelsJob(
        pipeline=own,
        workspace=root,
        transform=transform,
        days=tuple(map(str, days)),
        labels=labels,
        version=champion.version.version,
        folder=str(processes.folder),
    )
    joined = processes.run(LABELS, job).result
    if not any(target.labelled for target in joined.targets.values()):
        return joined, MeasuredRows(rows=0)
    measured = TrainJob(
        pipeline=own,
        workspace=root,
        transform=transform,
        partitions=(),
        run_folder=str(processes.folder),
    )
    return joined, processes.run(LIVE, measured).result


def _evaluation(champion: Champion, workspace: Workspace) -> EvaluationResult | None:
    run = champion.version.run
    return None if run is None else read_evaluation(workspace.run(*run))


def compare(
    pipeline: PipelineSpec,
    labels: LabelsResult,
    live: MeasuredRows,
    evaluation: EvaluationResult | None,
) -> dict[str, LiveMetric]:
    """Returns every metric of live rows beside that of test rows.

    The two samples are independent, and the difference of their metrics is taken for normal with
    the bootstraps' standard errors: the standard normal interval of Efron and Tibshirani, "An
    Introduction to the Bootstrap", 1993. Its confidence is shared out among all metrics
    (Bonferroni). Few live rows may all be alike, so that their bootstrap has no width: the error is
    at least what as many test rows would have.

    Args:
        pipeline: The declaration that the model was trained with.
        labels: How many labels there are of every target.
        live: The live metrics, by "live_<target>_<metric>".
        evaluation: The champion's, with those of the test rows by "test_<target>_<metric>"; None if
            it is not known.
    """
    test = None if evaluation is None else evaluation.test
    named = [
        (target, f"{target}_{metric}")
        for target in labels.targets
        for metric in pipeline.targets[target].metrics
        if f"live_{target}_{metric}" in live.metrics
    ]
    level = 1 - _CHANCE / max(len(named), 1)
    compared = {}
    for target, name in named:
        value, rows = live.metrics[f"live_{name}"], labels.targets[target].labelled
        expected = None if evaluation is None else evaluation.metrics.get(f"test_{name}")
        interval = None
        if test is not None and expected is not None and rows >= _FEWEST_ROWS:
            own, theirs = live.resampled.get(f"live_{name}"), test.resampled.get(f"test_{name}")
            if own is not None and theirs is not None:
                of_test = _error(theirs)
                labelled = test.labelled.get(target, test.rows)
                of_live = max(_error(own), of_test * math.sqrt(labelled / rows))
                reach = _NORMAL.inv_cdf((1 + level) / 2) * math.hypot(of_test, of_live)
                interval = (value - expected - reach, value - expected + reach)
        worse = interval is not None and _is_worse(name, interval)
        compared[name] = LiveMetric(value, expected, interval, worse)
    return compared


def _error(resampled: Resampled) -> float:
    """Returns the standard error that a bootstrap's middle 95 % tell of."""
    low, high = resampled.interval(0.95)
    return (high - low) / (2 * _NORMAL.inv_cdf(0.975))


def _is_worse(name: str, interval: tuple[float, float]) -> bool:
    low, high = interval
    return low > 0 if metric_of(name).lower_is_better else high < 0


def _joined(labels: LabelsResult) -> Iterator[str]:
    """Yields what was joined, and what could not be."""
    answered = counted(labels.answered, "answered row")
    yield f"Of {answered} of the champion {labels.joined:,} have labels by their key."
    if labels.keyless:
        yield (
            f"{counted(labels.keyless, 'row')} cannot be joined, as the log has no key of theirs: "
            "send the key's columns along with a request, and do not declare them sensitive."
        )
    if labels.unlabelled:
        yield f"The labels do not have the keys of {counted(labels.unlabelled, 'row')}."
    if labels.repeated:
        repeated = counted(labels.repeated, "row")
        yield f"{repeated} were asked for again later; the last answer to a key counts."
    if labels.other_versions:
        yield f"{counted(labels.other_versions, 'row')} of other versions are left out."
    for name in labels.absent:
        yield f"The labels have no column of the target {name}."
    for name, target in labels.targets.items():
        unusable = [
            f"{number:,} {what}"
            for number, what in (
                (target.missing, "missing"),
                (target.invalid, "invalid"),
                (target.unknown, "of a class that training does not know"),
            )
            if number
        ]
        if unusable:
            yield f"Labels of {name} that do not count: {', '.join(unusable)}."


def _judged(
    labels: LabelsResult, metrics: dict[str, LiveMetric], evaluation: EvaluationResult | None
) -> Iterator[str]:
    """Yields why metrics are not judged, and which are worse."""
    for name, target in labels.targets.items():
        if target.labelled < _FEWEST_ROWS:
            rows = counted(target.labelled, "row")
            yield (
                f"{rows} with a label of {name} are too few to judge by; from {_FEWEST_ROWS} on "
                "they are held against the test rows."
            )
    if not metrics:
        return
    if evaluation is None:
        yield "The champion's run keeps no evaluation of its test rows to hold them against."
    elif evaluation.test is None or not evaluation.test.resampled:
        yield "Nothing is judged, as the evaluation made no intervals (evaluation.intervals)."
    worse = [name for name, metric in metrics.items() if metric.is_worse]
    if worse:
        yield f"Worse than on the test rows by more than chance: {', '.join(worse)}."
    elif any(metric.interval for metric in metrics.values()):
        yield "No metric is worse than on the test rows by more than chance explains."
