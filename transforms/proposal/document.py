"""A proposal as a commented declaration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from transforms.contract.columns.features import FeatureSpec
from transforms.contract.columns.targets import TargetSpec
from transforms.contract.declaration.json_schema import MODELINE, write_schema
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.split import HashSplit
from transforms.contract.declaration.yaml_text import read_yaml
from transforms.contract.workspace.layout import PIPELINE_FILE
from transforms.proposal.proposal import Proposal, pipeline_name

_HEAD = f"""\
{MODELINE}\
# Proposed from {{rows}} of {{path}} by `braid init --from`: a kind and a reason for every column.
#
#   braid validate pipeline.yaml     checks this file against the table, in seconds
#   braid run pipeline.yaml          table in, registered model out
#   braid schema > braid.schema.json  every key, explained in your editor; again after an upgrade
#
# What is not declared has its default. A line that is left out comes back without its first "#",
# once it has a kind.
"""
_NAME = re.compile(r"[^A-Za-z0-9]+")
_LONGEST_NAME = 64
_COMMENT_COLUMN = 40


def write(proposal: Proposal, folder: Path, table: str) -> PipelineSpec:
    """Writes `pipeline.yaml` and its schema into a folder and returns what it declares.

    Args:
        proposal: What to write.
        folder: Where to.
        table: The table's path from there.

    Raises:
        DeclarationError: The proposal is no valid declaration.
    """
    path = folder / PIPELINE_FILE
    text = document(proposal, table)
    declared = parse(read_yaml(text), str(path))
    folder.mkdir(parents=True, exist_ok=True)
    write_schema(folder)
    path.write_text(text, encoding="utf-8")
    return declared


def document(proposal: Proposal, table: str) -> str:
    """Returns a proposal as YAML, with its reasons as comments.

    Args:
        proposal: What to write.
        table: The table's path as the declaration is to have it.
    """
    source = proposal.source
    rows = (
        f"all {proposal.rows:,} rows"
        if proposal.is_whole
        else f"a sample of {proposal.rows:,} rows"
    )
    lines = [
        _HEAD.format(rows=rows, path=_line(table)),
        f"name: {_yaml(pipeline_name(source.path))}",
        "",
        "source:",
        f"  path: {_yaml(table)}",
        f"  format: {source.format}",
        _commented(
            f"  key: {_yaml(source.key)}" if source.key else "  # key:", proposal.key_reason
        ),
    ]
    if source.partition_by is not None:
        rule = source.partition_by
        given = rule if isinstance(rule, str) else rule.model_dump(exclude_none=True)
        lines.append(_commented(f"  partition_by: {_yaml(given)}", proposal.partitions_reason))
    lines += ["", *_split(proposal), "", "features:"]
    names = _names([*(c.column for c in proposal.features), *(t.column for t in proposal.targets)])
    for choice in proposal.features:
        if choice.spec is None:
            lines.append(f"  # {_line(choice.column)}: left out: {_line(choice.reason)}")
        else:
            lines.append(_declared(names[choice.column], choice.column, choice.spec, choice.reason))
    lines += ["", "targets:"]
    for target in proposal.targets:
        lines.append(_declared(names[target.column], target.column, target.spec, target.reason))
    return "\n".join([*lines, ""])


def _split(proposal: Proposal) -> list[str]:
    split = proposal.split
    if split == HashSplit():
        shares = "{train: 80, validation: 10, test: 10}"
        return [f"# {proposal.split_reason}", f"# split: {shares}  # the default"]
    given = split.model_dump(exclude_defaults=True)
    if isinstance(split, HashSplit) and split.column:
        given = {"by": "hash", "column": split.column, **given}
    return [f"# {_line(proposal.split_reason)}", f"split: {_yaml(given)}"]


def _declared(name: str, column: str, spec: FeatureSpec | TargetSpec, reason: str) -> str:
    given = spec.model_dump(mode="json", exclude_defaults=True)
    keys = {"kind": given.pop("kind")} | ({"column": column} if column != name else {}) | given
    return _commented(f"  {name}: {_yaml(keys)}", reason)


def _commented(line: str, reason: str) -> str:
    return f"{line:<{_COMMENT_COLUMN}}  # {_line(reason)}" if reason else line


def _names(columns: Iterable[str]) -> dict[str, str]:
    """Returns a name that a feature may have for every column, each once."""
    names: dict[str, str] = {}
    for column in columns:
        plain = _NAME.sub("_", column).strip("_")
        if not plain or not plain[0].isalpha():
            plain = f"column_{plain}".strip("_")
        plain = plain[: _LONGEST_NAME - 4].rstrip("_")
        name, number = plain, 2
        while name in names.values() or name == "error":
            name, number = f"{plain}_{number}", number + 1
        names[column] = name
    return names


def _line(text: str) -> str:
    """Returns a text as a comment may have it: on one line, without what cannot be printed."""
    return "".join(c if c.isprintable() else " " for c in text)


def _yaml(value: Any) -> str:
    """Returns a value as YAML on one line."""
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1_000_000
    )
    return text.strip().removesuffix("...").strip()
