from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.transforms.conftest import mixed_rows, write_rows
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.workspace.drift import Distance, MeasuredDrift
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import TransformManifest
from transforms.contract.workspace.transform_choice import (
    TransformChoice,
    Undecided,
    choose_transform,
    transform_fingerprint,
)
from transforms.source.scan import scan


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


class _Days:
    """Days of a table, and transforms that are committed without their rows being read."""

    def __init__(self, folder: Path, **transform: Any) -> None:
        self.folder, self.workspace = folder, Workspace(folder / "workspace")
        self.pipeline = pipeline(folder, **transform)
        self.commits = 0

    def add(self, *days: int, rows: int = 2) -> None:
        for day in days:
            write_rows(mixed_rows(rows), self.folder / "data" / f"day={day}" / "a.parquet")

    def choice(self) -> TransformChoice | Undecided:
        return choose_transform(
            self.pipeline, scan(self.pipeline.source).partitions, self.workspace
        )

    def commit(self) -> str:
        """Commits the transform that a run would use."""
        choice = self.choice()
        assert isinstance(choice, TransformChoice)
        partitions = scan(self.pipeline.source).partitions
        manifest = TransformManifest(
            fingerprint=choice.name,
            declaration=self.pipeline.data_fingerprint(),
            raw_features={},
            raw_targets={},
            stored=(),
            targets={},
            rows=1,
            partitions={part.name: part.fingerprint for part in partitions},
            base=choice.base,
        )
        path = self.workspace.transform(choice.name) / "transform.json"
        if not path.exists():
            write_atomic(path, manifest.model_dump_json())
            self.commits += 1
            os.utime(path, (self.commits, self.commits))  # commits of one moment have an order
        return choice.name

    def measure(self, undecided: Undecided, distance: float) -> None:
        partitions = {part.name: part.fingerprint for part in undecided.new}
        measured = MeasuredDrift(
            transform=undecided.newest,
            partitions=partitions,
            rows=9,
            features={"area": Distance(distance=distance, measured=distance, chance=0.0)},
        )
        path = self.workspace.drift(undecided.newest, partitions)
        write_atomic(path, measured.model_dump_json())


def test_drift_of_the_new_days_decides_on_a_refit(tmp_path: Path) -> None:
    days = _Days(tmp_path, refit="when_drifted", drift={"threshold": 0.3})
    days.add(1, 2)
    first = days.commit()
    assert days.choice() == TransformChoice(first), "no day is new"

    days.add(3)
    open_ = days.choice()
    assert isinstance(open_, Undecided)
    assert (open_.newest, [part.name for part in open_.new]) == (first, ["day=3"])
    days.measure(open_, 0.2)
    kept = days.choice()
    assert isinstance(kept, TransformChoice)
    assert kept.name == first
    assert kept.drift is not None
    assert kept.drift.exceeded() == []

    # A stricter threshold needs no other measurement.
    days.pipeline = pipeline(
        tmp_path, refit="when_drifted", drift={"threshold": 0.3, "features": {"area": 0.1}}
    )
    refitted = days.choice()
    assert isinstance(refitted, TransformChoice)
    assert refitted.name != first
    assert refitted.drift is not None
    assert refitted.drift.exceeded() == ["area"]
    assert days.commit() == refitted.name
    assert days.choice() == TransformChoice(refitted.name)

    days.add(2, 4, rows=3)  # a corrected day is new, too
    open_ = days.choice()
    assert isinstance(open_, Undecided)
    assert (open_.newest, [part.name for part in open_.new]) == (refitted.name, ["day=2", "day=4"])


def test_a_stable_vocabulary_carries_on_from_the_newest_transform(tmp_path: Path) -> None:
    days = _Days(tmp_path, vocabulary="stable")
    days.add(1)
    first = days.commit()
    assert first == transform_fingerprint(days.pipeline, scan(days.pipeline.source).partitions)

    days.add(2)
    second = days.choice()
    assert isinstance(second, TransformChoice)
    assert second.base == first
    assert second == days.choice(), "a killed run finds its name again"
    assert second.name not in (
        first,
        transform_fingerprint(days.pipeline, scan(days.pipeline.source).partitions),
    )
    assert days.commit() == second.name
    assert days.choice() == TransformChoice(second.name), "it is there, and no base of itself"

    days.add(3)
    third = days.choice()
    assert isinstance(third, TransformChoice)
    assert third.base == second.name
    days.commit()
    (tmp_path / "data" / "day=3" / "a.parquet").unlink()
    assert days.choice() == TransformChoice(second.name), "one of the same rows is there"


def test_how_to_refit_names_no_other_data(tmp_path: Path) -> None:
    plain = pipeline(tmp_path)
    others = [
        pipeline(tmp_path, refit="when_drifted", drift={"threshold": 0.5}),
        pipeline(tmp_path, vocabulary="stable"),
    ]
    assert {other.data_fingerprint() for other in others} == {plain.data_fingerprint()}
    assert {other.training_fingerprint() for other in others} == {plain.training_fingerprint()}
