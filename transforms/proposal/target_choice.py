"""The kind of target that a column is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.columns.schema import is_label, is_number
from transforms.columns.unusable import FALSE_TEXTS, TRUE_TEXTS
from transforms.contract.columns.targets import (
    Binary,
    Multiclass,
    Multilabel,
    NumericTarget,
    SequenceTarget,
    TargetSpec,
)
from transforms.contract.errors import DeclarationError
from transforms.proposal.classes.measures import shown
from transforms.proposal.sampled_column import SampledColumn

_YES = ("yes", "y", "true", "t", "1", "positive", "pos", "spam", "bad", "good", "won", "success")
_FEW_NUMBERS = 10  # different whole numbers: more are a quantity
_MOST_CLASSES = 1_000
_RARE = 5  # rows of a class: with fewer, some split may have none
_BUDGET = 0.01  # of rows without a usable label; beyond it they are kept without a loss


@dataclass(frozen=True)
class TargetChoice:
    """The declaration of a target, and the reason for it."""

    column: str
    spec: TargetSpec
    reason: str


def choose_target(column: SampledColumn) -> TargetChoice:
    """Returns the target that a column is proposed as.

    Raises:
        DeclarationError: It is nothing that can be predicted from some rows.
    """
    spec, reason = _of_list(column) if column.is_list else _of_scalar(column)
    missing = (
        column.values.null_count / len(column.values) if column.is_list else (column.missing_share)
    )
    if missing > _BUDGET:
        spec = spec.model_copy(update={"missing": "mask"})
        reason += f"; {missing:.0%} missing, of which nothing is learnt"
    return TargetChoice(column.name, spec, reason)


def _of_scalar(column: SampledColumn) -> tuple[TargetSpec, str]:
    if not column.is_scalar or column.profile.distinct < 2:
        raise _refused(column, "one value" if column.is_scalar else f"type {column.type}")
    counts = _counts(column)
    if len(counts) == 2 and _takes_labels(column):
        return _binary(counts)
    whole = column.number_share == 1.0 and not column.is_fractional
    classes = len(counts) <= _FEW_NUMBERS and whole and is_label(column.type)
    if column.number_share >= 0.95 and not classes:
        return _number(column)
    if not is_label(column.type) or len(counts) > min(_MOST_CLASSES, column.present / 2):
        raise _refused(column, f"{len(counts):,} different texts in {column.present:,} rows")
    rare = sum(count for count in counts.values() if count < _RARE) / column.present
    spec = Multiclass(kind="multiclass")
    reason = f"{len(counts):,} classes"
    if whole:
        reason += "; {kind: numeric} if their order counts"
    if rare > _BUDGET:
        spec = spec.model_copy(update={"invalid": "mask"})
        reason += "; what the training rows lack is kept without a loss"
    return spec, reason


def _counts(column: SampledColumn) -> dict[str, int]:
    return dict(Counter(column.texts.drop_null().to_pylist()).most_common())


def _takes_labels(column: SampledColumn) -> bool:
    return bool(is_label(column.type) or pat.is_floating(column.type))


def _binary(counts: dict[str, int]) -> tuple[TargetSpec, str]:
    known = (*TRUE_TEXTS, *FALSE_TEXTS)
    if set(counts) <= set(known) and len({text in TRUE_TEXTS for text in counts}) == 2:
        return Binary(kind="binary"), "yes or no"
    named = [text for text in counts if text.strip().lower() in _YES]
    positive = named[0] if len(named) == 1 else list(counts)[-1]
    why = "" if len(named) == 1 else ", the rarer one"
    return Binary(kind="binary", positive=positive), f"two values; {shown(positive)} is yes{why}"


def _number(column: SampledColumn) -> tuple[TargetSpec, str]:
    spec = NumericTarget(kind="numeric")
    if 1 - column.number_share > _BUDGET:
        spec = spec.model_copy(update={"invalid": "mask"})
    return spec, f"number: {column.profile.distinct:,} different ones"


def _of_list(column: SampledColumn) -> tuple[TargetSpec, str]:
    entry = column.type.value_type
    lengths = pc.list_value_length(column.values).drop_null().to_pylist()
    longest = max(lengths, default=0)
    if longest and is_number(entry) and min(lengths) == longest:
        if longest <= _FEW_NUMBERS:
            return NumericTarget(kind="numeric", length=longest), f"lists of {longest} numbers"
        return SequenceTarget(kind="sequence", length=longest), f"series of {longest} numbers"
    if longest and is_label(entry):
        reason = f"lists of up to {longest} labels"
        return Multilabel(kind="multilabel", length=max(longest, 32)), reason
    raise _refused(column, f"type {column.type}")


def _refused(column: SampledColumn, received: str) -> DeclarationError:
    return DeclarationError(
        f"--target {column.name}",
        expected="a column of numbers, of two or more values that repeat, or of lists of them",
        received=received,
        action="Choose another target; a picture or a text in numbers is declared by hand, as the "
        "section on targets in Braid's docs/declaration.md says.",
    )
