"""`python -m tests.fuzz`: draws what nobody meant, until the time is up or something breaks."""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import logging
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings


@dataclass(frozen=True)
class Space:
    """The draws of a space, and the question that they are asked.

    Attributes:
        module: Has the strategy and the function `check`.
        strategy: The name of the strategy's function.
        share: Its part of the time.
        batch: How many examples one seed draws.
        bound_s: Seconds after which an example counts as hanging, on a busy machine.
        shrinks: Whether a failure is worth to be made smaller: each try is one more example. Else
            the simplest example is left out too, which hypothesis draws first, whatever the seed.
    """

    module: str
    strategy: str
    share: float
    batch: int
    bound_s: int
    shrinks: bool = True


SPACES = {
    "declarations": Space("tests.fuzz.declarations", "documents", 0.15, 200, 60),
    "tables": Space("tests.fuzz.tables", "tables", 0.25, 100, 120),
    "pictures": Space("tests.fuzz.pictures", "cells", 0.15, 50, 60),
    "faults": Space("tests.fuzz.faults", "faults", 0.45, 2, 1800, shrinks=False),
}


def main(arguments: list[str] | None = None) -> int:
    """Returns 0 if nothing broke and 1 if something did."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0, help="for all spaces together")
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=list(SPACES))
    parser.add_argument("--seed", type=int, help="of the first examples; by default another one")
    logging.disable(logging.WARNING)  # Beam's, of which there are some for every pipeline
    given_ = parser.parse_args(arguments)
    first = random.SystemRandom().randrange(10**6) if given_.seed is None else given_.seed
    shares = sum(SPACES[name].share for name in given_.spaces)
    failed = False
    for name in given_.spaces:
        seconds = given_.minutes * 60 * SPACES[name].share / shares
        failed |= not _fuzz(name, SPACES[name], seconds, first)
    return int(failed)


def _fuzz(name: str, space: Space, seconds: float, first: int) -> bool:
    """Draws batches of examples until the time is up, one at least; returns whether all held."""
    started = time.monotonic()
    module = importlib.import_module(space.module)
    count = 0
    number = first
    while number == first or time.monotonic() - started < seconds:
        batch = _Batch(space, module, until=max(started + seconds, time.monotonic() + 1))
        try:
            batch.run(number)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            traceback.print_exception(error, file=sys.stdout)
            _say(f"{name}: FAILED after {count + batch.count:,} examples; again with")
            _say(f"  python -m tests.fuzz --spaces {name} --seed {number}")
            return False
        count += batch.count
        number += 1
    _say(f"{name}: {count:,} examples in {time.monotonic() - started:.0f} s, seeds {first} to "
         f"{number - 1}: all held")  # fmt: skip
    return True


class _Batch:
    """The examples of one seed."""

    def __init__(self, space: Space, module: Any, until: float) -> None:
        self._space = space
        self._check: Callable[[Any, Path], None] = module.check
        self._strategy = getattr(module, space.strategy)()
        self._until = until
        self._failed = False
        self._drawn = 0
        self.count = 0

    def run(self, number: int) -> None:
        """Raises what an example raises, with the least such example as a note."""
        phases = [Phase.generate, Phase.shrink] if self._space.shrinks else [Phase.generate]

        @seed(number)
        @settings(
            max_examples=self._space.batch,
            database=None,
            deadline=None,
            phases=phases,
            print_blob=False,
            verbosity=Verbosity.normal,
            suppress_health_check=list(HealthCheck),
        )
        @given(self._strategy)
        def examples(example: Any) -> None:
            self._one(example)

        examples()

    def _one(self, example: Any) -> None:
        if not self._failed and self.count and time.monotonic() > self._until:
            return  # the time is up, and what a failure makes smaller is done nevertheless
        self._drawn += 1
        if self._drawn == 1 and not self._space.shrinks:
            return
        self.count += 1
        try:
            with TemporaryDirectory(prefix="braid-fuzz-") as folder, _bounded(self._space.bound_s):
                self._check(example, Path(folder))
        except Exception:
            self._failed = True
            raise


@contextmanager
def _bounded(seconds: int) -> Iterator[None]:
    """Raises `TimeoutError` after some seconds; a hang inside a library ends the process later."""

    def hangs(_number: int, _frame: Any) -> None:
        raise TimeoutError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(seconds + 60, exit=True, file=sys.__stderr__ or 2)
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def _without_noise() -> None:
    """Lets what libraries print of bad pictures go nowhere; Python's own errors are still shown."""
    sys.stderr = sys.__stderr__ = os.fdopen(os.dup(2), "w")  # type: ignore[misc]
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _without_noise()
    sys.exit(main())
