"""Series of several lengths, with holes, from the table to the export: the same in both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.jobs import train_job
from tests.transforms.conftest import Table, write_rows
from trainer.evaluation.evaluation import evaluate
from trainer.export.export import export
from trainer.export.serving import Scorer, check, load
from trainer.training.training import train
from transforms.analysis.freeze import analyze
from transforms.contract.declaration.parsing import parse
from transforms.shards.transform import transform

ROWS = 60
ENCODERS: dict[str, dict[str, Any]] = {
    "by_signal": {"kind": "signal", "kernels": 8, "filters": [3, 4], "units": 4},
    "by_lstm": {"kind": "lstm", "units": 4},
    "by_gru": {"kind": "gru", "units": 4, "dimension": 3, "bidirectional": True},
    "by_conv1d": {"kind": "conv1d", "filters": [3, 4]},
    "by_transformer": {"kind": "transformer", "dimension": 4, "heads": 2, "layers": 1},
}


def rows() -> dict[str, list[Any]]:
    random = np.random.default_rng(3)
    tracks: list[Any] = []
    for row in range(ROWS):
        steps: list[Any] = random.normal(5.0, 2.0, (row % 8, 2)).tolist()  # up to 6 are read
        if row % 5 == 4 and steps:
            steps[0] = [None, 1.0] if row % 2 else None
        tracks.append(steps if row % 9 else None)
    return {
        "id": [f"r{row}" for row in range(ROWS)],
        "fold": [("train", "train", "validation", "test")[row % 4] for row in range(ROWS)],
        "track": tracks,
        "beat": random.normal(0.0, 1.0, (ROWS, 5)).tolist(),
        "price": random.normal(0.0, 1.0, ROWS).tolist(),
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scorer, dict[str, Any]]:
    root = tmp_path_factory.mktemp("sequences")
    write_rows(rows(), root / "data" / "rows.parquet")
    track = {"kind": "sequence", "length": 6, "channels": 2, "variable": True, "column": "track"}
    features = dict.fromkeys(ENCODERS, track) | {"beat": {"kind": "sequence", "length": 5}}
    features["by_gru"] = track | {"missing": "missing_indicator"}
    pipeline = parse(
        {
            "name": "p",
            "source": {"path": str(root / "data"), "key": "id"},
            "split": {"by": "column", "column": "fold"},
            "features": features,
            "targets": {"price": {"kind": "numeric"}},
            "model": {"encoders": ENCODERS},
            "training": {"epochs": 1, "members": 1, "refit": None},
        }
    )
    job = Table(pipeline, root / "data", root / "workspace").job()
    analyze(job.model_dump_json())
    transform(job.model_dump_json())
    folder = root / "run"
    folder.mkdir()
    done = train_job(job, folder)
    train(done)
    export(done)
    result = evaluate(done)
    check(done)
    return load(Path(folder) / "export"), result


def test_shards_and_export_agree_on_padded_and_damaged_series(finished: Any) -> None:
    _, result = finished
    assert result.parity < 1e-4
    assert np.isfinite(list(result.metrics.values())).all()


def test_a_scored_series_may_be_short_have_holes_or_be_missing(finished: Any) -> None:
    scorer, _ = finished
    short = [[1.0, 2.0], [3.0, 4.0]]
    tracks = [short, [*short, *[[np.nan, np.nan]] * 4], [[None, 2.0], [3.0, 4.0]], None, []]
    prices = scorer.score({"track": tracks, "beat": [[1.0, 2.0, None, 4.0, 5.0]] * 5})["price"]
    assert np.isfinite(prices).all()
    assert prices[0] == pytest.approx(prices[1], rel=1e-5)
    assert prices[0] != pytest.approx(prices[2], rel=1e-5)
    assert prices[3] == pytest.approx(prices[4], rel=1e-5)


def test_of_a_scored_series_the_first_steps_are_read(finished: Any) -> None:
    scorer, _ = finished
    longer = [[float(step), 1.0] for step in range(8)]  # the declared length is 6
    beat = [[1.0, 2.0, 3.0, 4.0, 5.0]]
    # Each alone: where a row lies in a batch may change its answer's last bit.
    prices = [scorer.score({"track": [t], "beat": beat})["price"][0] for t in (longer, longer[:6])]
    assert prices[0] == prices[1]
