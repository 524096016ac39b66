"""The files of `infra/` that nothing here can run: what they say has to fit the rest."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

_PROJECT = Path(__file__).parents[2]


def _pins(path: str) -> dict[str, str]:
    lines = (_PROJECT / path).read_text().splitlines()
    matches = (re.match(r"([a-z0-9._-]+)(?:\[.*\])?==(\S+)", line) for line in lines)
    return {pin[1]: pin[2] for pin in matches if pin}


def test_a_gpu_machine_has_the_versions_that_everything_was_tested_with():
    gpu, tested = _pins("infra/gpu.lock"), _pins("requirements.lock")
    beyond = {name for name in gpu if name not in tested}
    assert all(name.startswith("nvidia-") for name in beyond), beyond
    assert {name: tested[name] for name in gpu if name in tested} == {
        name: version for name, version in gpu.items() if name in tested
    }
    assert {"tensorflow", "keras", "prefect", "nvidia-cudnn-cu12"} <= set(gpu)
    assert {"apache-beam", "tensorflow-transform", "pyarrow", "matplotlib"}.isdisjoint(gpu)


def test_every_pool_has_a_worker_in_the_compose_file():
    services = yaml.safe_load((_PROJECT / "infra/compose.yaml").read_text())["services"]
    deployed = yaml.safe_load((_PROJECT / "infra/prefect.yaml").read_text())
    pools = {pool["name"] for pool in deployed["pools"]}
    started = (
        re.search(r"--pool (\w+)", service.get("command", "")) for service in services.values()
    )
    assert {match[1] for match in started if match} == pools
    assert {deployment["work_pool"]["name"] for deployment in deployed["deployments"]} == pools


def test_a_package_holds_what_is_deployed():
    packaged = tomllib.loads((_PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "infra" in packaged["packages"]["find"]["include"]
    assert packaged["package-data"]["infra"] == ["prefect.yaml"]
