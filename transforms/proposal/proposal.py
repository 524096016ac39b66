"""A whole declaration for a table, from a sample of its rows."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from transforms.contract.declaration.source import Format, SourceSpec
from transforms.contract.declaration.split import ColumnSplit, HashSplit, Split
from transforms.contract.errors import DeclarationError
from transforms.proposal.kind_choice import Choice, Read, choose_feature, files_of
from transforms.proposal.leaks import leak, leaking_sum
from transforms.proposal.roles import choose_key, choose_partitions, choose_split, is_entity
from transforms.proposal.sample import take_sample
from transforms.proposal.sampled_column import SampledColumn
from transforms.proposal.target_choice import TargetChoice, choose_target


@dataclass(frozen=True)
class Proposal:
    """The declaration that is proposed for a table, in parts.

    Attributes:
        source: Where rows come from.
        key_reason: Why this key, or none.
        partitions_reason: Why these partitions; "" without any.
        split: How rows are split.
        split_reason: Why so.
        features: Every column that is neither a target nor the key, in the table's order.
        targets: Every target.
        rows: Rows of the sample.
        is_whole: Whether these are all rows.
    """

    source: SourceSpec
    key_reason: str
    partitions_reason: str
    split: Split
    split_reason: str
    features: tuple[Choice, ...]
    targets: tuple[TargetChoice, ...]
    rows: int
    is_whole: bool


def propose(path: str, targets: Sequence[str], format_: Format | None = None) -> Proposal:
    """Looks at a sample of a table and proposes a declaration.

    Args:
        path: A file, a folder or a glob, as `source.path`.
        targets: Columns to predict.
        format_: Of the files; by default what their suffixes say.

    Raises:
        BraidError: The table cannot be read.
        DeclarationError: A target is no column or cannot be predicted, or no column is left to
            predict from.
    """
    sample = take_sample(path, format_)
    columns = {
        n: SampledColumn(n, sample.table[n].combine_chunks()) for n in sample.table.column_names
    }
    _refuse_unknown(targets, columns)
    chosen = tuple(choose_target(columns[name]) for name in dict.fromkeys(targets))
    key, key_reason = choose_key(sample, list(columns.values()), targets)
    partition_by, partitions_reason = choose_partitions(sample)
    others = [c for c in columns.values() if c is not key and c.name not in targets]
    with_key = [key, *others] if key else others
    split, split_reason = choose_split(with_key, sample.table.num_rows, has_key=key is not None)
    named = {"key": key.name if key else None, "partition_by": partition_by}
    source = sample.source.model_copy(update=named)
    read = files_of(source)
    features = tuple(
        _without_roles(column, split, read, columns, chosen)
        for column in (with_key if key and key.is_date else others)
    )
    features = _without_sums(features, columns, chosen)
    if all(choice.spec is None for choice in features):
        raise DeclarationError(
            f"--from {path}",
            expected="a column to predict from",
            received="; ".join(f"{choice.column}: {choice.reason}" for choice in features)[:300],
            action="Declare the columns by hand, or convert them as the reasons say.",
        )
    return Proposal(
        source,
        key_reason,
        partitions_reason,
        split,
        split_reason,
        features,
        chosen,
        sample.table.num_rows,
        sample.is_whole,
    )


def _refuse_unknown(targets: Sequence[str], columns: Collection[str]) -> None:
    for name in targets:
        if name not in columns:
            raise DeclarationError(
                f"--target {name}",
                expected=f"one of the columns {', '.join(columns)}",
                received=repr(name),
                action="Name a column of the table.",
            )


def _without_roles(
    column: SampledColumn,
    split: Split,
    read: Read,
    columns: dict[str, SampledColumn],
    targets: Sequence[TargetChoice],
) -> Choice:
    """Returns a column's feature, unless its part is another one or it gives a target away."""
    if not column.name:
        return Choice("", None, "a column without a name")
    if isinstance(split, ColumnSplit) and split.column == column.name:
        return Choice(column.name, None, "it says the split")
    if isinstance(split, HashSplit) and split.column == column.name:
        return Choice(column.name, None, "an entity, of which other rows than the trained ones ask")
    choice = choose_feature(column, read)
    if choice.spec is None:
        return choice
    if is_entity(column):
        reason = f"{choice.reason}; an entity: leave it out if new ones come"
        choice = Choice(column.name, choice.spec, reason)
    for target in targets:
        told = leak(column, columns[target.column], target)
        if told:
            reason = f"this column alone predicts {target.column}, {told}: a leak?"
            return Choice(column.name, None, reason)
    return choice


def _without_sums(
    features: tuple[Choice, ...],
    columns: dict[str, SampledColumn],
    targets: Sequence[TargetChoice],
) -> tuple[Choice, ...]:
    """Returns the features less those that add up to a target."""
    for target in targets:
        there = [columns[choice.column] for choice in features if choice.spec is not None]
        parts = leaking_sum(there, columns[target.column], target)
        reason = f"{target.column} is a sum or difference of {' and '.join(parts)}: a leak?"
        features = tuple(
            Choice(choice.column, None, reason) if choice.column in parts else choice
            for choice in features
        )
    return features


def pipeline_name(path: str) -> str:
    """Returns a pipeline's name for a table: the last part of its path that is a name."""
    parts = [
        part for part in path.split("?")[0].split("/") if part and not re.search(r"[*\[]", part)
    ]
    stem = parts[-1].split(".")[0] if parts else ""
    return re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-_")[:64] or "table"
