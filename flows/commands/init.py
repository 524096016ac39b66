"""Projects to start from: a declaration for a table that is there, or a template with its own."""

from __future__ import annotations

import os
from pathlib import Path

from flows import templates
from flows.console.harmless import say
from flows.console.output import give
from flows.console.wording import counted
from transforms.contract.declaration.source import Format
from transforms.contract.errors import DeclarationError
from transforms.contract.workspace.layout import PIPELINE_FILE

_TEMPLATE = "listings"


def init(
    folder: Path,
    *,
    table: str | None,
    targets: tuple[str, ...],
    format_: Format | None,
    template: str | None,
) -> None:
    """Writes a declaration and says what comes next.

    Args:
        folder: Where it goes.
        table: A file, a folder or a glob to propose it for; None for a template.
        targets: Columns of the table to predict.
        format_: Of the table's files; None is what their suffixes say.
        template: What to start from without a table; None is the default one.

    Raises:
        BraidError: The table cannot be read.
        DeclarationError: An option is wrong or missing, or something is there already.
    """
    if table is None and not targets and format_ is None:
        _from_template(folder, template or _TEMPLATE)
        return
    if table is None or not targets or template is not None:
        missing = "--from" if table is None else "--target"
        raise DeclarationError(
            "braid init",
            expected="--from TABLE with at least one --target COLUMN, and no --template",
            received="--template beside them" if template is not None else f"no {missing}",
            action="Say which table it is, and which of its columns are to be predicted.",
        )
    _from_table(folder, table, targets, format_)


def _from_template(folder: Path, template: str) -> None:
    declaration = templates.create(template, folder)
    say(f"{declaration} and its table {folder / templates.DATA} are there.")
    say(f"{folder / templates.PAGE} says what they show. Next:")
    _say_what_is_next(declaration)
    give({"declaration": declaration})


def _from_table(folder: Path, table: str, targets: tuple[str, ...], format_: Format | None) -> None:
    declaration = folder / PIPELINE_FILE
    if declaration.exists() or (folder.exists() and not folder.is_dir()):
        raise DeclarationError(
            str(declaration),
            expected="a folder without a declaration",
            received="one that is there",
            action="Give another folder; `braid init` never writes over anything.",
        )
    from transforms.proposal.document import write
    from transforms.proposal.proposal import propose

    proposal = propose(table, targets, format_)
    declared = write(proposal, folder, path_from(folder, table))
    left_out = [choice for choice in proposal.features if choice.spec is None]
    rows = "all" if proposal.is_whole else "a sample of"
    say(
        f"{declaration}: {counted(len(declared.features), 'feature')} and "
        f"{counted(len(declared.targets), 'target')},"
    )
    say(f"proposed from {rows} {counted(proposal.rows, 'row')}. Each has its reason there.")
    for choice in left_out:
        say(f"  left out: {choice.column}: {choice.reason}")
    say("Next:")
    _say_what_is_next(declaration)
    give(
        {
            "declaration": declaration,
            "features": list(declared.features),
            "targets": list(declared.targets),
            "left_out": {choice.column: choice.reason for choice in left_out},
        }
    )


def path_from(folder: Path, table: str) -> str:
    """Returns a table's path as the declaration has it: relative ones from its own folder."""
    if "://" in table or Path(table).is_absolute():
        return table
    return os.path.relpath(table, folder)


def _say_what_is_next(declaration: Path) -> None:
    say(f"  braid validate {declaration}")
    say(f"  braid run {declaration}")
