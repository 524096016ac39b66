"""The output of `braid tune`; its trials and its run are stood in for."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.commands import tune
from flows.commands.cli import cli
from flows.records.record import PAGE_FILE, RECORD_FILE
from tests.flows.commands.test_tuning import TABLE
from tests.support.records import run_record
from transforms.contract.steps.tuning import Trial, Tuning

TRIAL = Trial(number=0, status="complete", parameters={}, loss=0.4, seconds=1.0, changes={})
TUNING = Tuning(
    trials=(TRIAL,), best=0, settings={"training.batch_size": 32}, seconds=1.0, transformed=2
)
KEYS = "training: {batch_size: 32}"


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `braid tune` and gives its output; its run has left its record and its page."""
    declaration, folder = tmp_path / "pipeline.yaml", tmp_path / "run"
    declaration.write_text(TABLE)
    folder.mkdir()
    for name in (RECORD_FILE, PAGE_FILE):
        (folder / name).touch()
    monkeypatch.setattr(tune, "tune", lambda *_, **__: TUNING)
    monkeypatch.setattr(tune, "run_best", lambda *_: (folder, run_record(status="promoted")))

    def call(*options: str) -> str:
        line = ["tune", str(declaration), *options]
        return CliRunner().invoke(cli, line, catch_exceptions=False).output

    return call


def test_the_keys_the_end_of_the_run_and_its_files_are_told(shown):
    told = shown()
    assert KEYS in told
    assert "flats: the new model became the champion" in told
    assert [Path(line).name for line in told.splitlines()[-2:]] == [RECORD_FILE, PAGE_FILE]


def test_quiet_leaves_the_keys_and_how_the_run_ended(shown):
    told = [line for line in shown("-q").splitlines() if line]
    assert told == [KEYS, "flats: the new model became the champion"]
    assert [line for line in shown("-q", "--no-run").splitlines() if line] == [KEYS]
