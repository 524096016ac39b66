"""Tables for a terminal and for Markdown, and the colours of states in all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.table import Table

from flows.console import harmless

Rows = Sequence[tuple[str, ...]]

STYLES = {
    "new": "cyan",
    "changed": "yellow",
    "committed": "green",
    "rejected above budget": "red",
    "gone from the source": "dim",
    "pending": "dim",
    "running": "cyan",
    "done": "green",
    "skipped": "dim",
    "promoted": "green",
    "refused": "yellow",
    "failed": "red",
    "stopped": "yellow",
    "killed": "red",
}


def terminal_table(
    head: tuple[str, ...],
    rows: Rows,
    *,
    figures: Collection[str] | None = None,
    state: str | None = None,
    head_style: str = "",
) -> Table:
    """Returns a table whose cells cannot change the terminal.

    Args:
        head: The names of the columns.
        rows: Cells, as text.
        figures: The columns that are aligned on the right; by default all but the first one that
            have nothing but figures.
        state: The column of states, which have colours.
        head_style: The style of the names.
    """
    if figures is None:
        figures = [
            name
            for index, name in enumerate(head)
            if index > 0 and all(_is_figure(row[index]) for row in rows)
        ]
    table = Table(box=None, header_style=head_style or None)
    for name in head:
        table.add_column(name, justify="right" if name in figures else "left", overflow="fold")
    for row in rows:
        cells = zip(head, row, strict=True)
        table.add_row(
            *(
                f"[{STYLES[cell]}]{cell}[/]" if name == state else harmless.console(cell)
                for name, cell in cells
            )
        )
    return table


def markdown_table(head: tuple[str, ...], rows: Rows) -> str:
    """Returns a table as Markdown; what stands in its cells is text."""
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(map(harmless.markdown, row)) + " |" for row in rows]
    return "\n".join(lines)


def figure_text(value: float | None) -> str:
    """Returns a metric or a loss as a table shows it; "-" for None."""
    if value is None:
        return "-"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.4f}"


def _is_figure(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "").lstrip("-").isdigit()
