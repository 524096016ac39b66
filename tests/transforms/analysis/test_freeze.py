from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from tests.transforms.conftest import MIXED, Table, mixed_rows, write_rows
from transforms.analysis.freeze import analyze
from transforms.analysis.request_counter import RequestCounter
from transforms.contract.declaration.parsing import parse
from transforms.contract.errors import BraidError
from transforms.contract.workspace.manifest import StoredFeature, TargetStatistics
from transforms.contract.workspace.vocabulary import read_terms
from transforms.graph.graph import raw_columns
from transforms.kinds.features import numeric

Transform = Callable[..., dict[str, np.ndarray]]


def test_manifest_tells_what_shards_store(mixed: Table) -> None:
    job = mixed.job()
    manifest = job.folders().read_transform(job.transform)
    assert manifest is not None
    stored = {feature.name: feature for feature in manifest.stored}
    assert stored["color"].cardinality == 1 + 1 + 2  # missing, "red", two buckets
    assert stored["review"].shape == (4,)
    assert stored["review"].cardinality == 2 + 6  # padding, unknown, good, number, 0 to 3
    assert stored["photo"] == StoredFeature(
        name="photo", role="feature", kind="image", dtype="uint8", shape=(8, 8, 3), storage="raw"
    )
    assert stored["area__missing"].role == "indicator"
    assert stored["group__weight"].role == "weight"
    assert "sold__weight" not in stored
    assert manifest.warnings == {
        "color": "Feature 'color' has the same value in every training row; it teaches nothing."
    }


def test_the_graph_tells_the_shapes_that_the_model_takes(mixed: Table) -> None:
    job = mixed.job()
    folder = job.folders().transform(job.transform)
    manifest = job.folders().read_transform(job.transform)
    assert manifest is not None
    (features,) = tf.saved_model.load(str(folder / "graph")).transform_features.concrete_functions
    given = {name: tuple(spec.shape) for name, spec in features.structured_outputs.items()}
    assert given == {stored.name: (None, *stored.shape) for stored in manifest.inputs()}


def test_vocabularies_are_assets_of_the_graph(mixed: Table) -> None:
    job = mixed.job()
    folder = job.folders().transform(job.transform)
    manifest = job.folders().read_transform(job.transform)
    assert manifest is not None
    first = {stored.name: stored.first_term for stored in manifest.stored}
    assert (first["color"], first["review"], first["photo"], first["group"]) == (1, 2, None, None)
    assert read_terms(folder / "graph", "color") == (b"red",)
    assert sorted(read_terms(folder / "graph", "review") or ()) == sorted(
        [b"good", b"number", b"0", b"1", b"2", b"3"]
    )
    assert read_terms(folder / "graph", "photo") is None


def test_statistics_are_those_of_the_training_rows(mixed: Table) -> None:
    job = mixed.job()
    manifest = job.folders().read_transform(job.transform)
    assert manifest is not None
    assert manifest.rows == 60
    assert manifest.targets["sold"] == TargetStatistics(labels=("0", "1"), counts=(30, 30))
    assert sorted(manifest.targets["group"].labels) == ["a", "b", "c"]
    assert sum(manifest.targets["group"].counts) == 60
    prices = np.array([10.0 * i for i in range(100) if i % 5 < 3])
    assert manifest.targets["price"].mean == pytest.approx((prices.mean(),))
    assert manifest.targets["price"].scale == pytest.approx((prices.std(),))


def test_labels_become_classes_and_missing_ones_weigh_nothing(transform_rows: Transform) -> None:
    outputs = transform_rows(sold=["true", "0", ""], group=["a", "zebra", ""], price=[0, 1, np.nan])
    assert outputs["sold"].tolist() == [1.0, 0.0, 0.0]
    assert outputs["sold__weight"].tolist() == [1.0, 1.0, 0.0]
    assert outputs["group__weight"].tolist() == [1.0, 0.0, 0.0]
    assert outputs["is_a"].tolist() == [1.0, 0.0, 0.0]
    assert outputs["price__weight"].tolist() == [1.0, 1.0, 0.0]


def test_analysis_reads_no_picture(mixed: Table) -> None:
    columns = raw_columns(mixed.pipeline, with_targets=True)
    assert RequestCounter.shared(mixed.pipeline).columns == set(columns) - {"photo"}


def test_a_new_partition_is_all_that_is_read_for_statistics_of_the_whole(tmp_path: Path) -> None:
    declaration = MIXED | {
        "source": {"path": str(tmp_path / "data"), "key": "id", "partition_by": "day"}
    }
    for day in range(3):
        write_day(tmp_path, day)
    table = Table(parse(declaration), tmp_path / "data", tmp_path / "workspace")
    assert analyze(table.job().model_dump_json()).partitions == 3
    write_day(tmp_path, 3)
    assert analyze(table.job().model_dump_json()).partitions == 1
    fresh = Table(table.pipeline, table.folder, tmp_path / "fresh")
    assert analyze(fresh.job().model_dump_json()).partitions == 4
    grown, expected = (
        t.job().folders().transform(t.job().transform) / "statistics" for t in (table, fresh)
    )
    files = sorted(path.relative_to(expected) for path in expected.rglob("*") if path.is_file())
    assert len(files) > 10
    for file in files:
        if file.suffix == ".txt" or file.name.endswith(".counts.json"):
            assert (grown / file).read_bytes() == (expected / file).read_bytes()
    moments, wanted = (json.loads((f / "moments.json").read_text()) for f in (grown, expected))
    assert moments.keys() == wanted.keys()
    for name, column in wanted.items():
        for what, values in column.items():
            assert moments[name][what] == pytest.approx(values, rel=1e-12), (name, what)


def write_day(folder: Path, day: int) -> None:
    rows = mixed_rows(30)
    rows["id"] = [f"{day}-{key}" for key in rows["id"]]
    rows["area"] = [value + 100.0 * day for value in rows["area"]]
    write_rows(rows, folder / "data" / f"day={day}" / "rows.parquet")


def test_committed_transform_has_no_scratch_files(mixed: Table) -> None:
    job = mixed.job()
    folder = job.folders().transform(job.transform)
    assert sorted(path.name for path in folder.iterdir()) == [
        "graph",
        "statistics",
        "transform.json",
    ]
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]


def test_target_with_one_class_is_refused_and_nothing_is_committed(
    make_table: Callable[..., Table],
) -> None:
    rows = mixed_rows(20) | {"sold": [True] * 20}
    table = make_table(
        rows,
        split={"by": "column", "column": "fold"},
        features={"area": {"kind": "numeric"}},
        targets={"sold": {"kind": "binary"}},
    )
    with pytest.raises(BraidError, match=r"targets\.sold: expected at least two classes"):
        analyze(table.job().model_dump_json())
    assert not list(Path(table.workspace).rglob("*.json"))


def test_table_of_rejected_rows_is_refused_with_the_reasons(
    make_table: Callable[..., Table],
) -> None:
    rows = mixed_rows(20) | {"price": [None] * 19 + [float("inf")]}
    table = make_table(
        rows, features={"area": {"kind": "numeric"}}, targets={"price": {"kind": "numeric"}}
    )
    with pytest.raises(BraidError, match="none; rejected rows: 19 for price: missing, 1 for price"):
        analyze(table.job().model_dump_json())


def test_label_with_an_odd_line_break_keeps_the_others_their_names(
    make_table: Callable[..., Table],
) -> None:
    labels = ["a\x0bx", "b\u2028y", "c", "d"]
    rows = mixed_rows(40) | {"group": [labels[i % 4] for i in range(40)]}
    table = make_table(
        rows, features={"area": {"kind": "numeric"}}, targets={"group": {"kind": "multiclass"}}
    )
    job = table.job()
    analyze(job.model_dump_json())
    manifest = job.folders().read_transform(job.transform)
    assert manifest is not None
    assert sorted(manifest.targets["group"].labels) == sorted(labels)
    assert len(manifest.targets["group"].counts) == 4


def test_a_kind_that_lets_tft_read_the_rows_again_is_refused(
    make_table: Callable[..., Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numeric, "encode", lambda _name, _spec, raw, _: tft.scale_to_z_score(raw))
    table = make_table(
        mixed_rows(20),
        features={"area": {"kind": "numeric"}},
        targets={"price": {"kind": "numeric"}},
    )
    with pytest.raises(ValueError, match="`encode` calls an analyzer of TFT"):
        analyze(table.job().model_dump_json())
