"""Sentences about what a declared column could be declared as instead, from a sample of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.contract.columns.features import (
    MOST_CUT,
    Categorical,
    FeatureSpec,
    RawColumn,
    Text,
)
from transforms.contract.columns.kinds import is_user_kind
from transforms.contract.columns.targets import Target
from transforms.proposal.kind_choice import Choice, Read, choose_feature
from transforms.proposal.sampled_column import SampledColumn

_FEWEST = 20  # rows from which on a column says what it is
_KEPT = 0.99  # of the texts, by the length that is advised
_PUNCTUATION = r"\pP+"
_ALONE = ("numeric", "datetime", "categorical", "text")  # kinds of one value a row


@dataclass(frozen=True)
class Declared:
    """A feature that a column feeds, or a target.

    Attributes:
        name: Its name.
        place: Where it is declared, such as "features.area".
        spec: How.
        raw: The graph's input.
        is_sensitive: Whether nobody is to read its values.
    """

    name: str
    place: str
    spec: FeatureSpec | Target
    raw: RawColumn
    is_sensitive: bool

    def policy(self, reason: str) -> str:
        """Returns what becomes of a value that is missing or, for another reason, unusable."""
        return self.spec.missing if reason == "missing" else self.spec.invalid


def advice_on(
    declared: Declared, column: SampledColumn, is_empty: bool, read: Read
) -> Iterator[str]:
    """Yields what to change.

    Args:
        declared: The feature or target.
        column: Its column, the first of several.
        is_empty: Whether no row has a value.
        read: Returns the contents of the files that cells name.
    """
    if is_empty:
        yield "no row has a value: mend the column, or leave it out"
        return
    if len(column.values) < _FEWEST or not column.is_scalar:
        return
    if isinstance(declared.spec, Text):
        yield from _of_lengths(declared.spec, declared.place, column.texts)
    if isinstance(declared.spec, FeatureSpec):
        yield from _of_kind(declared, column, read)
    elif column.profile.distinct == 1:
        yield "one value in all rows: there is nothing to learn"


def _of_kind(declared: Declared, column: SampledColumn, read: Read) -> Iterator[str]:
    spec = declared.spec
    if column.profile.distinct == 1 and not column.profile.missing:
        yield "constant: it teaches nothing"
        return
    if is_user_kind(spec.kind) or spec.kind not in _ALONE:
        return
    if isinstance(spec, Categorical) and spec.encoding != "vocabulary":
        return  # what has thousands of values, or is an id already
    choice = choose_feature(column, read)
    if choice.spec is None:
        if column.is_id:
            yield f"{choice.reason}: a model learns nothing from it that holds for other rows"
    elif choice.spec.kind != spec.kind and _is_sure(choice, column):
        reason = "" if declared.is_sensitive else f" ({choice.reason})"
        yield f"{{kind: {choice.spec.kind}}} may fit better{reason}"


def _is_sure(choice: Choice, column: SampledColumn) -> bool:
    """Returns whether a kind is worth a word: numbers that may be codes are left to the user."""
    if choice.spec is not None and choice.spec.kind == "numeric":
        return column.is_fractional or column.label == "numeric"
    return True


def _of_lengths(spec: Text, place: str, texts: pa.Array) -> Iterator[str]:
    terms = _terms(spec, texts.drop_null())
    cut = float(np.mean(terms > spec.length)) if len(terms) else 0.0
    if cut > MOST_CUT:
        kept = int(np.quantile(terms, _KEPT))
        yield (
            f"{cut:.0%} of the texts have more than {spec.length:,} terms and are cut; "
            f"{place}.length: {kept} keeps all of {_KEPT:.0%} of them"
        )


def _terms(spec: Text, texts: pa.Array) -> np.ndarray:
    """Returns how many terms each text has, int64 [rows]."""
    if spec.strip_punctuation:
        texts = pc.replace_substring_regex(texts, _PUNCTUATION, " ")
    texts = pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, r"[\s\v]+", " "))
    if spec.level == "words":
        spaces = pc.count_substring(texts, " ")
        counts = pc.if_else(pc.equal(pc.binary_length(texts), 0), 0, pc.add(spaces, 1))
    else:
        counts = pc.utf8_length(texts)
    singles = np.asarray(counts.to_numpy(zero_copy_only=False), np.int64)
    every = [np.maximum(singles - step, 0) for step in range(spec.ngrams)]
    return np.asarray(np.sum(every, axis=0))
