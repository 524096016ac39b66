"""Projects to start from: a declaration for a table that is there, or a template with its own."""

from __future__ import annotations

import os
from pathlib import Path

from flows import templates
from flows.harmless import say
from transforms.contract.errors import DeclarationError
from transforms.contract.source import Format

_TEMPLATE = "listings"
_DECLARATION = "pipeline.yaml"


def from_template(folder: Path, template: str | None, *, given: bool) -> None:
    """Writes a template's declaration, table and page, and says what comes next.

    Args:
        folder: Where they go.
        template: Its name; None is the default one.
        given: Whether options were given that only --from has a use for.

    Raises:
        DeclarationError: There is no such template, the folder is in use, or --from is missing.
    """
    if given:
        raise DeclarationError(
            "braid init",
            expected="--from TABLE beside --target and --format",
            received="no --from",
            action="Name your table with --from, or leave these options out.",
        )
    declaration = templates.create(template or _TEMPLATE, folder)
    say(f"{declaration} and its table {folder / 'data'} are there.")
    say(f"{folder / 'README.md'} says what they show. Next:")
    _say_what_is_next(declaration)


def from_table(
    folder: Path,
    table: str,
    targets: tuple[str, ...],
    format_: Format | None,
    template: str | None,
) -> None:
    """Writes the declaration that is proposed for a table, and says what comes next.

    Args:
        folder: Where it goes.
        table: A file, a folder or a glob.
        targets: Columns to predict.
        format_: Of the table's files; None is what their suffixes say.
        template: None, as a table needs none.

    Raises:
        BraidError: The table cannot be read.
        DeclarationError: An option is wrong or missing, or a declaration is there already.
    """
    if template is not None or not targets:
        raise DeclarationError(
            "braid init",
            expected="--from TABLE with at least one --target COLUMN, and no --template",
            received=f"--template {template}" if template is not None else "no --target",
            action="Say which column of the table is to be predicted.",
        )
    declaration = folder / _DECLARATION
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
    declared = write(proposal, folder, _path_from(folder, table))
    left_out = [choice for choice in proposal.features if choice.spec is None]
    rows = "all" if proposal.is_whole else "a sample of"
    say(f"{declaration}: {len(declared.features)} features and {len(declared.targets)} targets,")
    say(f"proposed from {rows} {proposal.rows:,} rows. Each has its reason there.")
    for choice in left_out:
        say(f"  left out: {choice.column}: {choice.reason}")
    say("Next:")
    _say_what_is_next(declaration)


def _path_from(folder: Path, table: str) -> str:
    """Returns a table's path as the declaration has it: relative ones from its own folder."""
    if "://" in table or Path(table).is_absolute():
        return table
    return os.path.relpath(table, folder)


def _say_what_is_next(declaration: Path) -> None:
    say(f"  braid validate {declaration}")
    say(f"  braid run {declaration}")
