"""Draws `report.png`: how the training went, what the model can do, and which rows were lost."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator
from PIL import Image

from flows.console.harmless import plain
from flows.records.record import RunRecord
from trainer.run_folder import read_rounds
from transforms.contract.declaration.judgement.metrics import metric_of
from transforms.contract.declaration.split import SPLITS
from transforms.contract.steps.evaluation import (
    ConfusionFigure,
    EvaluationResult,
    PicturesFigure,
    RocFigure,
    ScatterFigure,
    read_evaluation,
)
from transforms.contract.steps.results import EpochRecord
from transforms.contract.steps.tuning import Tuning
from transforms.contract.workspace.drift import JudgedDrift

_BLUE, _ORANGE, _GREY, _RED, _INK = "#2f6db5", "#e07b39", "#9aa5b1", "#c0504d", "#22303c"
_COLUMNS = 3
_PANEL = (4.6, 3.7)  # inches
_MOST_BARS = 12  # more reasons than this are unreadable in a panel; run.json has them all
_FEWEST_BARS = 4  # fewer are no thicker than these
_MOST_LABELS = 25
_NAME_LENGTH = 34
_LEAST_SECONDS = 0.05

# Curves of losses: name, color, label.
_SUPERVISED = (("loss", _BLUE, "train"), ("validation_loss", _ORANGE, "validation"))
_ADVERSARIAL = (
    ("generator_loss", _BLUE, "generator"),
    ("discriminator_loss", _ORANGE, "discriminator"),
)

# What stands beside the model in the panel of metrics: color and marker.
_MARKS = {
    "constant": (_GREY, "x"),
    "linear": (_RED, "+"),
    "nearest": (_RED, "+"),
    "champion": (_INK, "|"),
}

_Panel = Callable[[Axes], None]


def draw_report(folder: Path, record: RunRecord, path: Path) -> None:
    """Draws a run's report.

    Args:
        folder: The run's folder, with the history and the evaluation of its model.
        record: The run's record.
        path: The PNG to write.
    """
    # A dollar sign in a label is no formula; one that cannot be read would end the run.
    with matplotlib.rc_context({"text.parse_math": False}):
        _draw(folder, record, path)


def _draw(folder: Path, record: RunRecord, path: Path) -> None:
    panels = _panels(read_rounds(folder), read_evaluation(folder), record)
    lines = max(1, math.ceil(len(panels) / _COLUMNS))
    # No pyplot: its figures are global state, and its backend may want a display.
    figure = Figure(
        figsize=(_PANEL[0] * _COLUMNS, _PANEL[1] * lines + 0.7),
        layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.14, hspace=0.04),
    )
    figure.suptitle(_title(record), x=0.01, ha="left", fontsize=15, color=_INK, weight="bold")
    grid = figure.subplots(lines, _COLUMNS, squeeze=False)
    cells = [axes for line in grid for axes in line]
    for axes, panel in zip(cells, panels, strict=False):
        _plain(axes)
        panel(axes)
    for axes in cells[len(panels) :]:
        axes.set_axis_off()
    figure.savefig(path, format="png", dpi=110, facecolor="white")


def _panels(
    rounds: Sequence[EpochRecord], evaluation: EvaluationResult | None, record: RunRecord
) -> list[_Panel]:
    panels: list[_Panel] = []
    if rounds:
        panels.append(lambda axes: _loss(axes, rounds, record))
    shares = _shares(record.metrics)
    if shares:
        panels.append(lambda axes: _metrics(axes, shares, record))
    for target, data in evaluation.figures.items() if evaluation is not None else ():
        draw = _TARGET_PANELS[data.kind]
        panels.append(partial(draw, target=target, data=data, record=record))
    tuning, drift = record.tuning, record.drift
    if tuning is not None:
        panels.append(lambda axes: _trials(axes, tuning))
    if drift is not None and drift.features:
        panels.append(lambda axes: _drift(axes, drift))
    if record.rejects:
        panels.append(lambda axes: _rejects(axes, record))
    panels.append(lambda axes: _seconds(axes, record))
    return panels


def _loss(axes: Axes, rounds: Sequence[EpochRecord], record: RunRecord) -> None:
    # The two losses of an adversarial training say something; their sum does not.
    curves = _ADVERSARIAL if "discriminator_loss" in rounds[0].losses else _SUPERVISED
    for name, color, label in curves:
        losses = [(each.epoch + 1, _loss_of(each, name)) for each in rounds]
        # Without validation rows there is no such loss.
        points = [(epoch, loss) for epoch, loss in losses if loss is not None]
        if points:
            axes.plot(*zip(*points, strict=True), color=color, marker="o", ms=3, label=label)
    best = None if record.training is None else record.training.best_epoch
    if best:
        axes.axvline(best, color=_GREY, linestyle=":", label=f"kept: epoch {best}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
    _name(axes, "Loss")


def _loss_of(each: EpochRecord, name: str) -> float | None:
    totals = {"loss": each.loss, "validation_loss": each.validation_loss}
    return totals[name] if name in totals else each.losses[name]


def _shares(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """Returns the metrics that lie between 0 and 1, as split to value by name."""
    shares: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        split, _, metric = name.partition("_")
        if metric_of(metric).is_share:
            shares.setdefault(metric, {})[split] = value
    return shares


def _metrics(axes: Axes, metrics: dict[str, dict[str, float]], record: RunRecord) -> None:
    names = list(metrics)[::-1]
    others = record.baselines.scored() | {"champion": record.champion_metrics or {}}
    beside = {
        answer: [values.get(f"test_{name}", math.nan) for name in names]
        for answer, values in others.items()
        if values
    }
    styles = {"validation": (_ORANGE, "o"), "test": (_BLUE, "D")}
    for split in SPLITS[1:]:
        color, marker = styles[split]
        values = [metrics[name].get(split, math.nan) for name in names]
        axes.plot(values, range(len(names)), marker, color=color, markersize=7, label=split)
    for answer, values in beside.items():
        color, marker = _MARKS[answer]
        label = f"{answer}, test"
        axes.plot(values, range(len(names)), marker, color=color, markersize=9, label=label)
    for row, name in enumerate(names):
        value = metrics[name].get("test")
        if value is not None:
            axes.annotate(
                f"{value:.3f}",
                (value, row),
                (0, 8),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=_BLUE,
            )
    axes.set_yticks(range(len(names)), [_short(name.replace("_", " ")) for name in names])
    axes.set_ylim(-0.6, len(names) - 0.2)
    shown = [v for m in metrics.values() for v in m.values()]
    shown += [v for values in beside.values() for v in values if math.isfinite(v)]
    axes.set_xlim(min(0.5, *shown) - 0.02, 1.02)
    axes.grid(axis="x", color="#e8ecef")
    # Beside the title: anywhere inside it may hide a metric.
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=2)
    _name(axes, "Metrics")


def _roc(axes: Axes, target: str, data: RocFigure, record: RunRecord) -> None:
    axes.plot([0, 1], [0, 1], color=_GREY, linestyle=":")
    axes.plot(data.false_positive_rate, data.true_positive_rate, color=_BLUE, linewidth=2)
    axes.fill_between(data.false_positive_rate, data.true_positive_rate, color=_BLUE, alpha=0.08)
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    _name(axes, f"{target}: ROC on test rows" + _value(record, target, "auc", "AUC"))


def _confusion(axes: Axes, target: str, data: ConfusionFigure, record: RunRecord) -> None:
    labels, matrix = [plain(label) for label in data.labels], data.rows
    totals = [max(sum(row), 1) for row in matrix]
    shares = [[v / total for v in row] for row, total in zip(matrix, totals, strict=True)]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(labels) <= _MOST_LABELS:
        small = 8 if len(labels) <= 10 else 6
        axes.set_xticks(range(len(labels)), labels, rotation=60, ha="right", fontsize=small)
        axes.set_yticks(range(len(labels)), labels, fontsize=small)
    if len(labels) <= 6:
        for row, counts in enumerate(matrix):
            for column, count in enumerate(counts):
                color = "white" if shares[row][column] > 0.5 else _INK
                axes.text(column, row, f"{count:,}", ha="center", va="center", color=color)
    _name(axes, f"{target}: test rows" + _value(record, target, "accuracy", "accuracy"))


def _scatter(axes: Axes, target: str, data: ScatterFigure, record: RunRecord) -> None:
    true, predicted = data.true, data.predicted
    axes.plot(true, predicted, "o", color=_BLUE, markersize=3, alpha=0.45, markeredgewidth=0)
    if true:
        ends = [min(true), max(true)]
        axes.plot(ends, ends, color=_ORANGE, linewidth=1)
    axes.set_xlabel("true")
    axes.set_ylabel("predicted")
    _name(axes, f"{target}: test rows" + _value(record, target, "mae", "MAE"))


def _pictures(axes: Axes, target: str, data: PicturesFigure, record: RunRecord) -> None:
    """Draws what goes in, the truth and the prediction side by side, a row below the other."""
    columns, rows = data.columns, data.rows
    tiles = [[_tile(encoded) for encoded in row] for row in rows]
    height, width = np.max([tile.shape[:2] for row in tiles for tile in row], axis=0)
    grid = np.ones((len(rows) * (height + 2), len(columns) * (width + 2), 3))
    for y, row in enumerate(tiles):
        for x, tile in enumerate(row):
            top, left = y * (height + 2), x * (width + 2)
            grid[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    axes.imshow(grid, aspect="equal", interpolation="nearest")
    centers = [(x + 0.5) * (width + 2) for x in range(len(columns))]
    axes.set_xticks(centers, [_short(name) for name in columns])
    axes.set_yticks([])
    metrics = (("iou", "IoU"), ("mean_iou", "mean IoU"), ("mae", "MAE"))
    shown = next((v for v in (_value(record, target, *pair) for pair in metrics) if v), "")
    _name(axes, f"{target}: test rows{shown}")


def _tile(encoded: str) -> np.ndarray:
    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    return np.asarray(picture) / 255


_TARGET_PANELS: dict[str, Callable[..., None]] = {
    "roc": _roc,
    "confusion": _confusion,
    "scatter": _scatter,
    "pictures": _pictures,
}


def _trials(axes: Axes, tuning: Tuning) -> None:
    """Draws the validation loss of every trial, and the lowest so far.

    Those that were stopped early may lie above the panel.
    """
    complete = sorted((t.number, t.loss) for t in tuning.ranked() if t.loss is not None)
    pruned = [trial for trial in tuning.trials if trial.status == "pruned"]
    stopped = [(t.number, t.loss) for t in pruned if t.loss is not None]
    if stopped:
        axes.plot(*zip(*stopped, strict=True), "x", color=_GREY, label="stopped early")
    numbers, losses = zip(*complete, strict=True)
    axes.plot(numbers, losses, "o", color=_BLUE, markersize=4, label="to the end")
    axes.step(
        numbers, np.minimum.accumulate(losses), where="post", color=_ORANGE, label="lowest so far"
    )
    lowest, highest = min(losses), max(losses)
    room = max(highest - lowest, 1e-6) * 0.15
    axes.set_ylim(lowest - room, highest + room)
    axes.set_xlabel("trial")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False, fontsize=8)
    _name(axes, f"Validation loss of {len(tuning.trials)} trials")


def _drift(axes: Axes, drift: JudgedDrift) -> None:
    """Draws how far the new rows of every feature are from the frozen ones, and how far they may.

    What is closest to its threshold, or above it, comes first.
    """
    shown = drift.ranked()[:_MOST_BARS][::-1]
    for row, (_, feature) in enumerate(shown):
        color = _RED if feature.exceeded else _BLUE
        axes.barh(row, feature.distance, color=color, height=0.65)
        axes.plot([feature.threshold] * 2, [row - 0.42, row + 0.42], color=_INK, linewidth=1.5)
        axes.annotate(
            f"{feature.distance:.2f}",
            (feature.distance, row),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=_INK,
        )
    axes.set_yticks(range(len(shown)), [_short(name) for name, _ in shown], fontsize=8)
    furthest = max(max(feature.distance, feature.threshold) for _, feature in shown)
    axes.set_xlim(0, min(1.0, furthest * 1.3))
    axes.set_xlabel("Jensen-Shannon distance; the line is the threshold")
    verdict = "refit" if drift.exceeded() else "no refit"
    _name(axes, f"Drift of {drift.rows:,} new rows: {verdict}")


def _rejects(axes: Axes, record: RunRecord) -> None:
    shown = record.rejects[:_MOST_BARS][::-1]
    names = [_short(f"{reject.column}: {reject.reason}") for reject in shown]
    _bars(axes, names, [float(reject.rows) for reject in shown], _RED, "{:,.0f}")
    share = record.rejected() / max(record.source_rows, 1)
    _name(axes, f"{record.rejected():,} rejected rows ({share:.1%})")


def _seconds(axes: Axes, record: RunRecord) -> None:
    timed = [
        (step.name, step.seconds)
        for step in reversed(record.steps)
        if step.seconds is not None and step.seconds >= _LEAST_SECONDS
    ]
    _bars(axes, [name for name, _ in timed], [seconds for _, seconds in timed], _GREY, "{:,.1f}")
    _name(axes, "Seconds per step")


def _bars(axes: Axes, names: list[str], values: list[float], color: str, form: str) -> None:
    bars = axes.barh(range(len(names)), values, color=color, height=0.65)
    axes.bar_label(bars, [form.format(value) for value in values], padding=3, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(min(0, len(names) - _FEWEST_BARS) - 0.6, len(names) - 0.4)
    axes.set_xlim(0, max(values, default=1.0) * 1.15)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_GREY)
    axes.tick_params(colors=_INK, labelsize=8, length=0)


def _name(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10.5, color=_INK, weight="bold")
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)


def _title(record: RunRecord) -> str:
    model = f", version {record.model.version}" if record.model else ""
    rows = f"{sum(record.rows.values()):,} rows" if record.rows else "no rows"
    return f"{record.pipeline}{model}: {record.status}   ({rows}, run {record.run_id})"


def _value(record: RunRecord, target: str, metric: str, label: str) -> str:
    value = record.metrics.get(f"test_{target}_{metric}")
    return "" if value is None else f", {label} {value:.3g}"


def _short(name: str) -> str:
    name = plain(name)
    return name if len(name) <= _NAME_LENGTH else f"{name[: _NAME_LENGTH - 1]}…"
