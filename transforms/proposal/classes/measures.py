"""The numbers that the classifier decides by, of one column."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from transforms.proposal.classes.names import name_words
from transforms.proposal.classes.profile import ColumnProfile

_LONGEST_SHOWN = 30  # characters of a value in a comment

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_LARGEST = 6e4  # a threshold of a tree is a float16
_FEW = 12  # different values, from which on they are told apart by their logarithm only
_CURRENCY = "%$€£"

# What share of a column's samples look like this.
LOOKS: dict[str, re.Pattern[str]] = {
    "number": re.compile(r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?$", re.I),
    "integer": re.compile(r"^[+-]?[0-9]+$"),
    "fraction": re.compile(r"^[+-]?[0-9]*\.[0-9]+$"),
    "one_digit": re.compile(r"^[0-9]$"),
    "zero_or_one": re.compile(r"^[01](?:\.0+)?$"),
    "round": re.compile(r"^[0-9]+[05](?:\.0+)?$"),
    "grouped": re.compile(
        r"^[^0-9a-z]{0,3}[0-9]{1,3}(?:[, ][0-9]{3})+(?:[.,][0-9]+)?[^0-9]{0,4}$", re.I
    ),
    "number_inside": re.compile(
        r"^[^0-9]{0,4}[0-9][0-9,. ]*[^0-9]{1,8}$|^[^0-9]{1,4}[0-9][0-9,. ]*$"
    ),
    "percentage": re.compile(r"[0-9] ?%$"),
    "decimal_comma": re.compile(r"^[0-9]+,[0-9]{1,2}$"),
    "url": re.compile(
        r"^(?:https?://|ftp://|www\.)|^[a-z0-9.-]+\.(?:com|org|net|gov|edu|io)(?:/|$)", re.I
    ),
    "date": re.compile(
        r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?:[ T]|$)"
        rf"|^{_MONTH}\.?[ -][0-9]|^[0-9]{{1,2}}[- ]{_MONTH}"
        r"|^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? |^[0-9]{1,2}:[0-9]{2}",
        re.I,
    ),
    "date_of_slashes": re.compile(r"^[0-9]{1,4}/[0-9]{1,2}/"),
    "year": re.compile(r"^(?:1[5-9]|20)[0-9]{2}(?:\.0)?$"),
    "list": re.compile(r"^\s*[\[{(].*[,;:]", re.S),  # long ones may be cut
    "bracket": re.compile(r"[(\[{]"),
    "code": re.compile(r"^[a-z]+[-_ ]?[0-9]+$", re.I),
    "keys": re.compile(r"^\s*[\[{(]?\s*\{.*[:=]", re.S),  # with values, as JSON writes them
    "upper": re.compile(r"^[^a-z]*[A-Z][^a-z]*$"),
    "lower": re.compile(r"^[^A-Z]*[a-z][^A-Z]*$"),
    "letter_beside_digit": re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]"),
    "filler": re.compile(r"\b(?:the|of|and|to|in|for|is|a|with)\b", re.I),
    "end_of_sentence": re.compile(r"[a-z]{2,}[.!?](?: |$)"),
    "address": re.compile(
        r"^[0-9]+ +[NSEW]?\.? ?[A-Za-z]+|\b(?:st|street|ave|avenue|rd|road|blvd|dr|drive)\b", re.I
    ),
    "unknown": re.compile(r"#|null|n/a|^\.+$|^-+$|none|unknown|missing", re.I),
}
# What stands for a missing value in files of statistics programs and spreadsheets.
_STAND_IN = re.compile(r"^(?:#.*!|#n/?a|#name\?|null|none|n/?a|nil|\.+|-+|\?|\\n)$", re.I)
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
    stand_ins = {value for value in map(str.strip, profile.samples) if _STAND_IN.search(value)}
    read = _without(profile, stand_ins)
    numbers = {
        "stand_ins": len(stand_ins),
        **_of_counts(read),
        **_of_range(read),
        **_of_samples(read),
        **_of_name(read.name),
    }
    return {name: float(np.clip(value, -_LARGEST, _LARGEST)) for name, value in numbers.items()}


def look(profile: ColumnProfile, name: str) -> float:
    """Returns the share of the present samples that look like one of `LOOKS`."""
    values = _present(profile)
    return sum(bool(LOOKS[name].search(value)) for value in values) / max(len(values), 1)


def _without(profile: ColumnProfile, stand_ins: set[str]) -> ColumnProfile:
    """Returns a profile in which what stands for a missing value is none of the values."""
    if not stand_ins:
        return profile
    samples = tuple("" if s.strip() in stand_ins else s for s in profile.samples)
    distinct = max(profile.distinct - len(stand_ins), 0)
    return replace(profile, distinct=distinct, samples=samples)


def _present(profile: ColumnProfile) -> list[str]:
    stripped = (sample.strip() for sample in profile.samples)
    return [value for value in stripped if value and value.lower() != "nan"]


def _of_counts(profile: ColumnProfile) -> dict[str, float]:
    rows, there = max(profile.rows, 1), max(profile.rows - profile.missing, 0)
    present, distinct = max(there, 1), profile.distinct
    return {
        "rows": math.log1p(profile.rows),
        "rows_present": math.log1p(there),
        "rows_missing": math.log1p(profile.missing),
        "missing": profile.missing / rows,
        "present_share": math.log10(max(there, 0.5) / rows),
        "distinct": math.log1p(distinct),
        "few_distinct": min(distinct, _FEW),
        "constant": float(distinct <= 1),
        "distinct_share": distinct / rows,
        "distinct_of_present": distinct / present,
        "distinct_scale": math.log10(max(distinct, 0.5) / present),
        "unique": float(distinct >= there > 0),
        "repeated": math.log1p(max(there - distinct, 0)),
        "rows_of_value": math.log1p(present / max(distinct, 1)),
        "mean_words": math.log1p(profile.mean_words),
        "mean_characters": math.log1p(profile.mean_characters),
    }


def _of_range(profile: ColumnProfile) -> dict[str, float]:
    low, high, mean, std = profile.min, profile.max, profile.mean, profile.std
    reach, distinct = high - low, profile.distinct
    return {
        "mean": _signed_log(mean),
        "std": _signed_log(std),
        "min": _signed_log(low),
        "max": _signed_log(high),
        "reach": _signed_log(reach),
        "varies": float(std != 0),
        "step": _signed_log(reach / max(distinct, 1)),
        "filled": distinct / (reach + 1),
        "every_integer": float(abs(reach + 1 - distinct) < 0.5),
        "counts_to_max": high - distinct if abs(high - distinct) < 3 else 9.0,
        "first_code": low if -3 < low < 4 else math.copysign(9.0, low),
        "ends_in_our_time": float(1900 < high < 2030),
        "spread": std / reach if reach else 0.0,
        "reach_of_std": reach / std if std else 0.0,
        "mean_place": (mean - low) / reach if reach else 0.0,
        "variation": _signed_log(std / abs(mean)) if mean else 0.0,
        "tail": math.log1p(abs(high - mean) / std) if std else 0.0,
    }


def _of_samples(profile: ColumnProfile) -> dict[str, float]:
    values = _present(profile)
    lengths = [len(value) for value in values] or [0]
    words = [len(value.split()) for value in values] or [0]
    listed = [len(_LISTED.findall(value)) for value in values] or [0]
    text = "".join(values)
    return {
        **{f"looks_{name}": look(profile, name) for name in LOOKS},
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
    spelt = [value for value in values if LOOKS["number"].search(value)]
    decimals = [len(value.partition(".")[2]) for value in spelt] or [0]
    wholes = [len(value.partition(".")[0].lstrip("+-")) for value in spelt] or [0]
    digits = {
        "decimals_mean": float(np.mean(decimals)),
        "decimals_max": max(decimals),
        "whole_digits": float(np.mean(wholes)),
    }
    numbers = [number for number in map(float, spelt) if math.isfinite(number)]
    if len(numbers) < max(2, len(values)):
        return digits | {
            "rising": -1, "by_one": -1, "sample_mean": 0, "whole": -1, "sample_reach": 0
        }  # fmt: skip
    steps = np.diff(numbers)
    return digits | {
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
        "name_word_length": float(np.mean([len(word) for word in words] or [0])),
        "name_last_length": len(words[-1]) if words else 0,
        "name_vowels": sum(c in "aeiou" for c in name.lower()) / max(len(name), 1),
        "name_digits": sum(map(str.isdigit, name)),
        "name_upper": float(name.isupper()),
        "name_lower": float(name.islower()),
        "name_camel": float(bool(re.search("[a-z][A-Z]", name))),
        "name_underscores": name.count("_"),
        "name_spaces": name.count(" "),
    }


def _signed_log(value: float) -> float:
    return math.copysign(math.log1p(abs(value)), value) if math.isfinite(value) else 0.0


def shown(value: object) -> str:
    """Returns a value in quotes on one line, cut where it is long, for a comment."""
    text = str(value)
    cut = text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."
    plain = "".join(character if character.isprintable() else " " for character in cut)
    return f'"{plain}"'
