"""A histogram of numbers in a few lines of text, beside that of the frozen rows.

Nothing is read for it but the sample that an analysis keeps of a partition and the deciles that a
transform keeps of the rows that it was frozen on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transforms.contract.workspace.documents import read_object
from transforms.contract.workspace.layout import REFERENCE_FILE
from transforms.statistics.frozen import read_moments

_BLOCKS = " ▁▂▃▄▅▆▇█"
_BARS = 48
_INDENT = "  "
_LABELS = ("rows", "frozen")
_LABEL_WIDTH = 8  # with the indent and the bars less than 60 columns


@dataclass(frozen=True)
class Spread:
    """The numbers of some rows as masses on intervals, all columns of a list together.

    Attributes:
        low: Where each interval begins, float64 [intervals].
        high: Where it ends; there if it is one value.
        mass: How many rows lie in it, evenly.
    """

    low: np.ndarray
    high: np.ndarray
    mass: np.ndarray

    def shares(self, edges: np.ndarray) -> np.ndarray:
        """Returns the share of each bin, float64 [bins], of edges that hold all intervals."""
        bins = np.zeros(len(edges) - 1)
        is_point = self.high <= self.low
        places = np.searchsorted(edges, self.low[is_point], "right") - 1
        np.add.at(bins, np.clip(places, 0, len(bins) - 1), self.mass[is_point])
        intervals = (part[~is_point] for part in (self.low, self.high, self.mass))
        for low, high, mass in zip(*intervals, strict=True):
            bins += mass * np.diff(np.clip(edges, low, high)) / (high - low)
        total = bins.sum()
        return np.asarray(bins / total if total else bins)


def spread_of(values: np.ndarray, ends: tuple[float, float]) -> Spread:
    """Returns the spread of a sample, of whose rows the least and the greatest number are known.

    Args:
        values: float32 [rows, width], NaN for missing.
        ends: Least and greatest of all rows; the sample may lack them, and they are in any case
            seen.
    """
    present = values[np.isfinite(values)].astype(np.float64)
    points = np.concatenate([present, ends])
    mass = np.concatenate([np.ones(len(present)), np.full(2, 1e-9)])
    return Spread(points, points, mass)


def frozen_spread(statistics: Path, name: str) -> Spread | None:
    """Returns the spread of the rows that a transform was frozen on; None if it has no numbers.

    Args:
        statistics: The folder of its frozen statistics.
        name: The feature or target.

    Raises:
        DamagedFile: A file of them is not as it was written.
    """
    positions = read_object(statistics / REFERENCE_FILE, "terms", "numbers")["numbers"].get(name)
    moments = read_moments(statistics).get(name)
    if not positions or moments is None:
        return None
    low, high, mass = [], [], []
    ends = zip(moments["minimum"], moments["maximum"], strict=True)
    for position, (least, greatest) in zip(positions, ends, strict=True):
        if not sum(position["counts"]):
            continue
        edges = np.clip([least, *position["edges"], greatest], least, greatest)
        low.append(edges[:-1])
        high.append(edges[1:])
        mass.append(np.asarray(position["counts"], float))
    if not mass:
        return None
    low_, high_, mass_ = (np.concatenate(parts) for parts in (low, high, mass))
    some = mass_ > 0
    return Spread(low_[some], high_[some], mass_[some])


def text_histogram(
    rows: Spread, frozen: Spread | None, label: Callable[[float], str]
) -> Sequence[str]:
    """Returns the lines of a histogram, at most 60 columns wide; the bins are of one width.

    Args:
        rows: The rows that are judged.
        frozen: Those of the frozen transform, on a line of their own; None leaves it out.
        label: Spells a number below an end.
    """
    both = [rows] if frozen is None else [rows, frozen]
    least = min(float(each.low.min()) for each in both)
    greatest = max(float(each.high.max()) for each in both)
    if not greatest > least:
        return ()
    edges = np.linspace(least, greatest, _BARS + 1)
    shares = [each.shares(edges) for each in both]
    top = max(float(each.max()) for each in shares)
    lines = [
        f"{_INDENT}{name:<{_LABEL_WIDTH}}{_bars(each / top)}".rstrip()
        for name, each in zip(_LABELS, shares, strict=False)
    ]
    first, last = label(least), label(greatest)
    room = _BARS - len(first)
    return [*lines, f"{_INDENT}{'':<{_LABEL_WIDTH}}{first}{last:>{room}}"]


def _bars(heights: np.ndarray) -> str:
    """Returns a block for each height from 0 to 1; a bin that has anything at all is seen."""
    return "".join(_BLOCKS[int(np.ceil(height * (len(_BLOCKS) - 1)))] for height in heights)
