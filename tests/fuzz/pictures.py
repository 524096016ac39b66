"""Any bytes as pictures: a picture or a reject each, in bounded memory and time."""

from __future__ import annotations

import resource
from pathlib import Path

from hypothesis import strategies as st

from tests.transforms.kinds.pictures.test_decoding import READ, answers, mutations
from tests.transforms.pictures import REAL

_REASONS = {"undecodable_image", "image_too_large", "image_too_costly"}
_GROWN_KB = 300_000  # of a batch of at most four pictures of 250,000 pixels


def cells() -> st.SearchStrategy[list[bytes]]:
    """Draws a batch of real pictures, of such with some bytes changed, and of any bytes."""
    real = st.sampled_from([REAL[name] for name in READ])
    return st.lists(mutations() | mutations() | st.binary(max_size=60) | real, max_size=4)


def check(cells: list[bytes], _folder: Path) -> None:
    """Sends pictures through the kinds' decoder and the graph's applier.

    Raises:
        Exception: Anything but an answer for every cell; more memory than that takes.
    """
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = answers(REAL["png"], *cells)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    if told[0] != "picture" or not set(told) <= {"picture"} | _REASONS:
        raise ValueError(f"a good picture and these were {told}")
    if any(cell in REAL.values() and REAL["webp"] != cell and REAL["tiff"] != cell
           and REAL["cmyk jpeg"] != cell and answer != "picture"
           for cell, answer in zip(cells, told[1:], strict=True)):  # fmt: skip
        raise ValueError(f"a real picture beside others was refused: {told}")
    if grown > _GROWN_KB:
        raise MemoryError(f"{grown} kB more for {[len(cell) for cell in cells]} bytes")
