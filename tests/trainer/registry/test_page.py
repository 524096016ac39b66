from __future__ import annotations

import signal
import socket
from importlib.metadata import PackageNotFoundError
from urllib.request import urlopen

import pytest
import yaml

from tests.flows.commands.test_prune import DECLARATION
from tests.support.command import processes_with, start, until
from trainer.registry import page
from trainer.registry.page import PagePlace, serving_page
from trainer.registry.registry import ModelRegistry
from transforms.contract.errors import BraidError


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_where_mlflow_s_page_is_not_installed_the_extra_is_named(tmp_path, monkeypatch):
    def missing(_name):
        raise PackageNotFoundError

    monkeypatch.setattr(page, "version", missing)
    place = PagePlace("127.0.0.1", 5000)
    with (
        pytest.raises(BraidError, match=r"braid-pipelines\[server\]"),
        serving_page(ModelRegistry(tmp_path), place),
    ):
        pass


def test_a_port_that_is_taken_is_refused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = PagePlace("127.0.0.1", taken.getsockname()[1])
        with (
            pytest.raises(BraidError, match="a port that is free"),
            serving_page(ModelRegistry(tmp_path), place),
        ):
            pass


def test_the_command_shows_the_registry_and_leaves_no_process_behind(tmp_path):
    (tmp_path / "pipeline.yaml").write_text(yaml.safe_dump(DECLARATION))
    export = tmp_path / "export"
    export.mkdir()
    (export / "saved_model.pb").write_text("graph")
    ModelRegistry(tmp_path / "workspace").register("flats", export, run_id="r", metrics={})
    port = _free_port()
    command = ["ui", str(tmp_path / "pipeline.yaml"), "--port", str(port)]
    running = start(command, tmp_path / "log")
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: address in (tmp_path / "log").read_text(), seconds=240)
        search = f"{address}/ajax-api/2.0/mlflow/registered-models/search"
        with urlopen(search, timeout=60) as answer:
            assert b'"flats"' in answer.read()
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(60)
    assert processes_with("mlflow", str(port)) == []
