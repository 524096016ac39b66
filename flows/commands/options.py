"""Arguments and options of commands, and what they open.

Every command of the group `Commands` has `--verbose`, `--quiet` and `--json`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flows.console.output import OUTPUT

if TYPE_CHECKING:
    from transforms.contract.declaration.pipeline import PipelineSpec
    from transforms.contract.declaration.transform import StoreSpec
    from transforms.contract.workspace.layout import Workspace

_YAML_FILE = click.Path(path_type=Path)
DECLARATION = click.argument("declaration", type=_YAML_FILE)
DECLARATION_OR_ALL = click.argument("declaration", type=_YAML_FILE, required=False)
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
INPUT = click.option(
    "--input",
    "source",
    required=True,
    metavar="TABLE",
    help="Raw rows: a .parquet, .csv, .jsonl or .arrow file, or a folder of files, or its URL.",
)
ALIAS = click.option(
    "--alias", default="champion", show_default=True, help="Which registered model."
)
VERSION = click.option("--version", help="A version instead of an alias.")
FORMAT = click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv", "jsonl", "arrow"]),
    help="Of the table's files; by default what their suffixes say.",
)
RETRAIN = click.option("--retrain", is_flag=True, help="Train a model even if nothing is new.")
HOST = click.option(
    "--host", default="127.0.0.1", show_default=True, help="0.0.0.0 for all networks."
)
_MOST_PORTS = 65_535

_OUTPUT = (
    ("verbose", ("--verbose", "-v"), "Also what helps when something is slow or fails."),
    ("quiet", ("--quiet", "-q"), "Only what is asked for, and errors: no progress."),
    ("json", ("--json",), "One JSON object at the end; sentences go to the standard error."),
)


def listening_port(default: int, *, least: int) -> Callable[[Any], Any]:
    """Returns the option of the port that a command answers at.

    Args:
        default: The port where none is given.
        least: 0 where the command may take one that is free, else 1.
    """
    ports = click.IntRange(least, _MOST_PORTS)
    return click.option("--port", type=ports, default=default, show_default=True)


def log_folder(what: str, *, required: bool = False) -> Callable[[Any], Any]:
    """Returns the option of the folder of served rows.

    Args:
        what: What it is to the command.
        required: Whether it has to be given.
    """
    folder = click.Path(path_type=Path, file_okay=False)
    return click.option("--log", type=folder, required=required, help=what)


class Commands(click.Group):
    """Commands that all say in the same way how much they write, and for whom."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Adds a command, and to the command the options of its output."""
        cmd.params += [
            click.Option(flags, is_flag=True, expose_value=False, callback=_choose, help=what)
            for _, flags, what in _OUTPUT
        ]
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that was named; with `--json` its object ends the output."""
        OUTPUT.begin()
        code = 0
        try:
            returned = super().invoke(ctx)
        except click.exceptions.Exit as end:
            code = end.exit_code
            raise
        except BaseException:
            code = -1  # whoever shows the error ends the output, too
            raise
        finally:
            if code >= 0:
                OUTPUT.end(code)
        return returned


def _choose(context: click.Context, option: click.Parameter, value: bool) -> None:
    OUTPUT.command = str(context.info_name)
    setattr(OUTPUT, str(option.name), value)


@dataclass(frozen=True)
class Project:
    """A declaration as a command was given it, with the folder of everything that its runs make.

    Attributes:
        declaration: The path of the pipeline.yaml.
        overrides: "training.epochs=3" and the like.
        pipeline: The declaration with them.
        workspace: The folder.
    """

    declaration: Path
    overrides: tuple[str, ...]
    pipeline: PipelineSpec
    workspace: Workspace


def on_project(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command its declaration, `--workspace` and `--set` as the `Project` that they are.

    It is the command's first argument; a wrong declaration ends the command before it begins.
    """

    @DECLARATION
    @WORKSPACE
    @SET
    @functools.wraps(command)
    def opening(
        declaration: Path, workspace: Path | None, overrides: tuple[str, ...], **options: Any
    ) -> None:
        command(open_project(declaration, workspace, overrides), **options)

    return opening


def open_project(
    declaration: Path, workspace: Path | None, overrides: tuple[str, ...] = ()
) -> Project:
    """Returns a declaration and the folder of everything that its runs make.

    Raises:
        DeclarationError: The declaration is wrong.
    """
    from transforms.contract.declaration.parsing import load

    pipeline = load(declaration, overrides)
    folders = open_workspace(declaration, workspace, pipeline.declared_store())
    return Project(declaration, overrides, pipeline, folders)


def open_either(
    declaration: Path | None, workspace: Path | None
) -> tuple[Workspace, PipelineSpec | None]:
    """Returns a workspace with the pipeline that is looked at, or with None for all of them.

    Raises:
        DeclarationError: The declaration is wrong.
    """
    if declaration is not None:
        project = open_project(declaration, workspace)
        return project.workspace, project.pipeline
    return open_workspace(None, workspace), None


def open_workspace(
    declaration: Path | None, workspace: Path | None, store: StoreSpec | None = None
) -> Workspace:
    """Returns the given workspace, or the one beside the declaration, or the one of this folder.

    Args:
        declaration: The path of the pipeline.yaml.
        workspace: The folder that was given.
        store: The declared store of shards.
    """
    from transforms.contract.workspace.layout import Workspace

    beside = Path() if declaration is None else declaration.parent
    return Workspace.declared((workspace or beside / "workspace").absolute(), store)
