from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.transforms.conftest import mixed_rows, write_rows
from transforms.analysis import analyze
from transforms.contract.declaration import parse
from transforms.contract.jobs import TransformJob
from transforms.contract.pipeline import PipelineSpec
from transforms.contract.workspace import Workspace
from transforms.identity import TransformChoice, choose_transform, transform_fingerprint
from transforms.source import scan


def pipeline(folder: Path, **transform: Any) -> PipelineSpec:
    return parse(
        {
            "name": "p",
            "source": {"path": str(folder / "data"), "key": "id", "partition_by": "day"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {"price": {"kind": "numeric"}},
            "transform": transform,
        }
    )


def chosen(declared: PipelineSpec, folder: Path) -> str:
    partitions = scan(declared.source).partitions
    choice = choose_transform(declared, partitions, Workspace(folder / "workspace"))
    assert isinstance(choice, TransformChoice)
    return choice.name


def test_new_day_keeps_the_transform_only_without_a_refit(tmp_path: Path) -> None:
    rows = mixed_rows(20)
    write_rows(rows, tmp_path / "data" / "day=1" / "a.parquet")
    keeping, refitting = pipeline(tmp_path, refit="never"), pipeline(tmp_path)
    first = chosen(keeping, tmp_path)
    assert first == chosen(refitting, tmp_path)
    job = TransformJob(
        pipeline=keeping,
        workspace=str(tmp_path / "workspace"),
        transform=first,
        partitions=scan(keeping.source).partitions,
    )
    analyze(job.model_dump_json())
    write_rows(rows, tmp_path / "data" / "day=2" / "a.parquet")
    assert chosen(keeping, tmp_path) == first
    assert chosen(refitting, tmp_path) != first
    other_scale = parse(
        keeping.model_dump(mode="json")
        | {"features": {"area": {"kind": "numeric", "scale": "log"}}}
    )
    assert chosen(other_scale, tmp_path) != first


def test_order_of_partitions_does_not_matter(tmp_path: Path) -> None:
    for day in ("1", "2"):
        write_rows(mixed_rows(5), tmp_path / "data" / f"day={day}" / "a.parquet")
    declared = pipeline(tmp_path)
    partitions = scan(declared.source).partitions
    assert transform_fingerprint(declared, partitions) == transform_fingerprint(
        declared, partitions[::-1]
    )
