from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from flows.predict import Predictions, _refuse_pictures, _scored, _Writer, score_rows
from tests.transforms.pictures import REAL, gif, jpeg_of_scans
from transforms.contract.declaration import parse
from transforms.contract.errors import DeclarationError
from transforms.contract.features import Image
from transforms.features.image import encode
from transforms.refusals import is_refusal
from transforms.requests import Fitted


class RefusedError(Exception):
    pass


def _is_refused(error: Exception) -> bool:
    return isinstance(error, RefusedError)


def _model(calls):
    def score(columns):
        calls.append(len(columns["x"]))
        if (columns["x"] < 0).any():
            raise RefusedError("negative   x")
        return {"y": columns["x"] * 2.0, "pair": np.stack([columns["x"]] * 2, axis=1)}

    return score


def test_rows_that_a_model_refuses_are_found_and_the_others_scored_in_order():
    calls = []
    columns = {"x": np.array([1, 2, -3, 4, 5, 6, -7, 8])}
    found = score_rows(_model(calls), columns, _is_refused)
    assert found.columns["y"].tolist() == [2, 4, 8, 10, 12, 16]
    assert found.errors == {2: "negative x", 6: "negative x"}


def test_an_exported_graph_refuses_pictures_in_the_words_of_the_rejects(tmp_path):
    image = Image(kind="image", height=8, width=8, max_pixels=1000)
    module = tf.Module()
    module.encode = tf.function(
        lambda raw: encode("photo", image, raw, Fitted({}, {}, {})),
        input_signature=[tf.TensorSpec([None], tf.string)],
    )
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    cells = [REAL["png"], REAL["png"][:8], REAL["jpeg"][:90], gif(size=(90, 90), screen=(4, 4)),
             jpeg_of_scans(65), REAL["bmp"][:2], REAL["webp"], REAL["gif"]]  # fmt: skip
    columns = {"photo": np.array(cells, object)}
    scored = score_rows(
        lambda given: {"photo": loaded.encode(tf.constant(given["photo"])).numpy()},
        columns,
        is_refusal,
    )
    assert len(scored.columns["photo"]) == 2
    assert scored.errors == {
        1: "undecodable_image",
        2: "undecodable_image",
        3: "image_too_large",
        4: "image_too_costly",
        5: "undecodable_image",
        6: "undecodable_image",
    }


def test_clean_rows_are_scored_in_one_call():
    calls = []
    score_rows(_model(calls), {"x": np.arange(100)}, _is_refused)
    assert calls == [100]


def test_any_other_error_of_the_model_is_not_taken_for_a_refusal():
    def broken(_):
        raise MemoryError

    with pytest.raises(MemoryError):
        score_rows(broken, {"x": np.arange(4)}, _is_refused)


def test_no_rows():
    assert score_rows(_model([]), {"x": np.array([])}, _is_refused) == Predictions({}, {})


def test_predictions_keep_the_order_of_their_batches_whichever_is_done_first(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    second_is_done = threading.Event()

    def score(columns):
        if columns["x"][0] == 0:
            assert second_is_done.wait(timeout=60)
        if columns["x"][0] == 1:
            second_is_done.set()
        return {"y": columns["x"] * 10}

    batches = ((np.array([f"k{i}"]), {"x": np.array([i])}) for i in range(4))
    found = [
        (keys[0], predictions.columns["y"][0]) for keys, predictions in _scored(score, batches)
    ]
    assert found == [("k0", 0), ("k1", 10), ("k2", 20), ("k3", 30)]


def _write(path, *batches) -> tuple[int, int]:
    writer = _Writer(path, path.suffix, "id")
    for keys, predictions in batches:
        writer.add(np.array(keys, dtype=object), predictions)
    writer.close()
    return writer.rows, writer.failed


def test_refused_rows_have_an_error_and_no_prediction(tmp_path):
    path = tmp_path / "out.parquet"
    labels = Predictions({"y": np.array([0.5]), "label": np.array(["a"])}, {0: "no image"})
    assert _write(path, (["k1", "k2"], labels)) == (2, 1)
    assert pq.read_table(path).to_pylist() == [
        {"id": "k1", "y": None, "label": None, "error": "no image"},
        {"id": "k2", "y": 0.5, "label": "a", "error": None},
    ]


def test_a_first_batch_without_any_prediction_does_not_decide_the_columns(tmp_path):
    path = tmp_path / "out.parquet"
    refused = Predictions({}, {0: "no image"})
    _write(
        path, (["k1"], refused), (["k2"], Predictions({"y": np.array([0.5])})), (["k3"], refused)
    )
    assert pq.read_table(path).column_names == ["id", "y", "error"]
    assert pq.read_table(path)["y"].to_pylist() == [None, 0.5, None]


def test_nothing_but_refused_rows(tmp_path):
    path = tmp_path / "out.parquet"
    _write(path, (["k1"], Predictions({}, {0: "no image"})))
    assert pq.read_table(path).to_pylist() == [{"id": "k1", "error": "no image"}]


def test_csv_has_a_column_for_every_probability(tmp_path):
    path = tmp_path / "out.csv"
    _write(path, (["k1"], Predictions({"p": np.array([[0.25, 0.75]])})))
    table = pacsv.read_csv(path)
    assert table.column_names == ["id", "p_0", "p_1", "error"]
    assert table["p_1"].to_pylist() == [0.75]


def test_parquet_keeps_probabilities_together(tmp_path):
    path = tmp_path / "out.parquet"
    _write(path, (["k1"], Predictions({"p": np.array([[0.25, 0.75]], np.float32)})))
    assert pa.types.is_list(pq.read_table(path).schema.field("p").type)


def test_pictures_do_not_fit_into_a_csv_file():
    pipeline = parse(
        {
            "name": "dense",
            "source": {"path": "data", "key": "id"},
            "features": {"area": {"kind": "numeric"}},
            "targets": {
                "mask": {"kind": "image", "content": "binary_mask", "height": 8, "width": 8}
            },
        }
    )
    _refuse_pictures(Path("scores.parquet"), pipeline)
    with pytest.raises(DeclarationError, match=r"ends in \.parquet, as 'mask' is a picture"):
        _refuse_pictures(Path("scores.csv"), pipeline)
