from __future__ import annotations

import io

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
        == "1,200/2,000 rows · 450 rows/s · loss 0.412"
    )


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
