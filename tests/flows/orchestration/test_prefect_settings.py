from __future__ import annotations

import os

import pytest

from flows.orchestration import prefect_settings
from flows.orchestration.prefect_settings import configure, temporary_server
from tests.support.stand_ins import answer, server
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import exclusive_lock


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """A process environment that Prefect's settings have not touched."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "BRAID_"))]:
        monkeypatch.delenv(name)
    copy = dict(os.environ) | {"XDG_CACHE_HOME": str(tmp_path)}
    monkeypatch.setattr(prefect_settings.os, "environ", copy)
    return copy


def test_settings_of_the_user_win(environment):
    environment["PREFECT_LOGGING_LEVEL"] = "DEBUG"
    configure()
    assert environment["PREFECT_LOGGING_LEVEL"] == "DEBUG"
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_without_a_server_prefect_has_a_home_of_our_own(environment, tmp_path):
    configure()
    assert environment["PREFECT_HOME"] == str(tmp_path / "braid" / "prefect")


def test_with_a_server_its_settings_stay_and_none_is_started(environment, tmp_path):
    with server(answer(200)) as address:
        environment["PREFECT_API_URL"] = f"http://{address}/api"
        configure()
        assert "PREFECT_HOME" not in environment
        assert "PREFECT_LOGGING_TO_API_ENABLED" not in environment
        with temporary_server(Workspace(tmp_path), "flats"):
            assert not (tmp_path / "locks").exists()


def test_a_second_run_of_a_pipeline_is_refused_before_prefect_starts(environment, tmp_path):
    configure()
    lock = Workspace(tmp_path).lock("server", "flats")
    with (
        exclusive_lock(lock, holder="first"),
        pytest.raises(BraidError, match="no other run at the same time"),
        temporary_server(Workspace(tmp_path), "flats"),
    ):
        pass


def test_no_name_of_a_pipeline_makes_its_lock_another_pipelines(tmp_path):
    workspace = Workspace(tmp_path)
    with (
        exclusive_lock(workspace.lock("run", "flats-server"), holder="flats-server"),
        exclusive_lock(workspace.lock("server", "flats"), holder="flats"),
        exclusive_lock(workspace.lock("run", "flats"), holder="flats"),
    ):
        assert len(list((tmp_path / "locks").rglob("*.lock"))) == 3
