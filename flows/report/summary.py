"""A run's summary: tables on a terminal, `summary.md` and `report.png` in the run's folder."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from flows.console import harmless
from flows.console.output import OUTPUT
from flows.records.record import PICTURE_FILE, SUMMARY_FILE, RunRecord
from flows.report.tables import STYLES, Rows, figure_text, markdown_table, terminal_table
from transforms.contract.declaration.split import SPLITS
from transforms.contract.steps.tuning import Tuning, changes_in_words
from transforms.contract.workspace.files import replacing, write_atomic

STEP_HEAD = ("step", "seconds", "rows", "rows/s", "note")
_MOST_TRIALS = 10  # run.json has them all

_OUTCOMES = {
    "promoted": "the new model became the champion",
    "refused": "the gate refused the new model; the champion stays",
    "failed": "the run failed",
    "running": "the run is going on, or was killed",
    "stopped": "the run was stopped",
    "killed": "the run was killed, and newer rows or another declaration came after",
}


def write_report(folder: Path, record: RunRecord) -> None:
    """Writes the summary and its picture into the run's folder."""
    # Here, as Matplotlib takes longer to load than all else that shows an old run's summary.
    from flows.report.pictures import draw_report

    write_atomic(folder / SUMMARY_FILE, markdown(record))
    with replacing(folder / PICTURE_FILE) as temporary:
        draw_report(folder, record, temporary)


def outcome(record: RunRecord) -> str:
    """Returns how a run ended, in words."""
    return _OUTCOMES[record.status]


def show(console: Console, record: RunRecord) -> None:
    """Prints a run's summary."""
    console.print()
    style = f"bold {STYLES[record.status]}"
    console.print(f"[{style}]{record.pipeline}: {outcome(record)}[/{style}]", highlight=False)
    for title, head, rows in () if OUTPUT.quiet else _sections(record):
        show_table(console, title, head, rows)
    console.print()
    for line in _gate_lines(record):
        console.print(harmless.console(line), highlight=False)


def show_table(console: Console, title: str, head: tuple[str, ...], rows: Rows) -> None:
    """Prints a table of a summary under its title."""
    console.print()
    console.print(f" [bold]{title}[/bold]")
    console.print(terminal_table(head, rows, head_style="dim"))


def markdown(record: RunRecord) -> str:
    """Returns a run's summary as Markdown, with the picture beside it."""
    parts = [
        f"# {record.pipeline}: {outcome(record)}",
        f"Run `{record.run_id}`, started {record.started:%Y-%m-%d %H:%M:%S} UTC"
        f", {record.seconds():.0f} s of work",
        *map(harmless.markdown, _gate_lines(record)),
        f"![Report]({PICTURE_FILE})",
    ]
    for title, head, rows in _sections(record):
        parts.append(f"## {title}\n\n{markdown_table(head, rows)}")
    parts.append(
        f"Fingerprints: declaration of the data `{record.data_fingerprint}`, transform "
        f"`{record.transform}`, training `{record.training_fingerprint}`."
    )
    return "\n\n".join(parts) + "\n"


def with_picture(text: str, folder: Path) -> str:
    """Returns a run's summary as Markdown with the picture inside, if the run's folder has one."""
    picture = folder / PICTURE_FILE
    if not picture.exists():
        return text
    inside = base64.b64encode(picture.read_bytes()).decode()
    return text.replace(f"({PICTURE_FILE})", f"(data:image/png;base64,{inside})")


def metric_table(record: RunRecord) -> tuple[tuple[str, ...], Rows]:
    """Returns head and rows of the metrics per target and split.

    Beside them stand those of the baselines and of the champion on the test rows.
    """
    others = record.baselines.scored()
    if record.champion_metrics:
        others["champion"] = record.champion_metrics
    head = ("metric", *SPLITS[1:], *(f"{name}, test" for name in others))
    names: dict[str, dict[str, float]] = {}
    for name, value in record.metrics.items():
        split, _, metric = name.partition("_")
        names.setdefault(metric, {})[split] = value
    rows = []
    for metric, values in names.items():
        row = (metric, *(figure_text(values.get(split)) for split in SPLITS[1:]))
        row += tuple(figure_text(values.get(f"test_{metric}")) for values in others.values())
        rows.append(row)
    return head, rows


def row_table(record: RunRecord) -> tuple[tuple[str, ...], Rows]:
    """Returns head and row of the rows in the table, of each split, rejected and left out."""
    counts = {"in the table": record.source_rows + record.left_out}
    counts |= {split: record.rows.get(split, 0) for split in SPLITS}
    counts["rejected"] = record.rejected()
    if record.left_out:
        counts["left out"] = record.left_out
    return tuple(counts), [tuple(f"{rows:,}" for rows in counts.values())]


def _sections(record: RunRecord) -> Iterable[tuple[str, tuple[str, ...], Rows]]:
    """Yields (title, head, rows) of every table that has rows."""
    if record.steps:
        yield "Steps", STEP_HEAD, step_rows(record)
    if record.drift is not None:
        title = f"Drift of {record.drift.rows:,} new training rows"
        yield (
            title,
            ("feature", "distance", "threshold", "measured", "by chance"),
            [
                (name, *(f"{v:.3f}" for v in (d.distance, d.threshold, d.measured, d.chance)))
                for name, d in record.drift.ranked()
            ],
        )
    if record.rows:
        yield "Rows", *row_table(record)
    if record.rejects:
        rejects = [
            (r.column, r.reason, f"{r.rows:,}", r.example_key, short_path(r.example_file))
            for r in record.rejects
        ]
        head = ("column", "reason", "rows", "for example", "in")
        yield "Rejected rows (kept, with their values)", head, rejects
    if record.replaced:
        replaced = [(r.column, r.reason, f"{r.rows:,}") for r in record.replaced]
        yield "Values replaced by their default", ("column", "reason", "rows"), replaced
    if record.tuning is not None:
        yield trial_table(record.tuning)
    if record.metrics:
        yield "Metrics", *metric_table(record)


def trial_table(tuning: Tuning) -> tuple[str, tuple[str, ...], Rows]:
    """Returns title, head and rows of the best trials."""
    rows = [
        (
            str(trial.number),
            figure_text(trial.loss),
            f"{trial.seconds:.1f}",
            changes_in_words(trial.changes) or "none: the declaration",
        )
        for trial in tuning.ranked()[:_MOST_TRIALS]
    ]
    title = f"Trials: the best of {len(tuning.trials)}, {tuning.pruned()} of which stopped early"
    return title, ("trial", "validation loss", "seconds", "changes"), rows


def step_rows(record: RunRecord) -> Rows:
    """Returns a row for every step, with the columns of `STEP_HEAD`."""
    return [
        (
            step.name,
            "-" if step.seconds is None else f"{step.seconds:.1f}",
            "-" if step.rows is None else f"{step.rows:,}",
            "-" if step.rows_per_second is None else f"{step.rows_per_second:,.0f}",
            step.note,
        )
        for step in record.steps
    ]


def _gate_lines(record: RunRecord) -> Sequence[str]:
    lines = []
    if record.gate is not None:
        verdict = "passed" if record.gate.passed else "refused"
        lines.append(f"Gate {verdict}: " + " ".join(record.gate.reasons))
    if record.model is not None:
        alias = "champion" if record.status == "promoted" else "challenger"
        lines.append(f"Model {record.model.name} version {record.model.version}, alias {alias}")
    lines += [f"Note: {warning}" for warning in record.warnings]
    return lines


def short_path(path: str) -> str:
    """Returns the last two parts of a path, which tell files of one table apart."""
    return "/".join(path.rsplit("/", 2)[-2:])
