"""Numbers as texts spell them: the same ones in shards, in keys of time and in serving."""

from __future__ import annotations

import re

# ASCII alone. Python's `float` reads "1_000" and the digits of every script too, Arrow does not,
# and whether a cell is a number must not depend on what stands beside it.
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity)",
    re.ASCII | re.IGNORECASE,
)
MISSING_NUMBERS = ("", "na", "n/a", "nan", "-nan", "null", "none")  # in lower case
LARGEST_FLOAT32 = 3.4028234663852886e38


def number_in(text: str) -> float:
    """Returns the number that a text spells; NaN for one that means a missing number.

    White space around it does not count.

    Raises:
        ValueError: It spells none.
    """
    text = text.strip()
    if text.lower() in MISSING_NUMBERS:
        return float("nan")
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return float(text)
