"""Puts a pipeline on a Prefect server: what `prefect.yaml` says, filled in.

Import this after `flows.orchestration.prefect_settings.configure`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.types import SecretDict
from prefect.utilities.callables import parameter_schema
from prefect.utilities.templating import apply_values
from prefect.workers.process import ProcessWorker
from pydantic import SecretStr

from flows.orchestration.dispatch import GPU_POOL, TRAINING_FLOW
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.declaration.schedule import ScheduleSpec
from transforms.contract.declaration.secrets import expand
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.masking import remember
from transforms.contract.workspace.layout import Workspace

DEPLOYMENTS_FILE = "prefect.yaml"
# Of pools whose workers run what is installed where they run it: on their machine, or in the image
# that the pool's template names.
_KUBERNETES = "kubernetes"
_POOL_TYPES = ("process", _KUBERNETES)
_PENDING = "prefect.flow-run.Pending"


def deploy(
    declaration: Path, pipeline: PipelineSpec, workspace: Workspace, overrides: Sequence[str]
) -> list[str]:
    """Makes pools, deployments and automations, or brings those that are there up to date.

    The same again changes nothing, and a pool of Kubernetes that is there stays as it is. A
    schedule, a deployment for training and a webhook that the declaration no longer has are
    removed.

    Args:
        declaration: The path of the pipeline.yaml, the same on every machine of the pools.
        pipeline: The declaration.
        workspace: Where everything lies, the same on every machine of the pools.
        overrides: "training.epochs=3" and the like.

    Returns:
        What is there now, a line for each.

    Raises:
        BraidError: The server refuses something.
    """
    address = None if pipeline.notify is None else expand(pipeline.notify.webhook)
    with get_client(sync_client=True) as client:
        webhook = None if address is None else _webhook(pipeline.name, address)
        document = filled_in(declaration, pipeline, workspace, overrides, webhook)
        lines = [_pool(client, pool) for pool in document["pools"]]
        lines += [_deployment(client, deployment) for deployment in document["deployments"]]
        # Also where this pipeline trains on its own machine: the automations are for all.
        waits = _waits_for_pods(client, {GPU_POOL, *(pool["name"] for pool in document["pools"])})
        for automation in document["automations"]:
            lines.append(_automation(client, _patient(automation) if waits else automation))
        if pipeline.training.dispatch != "deployment":
            _remove_deployment(client, f"{TRAINING_FLOW}/{pipeline.name}")
        if webhook is not None:
            lines += [_automation(client, each) for each in document["notifications"]]
        else:
            _remove_notifications(client, pipeline.name, document["notifications"])
    return lines


def filled_in(
    declaration: Path,
    pipeline: PipelineSpec,
    workspace: Workspace,
    overrides: Sequence[str],
    webhook: UUID | None = None,
) -> dict[str, Any]:
    """Returns what `prefect.yaml` says of a pipeline; without a webhook that one's place is "".

    The pool and the deployment for training are left out where it trains on its own machine.
    """
    text = (files(__package__) / DEPLOYMENTS_FILE).read_text(encoding="utf-8")
    schedule = pipeline.schedule
    values = {
        "name": pipeline.name,
        "declaration": str(declaration.absolute()),
        "workspace": str(workspace.root),
        "overrides": list(overrides),
        "schedules": [] if schedule is None else [_cron(schedule)],
        "webhook": "" if webhook is None else str(webhook),
        "payload": "{{ event.payload | tojson }}",  # a template of the server's
    }
    document: dict[str, Any] = apply_values(yaml.safe_load(text), values)
    if pipeline.training.dispatch != "deployment":
        document["pools"] = [p for p in document["pools"] if p["name"] != GPU_POOL]
        elsewhere = [d for d in document["deployments"] if d["work_pool"]["name"] != GPU_POOL]
        document["deployments"] = elsewhere
    return document


def _cron(schedule: ScheduleSpec) -> dict[str, Any]:
    return {"cron": schedule.cron, "timezone": schedule.timezone}


def _pool(client: SyncPrefectClient, pool: dict[str, Any]) -> str:
    # Created before it is read: a worker that starts at this moment creates it too.
    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(WorkPoolCreate(**pool, base_job_template=template))
    there = client.read_work_pool(pool["name"])
    if there.type not in _POOL_TYPES:
        raise BraidError(
            f"the work pool '{pool['name']}'",
            expected=f"the type {' or '.join(_POOL_TYPES)}",
            received=f"the type {there.type}",
            action="Rename or remove that pool: its workers cannot run these flows.",
        )
    return f"pool {pool['name']}"


def _waits_for_pods(client: SyncPrefectClient, names: Collection[str]) -> bool:
    """Returns whether one of the server's pools makes pods of flow runs."""
    return any(pool.type == _KUBERNETES for pool in client.read_work_pools() if pool.name in names)


def _patient(automation: dict[str, Any]) -> dict[str, Any]:
    """Returns an automation that takes no pending run for lost.

    Its pod may wait for a node or an image for minutes, and tells nothing. What becomes of it, the
    worker sees.
    """
    trigger = automation["trigger"]
    after = [event for event in trigger["after"] if event != _PENDING]
    return automation | {"trigger": trigger | {"after": after}}


def _deployment(client: SyncPrefectClient, wanted: dict[str, Any]) -> str:
    flow: Flow[..., Any] = load_flow_from_entrypoint(wanted["entrypoint"])
    limit, pool = wanted["concurrency_limit"], wanted["work_pool"]
    schedules = [
        DeploymentScheduleCreate(schedule=CronSchedule(**schedule), active=True)
        for schedule in wanted.get("schedules", [])
    ]
    # The server takes it for an update if it has one of this name, and replaces the schedules.
    client.create_deployment(
        flow_id=client.create_flow_from_name(flow.name),
        name=wanted["name"],
        description=wanted["description"],
        tags=wanted["tags"],
        entrypoint=wanted["entrypoint"],  # a module: the code is installed where a worker is
        pull_steps=[],
        parameters=wanted.get("parameters", {}),
        parameter_openapi_schema=parameter_schema(flow).model_dump_for_openapi(),
        enforce_parameter_schema=True,
        schedules=schedules,
        concurrency_limit=limit["limit"],
        concurrency_options=ConcurrencyOptions(collision_strategy=limit["collision_strategy"]),
        work_pool_name=pool["name"],
        job_variables=pool["job_variables"],
    )
    when = ", ".join(f"{s['cron']} {s['timezone']}" for s in wanted.get("schedules", []))
    line = f"deployment {flow.name}/{wanted['name']} on the pool {pool['name']}"
    return f"{line}, at {when}" if when else line


def _remove_deployment(client: SyncPrefectClient, name: str) -> None:
    with suppress(ObjectNotFound):
        client.delete_deployment(client.read_deployment_by_name(name).id)


def _webhook(pipeline: str, address: str) -> UUID:
    """Keeps the address that a pipeline's bad news go to, and returns where the server has it."""
    remember(address)
    if not address.startswith(("http://", "https://")):
        raise DeclarationError(
            "notify.webhook",
            expected="a variable with a URL that begins with http:// or https://",
            received="another value",
            action="Set that variable where `braid deploy` runs.",
        )
    headers = SecretDict({"Content-Type": "application/json"})
    block = Webhook(method="POST", url=SecretStr(address), headers=headers)
    return UUID(str(block.save(_block_name(pipeline), overwrite=True)))


def _block_name(pipeline: str) -> str:
    # A block's name has no underscore. Written so, two pipelines have never one name.
    return "braid-" + pipeline.replace("-", "--").replace("_", "-u")


def _remove_notifications(
    client: SyncPrefectClient, pipeline: str, unwanted: Sequence[dict[str, Any]]
) -> None:
    for raw in unwanted:
        for existing in client.read_automations_by_name(raw["name"]):
            client.delete_automation(existing.id)
    with suppress(ObjectNotFound):
        block = client.read_block_document_by_name(_block_name(pipeline), "webhook")
        client.delete_block_document(block.id)


def _automation(client: SyncPrefectClient, raw: dict[str, Any]) -> str:
    wanted = AutomationCore.model_validate(raw)
    existing = client.read_automations_by_name(wanted.name)
    if not existing:
        client.create_automation(wanted)
    # An update would forget the runs that it watches at the moment.
    elif _says(existing[0]) != _says(wanted):
        client.update_automation(existing[0].id, wanted)
    return f"automation {wanted.name}"


def _says(automation: AutomationCore) -> dict[str, Any]:
    names = set(AutomationCore.model_fields)
    return automation.model_dump(include=names)
