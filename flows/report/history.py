"""The table of `braid history`."""

from __future__ import annotations

from datetime import datetime

from rich.console import Console
from rich.table import Table

from flows.console import harmless
from flows.report.tables import terminal_table
from trainer.registry.champions import ChampionChange, History, Registration, What

_WORDS: dict[What, str] = {
    "gate": "promoted by a run's gate",
    "hand": "promoted by hand",
    "rollback": "rolled back to",
}

Row = tuple[datetime, str, str, str, str, str]


def show_history(console: Console, history: History) -> None:
    """Prints what became of a model's versions, the newest last, and which is the champion."""
    console.print(_history_table(history))
    for line in _closing_lines(history):
        console.print(harmless.console(line), highlight=False)


def _history_table(history: History) -> Table:
    """Returns registrations and changes of the champion in the order of their times.

    What the gate said of a version is told whole where it was registered, and again only if it has
    judged it anew since.
    """
    rows = [_registered(each) for each in history.registrations]
    said = {each.version: each.gate for each in history.registrations}
    rows += [_changed(each, said.get(each.version)) for each in history.changes]
    head = ("when (UTC)", "version", "what", "by", "why", "gate")
    ordered = sorted(rows, key=lambda row: row[0])
    shown = [(f"{at:%Y-%m-%d %H:%M:%S}", *cells) for at, *cells in ordered]
    return terminal_table(head, shown, figures=("version",))


def _closing_lines(history: History) -> list[str]:
    """Returns which version is the champion, and what the history does not tell."""
    if history.champion is None:
        lines = ["No version is the champion."]
    else:
        lines = [f"Version {history.champion} is the champion."]
    if not history.tells_of_champion():
        lines.append(
            "Nothing above says how it came to that: the alias was moved by something else than "
            "this Braid."
        )
    lines += [
        f"The tag {tag} of the registered model cannot be read." for tag in history.unreadable
    ]
    return lines


def _registered(each: Registration) -> Row:
    why = f"run {each.run_id}" if each.run_id else ""
    return each.at, each.version, "registered", each.by, why, each.gate


def _changed(each: ChampionChange, said: str | None) -> Row:
    what = _WORDS[each.what]
    if each.state == "cut short":
        what += ", cut short: the alias did not move"
    gate = each.gate.partition(":")[0] if each.gate == said else each.gate
    return each.at, each.version, what, each.by, each.reason, gate
