"""Questions to the servers, in HTTP as anyone may ask them."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any


class Prefect:
    """The Prefect server's API."""

    def __init__(self, url: str) -> None:
        self._url = url

    def start(self, flow: str, deployment: str, **parameters: Any) -> str:
        """Starts a flow run of a deployment and returns its id."""
        deployed = _ask(f"{self._url}/deployments/name/{flow}/{deployment}")
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return _ask(f"{self._url}/deployments/{deployed['id']}/create_flow_run", body)["id"]

    def flow_run(self, number: str) -> dict[str, Any]:
        return _ask(f"{self._url}/flow_runs/{number}")

    def flow_runs(self, flow: str, deployment: str) -> list[dict[str, Any]]:
        """Returns a deployment's flow runs, the first that was to start first."""
        body = {
            "flows": {"name": {"any_": [flow]}},
            "deployments": {"name": {"any_": [deployment]}},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        return _ask(f"{self._url}/flow_runs/filter", body)

    def task_runs(self, flow_run: str) -> list[dict[str, Any]]:
        body = {"flow_runs": {"id": {"any_": [flow_run]}}}
        return _ask(f"{self._url}/task_runs/filter", body)

    def logs(self, flow_run: str) -> dict[str | None, list[str]]:
        """Returns the lines that are told of a flow run, by the name of their task."""
        names = {task["id"]: task["name"] for task in self.task_runs(flow_run)}
        body = {"logs": {"flow_run_id": {"any_": [flow_run]}}, "sort": "TIMESTAMP_ASC"}
        lines: dict[str | None, list[str]] = {}
        for log in _ask(f"{self._url}/logs/filter", body):
            lines.setdefault(names.get(log["task_run_id"]), []).append(log["message"])
        return lines

    def artifact(self, key: str) -> dict[str, Any]:
        """Returns the latest artifact of a key."""
        return _ask(f"{self._url}/artifacts/{key}/latest")

    def everything(self, kind: str) -> list[dict[str, Any]]:
        """Returns all "deployments", "automations" or "work_pools"."""
        return _ask(f"{self._url}/{kind}/filter", {})

    def change_automation(self, automation: dict[str, Any], **trigger: Any) -> None:
        """Gives an automation's trigger other values."""
        kept = {n: v for n, v in automation.items() if n not in ("id", "created", "updated")}
        body = kept | {"trigger": automation["trigger"] | trigger}
        _ask(f"{self._url}/automations/{automation['id']}", body, method="PUT")


class Mlflow:
    """The MLflow server's REST API."""

    def __init__(self, url: str) -> None:
        self.address = url
        self._url = f"{url}/api/2.0/mlflow"

    def champion(self, name: str) -> dict[str, Any]:
        document = self._get("registered-models/alias", name=name, alias="champion")
        return document["model_version"]

    def versions(self, name: str) -> list[dict[str, Any]]:
        document = self._get("model-versions/search", filter=f"name = '{name}'")
        return document.get("model_versions", [])

    def metrics(self, run: str) -> dict[str, float]:
        data = self._get("runs/get", run_id=run)["run"]["data"]
        return {metric["key"]: metric["value"] for metric in data["metrics"]}

    def _get(self, path: str, **query: str) -> dict[str, Any]:
        return _ask(f"{self._url}/{path}?{urllib.parse.urlencode(query)}")


def _ask(url: str, body: Any = None, *, method: str | None = None) -> Any:
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        text = response.read()
    return json.loads(text) if text else None
