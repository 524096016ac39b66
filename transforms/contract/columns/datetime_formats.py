"""Formats of dates and times, as `strptime` has them, to what respells such texts in ISO 8601.

A respelling is a list of RE2's replacements, as Arrow and TensorFlow have the same ones: reading
and the graph thus agree on every text, and the exported model takes texts as the table has them.
"""

from __future__ import annotations

import re
from functools import cache

from transforms.contract.spec import RuleBroken

_MARK = "\x1e"  # begins a text that is being respelt: later replacements leave others alone
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_SHORT_MONTHS = tuple(name[:3] for name in _MONTHS)
_DIRECTIVES = {
    "Y": "([0-9]{4})",
    "y": "([0-9]{2})",
    "m": "([0-9]{1,2})",
    "b": f"({'|'.join(_SHORT_MONTHS)})",
    "B": f"({'|'.join(_MONTHS)})",
    "d": "([0-9]{1,2})",
    "H": "([0-9]{1,2})",
    "I": "(0?[1-9]|1[0-2])",
    "M": "([0-9]{2})",
    "S": "([0-9]{2})",
    "f": "([0-9]{1,6})",
    "p": "([AP]M)",
    "z": "(Z|[+-][0-9]{2}:?[0-9]{2})",
    "a": "[A-Z]{3}",
    "A": "[A-Z]+",
    "%": "%",
}
_READ_ALONE = set("aA%")  # nothing of them is kept
_DIRECTIVE = re.compile("%(.?)", re.DOTALL)

Replacement = tuple[str, str]  # a pattern of RE2, and what it becomes, with \1 to \9


def check_format(format_: str) -> str:
    """Returns a format that says a year, a month and a day, and a time or none.

    Raises:
        RuleBroken: It does not, or has a directive that is not read.
    """
    named = _DIRECTIVE.findall(format_)
    unknown = [name for name in named if name not in _DIRECTIVES]
    if unknown:
        raise RuleBroken(
            expected="a format of " + " ".join(f"%{name}" for name in _DIRECTIVES),
            received=f"%{unknown[0]}",
        )
    kept = [name for name in named if name not in _READ_ALONE]
    parts = {_part(name) for name in kept}
    wanted = {"year", "month", "day"} | ({"hour", "minute"} if parts & _OF_A_CLOCK else set())
    wanted |= {"second"} if "fraction" in parts else set()
    if len(parts) < len(kept) or not wanted <= parts or ("I" in kept) != ("p" in kept):
        raise RuleBroken(
            expected="a format with one year, one month and one day, and of a time at least %H:%M "
            "or %I:%M %p",
            received=repr(format_),
        )
    pattern, canonical = respelling(format_)[0]
    for iso in _ISO_TEXTS:
        match = re.match(pattern, iso)
        if match and match.expand(canonical) != _MARK + iso.replace("T", " "):
            raise RuleBroken(
                expected="a format that no text of ISO 8601 is in, unless it means the same there",
                received=f"{format_!r}, which takes {iso} for another day",
            )
    return format_


# A column of dates comes as such texts too, and they are always read as what they are.
_ISO_TEXTS = [
    "2001-02-03",
    *(
        f"2001-02-03{between}04:05{seconds}{offset}"
        for between in " T"
        for seconds in ("", ":06", ":06.7")
        for offset in ("", "Z")
    ),
]
_PARTS = {
    "year": "Yy", "month": "mbB", "day": "d", "hour": "HI", "minute": "M", "second": "S",
    "fraction": "f", "half": "p", "offset": "z",
}  # fmt: skip
_OF_A_CLOCK = {"hour", "minute", "second", "fraction", "half", "offset"}


def _part(directive: str) -> str:
    return next(part for part, names in _PARTS.items() if directive in names)


@cache
def respelling(format_: str) -> tuple[Replacement, ...]:
    """Returns the replacements, in order, that make ISO 8601 of a format's texts.

    What is in another format stays as it is. Names of months may be in any case; "%y" is of the
    years 1969 to 2068.

    Args:
        format_: One that `check_format` takes.
    """
    pieces = _DIRECTIVE.split(format_)
    literals, named = pieces[::2], pieces[1::2]
    pattern = re.escape(literals[0]) + "".join(
        _DIRECTIVES[name] + re.escape(literal)
        for name, literal in zip(named, literals[1:], strict=True)
    )
    kept = [name for name in named if name not in _READ_ALONE]
    groups = {_part(name): f"\\{number}" for number, name in enumerate(kept, start=1)}
    canonical = f"{_MARK}{groups['year']}-{groups['month']}-{groups['day']}"
    if "hour" in groups:
        canonical += f" {groups['hour']}:{groups['minute']}"
        canonical += "".join(
            before + groups[part]
            for part, before in (("second", ":"), ("fraction", "."), ("half", ""), ("offset", ""))
            if part in groups
        )
    return (
        (f"(?i)^{pattern}$", canonical),
        *(_FULL_YEAR if "y" in kept else ()),
        *(_MONTH_NUMBERS if {"b", "B"} & set(kept) else ()),
        *_TWO_DIGITS,
        *(_HOURS_OF_THE_DAY if "p" in kept else ()),
        (f"^{_MARK}", ""),
    )


_FULL_YEAR: tuple[Replacement, ...] = (
    (f"^{_MARK}(69|[7-9][0-9])-", f"{_MARK}19\\1-"),
    (f"^{_MARK}([0-6][0-9])-", f"{_MARK}20\\1-"),
)
_MONTH_NUMBERS: tuple[Replacement, ...] = tuple(
    (f"(?i)^({_MARK}[0-9]{{4}})-{name}[a-z]*-", f"\\1-{number:02}-")
    for number, name in enumerate(_SHORT_MONTHS, start=1)
)
_TWO_DIGITS: tuple[Replacement, ...] = (
    (f"^({_MARK}[0-9]{{4}}-)([0-9]-)", "\\10\\2"),
    (f"^({_MARK}[0-9]{{4}}-[0-9]{{2}}-)([0-9])( |$)", "\\10\\2\\3"),
    (f"^({_MARK}[0-9-]{{10}} )([0-9]:)", "\\10\\2"),
)
_HOURS_OF_THE_DAY: tuple[Replacement, ...] = (
    (f"(?i)^({_MARK}[0-9-]{{10}} )12(:[0-9:.]*)AM", "\\100\\2"),
    *(
        (f"(?i)^({_MARK}[0-9-]{{10}} ){hour:02}(:[0-9:.]*)PM", f"\\1{hour + 12}\\2")
        for hour in range(1, 12)
    ),
    (f"(?i)^({_MARK}[0-9-]{{10}} [0-9:.]*)[AP]M", "\\1"),
)
