"""The manifests of `infra/kubernetes` as they are read there, without a cluster."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from prefect.utilities.templating import apply_values

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "infra" / "kubernetes"
POOLS = FOLDER / "base" / "pools"
_NO_MANIFESTS = {"kustomization.yaml", "images.yaml"}


@dataclass(frozen=True)
class Pod:
    """A pod that something makes.

    Attributes:
        name: Of what makes it.
        labels: The pod's.
        spec: The pod's.
    """

    name: str
    labels: dict[str, str]
    spec: dict[str, Any]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


@cache
def documents() -> tuple[dict[str, Any], ...]:
    """Returns every manifest."""
    files = [path for path in sorted(FOLDER.rglob("*.yaml")) if path.name not in _NO_MANIFESTS]
    return tuple(each for path in files for each in yaml.safe_load_all(path.read_text()))


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    """Returns the manifests of a kind by their names."""
    return {each["metadata"]["name"]: each for each in documents() if each["kind"] == kind}


def job_of(pool: str, **variables: Any) -> dict[str, Any]:
    """Returns the Job that a worker makes of a pool's flow run, as Prefect fills it in."""
    template = json.loads((POOLS / f"{pool}.json").read_text())
    properties = template["variables"]["properties"]
    values = {name: spec["default"] for name, spec in properties.items()} | variables
    filled: dict[str, Any] = apply_values(template["job_configuration"], values)
    return filled["job_manifest"]  # type: ignore[no-any-return]


def pods() -> Iterator[Pod]:
    """Yields every pod: of Deployments, of the pools' Jobs, of the Flink cluster."""
    for name, each in of_kind("Deployment").items():
        template = each["spec"]["template"]
        yield Pod(name, template["metadata"]["labels"], template["spec"])
    for pool in sorted(path.stem for path in POOLS.glob("*.json")):
        yield Pod(f"a flow of {pool}", {}, job_of(pool)["spec"]["template"]["spec"])
    for name, each in of_kind("FlinkDeployment").items():
        labels = {"app": name, "component": "jobmanager"}  # what the operator gives them
        yield Pod(name, labels, each["spec"]["podTemplate"]["spec"])


def images() -> dict[str, str]:
    """Returns the image of every container, by the names of both."""
    named = {
        f"{pod.name}: {container['name']}": container["image"]
        for pod in pods()
        for container in pod.containers
        if "image" in container  # Flink's operator puts in the cluster's
    }
    return named | {
        name: each["spec"]["image"] for name, each in of_kind("FlinkDeployment").items()
    }


def bytes_of(amount: str) -> int:
    """Returns an amount of memory as Flink spells it."""
    number, unit = re.fullmatch(r"(\d+)([mg])b?", amount).groups()  # type: ignore[union-attr]
    return int(number) * {"m": 1 << 20, "g": 1 << 30}[unit]
