"""The numbers that the classifier decides by, of one column."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import numpy as np

from transforms.proposal.classes.profile import ColumnProfile

_LONGEST_SHOWN = 30  # characters of a value in a comment

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_LARGEST = 1e13  # a threshold of a tree is a number of this size at most
_CURRENCY = "%$€£"

# What share of a column's samples look like this.
LOOKS: dict[str, re.Pattern[str]] = {
    "number": re.compile(r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?$", re.I),
    "integer": re.compile(r"^[+-]?[0-9]+$"),
    "fraction": re.compile(r"^[+-]?[0-9]*\.[0-9]+$"),
    "grouped": re.compile(
        r"^[^0-9a-z]{0,3}[0-9]{1,3}(?:[, ][0-9]{3})+(?:[.,][0-9]+)?[^0-9]{0,4}$", re.I
    ),
    "number_inside": re.compile(
        r"^[^0-9]{0,4}[0-9][0-9,. ]*[^0-9]{1,8}$|^[^0-9]{1,4}[0-9][0-9,. ]*$"
    ),
    "url": re.compile(
        r"^(?:https?://|ftp://|www\.)|^[a-z0-9.-]+\.(?:com|org|net|gov|edu|io)(?:/|$)", re.I
    ),
    "date": re.compile(
        r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?:[ T]|$)"
        rf"|^{_MONTH}\.?[ -][0-9]|^[0-9]{{1,2}}[- ]{_MONTH}"
        r"|^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? |^[0-9]{1,2}:[0-9]{2}",
        re.I,
    ),
    "time": re.compile(r"^[0-9]{1,3}:[0-9]{2}"),
    "year": re.compile(r"^(?:1[5-9]|20)[0-9]{2}(?:\.0)?$"),
    "compact_date": re.compile(r"^(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-3][0-9])?$"),
    "list": re.compile(r"^\s*[\[{(].*[,;:]", re.S),  # long ones may be cut
    "code": re.compile(r"^[A-Z]+[-_ ]?[0-9]+$"),
    "padded": re.compile(r"^0[0-9]+$"),
    "stand_in": re.compile(r"^-9+$|^-[1-9]$"),
}
# How many of these are in a sample, on average.
_CHARACTERS: dict[str, Callable[[str], bool]] = {
    "digits": str.isdigit,
    "letters": str.isalpha,
    "capitals": str.isupper,
    "spaces": str.isspace,
    "separators": lambda c: c in ",;|",
    "units": lambda c: c in _CURRENCY,
    "marks": lambda c: c in "./:-_",
}
_COUNTED = {"dots": ".", "dashes": "-", "slashes": "/", "colons": ":", "semicolons": ";"}
# Words of names that tell more than one table would.
_NAMES: dict[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "id": "id ids key uuid index identifier no nr num number",
        "code": "code cd zip postal fips",
        "flag": "flag is has ind yn bool status",
        "group": "type category class group kind level grade gender sex race region state country "
        "city county district department dept sector industry position team name title method "
        "source unit",
        "quantity": "amount total sum count cnt price cost value sales revenue income tax fee rate "
        "ratio pct percent percentage avg average mean median std min max size length width height "
        "weight area age score points",
        "time": "date time year month day week quarter dt timestamp hour period",
        "place": "lat lon lng long latitude longitude x y",
        "text": "description desc comment comments note notes text review summary address",
        "web": "url link website image",
    }.items()
}
_LISTED = re.compile(r"[;|,]")


def measures(profile: ColumnProfile) -> dict[str, float]:
    """Returns the classifier's measures by their names, in a fixed order."""
    numbers = {**_of_counts(profile), **_of_samples(profile), **_of_name(profile.name)}
    return {name: float(np.clip(value, -_LARGEST, _LARGEST)) for name, value in numbers.items()}


def look(profile: ColumnProfile, name: str) -> float:
    """Returns the share of the present samples that look like one of `LOOKS`."""
    values = _present(profile)
    return sum(bool(LOOKS[name].search(value)) for value in values) / max(len(values), 1)


def _present(profile: ColumnProfile) -> list[str]:
    stripped = (sample.strip() for sample in profile.samples)
    return [value for value in stripped if value and value.lower() != "nan"]


def _of_counts(profile: ColumnProfile) -> dict[str, float]:
    rows, present = max(profile.rows, 1), max(profile.rows - profile.missing, 1)
    reach = profile.max - profile.min
    return {
        "rows": math.log1p(profile.rows),
        "missing": profile.missing / rows,
        "distinct": math.log1p(profile.distinct),
        "distinct_share": profile.distinct / rows,
        "distinct_of_present": profile.distinct / present,
        "mean": _signed_log(profile.mean),
        "std": _signed_log(profile.std),
        "min": _signed_log(profile.min),
        "max": _signed_log(profile.max),
        "varies": float(profile.std != 0),
        "step": reach / max(profile.distinct, 1),
        "every_integer": float(abs(reach + 1 - profile.distinct) < 0.5),
        "spread": profile.std / reach if reach else 0.0,
        "counts_rows": float(profile.max in (profile.rows, profile.rows - 1)),
        "mean_words": math.log1p(profile.mean_words),
        "mean_characters": math.log1p(profile.mean_characters),
    }


def _of_samples(profile: ColumnProfile) -> dict[str, float]:
    values = _present(profile)
    present = {name: look(profile, name) for name in LOOKS}
    lengths = [len(value) for value in values] or [0]
    words = [len(value.split()) for value in values] or [0]
    listed = [len(_LISTED.findall(value)) for value in values] or [0]
    text = "".join(values)
    return {
        **present,
        "present": len(values),
        "different": len(set(values)) / max(len(values), 1),
        "length_mean": float(np.mean(lengths)),
        "length_std": float(np.std(lengths)),
        "length_max": max(lengths),
        "length_min": min(lengths),
        "words_max": max(words),
        "words_mean": float(np.mean(words)),
        "words_std": float(np.std(words)),
        **{k: sum(map(test, text)) / max(len(text), 1) for k, test in _CHARACTERS.items()},
        **{k: text.count(mark) / max(len(values), 1) for k, mark in _COUNTED.items()},
        "listed_mean": float(np.mean(listed)),
        "listed_std": float(np.std(listed)),
        **_of_numbers(values),
    }


def _of_numbers(values: Sequence[str]) -> dict[str, float]:
    numbers = [float(value) for value in values if LOOKS["number"].search(value)]
    numbers = [number for number in numbers if math.isfinite(number)]
    if len(numbers) < max(2, len(values)):
        return {"rising": -1, "by_one": -1, "sample_mean": 0, "whole": -1, "sample_reach": 0}
    steps = np.diff(numbers)
    return {
        "rising": float(np.mean(steps > 0)),
        "by_one": float(np.mean(steps == 1)),
        "sample_mean": _signed_log(float(np.mean(numbers))),
        "whole": float(all(number == int(number) for number in numbers)),
        "sample_reach": _signed_log(max(numbers) - min(numbers)),
    }


def _of_name(name: str) -> dict[str, float]:
    words = name_words(name)
    return {
        **{f"name_of_{k}": float(bool(some & set(words))) for k, some in _NAMES.items()},
        **{f"name_ends_as_{k}": float(bool(some & set(words[-1:]))) for k, some in _NAMES.items()},
        "name_length": len(name),
        "name_words": len(words),
        "name_digits": sum(map(str.isdigit, name)),
        "name_upper": float(name.isupper()),
        "name_lower": float(name.islower()),
        "name_underscores": name.count("_"),
        "name_spaces": name.count(" "),
    }


def name_words(name: str) -> list[str]:
    """Returns the words of a column's name in lower case: "customerID_2" is customer and id."""
    spaced = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return [word for word in re.split(r"[^a-z]+", spaced.lower()) if word]


def _signed_log(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value) if math.isfinite(value) else 0.0


def shown(value: object) -> str:
    """Returns a value in quotes on one line, cut where it is long, for a comment."""
    text = str(value)
    cut = text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
    plain = "".join(character if character.isprintable() else " " for character in cut)
    return f'"{plain}"'
