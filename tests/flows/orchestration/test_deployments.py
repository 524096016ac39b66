"""`braid deploy` against Prefect's own server, for the time of these tests."""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.testing.utilities import prefect_test_harness
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

from flows.commands.launch import launch_deployment
from flows.orchestration.deployments import _block_name, deploy, filled_in
from transforms.contract.declaration.parsing import load
from transforms.contract.errors import BraidError, DeclarationError
from transforms.contract.workspace.layout import Workspace

DECLARATION = """
name: flats
source: {path: data, key: id}
features: {area: {kind: numeric}}
targets: {sold: {kind: binary}}
schedule: {cron: "0 3 * * *", timezone: Europe/Berlin}
training: {dispatch: deployment}
"""
POOL_OF_KUBERNETES = Path(__file__).parents[3] / "infra/kubernetes/base/pools/cpu.json"
WEBHOOK = "notify={webhook: '${BRAID_TEST_HOOK}'}"


@pytest.fixture(scope="module")
def server():
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def declaration(tmp_path) -> Path:
    path = tmp_path / "pipeline.yaml"
    path.write_text(DECLARATION)
    return path


def _deploy(declaration: Path, *overrides: str) -> list[str]:
    workspace = Workspace(declaration.parent / "workspace")
    return deploy(declaration, load(declaration, overrides), workspace, overrides)


def _deployed() -> dict[str, dict]:
    """Returns what the server knows of every deployment, apart from times and versions."""
    with get_client(sync_client=True) as client:
        flows = {flow.id: flow.name for flow in client.read_flows()}
        return {
            f"{flows[deployment.flow_id]}/{deployment.name}": {
                "id": deployment.id,
                "entrypoint": deployment.entrypoint,
                "pool": deployment.work_pool_name,
                "crons": [(s.schedule.cron, s.schedule.timezone) for s in deployment.schedules],
                "parameters": deployment.parameters,
                "limit": deployment.global_concurrency_limit.limit,
                "when full": deployment.concurrency_options.collision_strategy,
                "environment": deployment.job_variables["env"],
            }
            for deployment in client.read_deployments()
        }


def _followed(client: SyncPrefectClient, automation: str) -> set[str]:
    """Returns the events after which an automation waits for another."""
    (there,) = client.read_automations_by_name(automation)
    return set(there.trigger.after)


def test_pools_deployments_and_automations_are_there_and_the_same_again_changes_nothing(
    server, declaration
):
    lines = _deploy(declaration)
    first = _deployed()
    assert {name: deployment["pool"] for name, deployment in first.items()} == {
        "braid/flats": "cpu",
        "braid-backfill/flats": "cpu",
        "braid-train/flats": "gpu",
    }
    pipeline = first["braid/flats"]
    assert pipeline["crons"] == [("0 3 * * *", "Europe/Berlin")]
    assert pipeline["parameters"] == {
        "declaration": str(declaration),
        "workspace": str(declaration.parent / "workspace"),
        "overrides": [],
    }
    assert {
        (deployment["limit"], str(deployment["when full"].value)) for deployment in first.values()
    } == {(1, "ENQUEUE")}
    assert "deployment braid/flats on the pool cpu, at 0 3 * * * Europe/Berlin" in lines

    with get_client(sync_client=True) as client:
        watching = client.read_automations()
        assert _deploy(declaration) == lines
        assert _deployed() == first
        assert client.read_automations() == watching
        assert sorted(a.name for a in watching) == [
            "braid: lost runs",
            "braid: restart crashed runs",
        ]


def test_a_schedule_that_is_no_longer_declared_is_removed(server, declaration):
    _deploy(declaration)
    _deploy(declaration, "schedule=null")
    deployment = _deployed()["braid/flats"]
    assert deployment["crons"] == []
    assert deployment["parameters"]["overrides"] == ["schedule=null"]


def test_the_pool_for_training_is_there_only_where_it_is_declared(server, declaration):
    with get_client(sync_client=True) as client:
        for pool in client.read_work_pools():
            client.delete_work_pool(pool.name)
        _deploy(declaration)
        assert "braid-train/flats" in _deployed()
        client.delete_work_pool("gpu")
        lines = _deploy(declaration, "training.dispatch=local")
        assert sorted(_deployed()) == ["braid-backfill/flats", "braid/flats"]
        assert [pool.name for pool in client.read_work_pools()] == ["cpu"]
        assert not any("gpu" in line for line in lines)


def test_a_declared_webhook_is_an_automation_and_goes_with_its_declaration(
    server, declaration, monkeypatch
):
    monkeypatch.setenv("BRAID_TEST_HOOK", "https://hooks.example/T0/first")
    first = _deploy(declaration, WEBHOOK)
    assert first[-1] == "automation braid: bad news of flats"
    with get_client(sync_client=True) as client:
        (watching,) = client.read_automations_by_name("braid: bad news of flats")
        assert watching.trigger.match.model_dump() == {
            "prefect.resource.id": "braid.pipeline.flats"
        }
        (action,) = watching.actions
        assert action.payload == "{{ event.payload | tojson }}"
        block = Webhook.load("braid-flats")
        assert block.url.get_secret_value() == "https://hooks.example/T0/first"
        assert action.block_document_id == block._block_document_id

        monkeypatch.setenv("BRAID_TEST_HOOK", "https://hooks.example/T0/second")
        assert _deploy(declaration, WEBHOOK) == first
        assert client.read_automations_by_name("braid: bad news of flats") == [watching]
        assert Webhook.load("braid-flats").url.get_secret_value().endswith("/second")

        _deploy(declaration)
        assert client.read_automations_by_name("braid: bad news of flats") == []
        with pytest.raises(ValueError, match="Unable to find block document"):
            Webhook.load("braid-flats")


@pytest.mark.parametrize("address", [None, "hooks.example/T0"])
def test_a_webhook_without_an_address_is_refused_before_anything_is_deployed(
    declaration, monkeypatch, address
):
    monkeypatch.delenv("BRAID_TEST_HOOK", raising=False)
    if address is not None:
        monkeypatch.setenv("BRAID_TEST_HOOK", address)
    with pytest.raises(DeclarationError, match=r"BRAID_TEST_HOOK|notify\.webhook") as told:
        _deploy(declaration, WEBHOOK)
    assert "T0" not in str(told.value)


def test_blocks_of_two_pipelines_have_two_names():
    names = [_block_name(name) for name in ("a_b", "a-b", "a-ub", "a--b", "a_-b", "a-_b")]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z0-9-]+", name) for name in names)


def test_the_ui_shows_what_every_parameter_is(declaration):
    for entrypoint in ("refresh_model", "backfill_partitions"):
        flow = load_flow_from_entrypoint(f"braid.deployed_flows.{entrypoint}")
        shown = parameter_schema(flow).model_dump_for_openapi()["properties"]
        assert all(parameter["description"] for parameter in shown.values())
        assert shown["overrides"]["items"] == {"type": "string"}
    assert shown["train"]["enum"] == ["once", "each", "none"]
    assert shown["workers"]["anyOf"][0] == {"type": "integer", "minimum": 1}


def test_a_pool_of_another_type_is_refused(server, declaration):
    with get_client(sync_client=True) as client:
        for pool in client.read_work_pools():
            client.delete_work_pool(pool.name)
        client.create_work_pool(WorkPoolCreate(name="gpu", type="docker"))
        with pytest.raises(BraidError, match="'gpu': expected the type process or kubernetes"):
            _deploy(declaration)
        client.delete_work_pool("gpu")


def test_a_pool_of_kubernetes_is_taken_with_its_own_template(server, declaration):
    template = json.loads(POOL_OF_KUBERNETES.read_text())
    with get_client(sync_client=True) as client:
        for pool in client.read_work_pools():
            client.delete_work_pool(pool.name)
        client.create_work_pool(
            WorkPoolCreate(name="cpu", type="kubernetes", base_job_template=template)
        )
        _deploy(declaration)
        there = client.read_work_pool("cpu")
        assert (there.type, there.base_job_template) == ("kubernetes", template)
        assert _deployed()["braid/flats"]["pool"] == "cpu"
        lost = _followed(client, "braid: lost runs")
        assert "prefect.flow-run.Pending" not in lost, "a pod may wait long for its node"
        assert "prefect.flow-run.Running" in lost
        client.delete_work_pool("cpu")
        _deploy(declaration)
        assert "prefect.flow-run.Pending" in _followed(client, "braid: lost runs")


def test_a_pool_that_a_worker_made_at_the_same_time_is_taken(server, declaration, monkeypatch):
    with get_client(sync_client=True) as client:
        for pool in client.read_work_pools():
            client.delete_work_pool(pool.name)
    read_defaults = ProcessWorker.get_default_base_job_template

    def while_a_worker_starts() -> dict:
        template = read_defaults()
        with get_client(sync_client=True) as client:
            client.create_work_pool(
                WorkPoolCreate(
                    name="cpu" if not client.read_work_pools() else "gpu",
                    type="process",
                    base_job_template=template,
                )
            )
        return template

    monkeypatch.setattr(ProcessWorker, "get_default_base_job_template", while_a_worker_starts)
    assert _deploy(declaration)[:2] == ["pool cpu", "pool gpu"]


class _Refusing(BaseHTTPRequestHandler):
    """A server that is there, and lets nobody in."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.send_response(200 if self.path.endswith("/health") else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_refuses_is_a_sentence(declaration, monkeypatch):
    refusing = ThreadingHTTPServer(("127.0.0.1", 0), _Refusing)
    Thread(target=refusing.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{refusing.server_port}/api"
    monkeypatch.setenv("PREFECT_API_URL", address)
    pipeline, workspace = load(declaration), Workspace(declaration.parent / "workspace")
    expected = r"Prefect's server, http.*expected an answer, received.*403"
    with temporary_settings({PREFECT_API_URL: address}), pytest.raises(BraidError, match=expected):
        launch_deployment(declaration, pipeline, workspace, ())
    refusing.shutdown()
    refusing.server_close()


def test_what_the_worker_decides_is_in_no_deployment(declaration):
    document = filled_in(declaration, load(declaration), Workspace(Path("/w")), ())
    for deployment in document["deployments"]:
        environment = deployment["work_pool"]["job_variables"]["env"]
        assert "CUDA_VISIBLE_DEVICES" not in environment
        assert int(environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"]) * 3 == 90
    assert document["automations"][0]["trigger"]["within"] == 90


def test_without_a_server_the_command_says_how_to_name_one(declaration, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(DeclarationError, match="PREFECT_API_URL, received none"):
        launch_deployment(declaration, load(declaration), Workspace(Path("/w")), ())
