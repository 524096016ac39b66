"""The sections of a run's page, each as markup; one without anything to show is empty."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from flows.records.record import RunRecord
from flows.report.page.charts import Axes, Series, bars, chart, steps, whiskers
from flows.report.page.columns import FROZEN, Distribution
from flows.report.page.markup import (
    card,
    definitions,
    details,
    grid,
    paragraph,
    pictures,
    section,
    table,
    text,
)
from flows.report.page.targets import figure_cards
from flows.report.summary import STEP_HEAD, row_table, short_path, step_rows
from flows.report.tables import figure_text
from transforms.contract.declaration.judgement.evaluation import DEFAULT_LEVEL
from transforms.contract.declaration.judgement.metrics import metric_of
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.split import SPLITS
from transforms.contract.steps.evaluation import EvaluationResult, MeasuredRows, Resampled
from transforms.contract.steps.results import EpochRecord

_GOOD, _BAD = ("promoted",), ("failed", "refused", "killed")
_COLORS: dict[str, int] = {name: n for n, name in enumerate(SPLITS)} | {FROZEN: 5}
_MOST_IMPORTANT = 20


def heading(record: RunRecord, outcome: str) -> str:
    """Returns the title, how the run ended, and what the gate said."""
    kind = "good" if record.status in _GOOD else "bad" if record.status in _BAD else "note"
    version = f" · version {record.model.version}" if record.model else ""
    about = f"Run {record.run_id} · {record.started:%Y-%m-%d %H:%M} UTC · {record.seconds():.0f} s"
    reasons = [] if record.gate is None else record.gate.reasons
    verdict = "" if record.gate is None else "passed" if record.gate.passed else "refused"
    return "\n".join(
        [
            f"<h1>{text(record.pipeline)}{text(version)}</h1>",
            f'<p><span class="badge {kind}">{text(record.status)}</span> {text(outcome)}</p>',
            paragraph(about, "dim"),
            paragraph(f"Gate {verdict}. {' '.join(reasons)}") if reasons else "",
            *(paragraph(f"Note: {warning}", "note") for warning in record.warnings),
        ]
    )


def done(record: RunRecord) -> str:
    """Returns what was done and what was reused."""
    return section("Steps", table(STEP_HEAD, step_rows(record)))


def rows(record: RunRecord, examples: Mapping[tuple[str, str], str]) -> str:
    """Returns how many rows there are, and those that were rejected, with examples.

    Args:
        record: The run's.
        examples: The value of an example by column and reason.
    """
    if not record.rows:
        return ""
    rejects = [
        (
            reject.column,
            reject.reason,
            f"{reject.rows:,}",
            reject.example_key,
            examples.get((reject.column, reject.reason), ""),
            short_path(reject.example_file),
        )
        for reject in record.rejects
    ]
    replaced = [(each.column, each.reason, f"{each.rows:,}") for each in record.replaced]
    lost = ("column", "reason", "rows", "for example", "its value", "in")
    return section(
        "Rows",
        table(*row_table(record)),
        _titled("Rejected", table(lost, rejects)),
        _titled("Replaced by their default", table(("column", "reason", "rows"), replaced)),
    )


def columns(
    pipeline: PipelineSpec, distributions: Sequence[Distribution], sampled: int, record: RunRecord
) -> str:
    """Returns every column with its distribution by split; of sensitive ones the name alone."""
    cards = [_column(each, record) for each in distributions]
    hidden = sorted(pipeline.sensitive_columns())
    cards += [card(name, paragraph("sensitive: nothing is shown", "dim")) for name in hidden]
    words = f"Of {sampled:,} rows from all over the table; each split's shares add up to 1."
    if any(FROZEN in each.shares for each in distributions):
        words += f" '{FROZEN}' are the training rows that the transform was frozen on."
    return section("Columns", paragraph(words, "dim") if distributions else "", grid(cards))


def _column(distribution: Distribution, record: RunRecord) -> str:
    names = [name for name in distribution.shares if name in _COLORS]
    if distribution.edges:
        drawn = chart(
            [
                Series(
                    name,
                    steps(distribution.edges, distribution.shares[name]),
                    _COLORS[name],
                    "dashed" if name == FROZEN else "line",
                )
                for name in names
            ],
            Axes(y="share of rows"),
        )
    else:
        head = ("value", *names)
        lines = [
            (value, *(f"{distribution.shares[name][place]:.1%}" for name in names))
            for place, value in enumerate(distribution.values)
        ]
        drawn = table(head, lines)
    words = [distribution.words]
    if any(distribution.missing.values()):
        shares = (f"{share:.1%} of {name}" for name, share in distribution.missing.items())
        words.append(f"missing: {', '.join(shares)}")
    drift = None if record.drift is None else record.drift.features.get(distribution.column)
    if drift is not None:
        words.append(f"drift {drift.distance:.3f}, threshold {drift.threshold:.3f}")
    return card(distribution.column, paragraph(" · ".join(words), "dim"), drawn)


def training(record: RunRecord, rounds: Sequence[EpochRecord]) -> str:
    """Returns the losses of all rounds, and of every target."""
    if not rounds:
        return ""
    names = list(rounds[0].losses)
    whole = [
        Series("training", _curve(rounds, [each.loss for each in rounds]), 0),
        Series("validation", _curve(rounds, [each.validation_loss for each in rounds]), 1),
    ]
    own = [
        Series(name, _curve(rounds, [each.losses.get(name) for each in rounds]), number)
        for number, name in enumerate(names)
    ]
    axes = Axes("epoch", guide=None if record.training is None else record.training.best_epoch)
    cards = [card("Loss; the dotted line is the epoch that was kept", chart(whole, axes))]
    cards.append(card("Training loss of each target", chart(own, axes)) if len(own) > 1 else "")
    return section("Training", grid(cards))


def _curve(
    rounds: Sequence[EpochRecord], values: Iterable[float | None]
) -> list[tuple[float, float]]:
    pairs = zip(rounds, values, strict=True)
    return [(float(each.epoch + 1), value) for each, value in pairs if value is not None]


def metrics(record: RunRecord, evaluation: EvaluationResult | None) -> str:
    """Returns the metrics with their intervals, beside the simple answers' and the champion's."""
    others = record.baselines.scored()
    if record.champion_metrics:
        others["champion"] = record.champion_metrics
    level = DEFAULT_LEVEL if evaluation is None else evaluation.level
    test = None if evaluation is None else evaluation.test
    head = ["metric", "validation", "test", f"{level:.0%} interval", *others]
    if test is not None and test.differences:
        head.append("less the champion's")
    lines = []
    for name in _metric_names(record):
        own = f"test_{name}"
        cells = [name, *(figure_text(record.metrics.get(f"{s}_{name}")) for s in SPLITS[1:])]
        cells.append(_interval(test.resampled.get(own) if test else None, level))
        cells += [figure_text(values.get(own)) for values in others.values()]
        if test is not None and test.differences:
            cells.append(_interval(test.differences.get(own), level))
        lines.append(cells)
    note = paragraph(
        "Intervals are of a bootstrap of the test rows (Efron, 1979); differences from the "
        "champion are of the same rows in each replicate.",
        "dim",
    )
    return section("Metrics", table(head, lines), note if test and test.resampled else "")


def targets(evaluation: EvaluationResult | None) -> str:
    """Returns the figures of every target."""
    figures = {} if evaluation is None else evaluation.figures
    cards = [each for name, figure in figures.items() for each in figure_cards(name, figure)]
    return section("Targets", grid(cards))


def slices(evaluation: EvaluationResult | None, pipeline: PipelineSpec) -> str:
    """Returns the first metric of every target on every slice."""
    if evaluation is None or not evaluation.slices or evaluation.test is None:
        return ""
    level, cards = evaluation.level, []
    for target, spec in pipeline.modelled().targets.items():
        name = f"test_{target}_{spec.metrics[0]}"
        parts: list[tuple[str, MeasuredRows]] = [("all rows", evaluation.test)]
        parts += [(f"{own.feature} {own.label}", own) for own in evaluation.slices]
        shown = [(words, part) for words, part in parts if name in part.metrics]
        # The worst on top, below that of all rows.
        lower = metric_of(name).lower_is_better
        worst = sorted(shown[1:], key=lambda item: item[1].metrics[name], reverse=lower)
        lines = [
            (
                f"{words} ({part.rows:,})",
                part.metrics[name],
                part.resampled[name].interval(level) if name in part.resampled else None,
                5 if part is evaluation.test else 0,
            )
            for words, part in (*shown[:1], *worst)
        ]
        cards.append(card(f"{name}, the worst slice first", whiskers(lines), _lines_of(lines)))
    return section("Slices", grid(cards))


def _lines_of(lines: Sequence[tuple[str, float, tuple[float, float] | None, int]]) -> str:
    cells = [
        (
            words,
            figure_text(value),
            "" if ends is None else f"{figure_text(ends[0])} to {figure_text(ends[1])}",
        )
        for words, value, ends, _ in lines
    ]
    return details("As a table", table(("slice (rows)", "metric", "interval"), cells))


def importance(evaluation: EvaluationResult | None) -> str:
    """Returns how much worse the answers get without what each column says."""
    ranked = [] if evaluation is None else evaluation.importance[:_MOST_IMPORTANT]
    lines = [(each.column, each.loss) for each in ranked]
    cells = [(each.column, f"{each.loss:.4g}", f"{2 * each.error:.2g}") for each in ranked]
    head = ("column", "loss gained", "give or take")
    note = "What the mean loss of a test row gains where the column's values are shuffled."
    own = card("Loss gained", bars(lines), details("As a table", table(head, cells)))
    return section("Importance", paragraph(note, "dim"), grid([own])) if ranked else ""


def worst(evaluation: EvaluationResult | None) -> str:
    """Returns the test rows with the highest loss."""
    cards = []
    for number, row in enumerate(() if evaluation is None else evaluation.worst, 1):
        answers = [
            (name, f"true {truth} · predicted {said}")
            for name, (truth, said) in row.answers.items()
        ]
        values = definitions((name, value or "missing") for name, value in row.values.items())
        shown = pictures(row.pictures.items())
        drawn = (
            chart([Series("", list(enumerate(numbers)), 2)], Axes(y=name))
            for name, numbers in row.series.items()
        )
        told = (definitions(answers), values, *drawn, shown)
        cards.append(card(f"{number}. loss {row.loss:.4g}", *told))
    return section("Worst rows", grid(cards))


def declaration(record: RunRecord, pipeline: PipelineSpec) -> str:
    """Returns the declaration as it was run, without what is by default."""
    document = pipeline.model_dump(mode="json", exclude_defaults=True)
    lines = json.dumps(document, indent=2, ensure_ascii=False)
    prints = [
        ("Braid", record.braid_version),
        ("data", record.data_fingerprint),
        ("transform", record.transform),
        ("training", record.training_fingerprint),
    ]
    shown = f"<pre>{_text_lines(lines)}</pre>"
    return section("Declaration", definitions(prints), details("All that is declared", shown))


def _text_lines(value: str) -> str:
    """Returns text of several lines as markup."""
    return "\n".join(text(line) for line in value.split("\n"))


def _titled(title: str, content: str) -> str:
    return f"<h3>{text(title)}</h3>{content}" if content else ""


def _metric_names(record: RunRecord) -> list[str]:
    return list(dict.fromkeys(name.partition("_")[2] for name in record.metrics))


def _interval(resampled: Resampled | None, level: float) -> str:
    if resampled is None:
        return "-"
    low, high = resampled.interval(level)
    return f"{figure_text(low)} to {figure_text(high)}"
