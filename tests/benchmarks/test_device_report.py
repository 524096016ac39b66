"""The report of `make bench-gpu`: what it says of a measurement, and on what that was made."""

from __future__ import annotations

import pytest

from tests.benchmarks.device_report import Device, Picture, Round, report

PICTURE = Picture(
    decoding=60e-6, resizing=20e-6, reading=5e-6, parsing=15e-6, decoding_stored=80e-6
)
SETTINGS = {
    "as a run trains": [Round(batches=4_000, steps=1_000, both=900, waited=0.05)],
    "bfloat16": [Round(batches=4_000, steps=5_000, both=3_600, waited=0.4)],
}


def _report(device: Device):
    return report("Input and step", "python -m x", device, SETTINGS, PICTURE)


@pytest.mark.parametrize(
    ("device", "told"),
    [
        (Device("Chip 9", is_gpu=True), "It ran on a GPU, Chip 9."),
        (Device("Core 2", is_gpu=False), "It ran on a CPU only, Core 2, and on no GPU:"),
    ],
)
def test_the_report_says_first_what_it_ran_on(device, told):
    assert _report(device).sentences[0].startswith(told)


def test_both_are_held_against_the_slower_and_against_the_first_line():
    usual, half = _report(Device("Core 2", is_gpu=False)).lines
    assert usual == ("as a run trains", "4,000", "1,000", "900", "0.90", "5%", "1.00")
    assert half == ("bfloat16", "4,000", "5,000", "3,600", "0.90", "40%", "4.00")


def test_the_shares_of_decoding_and_resizing_are_told():
    _, headroom, made, read = _report(Device("Core 2", is_gpu=False)).sentences
    assert "4.0 times the rows of the step" in headroom
    assert "80 µs of a core in the transform, once: 75% decoding, 25% resizing." in made
    assert "100 µs of a core in every epoch" in read
    assert "80% is decoding it, 15% parsing and 5% reading" in read
