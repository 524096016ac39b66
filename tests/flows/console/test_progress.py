from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from flows.console import progress as module
from flows.console.progress import Reporter, figures, summary
from transforms.contract.process.events import Progress


def _progress(done: int, total: int = 2000, **numbers: float) -> Progress:
    return Progress(done=done, total=total, unit="rows", numbers=numbers)


def test_figures_name_what_is_counted():
    assert (
        figures(_progress(1200, loss=0.41234), 450.4)
        == "1,200/2,000 rows · 450 rows/s · loss 0.412 · 0:02 left"
    )


def _epoch(epoch: int, **numbers: float) -> Progress:
    counted = {"epoch": epoch, "epochs": 18, "loss": 0.41234, **numbers}
    return Progress(done=20 * epoch, total=360, unit="steps", numbers=counted)


def test_a_training_is_told_by_epochs_and_by_the_names_that_keras_gives():
    told = figures(_epoch(3, val_loss=0.39, val_auc=0.91, rows_per_second=5_000), 10.0)
    assert (
        told == "epoch 3/18 · loss 0.412 · val_loss 0.39 · val_auc 0.91 · 0:30 left · 5,000 rows/s"
    )


def test_what_has_no_room_is_left_out_from_the_end():
    assert figures(_epoch(3, val_loss=0.39), 10.0, room=40) == (
        "epoch 3/18 · loss 0.412 · val_loss 0.39"
    )


def test_a_log_has_a_line_for_each_epoch_and_none_between_them(monkeypatch):
    clock = iter(range(0, 1000))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock) * 6.0)
    output = io.StringIO()
    with Reporter(Console(file=output, width=100)).step("train") as view:
        for epoch in (1, 2, 3):
            view.update(_epoch(epoch, val_loss=0.4).model_copy(update={"milestone": True}))
            view.update(_epoch(epoch + 1))
    lines = [line.split()[1:3] for line in output.getvalue().splitlines()]
    assert lines == [["starting"], ["epoch", "1/18"], ["epoch", "2/18"], ["epoch", "3/18"]]


def test_a_step_is_told_with_its_place_among_all_and_what_its_start_does(monkeypatch):
    monkeypatch.setattr(module.OUTPUT, "verbose", True)
    output = io.StringIO()
    reporter = Reporter(Console(file=output, width=100), ("analyze", "transform", "train"))
    with reporter.step("transform") as view:
        view.update(Progress(done=0, total=0, unit="", doing="loading TensorFlow"))
        view.update(Progress(done=0, total=0, unit="", doing="building the model"))
    assert [line.strip() for line in output.getvalue().splitlines()] == [
        "transform  step 2 of 3: loading TensorFlow",
        "transform  building the model",
    ]


def test_whoever_wants_quiet_hears_of_failures_alone(monkeypatch):
    monkeypatch.setattr(module.OUTPUT, "quiet", True)
    output = io.StringIO()
    reporter = Reporter(Console(file=output, width=100))
    with reporter.step("transform") as view:
        view.update(_progress(500))
    reporter.done("transform", "2,000 rows")
    reporter.note("on to the next")
    reporter.failed("day=2026-01-02", "a file is cut")
    assert output.getvalue() == "  ✗ day=2026-01-02 a file is cut\n"


def test_all_that_a_run_shows_fits_60_columns():
    output = io.StringIO()
    terminal = Console(file=output, width=60, force_terminal=True, color_system=None)
    reporter = Reporter(terminal, ("analyze", "train"))
    with reporter.step("train") as view:
        view.update(Progress(done=0, total=0, unit="", doing="loading TensorFlow"))
        told = _epoch(3, val_loss=0.39, val_auc=0.91, rows_per_second=5_000)
        view.update(told.model_copy(update={"milestone": True}))
    reporter.done("train", "15.9 s · 2,777 rows/s · 18 epochs, the best is 14; batch 64, up to 440")
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "\n", output.getvalue())
    assert "step 2 of 2: loading TensorFlow" in shown
    assert "epoch 3/18 · loss 0.412" in shown
    assert max(map(len, re.split(r"[\n\r]", shown))) <= 60


def test_summary_leaves_out_what_is_unknown():
    assert summary(2000, 4.0) == "2,000 rows · 4.0 s · 500 rows/s"
    assert summary(None, 4.0) == "4.0 s"
    assert summary(None, None) == ""


def test_a_log_gets_few_lines_and_always_the_last(monkeypatch):
    clock = iter(range(0, 1000))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock) * 0.5)
    output = io.StringIO()
    with Reporter(Console(file=output, width=100)).step("transform") as view:
        for done in range(0, 2001, 100):
            view.update(_progress(done))
    lines = output.getvalue().splitlines()
    assert len(lines) < 8
    assert "2,000/2,000 rows" in lines[-1]


def test_a_terminal_gets_a_bar_that_leaves_nothing_behind():
    output = io.StringIO()
    terminal = Console(file=output, width=100, force_terminal=True)
    with Reporter(terminal).step("transform") as view:
        view.update(_progress(500, loss=0.5))
    assert "transform" in output.getvalue()


def test_what_a_table_says_is_not_taken_for_markup():
    output = io.StringIO()
    Reporter(Console(file=output, width=100)).done("scan", "column [bold]x[/bold]")
    assert "[bold]x[/bold]" in output.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_steps_of_two_threads_are_shown_side_by_side(terminal):
    output = io.StringIO()
    reporter = Reporter(Console(file=output, width=100, force_terminal=terminal))
    with reporter.step("transform") as transform:
        with reporter.step("train") as train:
            train.update(_progress(2000))
            transform.update(_progress(500))
        reporter.done("train", "3 epochs")
        transform.update(_progress(2000))
    with reporter.step("export") as export:
        export.update(_progress(2000))
    for name in ("transform", "train", "export", "3 epochs"):
        assert name in output.getvalue()


class _Lines:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, bool]] = []

    def write(self, line: str, *, failed: bool = False) -> None:
        self.lines.append((line, failed))


def test_a_journal_keeps_what_a_quiet_reporter_does_not_show(monkeypatch):
    monkeypatch.setattr(module.OUTPUT, "quiet", True)
    output, journal = io.StringIO(), _Lines()
    reporter = Reporter(Console(file=output, width=100), ("transform",), journal)
    with reporter.step("transform") as view:
        view.update(Progress(done=0, total=0, unit="", doing="loading TensorFlow"))
    reporter.done("transform", "2,000 rows")
    reporter.detail("3 rows rejected by area: missing")
    reporter.note("  on to the next")
    reporter.failed("day=2", "a file is cut")
    assert journal.lines == [
        ("transform: step 1 of 1: loading TensorFlow", False),
        ("transform: 2,000 rows", False),
        ("3 rows rejected by area: missing", False),
        ("on to the next", False),
        ("day=2: a file is cut", True),
    ]
    assert output.getvalue() == "  ✗ day=2      a file is cut\n"


def test_a_journal_has_a_line_in_half_a_minute_however_short_the_epochs(monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: seconds[0])
    output, journal = io.StringIO(), _Lines()
    with Reporter(Console(file=output, width=100), journal=journal).step("train") as view:
        for epoch in range(1, 19):
            seconds[0] += 5.0
            view.update(_epoch(epoch).model_copy(update={"milestone": True}))
            view.update(_epoch(epoch + 1))
    told = [line.split(" · ")[0] for line, _ in journal.lines]
    epochs = [f"train: epoch {epoch}/18" for epoch in (1, 7, 13)]
    assert told == ["train: starting", *epochs]
    assert output.getvalue().count("epoch") == 18
