"""What a person sees while a run goes on: a moving bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from flows.console import harmless
from transforms.contract.process.events import Progress

LINE_SECONDS = 5.0  # between two plain lines of one step: a log of an hour stays readable
_NAME_WIDTH = 10
_ROWS_PER_SECOND = "rows_per_second"
_PLAIN_WIDTH = 140


def console() -> Console:
    """Returns the console for what people read; a log file is wider than the 80 that rich takes."""
    plain = Console(emoji=False)
    return plain if plain.is_terminal else Console(emoji=False, width=_PLAIN_WIDTH)


class StepView(Protocol):
    """Shows one step while it runs."""

    def update(self, progress: Progress) -> None:
        """Shows how far the step is."""


class Steps(Protocol):
    """Shows several steps that run at the same time."""

    def step(self, name: str) -> AbstractContextManager[StepView]:
        """Shows one step's progress until the block ends; any thread may call it."""


class Reporter:
    """Tells on a console what a run does.

    Args:
        console: Where to; a terminal gets bars, anything else throttled lines.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._showing = threading.Lock()
        self._shown: tuple[Steps, ExitStack] | None = None
        self._users = 0

    def note(self, text: str) -> None:
        """Prints one line between the steps."""
        self.console.print(harmless.console(text, lines=True), highlight=False)

    def skipped(self, step: str, why: str) -> None:
        """Prints that a step has nothing to do."""
        self.console.print(
            f"  [dim]· {_name(step)} {harmless.console(why)}[/dim]", highlight=False, soft_wrap=True
        )

    def done(self, step: str, summary: str) -> None:
        """Prints how a step ended."""
        self.console.print(
            f"  [green]✓[/green] {_name(step)} {harmless.console(summary)}",
            highlight=False,
            soft_wrap=True,
        )

    def failed(self, step: str, why: str) -> None:
        """Prints that a step failed and others go on."""
        self.console.print(
            f"  [red]✗[/red] {_name(step)} {harmless.console(why)}", highlight=False, soft_wrap=True
        )

    @contextmanager
    def step(self, name: str) -> Iterator[StepView]:
        """Shows a step's progress until the block ends."""
        with self.steps() as steps, steps.step(name) as view:
            yield view

    @contextmanager
    def steps(self) -> Iterator[Steps]:
        """Shows the progress of several steps at the same time until the block ends.

        Blocks of several threads share what is shown: a terminal has one place for bars.
        """
        with self._showing:
            if self._shown is None:
                stack = ExitStack()
                self._shown = (stack.enter_context(self._open()), stack)
            self._users += 1
            shown, closing = self._shown
        try:
            yield shown
        finally:
            with self._showing:
                self._users -= 1
                if self._users == 0:
                    self._shown = None
                    closing.close()

    @contextmanager
    def _open(self) -> Iterator[Steps]:
        if not self.console.is_terminal:
            yield _ManyLines(self.console)
            return
        bars = Bars(
            SpinnerColumn(finished_text=" "),
            TextColumn(f"{{task.description:<{_NAME_WIDTH}}}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,  # the step's last line takes its place
        )
        with bars:
            yield _ManyBars(bars)


class _ManyBars:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars

    @contextmanager
    def step(self, name: str) -> Iterator[StepView]:
        task = self._bars.add_task(harmless.console(name), total=None, figures="starting")
        try:
            yield _Bar(self._bars, task)
        finally:
            self._bars.remove_task(task)


class _ManyLines:
    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str) -> Iterator[StepView]:
        yield _Lines(self._console, name)


class _Bar:
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task
        self._rate = _Rate()

    def update(self, progress: Progress) -> None:
        self._bars.update(
            self._task,
            completed=progress.done,
            total=progress.total or None,
            figures=figures(progress, self._rate.of(progress)),
        )


class _Lines:
    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._rate = _Rate()
        self._printed = time.monotonic()
        self._done = 0
        self._console.print(f"    {_name(name)} starting", highlight=False)

    def update(self, progress: Progress) -> None:
        rate = self._rate.of(progress)
        now = time.monotonic()
        last = progress.total > 0 and progress.done >= progress.total
        if progress.done == self._done or (now - self._printed < LINE_SECONDS and not last):
            return
        self._printed, self._done = now, progress.done
        line = f"    {_name(self._name)} {harmless.console(figures(progress, rate))}"
        self._console.print(line, highlight=False, soft_wrap=True)


def _name(step: str) -> str:
    return harmless.console(f"{step:<{_NAME_WIDTH}}")  # a backfill's steps are partitions


class _Rate:
    """The rate since the step's first event: a step's start-up is not its speed."""

    def __init__(self) -> None:
        self._start: tuple[float, int] | None = None

    def of(self, progress: Progress) -> float | None:
        now = time.monotonic()
        if self._start is None or progress.done < self._start[1]:
            self._start = (now, progress.done)
        seconds, done = now - self._start[0], progress.done - self._start[1]
        return done / seconds if seconds > 0.5 and done else None


def figures(progress: Progress, rate: float | None) -> str:
    """Returns "1,200/2,000 rows · 450 rows/s · loss 0.41"."""
    total = f"/{progress.total:,}" if progress.total else ""  # 0: nobody knows
    parts = [f"{progress.done:,}{total} {progress.unit}"]
    numbers = dict(progress.numbers)
    measured = numbers.pop(_ROWS_PER_SECOND, None)  # a step that counts something else knows it
    if measured is not None:
        parts.append(f"{_number(measured)} rows/s")
    elif rate is not None and progress.unit == "rows":
        parts.append(f"{_number(rate)} rows/s")
    parts += [f"{name} {_number(value)}" for name, value in numbers.items()]
    return " · ".join(parts)


def summary(rows: int | None, seconds: float | None, unit: str = "rows") -> str:
    """Returns "2,000 rows · 3.1 s · 645 rows/s", as far as the figures are known."""
    parts = [f"{rows:,} {unit}"] if rows is not None else []
    if seconds is not None:
        parts.append(f"{seconds:.1f} s")
        if rows and seconds > 0:
            parts.append(f"{_number(rows / seconds)} {unit}/s")
    return " · ".join(parts)


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
