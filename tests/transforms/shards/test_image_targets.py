"""Pictures as targets, through analysis and transform: shards, raw test rows and rejects."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import tensorflow as tf

from tests.transforms.conftest import picture
from transforms.analysis.freeze import analyze
from transforms.contract.workspace.manifest import RAW_TARGET_PREFIX, total_rejects
from transforms.shards.transform import transform

SIZE = {"kind": "image", "height": 8, "width": 8}
GRAY = [picture((i % 3, i % 3, i % 3)) for i in range(30)]


def transformed(make_table, rows, features, targets):
    table = make_table(
        rows,
        split={"by": "column", "column": "fold"},
        features=features,
        targets=targets,
        transform={"min_shards": 1, "max_reject_fraction": 1.0},
    )
    job = table.job()
    analyze(job.model_dump_json())
    transform(job.model_dump_json())
    (partition,) = job.partitions
    workspace = job.folders()
    folder = workspace.shards(job.transform, partition.name, partition.fingerprint)
    return (
        workspace.read_transform(job.transform),
        folder,
        workspace.read_shards(job.transform, partition.name, partition.fingerprint),
    )


def records(folder, shards, split, content):
    for shard in shards.shards:
        if (shard.split, shard.content) == (split, content):
            for record in tf.data.TFRecordDataset(str(folder / shard.file)):
                yield tf.train.Example.FromString(record.numpy()).features.feature


def rows(**columns):
    return {
        "id": [f"r{i}" for i in range(30)],
        "fold": ["test" if i % 5 == 0 else "train" for i in range(30)],
        **columns,
    }


def test_pictures_alone_make_a_transform(make_table):
    both = rows(photo=GRAY)
    # One column is what the model sees and, by its gray values, what it predicts.
    targets = {"classes": SIZE | {"content": "class_mask", "classes": 3, "column": "photo"}}
    manifest, folder, shards = transformed(make_table, both, {"photo": SIZE}, targets)
    assert manifest.rows == 24
    (own,) = [s for s in manifest.stored if s.name == "classes"]
    assert (own.role, own.dtype, own.shape, own.cardinality) == ("target", "uint8", (8, 8, 1), 3)
    assert shards.rejects == ()
    stored = list(records(folder, shards, "test", "stored"))
    raw = list(records(folder, shards, "test", "raw"))
    assert len(stored) == len(raw) == 6
    for one, other in zip(stored, raw, strict=True):
        (pixels,) = one["classes"].bytes_list.value
        assert [pixels] == list(other[RAW_TARGET_PREFIX + "classes"].bytes_list.value)
        (photo,) = one["photo"].bytes_list.value
        assert (np.frombuffer(photo, np.uint8)[::3] == np.frombuffer(pixels, np.uint8)).all()


def test_targets_that_cannot_be_used_are_rejected_with_their_reason(make_table):
    masks = list(GRAY)
    masks[1], masks[2], masks[3], masks[4] = None, b"no picture", picture((7, 7, 7)), b""
    features = {"area": {"kind": "numeric"}}
    targets = {"mask": SIZE | {"content": "class_mask", "classes": 3}}
    table = rows(area=[float(i) for i in range(30)], mask=masks)
    _, _, shards = transformed(make_table, table, features, targets)
    rejects = {(r.column, r.reason): r.rows for r in total_rejects([shards])}
    assert rejects == {
        ("mask", "missing"): 2,
        ("mask", "undecodable_image"): 1,
        ("mask", "unknown_label"): 1,
    }


def test_a_masked_target_keeps_its_row(make_table):
    masks = list(GRAY)
    masks[0], masks[5], masks[10] = None, b"no picture", picture((7, 7, 7))
    targets = {
        "mask": SIZE | {"content": "class_mask", "classes": 3, "missing": "mask", "invalid": "mask"}
    }
    table = rows(area=[float(i) for i in range(30)], mask=masks)
    _, folder, shards = transformed(make_table, table, {"area": {"kind": "numeric"}}, targets)
    assert shards.rejects == ()
    recorded = [
        r["mask__weight"].float_list.value[0] for r in records(folder, shards, "test", "stored")
    ]
    assert sorted(recorded) == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]


def test_mask_files_by_path_are_read_and_missed(make_table, tmp_path):
    folder = tmp_path / "data" / "masks"
    folder.mkdir(parents=True)
    for i in range(30):
        (folder / f"{i}.png").write_bytes(GRAY[i] if i != 2 else b"GIF8")
    paths = [f"masks/{i}.png" if i != 1 else "masks/none.png" for i in range(30)]
    targets = {"mask": SIZE | {"content": "binary_mask"}}
    table = rows(area=[float(i) for i in range(30)], mask=paths)
    _, _, shards = transformed(make_table, table, {"area": {"kind": "numeric"}}, targets)
    rejects = {(r.column, r.reason): r.rows for r in total_rejects([shards])}
    assert rejects == {("mask", "missing_file"): 1, ("mask", "undecodable_image"): 1}
    rejected = [pq.read_table(path) for path in (tmp_path / "workspace/rejects").rglob("*.parquet")]
    values = [value for table in rejected for value in table["value"].to_pylist()]
    assert sorted(values) == [b"masks/2.png", b"masks/none.png"]


def test_two_path_columns_reject_each_for_its_own(make_table, tmp_path):
    folder = tmp_path / "data" / "photos"
    folder.mkdir(parents=True)
    for i in range(30):
        (folder / f"{i}.png").write_bytes(GRAY[i])
    (folder / "broken.png").write_bytes(GRAY[0][:40])
    left = [f"photos/{i}.png" for i in range(30)]
    right = left[::-1]
    left[1], right[2], left[3], right[3] = "photos/none.png", "photos/broken.png", "x", "y"
    table = rows(left=left, right=right, sold=[i % 2 for i in range(30)])
    _, _, shards = transformed(
        make_table, table, {"left": SIZE, "right": SIZE}, {"sold": {"kind": "binary"}}
    )
    rejects = {(r.column, r.reason): r.rows for r in total_rejects([shards])}
    assert rejects == {
        ("left", "missing_file"): 2,  # of a row with two bad pictures, the first
        ("right", "undecodable_image"): 1,
    }
    assert sum(shards.rows_in(split) for split in ("train", "validation", "test")) == 27
