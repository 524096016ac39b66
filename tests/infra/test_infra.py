"""The files of `infra/` that nothing here can run: what they say has to fit the rest."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
import uuid
from pathlib import Path

import pytest
import yaml

_PROJECT = Path(__file__).parents[2]
# What makes Jobs of flow runs, which the tests of servers have no cluster for.
_BEYOND_THE_TESTS = {
    *("prefect-kubernetes", "kubernetes-asyncio", "kopf"),
    *("iso8601", "pyopenssl"),
}


def _pins(path: str) -> dict[str, str]:
    lines = (_PROJECT / path).read_text().splitlines()
    matches = (re.match(r"([a-z0-9._-]+)(?:\[.*\])?==(\S+)", line) for line in lines)
    return {pin[1]: pin[2] for pin in matches if pin}


@pytest.mark.parametrize(
    ("role", "present", "absent"),
    [
        (
            "gpu",
            {"tensorflow", "keras", "prefect", "nvidia-cudnn-cu12"},
            {"apache-beam", "tensorflow-transform", "pyarrow", "matplotlib"},
        ),
        (
            "serve",
            {"tensorflow", "fastapi", "uvicorn", "uvloop", "httptools", "orjson", "pyarrow"},
            {"apache-beam", "tensorflow-transform", "matplotlib"},
        ),
        ("worker", {"prefect", "prefect-kubernetes"}, {"tensorflow", "pyarrow", "mlflow-skinny"}),
    ],
)
def test_a_machine_of_one_role_has_the_versions_that_everything_was_tested_with(
    role, present, absent
):
    pins, tested = _pins(f"infra/{role}.lock"), _pins("requirements.lock")
    beyond = {name for name in pins if name not in tested}
    assert beyond <= _BEYOND_THE_TESTS or all(name.startswith("nvidia-") for name in beyond), beyond
    assert {name: tested[name] for name in pins if name in tested} == {
        name: version for name, version in pins.items() if name in tested
    }
    assert present <= set(pins)
    assert absent.isdisjoint(pins)


def test_every_pool_has_a_worker_in_the_compose_file():
    services = yaml.safe_load((_PROJECT / "infra/compose.yaml").read_text())["services"]
    deployed = yaml.safe_load((_PROJECT / "flows/orchestration/prefect.yaml").read_text())
    pools = {pool["name"] for pool in deployed["pools"]}
    started = (
        re.search(r"--pool (\w+)", service.get("command", "")) for service in services.values()
    )
    assert {match[1] for match in started if match} == pools
    assert {deployment["work_pool"]["name"] for deployment in deployed["deployments"]} == pools


def test_a_machine_of_one_role_needs_what_an_installation_does_in_the_same_versions():
    document = tomllib.loads((_PROJECT / "pyproject.toml").read_text())
    groups = document["dependency-groups"]
    needed = {entry for group in groups.values() for entry in group if isinstance(entry, str)}
    cuda = document["project"]["optional-dependencies"]["cuda"]
    assert groups["gpu"][1:] == cuda
    submits = {entry for entry in groups["worker"] if entry.startswith("prefect-kubernetes")}
    assert needed - set(cuda) - submits == set(document["project"]["dependencies"])


def test_a_task_manager_without_flinks_scripts_has_all_memory_keys() -> None:
    conf = yaml.safe_load((_PROJECT / "infra" / "flink" / "conf" / "flink-conf.yaml").read_text())
    memory = {key.removeprefix("taskmanager.memory.") for key in conf if ".memory." in key}
    assert memory >= {
        *("framework.heap.size", "framework.off-heap.size"),
        *("task.heap.size", "task.off-heap.size", "managed.size"),
        *("network.min", "network.max", "jvm-metaspace.size"),
        *("jvm-overhead.min", "jvm-overhead.max"),
    }
    assert conf["taskmanager.cpu.cores"] == 1
    assert conf["taskmanager.numberOfTaskSlots"] == 2, "one for the units of another that is lost"


@pytest.mark.parametrize("script", ["flink.sh", "worker.sh"])
def test_a_script_of_the_cluster_is_one_that_a_shell_reads(script: str) -> None:
    assert (
        subprocess.run(["sh", "-n", _PROJECT / "infra" / "flink" / script], check=False).returncode
        == 0
    )


def test_flinks_worker_starts_from_any_checkout_and_has_a_log_for_each_user(tmp_path):
    user = uuid.uuid4().hex
    for name, body in {
        "id": f'test "$1" = -u && echo {user}',
        "python": 'printf "%s\\n" "$@"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    log = Path(f"/tmp/braid-worker-{user}.log")
    try:
        subprocess.run(
            [_PROJECT / "infra" / "flink" / "worker.sh", "--id=1-1"],
            env={
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "BRAID_PYTHON": str(tmp_path / "python"),
                "BRAID_CHECKOUT": "/srv/my checkout",
            },
            check=True,
        )
        assert log.read_text().splitlines() == [
            "-P",
            "/srv/my checkout/transforms/contract/process/own_packages.py",
            "transforms.runners.worker",
            "--id=1-1",
        ]
    finally:
        log.unlink(missing_ok=True)
