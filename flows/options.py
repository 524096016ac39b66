"""Arguments and options that several commands have, and what they open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from transforms.contract.pipeline import PipelineSpec
    from transforms.contract.workspace import Workspace

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


def open_pipeline(
    declaration: Path, workspace: Path | None, overrides: tuple[str, ...]
) -> tuple[PipelineSpec, Workspace]:
    """Returns a declaration and the folder of everything that its runs make.

    Raises:
        DeclarationError: The declaration is wrong.
    """
    from transforms.contract.declaration import load

    return load(declaration, overrides), open_workspace(declaration, workspace)


def open_workspace(declaration: Path, workspace: Path | None) -> Workspace:
    """Returns the given workspace, or the one beside the declaration."""
    from transforms.contract.workspace import Workspace

    return Workspace((workspace or declaration.parent / "workspace").absolute())
