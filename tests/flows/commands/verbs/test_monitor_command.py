from __future__ import annotations

import pytest
import yaml

from flows.commands import launch
from flows.commands.cli import cli
from flows.commands.exit_codes import DRIFTED
from flows.steps import monitoring
from tests.flows.commands.test_prune import DECLARATION
from trainer.registry.version import RegisteredVersion
from transforms.contract.errors import DeclarationError
from transforms.contract.steps.monitoring import Compared, MonitorResult


@pytest.fixture
def monitor(tmp_path):
    """Runs `braid monitor` on a log of two days, and gives its exit code."""
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    for day in ("2026-11-28", "2026-11-29"):
        (tmp_path / "log" / f"logged={day}").mkdir(parents=True)

    def call(*arguments: str) -> int:
        line = ["monitor", str(tmp_path / "pipeline.yaml"), "--log", str(tmp_path / "log")]
        return cli([*line, *arguments], standalone_mode=False)

    return call


@pytest.mark.parametrize(("differs", "code"), [(True, DRIFTED), (False, 0)])
def test_the_newest_day_is_told_and_its_exit_code_says_whether_it_differs(
    monitor, monkeypatch, capsys, differs, code
):
    area = Compared(p_value=1e-9, distance=0.2, is_alarm=differs)
    told = []
    monkeypatch.setattr(launch, "tell_drift", lambda *what: told.append(what))
    result = MonitorResult(
        rows=500, refused=2, answers=400, features={"area": area}, predictions={}
    )
    version = RegisteredVersion("flats", "7", "flats/r", "", 0)
    days = []

    def compare(_pipeline, _workspace, _declaration, day, _reporter):
        days.append(day.name)
        return version, result

    monkeypatch.setattr(monitoring, "monitor", compare)
    assert monitor() == code
    drift = ("flats", "logged=2026-11-29", "version 7", "the features area")
    assert told == ([drift] if differs else [])
    told = capsys.readouterr().out
    assert days == ["logged=2026-11-29"]
    assert "flats version 7, logged=2026-11-29: 500 rows" in told
    assert ("This day differs in the features area." in told) == differs
    assert "2 more rows would be rejected by training." in told


def test_a_server_that_is_not_there_is_told_of_and_none_at_all_is_not(monkeypatch, capsys):
    drift = ("flats", "logged=2026-11-29", "version 7", "the features area")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    launch.tell_drift(*drift)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    launch.tell_drift(*drift)
    assert "Not told to PREFECT_API_URL, http://127.0.0.1:9/api: " in capsys.readouterr().err


def test_a_day_that_was_not_logged_is_refused(monitor):
    with pytest.raises(DeclarationError, match="--day 2026-11-01: expected served rows"):
        monitor("--day", "2026-11-01")
