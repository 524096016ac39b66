"""Runs whose parts see a bucket, and nothing of each other's folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pytest
import yaml

from tests.server.api import Prefect
from tests.server.cluster import Cluster as Servers
from tests.support.command import printed_by, until
from tests.support.flink_cluster import ON_FLINK, Cluster
from tests.support.runners import IN_PROCESS, run, write_listings
from tests.support.s3 import CREDENTIALS, needs_moto, objects, s3_server

pytestmark = [pytest.mark.flink, needs_moto]
# TensorFlow's, which are never the same twice, and what names all files by their content.
_UNLIKE = ("saved_model.pb", "fingerprint.pb", "contents.json")
_OF_WHO_WORKS = ("leases/", "needs/")
_RUN_SECONDS = 400.0


@pytest.fixture
def s3() -> Iterator[str]:
    with s3_server() as server:
        yield server.options


@pytest.fixture
def servers(tmp_path) -> Iterator[Servers]:
    """Prefect's server, without workers."""
    started = Servers(tmp_path)
    started.environment.update(CREDENTIALS)
    try:
        started.start_prefect()
        yield started
    finally:
        started.close()


def declared(hidden: Path, s3: str) -> Path:
    """Writes a project whose rows lie in the bucket alone, into a folder that no worker sees."""
    path = write_listings(hidden)
    table, root = pafs.FileSystem.from_uri(f"s3://bucket/table?{s3}")
    pafs.copy_files(str(hidden / "data"), root, destination_filesystem=table)
    shutil.rmtree(hidden / "data")
    document = yaml.safe_load(path.read_text())
    document["source"]["path"] = f"s3://bucket/table?{s3}"
    document["store"] = f"s3://bucket/flink?{s3}"
    document["training"] = {"epochs": 1, "members": 1}
    document["gate"] = {"metric": "test_price_mae", "tolerance": 1e9}
    document["beam"] = ON_FLINK.model_dump(mode="json", exclude_defaults=True)
    path.write_text(yaml.safe_dump(document))
    return path


def shaped(uri: str) -> dict[str, bytes]:
    """Returns what the two steps made, apart from what is never the same twice."""
    return {
        name: content
        for name, content in objects(uri).items()
        if not name.endswith(_UNLIKE) and not name.startswith(_OF_WHO_WORKS)
    }


def test_without_a_shared_folder_a_run_and_predictions_are_those_of_one_machine(
    flink: Cluster, s3: str
):
    path = declared(flink.hidden / "alone", s3)
    links = json.loads(printed_by("doctor", str(path), "--json"))["result"]["links"]
    assert [link["name"] for link in links if link["error"] is None] == [
        "store",
        "job server",
        "worker",
        "installation",
        "store, by a worker",
        "source",
    ]
    assert "Model listings version 1, alias champion" in printed_by("run", str(path))
    by_flink = shaped(f"s3://bucket/flink?{s3}")
    assert {name.split("/")[0] for name in by_flink} == {
        "manifests",
        "rejects",
        "shards",
        "statistics",
        "transforms",
    }

    document = yaml.safe_load(path.read_text())
    here = path.with_name("here.yaml")
    here.write_text(yaml.safe_dump(document | {"store": f"s3://bucket/here?{s3}"}))
    run(here, "here", IN_PROCESS)
    assert shaped(f"s3://bucket/here?{s3}") == by_flink

    table, scores = (f"s3://bucket/{name}?{s3}" for name in ("table", "scores/"))
    printed_by("predict", str(path), "--input", table, "--output", scores)
    bucket, root = pafs.FileSystem.from_uri(f"s3://bucket/scores?{s3}")
    scored = pads.dataset(root, filesystem=bucket, partitioning="hive").to_table()
    assert len(set(scored["listing_id"].to_pylist())) == scored.num_rows == 120
    assert [name for name in objects(f"s3://bucket/flink?{s3}") if name.startswith("beam/")] == []
    assert flink.running_jobs() == 0


def test_flow_workers_of_flink_and_trainer_share_the_bucket_alone(
    flink: Cluster, servers: Servers, s3: str
):
    flow, trainer = flink.hidden / "flow", flink.hidden / "trainer"
    path = declared(flow, s3)
    document = yaml.safe_load(path.read_text())
    document["name"] = "apart"
    document["training"]["dispatch"] = "deployment"
    path.write_text(yaml.safe_dump(document))
    trainer.mkdir()
    for pool, own, other in (("cpu", flow, trainer), ("gpu", trainer, flow)):
        (other / "there").touch()
        variables = {name: str(own / "home") for name in ("HOME", "PREFECT_HOME")}
        worker = servers.worker(
            pool, hidden=other, BRAID_WORKSPACE=str(own / "copies"), **variables
        )
        seen = Path(f"/proc/{worker.process.pid}/root{other}")
        until(lambda seen=seen: not list(seen.iterdir()), told=worker.tail)

    servers.braid("deploy", str(path))
    prefect = Prefect(servers.prefect_api)
    run = prefect.start("braid", "apart")

    def state() -> str:
        return prefect.flow_run(run)["state_type"]

    ends = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    until(lambda: state() in ends, seconds=_RUN_SECONDS, step=1.0, told=servers.tails)
    assert state() == "COMPLETED", servers.tails()

    (record,) = flow.glob("workspace/runs/apart/*/run.json")
    assert json.loads(record.read_text())["status"] == "promoted"
    assert list((trainer / "copies").glob("runs/apart/*/history.json"))
    assert not list(flow.rglob("*.tfrecord")), "no shard came to the flow"
    assert flink.running_jobs() == 0
