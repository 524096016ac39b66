"""`braid status` of a table of many partitions whose shards lie in a bucket.

    python -m tests.benchmarks.status [PARTITIONS]

The bucket answers at once and counts what it is asked for, so that the seconds are Braid's own.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.benchmarks.report import Report
from tests.benchmarks.s3_stub import Objects, served
from tests.support.command import BRAID
from tests.support.s3 import CREDENTIALS
from transforms.contract.declaration.parsing import load
from transforms.contract.workspace.layout import MANIFESTS_FOLDER, Workspace
from transforms.contract.workspace.manifest import Shard, ShardManifest, TransformManifest
from transforms.contract.workspace.partition import Partition
from transforms.source.scan import scan

PARTITIONS = 10_000
REPEATS = 3
COLUMNS = ("copies of manifests", "wall s", "CPU s", "LIST", "HEAD", "GET")
REQUEST_SECONDS = 0.03  # of a bucket of the same region, as an assumption


@dataclass(frozen=True)
class Look:
    """One `braid status`.

    Attributes:
        seconds: Its wall seconds, the start of its process among them.
        cpu_seconds: Its user and system seconds.
        requests: What it asked the bucket for, by kind.
    """

    seconds: float
    cpu_seconds: float
    requests: dict[str, int]


def main(partitions: int) -> None:
    """Looks without copies of manifests, then again, and reports both."""
    looks: dict[str, list[Look]] = {"none yet": [], "all": []}
    with tempfile.TemporaryDirectory() as folder:
        declaration = _write_table(Path(folder), partitions)
        objects = Objects(_committed(declaration))
        with served(objects) as port:
            options = f"scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
            for trial in range(REPEATS):
                for trials in looks.values():
                    workspace = Path(folder) / f"workspace-{trial}"
                    trials.append(_look(declaration, workspace, options, objects.requests))
    medians = {
        name: sorted(t, key=lambda look: look.seconds)[REPEATS // 2] for name, t in looks.items()
    }
    lists = medians["all"].requests["LIST"]
    Report(
        title=f"`braid status` of {partitions:,} partitions in a bucket",
        command=f"python -m tests.benchmarks.status {partitions}",
        columns=COLUMNS,
        lines=[_line(name, look) for name, look in medians.items()],
        sentences=[
            "The bucket answers at once, from another process of the same cores. One that takes "
            f"{REQUEST_SECONDS * 1000:.0f} ms for a request adds {lists * REQUEST_SECONDS:.1f} s "
            f"to the second line, as {lists} listings come one after the other.",
        ],
        details={name: [asdict(look) for look in trials] for name, trials in looks.items()},
    ).keep("status")


def _line(name: str, look: Look) -> tuple[str, ...]:
    counts = (f"{look.requests.get(kind, 0):,}" for kind in ("LIST", "HEAD", "GET"))
    return (name, f"{look.seconds:.1f}", f"{look.cpu_seconds:.1f}", *counts)


def _look(declaration: Path, workspace: Path, options: str, requests: Counter[str]) -> Look:
    requests.clear()
    store = f"store.path=s3://bucket/braid?{options}"
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [*BRAID, "status", str(declaration), "--set", store, "--workspace", str(workspace)],
        capture_output=True,
        text=True,
        env=os.environ | CREDENTIALS,
        check=True,
    )
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if "committed" not in done.stdout:
        raise SystemExit(done.stdout)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Look(seconds, used, dict(requests))


def _write_table(folder: Path, partitions: int) -> Path:
    table = pa.table({"id": ["a"], "area": [1.0], "price": [2.0]})
    for number in range(partitions):
        path = folder / "data" / f"day={number:05d}" / "rows.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table, path)
    document = {
        "name": "days",
        "source": {"path": "data", "key": "id", "partition_by": "day"},
        "features": {"area": {"kind": "numeric"}},
        "targets": {"price": {"kind": "numeric"}},
        "transform": {"refit": "never"},
        "store": {"path": "s3://bucket/braid"},
    }
    path = folder / "pipeline.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def _committed(declaration: Path) -> dict[str, bytes]:
    """Returns the objects of a store in which every partition is committed."""
    pipeline = load(declaration)
    partitions = scan(pipeline.source).partitions
    frozen = TransformManifest(
        fingerprint="0" * 16,
        declaration=pipeline.data_fingerprint(),
        raw_features=pipeline.raw_features(),
        raw_targets=pipeline.raw_targets(),
        stored=(),
        targets={},
        rows=len(partitions),
        partitions={part.name: part.fingerprint for part in partitions},
    )
    workspace = Workspace.declared(declaration.parent, pipeline.declared_store())
    objects = {
        f"{MANIFESTS_FOLDER}/{frozen.fingerprint}/"
        f"{workspace.manifest(frozen.fingerprint, *part.id).name}": _manifest(frozen, part)
        for part in partitions
    }
    objects[f"transforms/{frozen.fingerprint}/transform.json"] = frozen.model_dump_json().encode()
    return {f"braid/{key}": content for key, content in objects.items()}


def _manifest(frozen: TransformManifest, part: Partition) -> bytes:
    shards = tuple(
        Shard(
            file=f"{split}-00000-00.{part.fingerprint}.tfrecord",
            split=split,
            content="stored",
            rows=1,
            bytes=100,
            checksum=part.fingerprint,
        )
        for split in ("train", "validation", "test")
    )
    manifest = ShardManifest(
        transform=frozen.fingerprint,
        partition=part.name,
        partition_fingerprint=part.fingerprint,
        shards=shards,
        rows=3,
        rejects=(),
        replaced=(),
    )
    return json.dumps(manifest.model_dump(mode="json"), indent=1).encode()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else PARTITIONS)
