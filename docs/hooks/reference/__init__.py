"""Pages of reference, made from the code: nothing of them is written down twice."""

from __future__ import annotations

from flows.records.record import RECORD_FILE, RunRecord
from reference.commands import commands_page
from reference.documents import sections, written
from reference.keys import declaration_pages
from reference.metrics import metrics_page
from reference.workspace import workspace_page
from transforms.contract.declaration.json_schema import schema_of


def pages() -> dict[str, str]:
    """Returns the text of each page, in Markdown, by its name."""
    return {
        **declaration_pages(),
        "metrics.md": metrics_page(),
        "commands.md": commands_page(),
        "workspace.md": workspace_page(),
        "run.md": _record_page(),
    }


def _record_page() -> str:
    schema = schema_of(RunRecord)
    parts = sections(schema, RECORD_FILE, lambda _: "run.md")
    return "# The record of a run\n\n" + written(schema, parts, {})["run.md"]
