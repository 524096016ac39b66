"""The end of a run as `braid run` and `braid tune` tell it."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from flows.commands.exit_codes import EXIT_CODES
from flows.console.harmless import say
from flows.console.output import OUTPUT
from flows.records.record import PAGE_FILE, PICTURE_FILE, RECORD_FILE, RunRecord
from flows.report.summary import show


def tell_end(console: Console, folder: Path, record: RunRecord) -> int:
    """Shows a run's summary and where its files are, and returns the exit code."""
    show(console, record)
    for name in () if OUTPUT.quiet else (RECORD_FILE, PICTURE_FILE, PAGE_FILE):
        if (folder / name).exists():
            say(f"{folder / name}")
    return EXIT_CODES[record.status]
