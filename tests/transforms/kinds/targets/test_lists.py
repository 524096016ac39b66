"""Targets of several values a row: label sets, vectors and series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.jobs import train_job
from tests.transforms.conftest import Table
from transforms.analysis.freeze import analyze
from transforms.contract.workspace.manifest import ShardManifest
from transforms.shards.transform import transform

ROWS = 40
TARGETS = {
    "tags": {"kind": "multilabel", "length": 2, "missing": "mask"},
    "pair": {"kind": "numeric", "length": 2},
    "ahead": {"kind": "sequence", "length": 3},
}


def rows() -> dict[str, list[Any]]:
    tags: list[Any] = [[["a"], ["a", "b"], []][i % 3] for i in range(ROWS)]
    ahead: list[Any] = [[float(i), float(i + 1), float(i + 2)] for i in range(ROWS)]
    tags[1], tags[2], tags[3] = None, ["a", "b", "c"], ["new"]
    ahead[4], ahead[5] = [1.0, None, 3.0], [1.0]
    return {
        "id": [f"r{i}" for i in range(ROWS)],
        # "new" is a label of a test row only.
        "fold": ["test" if i == 3 else "train" for i in range(ROWS)],
        "x": [float(i) for i in range(ROWS)],
        "tags": tags,
        "pair": [[float(i), 100.0 * i] for i in range(ROWS)],
        "ahead": ahead,
    }


@pytest.fixture
def transformed(make_table: Callable[..., Table]) -> tuple[Table, ShardManifest]:
    table = make_table(
        rows(),
        split={"by": "column", "column": "fold"},
        features={"x": {"kind": "numeric"}},
        targets=TARGETS,
    )
    text = table.job().model_dump_json()
    analyze(text)
    transform(text)
    job = table.job()
    partition = job.partitions[0]
    manifest = job.folders().read_shards(job.transform, partition.name, partition.fingerprint)
    assert manifest is not None
    return table, manifest


def test_label_sets_vectors_and_series_are_stored_as_they_are_learnt(transformed) -> None:
    from trainer.data.shards import shard_files
    from trainer.data.stream import BatchLayout, evaluation_batches

    table, _ = transformed
    job = train_job(table.job(), table.workspace)
    manifest = job.manifest()
    assert manifest.targets["tags"].labels == ("a", "b")
    assert len(manifest.targets["pair"].mean) == 2
    assert len(manifest.targets["ahead"].mean) == 1
    layout = BatchLayout.for_evaluation(table.pipeline, manifest)
    (batch,) = evaluation_batches(shard_files(job, "train"), layout, ROWS)
    x, truths, weights = batch[0]["x"].numpy(), batch[1], batch[2]
    order = np.argsort(x)
    known = weights["tags"].numpy()[order]
    tags = truths["tags"].numpy()[order][known > 0]
    # Without the rejected rows 2 to 5 and the masked row 1, in the order of the table.
    expected = [[[1, 0], [1, 1], [0, 0]][i % 3] for i in [0, *range(6, ROWS)]]
    np.testing.assert_array_equal(tags, expected)
    assert known.tolist() == [1.0, 0.0, *[1.0] * (ROWS - 6)]
    statistics = manifest.targets["pair"]
    pair = truths["pair"].numpy()[order] * statistics.scale + statistics.mean
    numbers = [0, 1, *range(6, ROWS)]
    np.testing.assert_allclose(pair, [[i, 100 * i] for i in numbers], rtol=1e-4, atol=1e-3)
    statistics = manifest.targets["ahead"]
    ahead = truths["ahead"].numpy()[order] * statistics.scale + statistics.mean
    assert ahead.shape == (ROWS - 4, 3, 1)
    np.testing.assert_allclose(ahead[..., 0], [[i, i + 1, i + 2] for i in numbers], atol=1e-3)


def test_rows_that_cannot_be_learnt_are_rejected_with_their_reason(transformed) -> None:
    _, manifest = transformed
    rejects = {(reject.column, reject.reason): reject.example_key for reject in manifest.rejects}
    assert rejects == {
        ("tags", "more_than_2_labels"): "r2",
        ("tags", "unknown_label"): "r3",
        ("ahead", "missing_number"): "r4",
        ("ahead", "length_is_not_3"): "r5",
    }
