from __future__ import annotations

import io

import pytest
from rich.console import Console

from flows.records.record import GateRecord, ModelVersion
from flows.report.listing import models_table, runs_table
from tests.support.records import run_record
from tests.support.runs import flats
from trainer.registry.version import RegisteredVersion
from transforms.contract.workspace.layout import Workspace

MARKUP = "[/x] [bold]b"


def _shown(table) -> str:
    output = io.StringIO()
    Console(file=output, width=200).print(table)
    return output.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"error": {"type": "BraidError", "place": "column 'a'", "received": MARKUP}},
        {"gate": GateRecord(passed=False, reasons=(MARKUP,))},
        {"model": ModelVersion(name=MARKUP, version="1")},
    ],
)
def test_what_a_user_wrote_is_not_taken_for_markup(tmp_path, changes):
    assert MARKUP in _shown(
        runs_table(Workspace(tmp_path), [run_record(status="failed", **changes)])
    )


def test_a_run_that_was_stopped_did_not_fail(tmp_path):
    error = {"type": "KeyboardInterrupt", "received": "Ctrl-C"}
    shown = _shown(runs_table(Workspace(tmp_path), [run_record(status="stopped", error=error)]))
    assert "stopped" in shown
    assert "by Ctrl-C" in shown
    assert "failed" not in shown


def test_a_registered_alias_is_not_taken_for_markup():
    class Registry:
        def versions(self, name):
            return [RegisteredVersion(name, "1", MARKUP, "", 0, aliases=(MARKUP,))]

    pipeline = flats()
    assert _shown(models_table(pipeline, Registry())).count(MARKUP) == 2
