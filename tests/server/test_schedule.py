"""A schedule fires on a server: the flow runs on one pool, what trains on another."""

from __future__ import annotations

import re

from tests.server.api import Prefect

_SPAN = "flats, day=2026-01-01 to day=2026-01-03 (3 partitions)"


def test_a_cron_schedule_fires_and_the_flow_trains_on_the_gpu_pool(prefect, scheduled):
    assert scheduled["state_type"] == "COMPLETED"
    assert scheduled["created_by"]["type"] == "SCHEDULE"
    assert scheduled["work_pool_name"] == "cpu"
    assert scheduled["labels"]["prefect.worker.name"] == "cpu-1"
    steps = prefect.flow_runs("braid-train", "flats")
    names = [step["parameters"]["step"] for step in steps]
    assert names[:2] == ["train", "export"]
    assert sorted(names[2:]) == ["check", "evaluate"], "these two run side by side"
    assert {step["state_type"] for step in steps} == {"COMPLETED"}
    assert {step["work_pool_name"] for step in steps} == {"gpu"}
    assert {step["labels"]["prefect.worker.name"] for step in steps} == {"gpu-1"}


def test_the_version_is_the_champion_in_the_mlflow_server(mlflow, scheduled, flats):
    assert scheduled["state_type"] == "COMPLETED"
    champion = mlflow.champion("flats")
    assert [champion["version"]] == [version["version"] for version in mlflow.versions("flats")]
    record = flats.record()
    assert record["status"] == "promoted"
    model = {"name": "flats", "version": champion["version"], "registry": mlflow.address}
    assert record["model"] == model
    tags = {tag["key"]: tag["value"] for tag in champion["tags"]}
    assert tags["braid.run"] == f"flats/{record['run_id']}"
    metrics = mlflow.metrics(champion["run_id"])
    baselines = {name: value for name, value in metrics.items() if name.startswith("baseline.")}
    curves = {name for name in metrics if name.startswith("epoch.")}
    assert curves >= {"epoch.train_loss", "epoch.validation_loss"}
    told = {n: v for n, v in metrics.items() if n not in {*baselines, *curves}}
    assert told == record["metrics"]
    assert "baseline.constant.test_loss" in baselines


def test_flows_and_tasks_have_names_that_tell_the_step_and_its_partitions(prefect, scheduled):
    assert re.fullmatch(rf"{re.escape(_SPAN)}, \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d", scheduled["name"])
    steps = {run["name"] for run in prefect.flow_runs("braid-train", "flats")}
    assert steps == {f"{step}: {_SPAN}" for step in ("train", "export", "evaluate", "check")}
    tasks = {run["name"] for run in prefect.task_runs(scheduled["id"])}
    assert {f"{step}: {_SPAN}" for step in ("analyze", "transform", "train", "register")} <= tasks


def test_the_report_is_an_artifact_of_the_flow_run(prefect, scheduled, flats):
    artifact = prefect.artifact("braid-flats")
    assert artifact["flow_run_id"] == scheduled["id"]
    assert artifact["type"] == "markdown"
    assert artifact["description"] == f"Run {flats.record()['run_id']}: promoted"
    assert "test_sold_auc" in artifact["data"]
    assert "(data:image/png;base64," in artifact["data"]


def test_deploying_again_changes_nothing(cluster, prefect, scheduled, flats):
    before = _on_the_server(prefect)
    cluster.braid("deploy", str(flats.declaration))
    assert _on_the_server(prefect) == before


def test_a_schedule_that_is_deployed_no_more_makes_no_run_any_more(prefect, scheduled):
    assert not any(made["schedules"] for made in prefect.everything("deployments"))
    assert {run["state_type"] for run in prefect.flow_runs("braid", "flats")} == {"COMPLETED"}


def _on_the_server(prefect: Prefect) -> dict[str, dict[str, str]]:
    """Returns the names of all that a deployment makes, by their ids."""
    deployed = {
        kind: {each["id"]: each["name"] for each in prefect.everything(kind)}
        for kind in ("deployments", "automations", "work_pools")
    }
    assert list(deployed["deployments"].values()).count("flats") == 3
    assert sorted(deployed["work_pools"].values()) == ["cpu", "gpu"]
    assert len(set(deployed["automations"].values())) == len(deployed["automations"])
    return deployed
