"""Arguments and options of commands, and what they open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from transforms.contract.declaration.pipeline import PipelineSpec
    from transforms.contract.workspace.layout import Workspace

DECLARATION = click.argument("declaration", type=click.Path(path_type=Path))
WORKSPACE = click.option(
    "--workspace",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of everything that runs make; by default `workspace` beside the declaration.",
)
SET = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="PATH=VALUE",
    help="Another value for a key of the declaration, such as training.epochs=3. May be repeated.",
)
FROM = click.option(
    "--from",
    "table",
    metavar="TABLE",
    help="A file, a folder or a glob of your own; a sample says the kind of every column, and why.",
)
TARGETS = click.option(
    "--target",
    "targets",
    multiple=True,
    metavar="COLUMN",
    help="A column of the table to predict. May be repeated.",
)
FORMAT = click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv", "jsonl", "arrow"]),
    help="Of the table's files; by default what their suffixes say.",
)


def open_pipeline(
    declaration: Path, workspace: Path | None, overrides: tuple[str, ...]
) -> tuple[PipelineSpec, Workspace]:
    """Returns a declaration and the folder of everything that its runs make.

    Raises:
        DeclarationError: The declaration is wrong.
    """
    from transforms.contract.declaration.parsing import load

    return load(declaration, overrides), open_workspace(declaration, workspace)


def open_workspace(declaration: Path, workspace: Path | None) -> Workspace:
    """Returns the given workspace, or the one beside the declaration."""
    from transforms.contract.workspace.layout import Workspace

    return Workspace((workspace or declaration.parent / "workspace").absolute())
