"""The picture of each kind of target: curves, matrices, errors by horizon, masks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count

from flows.report.page.charts import Axes, Series, chart
from flows.report.page.markup import card, pictures, text
from transforms.contract.steps.evaluation import (
    CalibrationBin,
    ConfusionFigure,
    Figure,
    PicturesFigure,
    RocFigure,
    ScatterFigure,
)

_UNIT = (0.0, 1.0, 0.0, 1.0)


def figure_cards(target: str, figure: Figure) -> Iterator[str]:
    """Yields the cards of a target's figure."""
    yield from _CARDS[figure.kind](target, figure)


def _roc(target: str, figure: RocFigure) -> Iterator[str]:
    roc = list(zip(figure.false_positive_rate, figure.true_positive_rate, strict=True))
    axes = Axes("false positive rate", "true positive rate", _UNIT, diagonal=True)
    yield card(
        f"{target}: ROC curve", chart([Series("", roc, style="area"), Series("", roc)], axes)
    )
    curve = list(zip(figure.recall, figure.precision, strict=True))
    axes = Axes("recall", "precision", _UNIT)
    yield card(f"{target}: precision and recall", chart([Series("", curve, 2)], axes))
    yield _calibration(target, figure.calibration)


def _confusion(target: str, figure: ConfusionFigure) -> Iterator[str]:
    head = "".join(f"<th>{text(label)}</th>" for label in figure.labels)
    lines = [f"<tr><th>true \\ predicted</th>{head}</tr>"]
    for label, row in zip(figure.labels, figure.rows, strict=True):
        total = max(sum(row), 1)
        cells = "".join(
            f'<td class="heat" style="--share:{70 * own / total:.0f}%">{own:,}</td>' for own in row
        )
        lines.append(f"<tr><th>{text(label)}</th>{cells}</tr>")
    matrix = f'<div class="scroll"><table class="matrix">{"".join(lines)}</table></div>'
    yield card(f"{target}: confusion matrix", matrix)
    yield _calibration(target, figure.calibration)


def _calibration(target: str, bins: Sequence[CalibrationBin]) -> str:
    points = [(own.promised, own.kept) for own in bins]
    axes = Axes("probability", "share that came true", _UNIT, diagonal=True)
    drawn = chart([Series("", points, 1), Series("", points, 1, "points")], axes)
    return card(f"{target}: calibration", drawn)


def _scatter(target: str, figure: ScatterFigure) -> Iterator[str]:
    pairs = list(zip(figure.true, figure.predicted, strict=True))
    axes = Axes("true", "predicted", diagonal=True)
    yield card(f"{target}: predicted and true", chart([Series("", pairs, 0, "points")], axes))
    residuals = [(true, predicted - true) for true, predicted in pairs]
    axes = Axes("true", "predicted less true")
    yield card(f"{target}: residuals", chart([Series("", residuals, 1, "points")], axes))
    if figure.horizon:
        errors = list(zip(count(1), figure.horizon))
        axes = Axes("step", "mean absolute error")
        line = [Series("", errors, 4), Series("", errors, 4, "points")]
        yield card(f"{target}: error by horizon", chart(line, axes))
    for number, (true, predicted) in enumerate(figure.series, 1):
        drawn = [
            Series("true", list(zip(count(1), true)), 5),
            Series("predicted", list(zip(count(1), predicted)), 0, "dashed"),
        ]
        yield card(f"{target}: test row {number}", chart(drawn, Axes("step")))


def _pictures(target: str, figure: PicturesFigure) -> Iterator[str]:
    rows = (pictures(zip(figure.columns, row, strict=True)) for row in figure.rows)
    yield card(f"{target}: test rows", *rows)


_CARDS: dict[str, Callable[..., Iterator[str]]] = {
    "roc": _roc,
    "confusion": _confusion,
    "scatter": _scatter,
    "pictures": _pictures,
}
