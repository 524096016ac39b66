"""The manifests of `infra/kubernetes`, which no cluster here can run: they fit what they name."""

from __future__ import annotations

import importlib.util
import os
import re
import tomllib
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import click
import pytest
import yaml
from prefect import settings as prefect_settings

from flows.commands.cli import cli
from flows.process import child
from flows.serving.app import make_app
from tests.infra.manifests import (
    FOLDER,
    POOLS,
    PROJECT,
    Pod,
    bytes_of,
    documents,
    images,
    job_of,
    of_kind,
    pods,
)

_PREFECT_KILL_SECONDS = 30  # that `prefect flow-run execute` leaves a flow's process to end
_TELLING_SECONDS = 20  # for what a pod tells the server before and after
# The paths that servers answer at which are not ours.
_OTHERS = {"prefect": {"/api/health"}, "mlflow": {"/health"}, "worker": {"/health"}}
_MLFLOW = ("cli/__init__.py", "environment_variables.py", "utils/cli_args.py")

each_pod = pytest.mark.parametrize("pod", list(pods()), ids=lambda pod: pod.name)


def _kustomizations() -> dict[Path, dict[str, Any]]:
    files = sorted(FOLDER.rglob("kustomization.yaml"))
    return {path.parent: yaml.safe_load(path.read_text()) for path in files}


def _targets() -> list[str]:
    dockerfile = (PROJECT / "infra" / "Dockerfile").read_text()
    return re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, flags=re.M)


def _option(command: str, name: str) -> click.Option:
    options = (each for each in cli.commands[command].params if isinstance(each, click.Option))
    return next(option for option in options if name in option.opts)


def test_every_manifest_is_listed_and_what_is_listed_is_there():
    for folder, document in _kustomizations().items():
        listed = {folder / name for name in document["resources"]}
        there = {path for path in folder.glob("*.yaml") if path.name != "kustomization.yaml"}
        there |= {path for path in folder.iterdir() if (path / "kustomization.yaml").exists()}
        configurations = {folder / name for name in document.get("configurations", [])}
        assert listed | configurations == there
        for made in document.get("configMapGenerator", []):
            assert {folder / name for name in made["files"]} == set(folder.glob("*/*.json"))


def test_every_image_is_a_target_of_the_dockerfile_of_this_version():
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    tags = {image["name"]: image["newTag"] for image in _kustomizations()[FOLDER]["images"]}
    for place, image in images().items():
        name, _, tag = image.partition(":")
        assert name.removeprefix("braid-") in _targets(), place
        assert (tag or tags.pop(name, version)) == version, place
    assert tags == {}, "no container has these"


def test_the_images_end_without_root_and_are_made_of_pinned_bases_and_locks():
    text = (PROJECT / "infra" / "Dockerfile").read_text()
    bases = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, flags=re.M))
    stages = re.split(r"(?=^FROM )", text, flags=re.M)[1:]
    users: dict[str, str] = {}
    for stage in stages:
        base, name = re.match(r"FROM (\S+) AS (\S+)", stage).groups()  # type: ignore[union-attr]
        users[name] = ([users.get(base, "root"), *re.findall(r"^USER (\S+)", stage, flags=re.M)])[
            -1
        ]
        if base not in users:
            assert re.search(r":\d+\.\d+\.\d+\S*-", bases[base.strip("${}")]), base
        for lock in re.findall(r"pip install .*-r /build/(\S+)", stage):
            assert (PROJECT / lock).exists() or (PROJECT / "infra" / lock).exists()
            assert f"--require-hashes -r /build/{lock}" in stage
    run = {image.partition(":")[0].removeprefix("braid-") for image in images().values()}
    assert {name: users[name] for name in run} == dict.fromkeys(run, "1000")
    assert "useradd --create-home --uid 1000 braid" in stages[0]


@each_pod
def test_a_pod_has_no_root_and_no_rights(pod: Pod):
    assert pod.spec["securityContext"]["runAsNonRoot"] is True
    assert pod.spec["securityContext"]["runAsUser"] == 1000
    assert pod.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    # Such as MLFLOW_PORT, which MLflow's server would take for its own.
    assert pod.spec["enableServiceLinks"] is False
    asks_the_cluster = pod.name.startswith("worker-") or pod.name == "flink"
    assert asks_the_cluster or pod.spec["automountServiceAccountToken"] is False
    for container in pod.containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }


@each_pod
def test_a_pod_says_what_it_needs(pod: Pod):
    if pod.name == "flink":
        spec = of_kind("FlinkDeployment")["flink"]["spec"]
        assert all(
            {"cpu", "memory"} <= set(spec[m]["resource"]) for m in ("jobManager", "taskManager")
        )
        return
    for container in pod.containers:
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


@each_pod
def test_what_a_pod_mounts_is_there(pod: Pod):
    volumes = {volume["name"]: volume for volume in pod.spec.get("volumes", [])}
    for container in pod.containers:
        assert {mount["name"] for mount in container.get("volumeMounts", [])} <= set(volumes)
    generated = {
        made["name"]
        for each in _kustomizations().values()
        for made in each.get("configMapGenerator", [])
    }
    for volume in volumes.values():
        if claim := volume.get("persistentVolumeClaim"):
            assert claim["claimName"] in of_kind("PersistentVolumeClaim")
        if config := volume.get("configMap"):
            assert config["name"] in generated


@each_pod
def test_a_probe_asks_what_a_container_answers(pod: Pod):
    app = make_app(cast(Any, None))
    ours = {"serve": {route.path for route in app.routes}}  # type: ignore[attr-defined]
    for container in pod.containers:
        ports = {port["name"] for port in container.get("ports", [])}
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container.get(kind, {})
            if "httpGet" in probe:
                assert probe["httpGet"]["port"] in ports
                assert probe["httpGet"]["path"] in (_OTHERS | ours)[container["name"]]
            if "tcpSocket" in probe:
                assert probe["tcpSocket"]["port"] in ports


def test_a_server_is_ready_only_with_its_model_and_alive_without_it():
    (container,) = of_kind("Deployment")["serve"]["spec"]["template"]["spec"]["containers"]
    asked = {
        name: container[name]["httpGet"]["path"] for name in container if name.endswith("Probe")
    }
    assert asked == {
        "startupProbe": "/readyz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }


@each_pod
def test_commands_of_ours_have_these_options(pod: Pod):
    for container in pod.containers:
        match container.get("args"):
            case ["braid", command, *arguments]:
                known = {name for each in cli.commands[command].params for name in each.opts}
                given = {text.partition("=")[0] for text in arguments if text.startswith("--")}
                assert given <= known
            case [str(script), *_] if script.startswith("/opt/braid/"):
                path = PROJECT / "infra" / script.removeprefix("/opt/braid/")
                assert os.access(path, os.X_OK)


@each_pod
def test_variables_are_ones_that_something_reads(pod: Pod):
    package = Path(cast(str, importlib.util.find_spec("mlflow").origin)).parent  # type: ignore[union-attr]
    mlflow = "".join((package / name).read_text() for name in _MLFLOW)
    scripts = "".join(path.read_text() for path in (PROJECT / "infra/flink").glob("*.sh"))
    for variable in (each for container in pod.containers for each in container.get("env", [])):
        name = variable["name"]
        if name.startswith("PREFECT_INTEGRATIONS_KUBERNETES_"):
            assert pod.name.startswith("worker-"), "whose package the tests have not installed"
        elif name.startswith("PREFECT_"):
            assert hasattr(prefect_settings, name)
        elif name.startswith("MLFLOW_"):
            assert name in mlflow or name == "MLFLOW_DISABLE_TELEMETRY"
        elif name.startswith("BRAID_"):
            assert f"${{{name}" in scripts or f"${name}" in scripts
        else:
            assert name == "DO_NOT_TRACK"


def test_a_selector_selects_a_pod():
    labels = [pod.labels for pod in pods() if pod.labels]

    def is_selected(wanted: dict[str, str]) -> bool:
        return any(wanted.items() <= of_pod.items() for of_pod in labels)

    for each in documents():
        spec = each.get("spec", {})
        match each["kind"]:
            case "Service":
                assert is_selected(spec["selector"])
            case "PodDisruptionBudget":
                assert is_selected(spec["selector"]["matchLabels"])
            case "NetworkPolicy":
                assert is_selected(spec["podSelector"].get("matchLabels", {}))
            case "HorizontalPodAutoscaler":
                assert spec["scaleTargetRef"]["name"] in of_kind(spec["scaleTargetRef"]["kind"])
            case "Deployment":
                assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
            case "RoleBinding":
                assert each["roleRef"]["name"] in of_kind("Role")
                assert all(s["name"] in of_kind("ServiceAccount") for s in each["subjects"])


def test_every_address_is_a_service_of_the_same_port():
    ports = {
        (name, port["port"])
        for name, each in of_kind("Service").items()
        for port in each["spec"]["ports"]
    }
    ports |= {("localhost", 4200), ("flink-rest", 8081)}  # a port-forward, and the operator's
    texts = [path.read_text() for path in (*FOLDER.rglob("*.yaml"), *POOLS.glob("*.json"))]
    urls = {url for text in texts for url in re.findall(r"http://[\w.:-]+", text)}
    assert urls
    for url in (*urls, "//flink-rest:8081"):
        parts = urlsplit(url)
        assert (parts.hostname, parts.port) in ports


def test_the_pools_are_those_of_the_deployments_and_each_has_a_worker():
    deployed = yaml.safe_load((PROJECT / "flows/orchestration/prefect.yaml").read_text())
    pools = {pool["name"] for pool in deployed["pools"]}
    assert {path.stem for path in POOLS.glob("*.json")} == pools
    for pool in pools:
        spec = of_kind("Deployment")[f"worker-{pool}"]["spec"]["template"]["spec"]
        (made,), (started,) = spec["initContainers"], spec["containers"]
        assert made["args"][:4] == ["prefect", "work-pool", "create", pool]
        assert f"--base-job-template=/etc/pools/{pool}.json" in made["args"]
        assert f"--pool={pool}" in started["args"]


@pytest.mark.parametrize("pool", ["cpu", "gpu"])
def test_a_flow_run_becomes_a_job_that_the_server_and_not_kubernetes_tries_again(pool):
    deployed = yaml.safe_load((PROJECT / "flows/orchestration/prefect.yaml").read_text())
    variables = next(
        each["work_pool"]["job_variables"]
        for each in deployed["deployments"]
        if each["work_pool"]["name"] == pool
    )
    job = job_of(pool, **variables, name="run", command="prefect flow-run execute")
    assert job["metadata"]["namespace"] == of_kind("Namespace")["braid"]["metadata"]["name"]
    assert job["metadata"]["namespace"] == _kustomizations()[FOLDER]["namespace"]
    # Then Prefect's worker has SIGTERM reschedule the run.
    assert job["spec"]["backoffLimit"] == 0
    spec = job["spec"]["template"]["spec"]
    assert spec["restartPolicy"] == "Never"
    (container,) = spec["containers"]
    # What prefect-kubernetes 0.8 refuses a template without; the cluster ignores the first two.
    assert (spec["completions"], spec["parallelism"], container["name"]) == (1, 1, "prefect-job")
    assert container["args"] == "prefect flow-run execute"
    assert container["env"] == variables["env"]
    assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (pool == "gpu")


@pytest.mark.parametrize("pool", ["cpu", "gpu"])
def test_an_evicted_flow_has_the_time_to_end_its_step_and_to_say_so(pool):
    grace = job_of(pool)["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert child._TERMINATION_SECONDS < _PREFECT_KILL_SECONDS
    assert grace >= _PREFECT_KILL_SECONDS + _TELLING_SECONDS


def test_a_server_that_is_taken_away_answers_what_has_begun():
    spec = of_kind("Deployment")["serve"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    _, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    longest = cast(float, _option("serve", "--max-seconds").default)
    assert spec["terminationGracePeriodSeconds"] >= int(seconds) + longest + 10


def test_a_task_manager_has_room_for_its_worker_beside_all_that_flink_counts():
    spec = of_kind("FlinkDeployment")["flink"]["spec"]
    conf, taken = spec["flinkConfiguration"], "taskmanager.memory."
    sizes = {key.removeprefix(taken): bytes_of(conf[key]) for key in conf if key.startswith(taken)}
    assert sizes["jvm-overhead.min"] == sizes["jvm-overhead.max"] >= bytes_of("2g")
    others = sum(size for key, size in sizes.items() if not key.endswith(".max"))
    alone = yaml.safe_load((PROJECT / "infra/flink/conf/flink-conf.yaml").read_text())
    left = bytes_of(spec["taskManager"]["resource"]["memory"]) - others
    assert left >= bytes_of(alone[f"{taken}task.heap.size"])
    assert conf["taskmanager.numberOfTaskSlots"] == "1"


def test_java_is_opened_as_where_it_was_run():
    script = (PROJECT / "infra/flink/flink.sh").read_text().replace("\\\n", " ")
    packages = re.search(r"for package in ([^;]*);", script)[1].split()  # type: ignore[index]
    conf = of_kind("FlinkDeployment")["flink"]["spec"]["flinkConfiguration"]
    assert conf["env.java.opts.all"].split() == [
        f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in packages
    ]
