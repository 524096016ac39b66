from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.transforms.conftest import MIXED, Table, mixed_rows, picture, write_rows
from trainer.data.stream import parse_records
from trainer.export.export import parse_examples
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import parse
from transforms.contract.steps.jobs import TransformJob
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.manifest import RAW_TARGET_PREFIX, ShardManifest
from transforms.reading.cutting import write_windows_of_run
from transforms.reading.unlabelled import read_features
from transforms.shards.transform import transform
from transforms.source.scan import scan
from transforms.source.windows import windows_partition

Json = dict[str, Any]
PHOTO = {"photo": {"kind": "image", "height": 8, "width": 8}}
PRICE = {"price": {"kind": "numeric"}}
BY_FOLD = {"by": "column", "column": "fold"}


def run(table: Table) -> ShardManifest:
    job = table.job()
    if job.folders().read_transform(job.transform) is None:
        analyze(job.model_dump_json())
    transform(job.model_dump_json())
    (partition,) = job.partitions
    manifest = job.folders().read_shards(job.transform, partition.name, partition.fingerprint)
    assert manifest is not None
    return manifest


def shard_folder(table: Table) -> Path:
    job = table.job()
    (partition,) = job.partitions
    return job.folders().shards(job.transform, partition.name, partition.fingerprint)


def rejected_rows(table: Table) -> list[Json]:
    job = table.job()
    (partition,) = job.partitions
    folder = job.folders().rejects(job.transform, partition.name, partition.fingerprint)
    return [r for path in sorted(folder.glob("*.parquet")) for r in pq.read_table(path).to_pylist()]


def records(
    folder: Path, manifest: ShardManifest, split: str, content: str = "stored"
) -> list[Any]:
    files = [s.file for s in manifest.shards if s.split == split and s.content == content]
    return [
        tf.train.Example.FromString(record.numpy()).features.feature
        for file in files
        for record in tf.data.TFRecordDataset(str(folder / file))
    ]


@pytest.fixture(scope="module")
def clean(mixed: Table) -> tuple[Table, ShardManifest]:
    return mixed, run(mixed)


def test_every_row_is_in_exactly_one_split(clean: tuple[Table, ShardManifest]) -> None:
    table, manifest = clean
    prices = {
        split: sorted(
            record["area_raw"].float_list.value[0]
            for record in records(shard_folder(table), manifest, split)
        )
        for split in ("train", "validation", "test")
    }
    assert prices["train"] == [float(i) for i in range(100) if i % 5 < 3]
    assert sorted(price for part in prices.values() for price in part) == [
        float(i) for i in range(100)
    ]
    assert (manifest.rows, manifest.rows_in("train"), manifest.rejects) == (100, 60, ())


def test_record_holds_every_stored_feature_in_its_shape(
    clean: tuple[Table, ShardManifest],
) -> None:
    table, manifest = clean
    job = table.job()
    frozen = job.folders().read_transform(job.transform)
    assert frozen is not None
    record = records(shard_folder(table), manifest, "train")[0]
    assert sorted(record) == sorted(stored.name for stored in frozen.stored)
    assert len(record["photo"].bytes_list.value[0]) == 8 * 8 * 3
    assert len(record["review"].int64_list.value) == 4
    assert len(record["sizes"].float_list.value) == 3


def test_test_rows_are_kept_as_the_exported_model_takes_them(
    clean: tuple[Table, ShardManifest],
) -> None:
    table, manifest = clean
    folder = shard_folder(table)
    stored, raw = (records(folder, manifest, "test", c) for c in ("stored", "raw"))
    assert len(stored) == len(raw) == manifest.rows_in("test")
    for one, other in zip(stored, raw, strict=True):
        assert other["area"].float_list.value[0] == one["area_raw"].float_list.value[0]
        label = other[RAW_TARGET_PREFIX + "sold"].float_list.value[0]
        assert label == one["sold"].float_list.value[0]
        assert other["photo"].bytes_list.value[0].startswith(b"\x89PNG")


def test_shards_hold_what_the_graph_gives_for_the_raw_rows(kinds: Table) -> None:
    manifest = run(kinds)
    job = kinds.job()
    frozen = job.folders().read_transform(job.transform)
    assert frozen is not None
    served = tf.saved_model.load(str(job.folders().transform(job.transform) / "graph"))
    # As the exported model is given them: by `braid predict`, and as the records of the test rows.
    batches = list(read_features(kinds.pipeline, str(kinds.folder), 64))
    columns = {
        raw.name: tf.concat([tf.constant(b.columns[raw.name]) for b in batches], axis=0)
        for raw in frozen.raw_inputs()
    }
    by_number = served.transform_features(columns)
    rows = {number: row for row, number in enumerate(by_number["number"].numpy().tolist())}
    files = shard_folder(kinds)
    counted = 0
    for shard in manifest.shards:
        serialized = list(tf.data.TFRecordDataset(str(files / shard.file)))
        if shard.content == "raw":
            raw = parse_examples(tf.stack(serialized), frozen.raw_inputs())
            parsed = served.transform_features(raw)
        else:
            parsed = parse_records(tf.stack(serialized), frozen.inputs())
        own = [rows[number] for number in parsed["number"].numpy().tolist()]
        counted += len(own)
        for stored in frozen.inputs():
            expected = by_number[stored.name].numpy()[own]
            np.testing.assert_array_equal(parsed[stored.name].numpy(), expected, stored.name)
    assert counted == 100 + manifest.rows_in("test")


def test_value_that_is_no_id_is_rejected(make_table: Callable[..., Table]) -> None:
    rows = mixed_rows(10) | {"slot": [0, 1, 2, 3, -1, None, 1, 2, 0, 1]}
    rows["slots"] = [[0], [1, 2], [1, 3], [], None, [2], [None], [0, 1, 9], [1], [2]]
    ids = {"kind": "categorical", "encoding": "identity", "buckets": 3}
    table = make_table(
        rows, features={"slot": ids, "slots": ids | {"length": 2}}, targets=PRICE, split=BY_FOLD
    )
    run(table)
    rejects = {(r["key"], r["column"], r["reason"], r["value"]) for r in rejected_rows(table)}
    assert rejects == {
        ("r2", "slots", "not_an_id", b"[1, 3]"),
        ("r3", "slot", "not_an_id", b"3"),
        ("r4", "slot", "not_an_id", b"-1"),
    }


def test_there_are_as_many_training_shards_as_readers_want(
    clean: tuple[Table, ShardManifest],
) -> None:
    _, manifest = clean
    train = [shard for shard in manifest.shards if shard.split == "train"]
    assert len(train) >= MIXED["transform"]["min_shards"]


def test_shard_is_closed_at_its_size(make_table: Callable[..., Table]) -> None:
    small = {"shard_bytes": 1000, "min_shards": 1}
    table = make_table(
        mixed_rows(40), features=PHOTO, targets=PRICE, split=BY_FOLD, transform=small
    )
    train = [s for s in run(table).shards if s.split == "train" and s.content == "stored"]
    record_bytes = 8 * 8 * 3 + 100
    assert len(train) > 3
    assert all(shard.bytes < 1000 + 2 * record_bytes for shard in train)
    assert sum(shard.rows for shard in train) == 24


def test_unusable_rows_are_kept_with_their_reasons(make_table: Callable[..., Table]) -> None:
    rows = mixed_rows(40)
    rows["photo"][3] = picture((9, 9, 9), "JPEG")[:200]
    rows["photo"][7] = b"not a picture"
    rows["price"][11] = None
    rows["price"][12] = float("inf")
    rows["id"][13] = None
    rows["group"][4] = "only in the test rows"
    table = make_table(
        rows,
        features=PHOTO,
        targets=PRICE | {"group": {"kind": "multiclass"}},
        split=BY_FOLD,
    )
    manifest = run(table)
    rejects = {(r["key"], r["column"], r["reason"]) for r in rejected_rows(table)}
    assert rejects == {
        ("r3", "photo", "undecodable_image"),
        ("r7", "photo", "undecodable_image"),
        ("r11", "price", "missing"),
        ("r12", "price", "not_finite"),
        ("", "id", "missing"),
        ("r4", "group", "unknown_label"),
    }
    assert manifest.rows == 40
    assert sum(manifest.rows_in(s) for s in ("train", "validation", "test")) == 34
    values = {row["key"]: row["value"] for row in rejected_rows(table)}
    assert values["r7"] == b"not a picture"
    assert all(row["file"].endswith("rows.parquet") for row in rejected_rows(table))


def test_policies_replace_mask_and_indicate(make_table: Callable[..., Table]) -> None:
    rows = mixed_rows(20)
    rows["photo"][0] = b"not a picture"
    rows["photo"][1] = None
    rows["price"][2] = None
    table = make_table(
        rows,
        features={"photo": PHOTO["photo"] | {"invalid": "missing_indicator"}},
        targets={"price": {"kind": "numeric", "missing": "mask"}},
        split=BY_FOLD,
    )
    manifest = run(table)
    train = records(shard_folder(table), manifest, "train")
    by_red = {record["photo"].bytes_list.value[0][0]: record for record in train}
    missing = [r for r in train if r["photo__missing"].float_list.value[0] == 1]
    assert len(missing) == 2
    assert not any(any(r["photo"].bytes_list.value[0]) for r in missing)
    assert by_red[2]["price__weight"].float_list.value[0] == 0
    assert by_red[5]["price__weight"].float_list.value[0] == 1
    replaced = {(r.column, r.reason): r.rows for r in manifest.replaced}
    assert replaced == {
        ("photo", "undecodable_image"): 1,
        ("photo", "missing"): 1,
        ("price", "missing"): 1,
    }


@pytest.mark.parametrize(
    ("split", "purity"),
    [
        ({"by": "hash", "column": "owner", "train": 60, "validation": 20, "test": 20}, "owner"),
        ({"by": "column", "column": "half", "validation": {"from": "train", "percent": 20}}, "id"),
        (
            {
                "by": "column",
                "column": "half",
                "train": ["train", "test"],
                "validation": {"from": "train", "percent": 25},
                "test": {"from": "train", "percent": 25},
            },
            "id",
        ),
    ],
    ids=["groups", "validation from train", "both from train"],
)
def test_rows_land_in_the_shards_of_their_split(
    make_table: Callable[..., Table], split: Json, purity: str
) -> None:
    rows = mixed_rows(120)
    rows["owner"] = [f"owner {i % 17}" for i in range(120)]
    rows["half"] = ["train" if i % 3 else "test" for i in range(120)]
    area = {"area": {"kind": "numeric", "scale": "none"}}
    table = make_table(rows, features=area, targets=PRICE, split=split)
    manifest = run(table)
    numbers = {
        name: {
            int(record["area"].float_list.value[0])
            for record in records(shard_folder(table), manifest, name)
        }
        for name in ("train", "validation", "test")
    }
    assert all(numbers.values())
    assert sorted(i for part in numbers.values() for i in part) == list(range(120))
    held = [{rows[purity][i] for i in part} for part in numbers.values()]
    assert sum(map(len, held)) == len(set(rows[purity]))
    if split.get("test") is None:
        assert numbers["test"] == {i for i in range(120) if i % 3 == 0}


def test_finished_units_are_not_done_again(make_table: Callable[..., Table]) -> None:
    table = make_table(mixed_rows(120), features=PHOTO, targets=PRICE, split=BY_FOLD)
    undisturbed = run(table)
    folder = shard_folder(table)
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tfrecord")}
    _kill_before_the_commit(folder, undisturbed, lost_unit="00000")
    (folder / ".tmp-train-00001-00.tfrecord").write_bytes(b"half a record")
    again = run(table)
    assert [(s.file, s.rows) for s in again.shards] == [
        (s.file, s.rows) for s in undisturbed.shards
    ]
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tfrecord")}
    assert after.keys() == before.keys()
    changed = {name for name in after if after[name] != before[name]}
    assert changed
    assert all("-00000-" in name for name in changed)
    assert sorted(p.name for p in folder.iterdir() if p.suffix != ".tfrecord") == ["manifest.json"]


def _kill_before_the_commit(folder: Path, manifest: ShardManifest, lost_unit: str) -> None:
    """Puts a partition back to where it was when one of its units was not done yet."""
    from transforms.shards.transform import UnitReceipt

    (folder / "manifest.json").unlink()
    units = folder / "units"
    units.mkdir()
    lanes = sum(shard.file.startswith(f"train-{lost_unit}-") for shard in manifest.shards)
    (units / "plan.json").write_text(json.dumps({"at_least": 8, "lanes": lanes}))
    for unit in {shard.file.split("-")[-2] for shard in manifest.shards} - {lost_unit}:
        shards = tuple(s for s in manifest.shards if s.file.split("-")[-2] == unit)
        rows = sum(s.rows for s in shards if s.content == "stored")
        receipt = UnitReceipt(shards=shards, rows=rows, rejects=(), replaced=())
        (units / f"{unit}.json").write_text(receipt.model_dump_json())


def test_one_bad_picture_in_a_batch_costs_one_row() -> None:
    from transforms.contract.declaration.parsing import parse
    from transforms.reading.batches import RawBatch
    from transforms.shards.applying import GraphApplier

    calls = []

    def graph(columns: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        calls.append(len(columns["photo"]))
        if b"bad" in columns["photo"].numpy():
            raise tf.errors.InvalidArgumentError(None, None, "cannot decode")
        return {"photo": columns["photo"], "price__weight": tf.ones(len(columns["photo"]))}

    pipeline = parse(
        {
            "name": "p",
            "source": {"path": "/data", "key": "id"},
            "features": PHOTO,
            "targets": PRICE,
        }
    )
    keys = np.array([f"r{i}".encode() for i in range(64)], object)
    photos = np.array([b"bad" if i == 37 else b"good" for i in range(64)], object)
    columns = {"photo": photos, "price": np.zeros(64, np.float32)}
    batch = RawBatch(keys, np.zeros(64, np.int8), columns, 64, "rows.parquet")
    outputs = GraphApplier(pipeline, graph).apply(batch)
    assert [reject.key for reject in batch.rejects] == ["r37"]
    assert len(outputs["photo"]) == len(batch.keys) == 63
    assert len(calls) < 20  # halving, not one call a row


def test_windows_become_shards_of_their_own_splits(tmp_path: Path) -> None:
    write_rows({"day": list(range(20)), "sales": [float(i) for i in range(20)]}, tmp_path / "a.pq")
    pipeline = parse(
        {
            "name": "p",
            "source": {
                "path": str(tmp_path / "a.pq"),
                "key": "window",
                "windows": {"time": "day", "length": 3, "values": ["sales"]},
            },
            "split": {"by": "time", "column": "day", "validation_from": 10, "test_from": 15},
            "features": {"sales": {"kind": "sequence", "length": 3, "scale": "none"}},
            "targets": {"next": {"kind": "numeric", "column": "sales_next_1", "scale": "none"}},
        }
    )
    workspace = Workspace(tmp_path / "workspace")
    partition = windows_partition(pipeline, scan(pipeline.source).partitions)
    cut, _ = write_windows_of_run(pipeline, workspace, partition, lambda *_: None)
    job = TransformJob(
        pipeline=pipeline, workspace=str(workspace.root), transform="t", partitions=(cut,)
    )
    analyze(job.model_dump_json())
    transform(job.model_dump_json())
    frozen = workspace.read_transform("t")
    assert frozen is not None
    assert frozen.declaration == pipeline.data_fingerprint(), "what `refit: never` looks for"
    manifest = workspace.read_shards("t", "all", partition.fingerprint)
    assert manifest is not None
    assert [manifest.rows_in(s) for s in ("train", "validation", "test")] == [7, 5, 5]
    folder = workspace.shards("t", "all", partition.fingerprint)
    for record in records(folder, manifest, "test"):
        steps = list(record["sales"].float_list.value)
        assert record["next"].float_list.value[0] == steps[-1] + 1
        assert steps == [steps[0], steps[0] + 1, steps[0] + 2]
