"""Progress of a run for a person: a moving bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from flows.console import harmless
from flows.console.journal import Journal
from flows.console.output import OUTPUT
from transforms.contract.process.events import Progress

_NARROW = 80  # columns: below them the bar leaves its place to the figures
LINE_SECONDS = 5.0  # between two plain lines of one step: a log of an hour stays readable
JOURNAL_SECONDS = 30.0  # between two lines of one step in a journal, epochs included
_TOO_EARLY = 0.02  # of a step: its first batches take far longer than the others
_NAME_WIDTH = 10
_BAR_WIDTH = 24
_FRAME_WIDTH = 12  # of the spinner, the time and the spaces between them
_INDENT = " " * (_NAME_WIDTH + 5)  # under what is told of a step
_ROWS_PER_SECOND = "rows_per_second"
_PLAIN_WIDTH = 140


def console() -> Console:
    """Returns the console for what people read; a log file is wider than the 80 that rich takes."""
    plain = Console(emoji=False, stderr=OUTPUT.json)
    if plain.is_terminal:
        return plain
    return Console(emoji=False, stderr=OUTPUT.json, width=_PLAIN_WIDTH)


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
        steps: The names of all steps that there may be, in their order; a step that is among them
            is shown with its place.
        journal: Keeps the same, whatever the console is and however quiet.
    """

    def __init__(
        self, console: Console, steps: Sequence[str] = (), journal: Journal | None = None
    ) -> None:
        self.console = console
        self._journal = journal
        self._places = {name: f"step {n} of {len(steps)}" for n, name in enumerate(steps, 1)}
        self._showing = threading.Lock()
        self._shown: tuple[Steps, ExitStack] | None = None
        self._users = 0

    def note(self, text: str) -> None:
        """Prints one line between the steps."""
        self.detail(text.strip())
        if OUTPUT.quiet:
            return
        self.console.print(harmless.console(text, lines=True), highlight=False)

    def detail(self, text: str) -> None:
        """Tells the journal alone, of what would be too much between the steps."""
        if self._journal is not None:
            self._journal.write(text)

    def skipped(self, step: str, why: str) -> None:
        """Prints that a step has nothing to do."""
        self._end("[dim]·[/dim]", step, why)

    def done(self, step: str, summary: str) -> None:
        """Prints how a step ended."""
        self._end("[green]✓[/green]", step, summary)

    def failed(self, step: str, why: str) -> None:
        """Prints that a step failed and others go on."""
        self._end("[red]✗[/red]", step, why, failed=True)

    def _end(self, mark: str, step: str, text: str, *, failed: bool = False) -> None:
        if self._journal is not None:
            self._journal.write(f"{step}: {text}", failed=failed)
        if OUTPUT.quiet and not failed:
            return
        lines = [text]
        if self.console.is_terminal:  # a log's reader searches it by line
            room = max(self.console.width - len(_INDENT) - 1, _NAME_WIDTH)
            lines = textwrap.wrap(text, room, break_on_hyphens=False) or [""]
        rest = "".join(f"\n{_INDENT}{harmless.console(line)}" for line in lines[1:])
        self.console.print(
            f"  {mark} {_name(step)} {harmless.console(lines[0])}{rest}",
            highlight=False,
            soft_wrap=True,
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
        with self._open_console() as shown:
            journal = self._journal
            yield shown if journal is None else _Journaled(shown, journal, self._places)

    @contextmanager
    def _open_console(self) -> Iterator[Steps]:
        if OUTPUT.quiet:
            yield _Nothing()
            return
        if not self.console.is_terminal:
            yield _ManyLines(self.console, self._places)
            return
        bar = () if self.console.width < _NARROW else (BarColumn(bar_width=_BAR_WIDTH),)
        bars = Bars(
            SpinnerColumn(finished_text=" "),
            TextColumn(f"{{task.description:<{_NAME_WIDTH}}}"),
            *bar,
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=self.console,
            transient=True,  # the step's last line takes its place
        )
        taken = _NAME_WIDTH + _FRAME_WIDTH + (_BAR_WIDTH + 1 if bar else 0)
        with bars:
            yield _ManyBars(bars, self._places, self.console.width - taken)


class _Nothing:
    """A view for those who asked for none."""

    @contextmanager
    def step(self, name: str) -> Iterator[StepView]:
        del name
        yield self

    def update(self, progress: Progress) -> None:
        del progress


class _ManyBars:
    def __init__(self, bars: Bars, places: Mapping[str, str], room: int) -> None:
        self._bars, self._places, self._room = bars, places, room

    @contextmanager
    def step(self, name: str) -> Iterator[StepView]:
        begun = _begun(self._places.get(name), "starting")
        task = self._bars.add_task(harmless.console(name), total=None, figures=begun)
        try:
            yield _Bar(self._bars, task, self._places.get(name), self._room)
        finally:
            self._bars.remove_task(task)


class _ManyLines:
    def __init__(self, console: Console, places: Mapping[str, str]) -> None:
        self._console, self._places = console, places

    @contextmanager
    def step(self, name: str) -> Iterator[StepView]:
        def tell(text: str) -> None:
            line = f"    {_name(name)} {harmless.console(text)}"
            self._console.print(line, highlight=False, soft_wrap=True)

        yield _Lines(tell, self._places.get(name), LINE_SECONDS)


class _Journaled:
    """Steps that are shown, and told to a journal now and then."""

    def __init__(self, shown: Steps, journal: Journal, places: Mapping[str, str]) -> None:
        self._shown, self._journal, self._places = shown, journal, places

    @contextmanager
    def step(self, name: str) -> Iterator[StepView]:
        def tell(text: str) -> None:
            self._journal.write(f"{name}: {text}")

        lines = _Lines(tell, self._places.get(name), JOURNAL_SECONDS, epochs=JOURNAL_SECONDS)
        with self._shown.step(name) as view:
            yield _Both(view, lines)


class _Both:
    def __init__(self, *views: StepView) -> None:
        self._views = views

    def update(self, progress: Progress) -> None:
        for view in self._views:
            view.update(progress)


class _Bar:
    def __init__(self, bars: Bars, task: TaskID, place: str | None, room: int) -> None:
        self._bars, self._task, self._place, self._room = bars, task, place, room
        self._rate = _Rate()
        self._milestone: dict[str, float] = {}  # what the last one told stays until the next

    def update(self, progress: Progress) -> None:
        if progress.milestone:
            self._milestone = progress.numbers
        numbers = self._milestone | progress.numbers
        shown = figures(
            progress.model_copy(update={"numbers": numbers}),
            self._rate.of(progress),
            self._room,
        )
        self._bars.update(
            self._task,
            completed=progress.done,
            total=progress.total or None,
            figures=_begun(self._place, shown) if progress.doing else shown,
            refresh=progress.milestone or bool(progress.doing),
        )


class _Lines:
    """A step's progress in lines.

    Args:
        tell: Is given every line.
        place: The step's place among all.
        between: Seconds between two lines.
        epochs: Seconds between two lines on milestones, which the others make way for.
    """

    def __init__(
        self, tell: Callable[[str], None], place: str | None, between: float, epochs: float = 0.0
    ) -> None:
        self._tell = tell
        self._between, self._epochs = between, epochs
        self._rate = _Rate()
        self._printed = time.monotonic()
        self._milestone_printed = -math.inf
        self._done = 0
        self._has_milestones = False
        self._place: str | None = place
        self._has_begun = False

    def update(self, progress: Progress) -> None:
        rate = self._rate.of(progress)
        if not self._has_begun:
            self._has_begun = True
            self._tell(_begun(self._place, progress.doing or "starting"))
        elif progress.doing and OUTPUT.verbose:
            self._tell(progress.doing)
        now = time.monotonic()
        if progress.milestone:
            self._has_milestones = True
            if now - self._milestone_printed >= self._epochs:
                self._milestone_printed = now
                self._tell(figures(progress, rate))
            return
        last = progress.total > 0 and progress.done >= progress.total
        if progress.done == self._done or (now - self._printed < self._between and not last):
            return
        self._printed, self._done = now, progress.done
        if not self._has_milestones or OUTPUT.verbose:
            self._tell(figures(progress, rate))


def _begun(place: str | None, what: str) -> str:
    return what if place is None else f"{place}: {what}"


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


def figures(progress: Progress, rate: float | None, room: int | None = None) -> str:
    """Returns "1,200/2,000 rows · 450 rows/s · 0:02 left", or "epoch 3/18 · loss 0.41 · ...".

    Args:
        progress: How far the step is.
        rate: Units a second, if they are known.
        room: Columns; what does not fit is left out from the end. None has room for all.
    """
    parts = [progress.doing] if progress.doing else list(_parts(progress, rate))
    while room is not None and len(parts) > 1 and len(" · ".join(parts)) > room:
        parts.pop()
    return " · ".join(parts)


def _parts(progress: Progress, rate: float | None) -> Iterator[str]:
    """Yields what is told of a step, what matters most first."""
    numbers = dict(progress.numbers)
    measured = numbers.pop(_ROWS_PER_SECOND, None)  # a step that counts something else knows it
    per_second = measured if measured is not None or progress.unit != "rows" else rate
    speed = [] if per_second is None else [f"{_number(per_second)} rows/s"]
    epoch, epochs = numbers.pop("epoch", None), numbers.pop("epochs", None)
    if epoch is not None:
        yield f"epoch {_number(epoch)}" + ("" if epochs is None else f"/{_number(epochs)}")
    else:
        total = f"/{progress.total:,}" if progress.total else ""  # 0: nobody knows
        yield f"{progress.done:,}{total} {progress.unit}"
        yield from speed
    yield from (f"{name} {_number(value)}" for name, value in numbers.items())
    if rate and progress.total > progress.done > progress.total * _TOO_EARLY:
        yield f"{_duration((progress.total - progress.done) / rate)} left"
    if epoch is not None:
        yield from speed


def _duration(seconds: float) -> str:
    """Returns "0:07", "12:05" or "1:02:05"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


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
