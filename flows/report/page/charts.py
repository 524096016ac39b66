"""Charts as SVG that a style sheet colors, for a light page and for a dark one.

Coordinates are SVG's: x to the right, y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from flows.report.page.markup import text

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 340, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 18, 34
_TICKS = 5
_ROW = 20  # the height of a row of bars
_NAME = 150  # the room for its name
_LONGEST_NAME = 22
_APART = 1e-9  # of their size: numbers that are closer have the same place
_LEAST_RANGE = 1e-300


@dataclass(frozen=True)
class Series:
    """Some points of one meaning.

    Attributes:
        name: For the legend.
        points: x and y.
        color: The number of its color.
        style: "line", "dashed", "area" or "points".
    """

    name: str
    points: Points
    color: int = 0
    style: str = "line"


@dataclass(frozen=True)
class Axes:
    """The ranges of a chart, and the words beside them.

    Attributes:
        x: The words below.
        y: The words above.
        bounds: The least and greatest x and y; by default those of the points.
        diagonal: Whether a guide leads from corner to corner.
        guide: An x at which a guide stands.
        labels: What stands at whole x, in the place of numbers.
    """

    x: str = ""
    y: str = ""
    bounds: tuple[float, float, float, float] | None = None
    diagonal: bool = False
    guide: float | None = None
    labels: Sequence[str] = field(default=())


def chart(series: Iterable[Series], axes: Axes) -> str:
    """Returns a chart of points and lines with its legend; nothing without a finite point."""
    finite = (replace(each, points=_finite(each.points)) for each in series)
    shown = [each for each in finite if each.points]
    if not shown:
        return ""
    frame = _Frame(axes.bounds or _bounds(shown))
    parts = [_grid(frame, axes), *(_drawn(frame, each) for each in shown)]
    svg = f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">{"".join(parts)}</svg>'
    return svg + legend([(each.name, each.color) for each in shown if each.name])


def legend(names: Sequence[tuple[str, int]]) -> str:
    """Returns what the colors mean, if there are several."""
    if len(names) < 2:
        return ""
    own = (f'<span class="s{color}"><i></i>{text(name)}</span>' for name, color in names)
    return f'<div class="legend">{"".join(own)}</div>'


def bars(
    rows: Sequence[tuple[str, float]],
    *,
    color: int = 0,
    marks: Sequence[float | None] = (),
    form: str = "{:.3g}",
) -> str:
    """Returns a bar for each of some values; a mark beside one stands for its threshold."""
    if not rows:
        return ""
    limits = [mark for mark in marks if mark is not None]
    most = max([abs(value) for _, value in rows] + limits) or 1.0
    room = _WIDTH - _NAME - 60
    parts = []
    for place, (name, value) in enumerate(rows):
        y, width = place * _ROW, max(0.0, value) / most * room
        mark = marks[place] if place < len(marks) else None
        parts.append(_named(name, y))
        parts.append(f'<rect class="mark s{color}" {_box(_NAME, y + 4, width, _ROW - 8)}/>')
        words = text(form.format(value))
        parts.append(f'<text class="ink" x="{_NAME + width + 4:.1f}" y="{y + 14}">{words}</text>')
        if mark is not None:
            x = _NAME + mark / most * room
            parts.append(f'<path class="guide" d="M{x:.1f} {y + 1}V{y + _ROW - 1}"/>')
    return _stack(parts, len(rows))


def whiskers(rows: Sequence[tuple[str, float, tuple[float, float] | None, int]]) -> str:
    """Returns values with their intervals, one below the other.

    Args:
        rows: Name, value, interval, color.
    """
    if not rows:
        return ""
    ends = [end for _, value, interval, _ in rows for end in (interval or (value, value))]
    low, high = _padded(min(ends), max(ends))
    room = _WIDTH - _NAME - 60

    def place(value: float) -> float:
        return _NAME + (value - low) / (high - low) * room

    parts = []
    for number, (name, value, interval, color) in enumerate(rows):
        y = number * _ROW
        parts.append(_named(name, y))
        if interval is not None:
            start, stop = (place(end) for end in interval)
            parts.append(f'<path class="whisker s{color}" d="M{start:.1f} {y + 10}H{stop:.1f}"/>')
        parts.append(f'<circle class="mark s{color}" cx="{place(value):.1f}" cy="{y + 10}" r="4"/>')
        parts.append(f'<text class="ink" x="{_WIDTH - 50}" y="{y + 14}">{value:.4g}</text>')
    return _stack(parts, len(rows))


def steps(edges: Sequence[float], shares: Sequence[float]) -> Points:
    """Returns the outline of a histogram."""
    outline = [(edges[0], 0.0)]
    for share, left, right in zip(shares, edges, edges[1:], strict=False):
        outline += [(left, share), (right, share)]
    return [*outline, (edges[-1], 0.0)]


class _Frame:
    def __init__(self, bounds: tuple[float, float, float, float]) -> None:
        self.low_x, self.high_x = _spread(*bounds[:2])
        self.low_y, self.high_y = _spread(*bounds[2:])

    def x(self, value: float) -> float:
        share = (value - self.low_x) / (self.high_x - self.low_x)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        share = (value - self.low_y) / (self.high_y - self.low_y)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def path(self, points: Points) -> str:
        places = (f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points)
        return "M" + "L".join(places)


def _drawn(frame: _Frame, series: Series) -> str:
    if series.style == "points":
        return "".join(
            f'<circle class="point s{series.color}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" '
            'r="2.5"/>'
            for x, y in series.points
        )
    path = frame.path(series.points)
    if series.style == "area":
        first, last = series.points[0][0], series.points[-1][0]
        base = f"{frame.y(frame.low_y):.1f}"
        path += f"L{frame.x(last):.1f} {base}L{frame.x(first):.1f} {base}Z"
        return f'<path class="area s{series.color}" d="{path}"/>'
    return f'<path class="line {series.style} s{series.color}" d="{path}"/>'


def _grid(frame: _Frame, axes: Axes) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for value in _ticks(frame.low_y, frame.high_y):
        y = frame.y(value)
        parts.append(f'<path class="axis" d="M{_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{value:,.5g}</text>')
    xs = enumerate(axes.labels) if axes.labels else None
    places = [(float(x), name) for x, name in xs] if xs else None
    places = places or [(x, f"{x:,.5g}") for x in _ticks(frame.low_x, frame.high_x)]
    for x, name in places:
        words = f'y="{bottom + 14}" text-anchor="middle">{text(name)}'
        parts.append(f'<text x="{frame.x(x):.1f}" {words}</text>')
    if axes.x:
        words = f'y="{_HEIGHT - 4}" text-anchor="middle">{text(axes.x)}'
        parts.append(f'<text x="{(_LEFT + right) / 2}" {words}</text>')
    if axes.y:
        parts.append(f'<text x="{_LEFT}" y="10">{text(axes.y)}</text>')
    if axes.diagonal:
        low, high = max(frame.low_x, frame.low_y), min(frame.high_x, frame.high_y)
        parts.append(f'<path class="guide" d="{frame.path([(low, low), (high, high)])}"/>')
    if axes.guide is not None:
        x = frame.x(axes.guide)
        parts.append(f'<path class="guide" d="M{x:.1f} {_TOP}V{bottom}"/>')
    return "".join(parts)


def _finite(points: Points) -> Points:
    return [point for point in points if all(map(math.isfinite, point))]


def _bounds(series: Sequence[Series]) -> tuple[float, float, float, float]:
    xs, ys = zip(*(point for each in series for point in each.points), strict=True)
    return min(xs), max(xs), min(ys), max(ys)


def _spread(low: float, high: float) -> tuple[float, float]:
    """Returns two numbers if they are apart, or else two around them that are."""
    size = max(abs(low), abs(high))
    if high - low > max(_APART * size, _LEAST_RANGE):
        return low, high
    room = max(0.5, _APART * size)
    return low - room, high + room


def _padded(low: float, high: float) -> tuple[float, float]:
    low, high = _spread(low, high)
    return low - (high - low) * 0.05, high + (high - low) * 0.05


def _ticks(low: float, high: float) -> list[float]:
    """Returns round numbers between two others."""
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((power * each for each in (1, 2, 5) if power * each >= rough), power * 10)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _named(name: str, y: int) -> str:
    short = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return f'<text x="{_NAME - 6}" y="{y + 14}" text-anchor="end">{text(short)}</text>'


def _box(x: float, y: float, width: float, height: float) -> str:
    return f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'


def _stack(parts: Iterable[str], rows: int) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {rows * _ROW}" role="img">{"".join(parts)}</svg>'
