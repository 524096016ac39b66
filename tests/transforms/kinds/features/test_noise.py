from __future__ import annotations

import tensorflow as tf

from tests.transforms.conftest import mixed_rows
from transforms.analysis.freeze import analyze
from transforms.contract.columns.features import RawColumn
from transforms.contract.workspace.manifest import StoredFeature
from transforms.reading.unlabelled import read_features
from transforms.shards.transform import transform


def test_noise_is_in_the_manifest_and_in_no_record(make_table) -> None:
    features = {
        "color": {"kind": "categorical"},
        "z": {"kind": "noise", "dimension": 3, "distribution": "uniform"},
    }
    table = make_table(mixed_rows(60), features=features, targets={"sold": {"kind": "binary"}})
    job = table.job()
    analyze(job.model_dump_json())
    transform(job.model_dump_json())
    manifest = job.folders().read_transform(job.transform)
    assert manifest.stored[1] == StoredFeature(
        name="z",
        role="feature",
        kind="noise",
        dtype="float32",
        shape=(3,),
        storage="drawn",
        distribution="uniform",
    )
    assert [raw.name for raw in manifest.raw_inputs()] == ["color"]
    assert manifest.serving_inputs()[1] == RawColumn(name="z", dtype="float32", shape=(3,))
    files = sorted(job.folders().root.rglob("*.tfrecord"))
    keys = {
        name
        for file in files
        for record in tf.data.TFRecordDataset(str(file))
        for name in tf.train.Example.FromString(record.numpy()).features.feature
    }
    assert keys == {"color", "sold", "target/sold"}
    batches = read_features(table.pipeline, str(table.folder), 100)
    assert {name for batch in batches for name in batch.columns} == {"color"}
