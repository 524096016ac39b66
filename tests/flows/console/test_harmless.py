"""Text that a terminal or a page would obey, through every function that shows text."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

import flows
from flows.console import harmless
from flows.console.failures import readable_failures
from flows.console.progress import Reporter
from flows.records.backfill_record import BackfillRecord, PartitionRecord
from flows.records.record import GateRecord, RunRecord, StepRecord
from flows.report.backfill_report import markdown as backfill_markdown
from flows.report.backfill_report import show_backfill
from flows.report.summary import markdown, show, write_report
from tests.support.records import backfill_record, run_record
from transforms.contract.error_report import ErrorReport
from transforms.contract.errors import BraidError
from transforms.contract.process.events import Progress
from transforms.contract.steps.evaluation import ConfusionFigure, EvaluationResult
from transforms.contract.workspace.manifest import RejectCount, ReplacedCount

HOSTILE = (
    "\x1b[2J\x1b]0;title\x07[red]x[/red][/] \u202egnp \x9b31m\r\x00\ud800 "
    "<script>alert(1)</script> ![p](http://evil/x.png) | `c` $\\frac$ www.evil.org"
)


def _record(text: str) -> RunRecord:
    return run_record(
        run_id="r",
        status="promoted",
        partitions={text: "f"},
        rows={"train": 1},
        rejects=[
            RejectCount(column=text, reason=text, rows=1, example_key=text, example_file=text)
        ],
        replaced=[ReplacedCount(column=text, reason=text, rows=1)],
        steps=[StepRecord(name="train", note=text)],
        warnings=[text],
        gate=GateRecord(passed=True, reasons=(text,)),
    )


def _backfill(text: str) -> BackfillRecord:
    error = ErrorReport.of(BraidError(text, expected=text, received=text, action=text))
    return backfill_record(
        status="failed",
        train="once",
        partitions=[PartitionRecord(name=text, fingerprint="f", status="failed", error=error)],
    )


def _shown(text: str) -> str:
    """Returns all that a terminal gets of a text that stands wherever text of others may stand."""
    file = io.StringIO()
    console = Console(file=file, width=4000, emoji=False)
    reporter = Reporter(console)
    show(console, _record(text))
    show_backfill(console, _backfill(text))
    for tell in (reporter.done, reporter.skipped, reporter.failed):
        tell(text, text)
    reporter.note(text)
    with reporter.step(text) as view:
        view.update(Progress(done=1, total=1, unit=text, numbers={text: 1.0}))
    return file.getvalue()


def _is_obeyed(shown: str) -> bool:
    return bool(re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800]", shown))


def test_no_writer_sends_a_terminal_what_it_would_obey():
    shown = _shown(HOSTILE)
    assert not _is_obeyed(shown)
    assert "\\x1b[2J" in shown
    assert shown.count("[red]x[/red]") > 10, "markup is text"


def test_an_error_shows_its_lines_and_no_escape_sequence(capsys):
    with pytest.raises(SystemExit), readable_failures("braid"):
        raise BraidError(HOSTILE, expected="a\n  b", received=HOSTILE, action=HOSTILE)
    shown = capsys.readouterr().err
    assert not _is_obeyed(shown)
    assert "a\n  b" in shown
    assert "[red]x[/red]" in shown


@pytest.mark.parametrize(
    "page",
    [markdown(_record(HOSTILE)), backfill_markdown(_backfill(HOSTILE))],
    ids=["run", "backfill"],
)
def test_a_page_has_the_text_and_none_of_its_markup(page):
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "![p](" not in page
    assert "http://evil" not in page
    assert "www.evil" not in page
    assert not _is_obeyed(page)
    tables = [line for line in page.splitlines() if line.startswith("|") and "script" in line]
    assert tables
    for line in tables:
        assert len(re.findall(r"(?<!\\)\|", line)) in (4, 6, 7), "a cell is one cell"


@pytest.mark.parametrize("label", ["$\\frac$", "\x1b[2J\n\n", "\u202e", "_{^"])
def test_a_picture_is_drawn_whatever_stands_in_it(tmp_path, label):
    figure = ConfusionFigure(labels=(label, "b"), rows=((1, 2), (3, 4)))
    result = EvaluationResult(metrics={}, rows=0, figures={"group": figure})
    (tmp_path / "evaluation.json").write_text(result.model_dump_json())
    write_report(tmp_path, _record(HOSTILE))
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


@given(st.text(alphabet=st.characters()))
@example("\\[")
@example("\\\\[b]")
@example("a\\")
@example("\\\\\\")
def test_any_text_is_harmless_and_what_is_harmless_stays(text):
    for lines in (False, True):
        shown = harmless.plain(text, lines=lines)
        assert not _is_obeyed(shown)
        assert harmless.plain(shown, lines=lines) == shown
    assert "\n" not in harmless.plain(text)
    file = io.StringIO()
    Console(file=file, width=10_000, emoji=False).print(
        f"[red]{harmless.console(text)}[/red]|", highlight=False, soft_wrap=True
    )
    assert file.getvalue() == f"{harmless.plain(text)}|\n".replace("\t", "\\t")
    page = harmless.markdown(text)
    assert not re.search(r"<|>|(?<!\\)[\[\]|`*]", page.replace("\\\\", ""))


def test_ordinary_text_is_shown_as_it_is():
    text = "Grüße, 東京 👩‍👧 day=2026-01-01/part-0.parquet 1.5 % test_auc"
    assert harmless.plain(text) == harmless.markdown(text) == text


def test_nothing_in_the_flows_shows_text_past_these_functions():
    for path in Path(flows.__file__).parent.rglob("*.py"):
        if path.name != "harmless.py":
            assert "rich.markup" not in path.read_text(), path
