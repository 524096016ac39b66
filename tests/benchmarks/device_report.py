"""The report of `make bench-gpu`: what the input gives, what the step takes, what both do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from tests.benchmarks.report import Report

COLUMNS = (
    "",
    "input alone, rows/s",
    "step alone, rows/s",
    "both, rows/s",
    "of the slower alone",
    "waits for input",
    "of the first line",
)


@dataclass(frozen=True)
class Device:
    """The device that the steps ran on.

    Attributes:
        name: The maker's.
        is_gpu: Whether it is one; otherwise input and step shared the CPU.
    """

    name: str
    is_gpu: bool


@dataclass(frozen=True)
class Round:
    """One measurement of one setting.

    Attributes:
        batches: Rows/s of the input alone.
        steps: Rows/s of the step alone, on batches that are on the device already.
        both: Rows/s of a training.
        waited: The share of the training's time that the step waited for its batch.
    """

    batches: float
    steps: float
    both: float
    waited: float


@dataclass(frozen=True)
class Picture:
    """The cost of a picture, in CPU seconds of one core.

    Attributes:
        decoding: From the table's JPEG, to pixels; once, in the transform.
        resizing: From there to the declared size; once, in the transform.
        reading: Of a row of the shards, its bytes alone; in every epoch, and so the next two.
        parsing: Of a row with raw pixels.
        decoding_stored: Of a picture that the shards have as JPEG.
    """

    decoding: float
    resizing: float
    reading: float
    parsing: float
    decoding_stored: float


def report(
    title: str,
    command: str,
    device: Device,
    settings: Mapping[str, Sequence[Round]],
    picture: Picture,
) -> Report:
    """Returns the report.

    Args:
        title: What was measured, with its size.
        command: What repeats it.
        device: What the steps ran on.
        settings: The rounds of every setting; the first is what the others are compared with.
        picture: What a picture costs.
    """
    first = next(iter(settings.values()))
    return Report(
        title=title,
        command=command,
        columns=COLUMNS,
        lines=[_line(name, rounds, first) for name, rounds in settings.items()],
        sentences=[_told_of(device), _headroom(first), *_costs(picture)],
        details={
            "device": asdict(device),
            "settings": {name: [asdict(r) for r in rounds] for name, rounds in settings.items()},
            "picture": asdict(picture),
        },
    )


def _line(name: str, rounds: Sequence[Round], first: Sequence[Round]) -> tuple[str, ...]:
    slower = median(r.both / min(r.batches, r.steps) for r in rounds)
    gained = median(r.both / f.both for r, f in zip(rounds, first, strict=True))
    return (
        name,
        f"{median(r.batches for r in rounds):,.0f}",
        f"{median(r.steps for r in rounds):,.0f}",
        f"{median(r.both for r in rounds):,.0f}",
        f"{slower:.2f}",
        f"{median(r.waited for r in rounds):.0%}",
        f"{gained:.2f}",
    )


def _told_of(device: Device) -> str:
    if device.is_gpu:
        return f"It ran on a GPU, {device.name}."
    return (
        f"It ran on a CPU only, {device.name}, and on no GPU: input and step share its cores, and "
        "the figures say nothing of what a GPU gains by a line."
    )


def _headroom(first: Sequence[Round]) -> str:
    ratio = median(r.batches / r.steps for r in first)
    return f"As a run trains, the input alone gives {ratio:.1f} times the rows of the step alone."


def _costs(picture: Picture) -> tuple[str, str]:
    made = picture.decoding + picture.resizing
    read = picture.reading + picture.parsing + picture.decoding_stored
    return (
        f"A picture of the table takes {made * 1e6:.0f} µs of a core in the transform, once: "
        f"{picture.decoding / made:.0%} decoding, {picture.resizing / made:.0%} resizing.",
        f"A row of the shards takes {read * 1e6:.0f} µs of a core in every epoch if its picture "
        f"is a JPEG there, of which {picture.decoding_stored / read:.0%} is decoding it, "
        f"{picture.parsing / read:.0%} parsing and {picture.reading / read:.0%} reading; raw "
        "pixels take no decoding.",
    )
