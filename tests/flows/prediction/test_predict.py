from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from flows.prediction.predict import Scored, score_batch, score_rows, scored_batches
from flows.prediction.prediction_file import (
    Predictions,
    PredictionWriter,
    refuse_output,
    refuse_pictures,
)
from tests.transforms.pictures import REAL, gif, jpeg_of_scans
from transforms.contract.columns.features import Image
from transforms.contract.declaration.parsing import parse
from transforms.contract.declaration.source import SourceSpec
from transforms.contract.errors import DeclarationError
from transforms.kinds.features.image import encode
from transforms.kinds.pictures.bad_pictures import PictureJudge
from transforms.kinds.requests import Fitted
from transforms.reading.batches import RawBatch, Reject

PICTURE = {"kind": "image", "height": 8, "width": 8}


class OpError(Exception):
    """Named like the base of TensorFlow's."""


def _pipeline(**policies):
    """Returns a declaration whose pictures have these policies."""
    document = {
        "name": "p",
        "source": {"path": "data", "key": "id"},
        "features": {"x": {"kind": "numeric"}}
        | {name: PICTURE | {"invalid": policy} for name, policy in policies.items()},
        "targets": {"y": {"kind": "numeric"}},
    }
    return parse(document)


def _judge(**policies):
    return PictureJudge(_pipeline(**policies), with_targets=False)


def _model(calls):
    """A model that cannot take the pictures "bad" and "large", nor a negative x."""

    def score(columns):
        calls.append(len(columns["x"]))
        pictures = [v for values in columns.values() if values.dtype == object for v in values]
        if b"large" in pictures:
            raise OpError("convert string: image_too_large")
        if b"bad" in pictures:
            raise OpError("unknown format")
        if (columns["x"] < 0).any():
            raise OpError("negative   x")
        return {"y": columns["x"] * 2.0, "pair": np.stack([columns["x"]] * 2, axis=1)}

    return score


def _batch(keys, refused=(), **columns):
    rejects = {row: Reject("k", "f", "x", "missing", b"None") for row in refused}
    values = np.array(keys, object)
    return RawBatch(values, np.zeros(0), columns, len(keys), "f", refused=rejects)


def test_rows_that_a_model_refuses_are_found_and_the_others_scored_in_order():
    columns = {"x": np.array([1, 2, -3, 4, 5, 6, -7, 8])}
    predictions = score_rows(_model([]), columns, _judge())
    assert predictions.columns["y"].tolist() == [2, 4, 8, 10, 12, 16]
    assert predictions.rows.tolist() == [0, 1, 3, 4, 5, 7]
    assert predictions.errors == {2: "negative x", 6: "negative x"}


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
    predictions = score_rows(
        lambda given: {"photo": loaded.encode(tf.constant(given["photo"])).numpy()},
        {"photo": np.array(cells, object)},
        _judge(photo="reject"),
    )
    assert predictions.rows.tolist() == [0, 7]
    assert predictions.errors == {
        1: "photo: undecodable_image",
        2: "photo: undecodable_image",
        3: "photo: image_too_large",
        4: "photo: image_too_costly",
        5: "photo: undecodable_image",
        6: "photo: undecodable_image",
    }


PHOTOS = np.array([b"ok", b"bad", b"ok", b"large", b"bad"], object)
PLANS = np.array([b"ok", b"ok", b"bad", b"ok", b"bad"], object)
ROWS = {"x": np.arange(5), "photo": PHOTOS, "plan": PLANS}


@pytest.mark.parametrize(
    ("policies", "errors"),
    [
        (("reject", "reject"), {1: "photo: undecodable_image", 2: "plan: undecodable_image"}),
        (("reject", "default"), {1: "photo: undecodable_image"}),
        (("missing_indicator", "reject"), {2: "plan: undecodable_image"}),
        (("default", "default"), {}),
    ],
)
@pytest.mark.parametrize("keep_invalid", [False, True])
def test_a_bad_picture_costs_its_row_as_its_feature_declares(policies, errors, keep_invalid):
    judge = _judge(photo=policies[0], plan=policies[1])
    if policies[0] == "reject":
        errors = errors | {3: "photo: image_too_large", 4: "photo: undecodable_image"}
    elif policies[1] == "reject":
        errors = errors | {4: "plan: undecodable_image"}
    predictions = score_rows(_model([]), ROWS, judge, keep_invalid=keep_invalid)
    assert predictions.errors == errors
    assert predictions.rows.tolist() == [
        row for row in range(5) if keep_invalid or row not in errors
    ]
    assert predictions.columns["y"].tolist() == [2.0 * row for row in predictions.rows]


@pytest.mark.parametrize(("keep_invalid", "rows"), [(False, [0, 2]), (True, [0, 1, 2, 3])])
def test_rows_that_training_rejects_are_not_scored_unless_asked_for(keep_invalid, rows):
    batch = _batch([b"a", b"b", b"c", b"d"], refused=[1, 3], x=np.array([1, 2, 3, 4]))
    calls = []
    model = SimpleNamespace(score=_model(calls), pipeline=_pipeline(), unusable=lambda columns: {})
    predictions = score_batch(model, batch, judge=_judge(), keep_invalid=keep_invalid)
    assert predictions.rows.tolist() == rows
    assert calls == [len(rows)]
    assert predictions.errors == {1: "x: missing", 3: "x: missing"}


@pytest.mark.parametrize("keep_invalid", [False, True])
def test_a_prediction_that_is_no_number_is_none(keep_invalid):
    def score(columns):
        pair = np.ones((3, 2))
        pair[2, 1] = np.inf
        return {"y": np.array([1.0, np.nan, 2.0]), "pair": pair, "name": np.array(["a"] * 3)}

    predictions = score_rows(score, {"x": np.arange(3)}, _judge(), keep_invalid=keep_invalid)
    assert predictions.rows.tolist() == [0]
    assert predictions.columns["name"].tolist() == ["a"]
    assert predictions.errors == {1: "y: prediction_not_finite", 2: "pair: prediction_not_finite"}


def test_clean_rows_are_scored_in_one_call():
    calls = []
    score_rows(_model(calls), {"x": np.arange(100)}, _judge())
    assert calls == [100]


def test_any_other_error_of_the_model_is_not_taken_for_a_refusal():
    def broken(_):
        raise MemoryError

    with pytest.raises(MemoryError):
        score_rows(broken, {"x": np.arange(4)}, _judge())


def test_no_rows():
    predictions = score_rows(_model([]), {"x": np.array([])}, _judge())
    assert (predictions.columns, predictions.rows.tolist(), predictions.errors) == ({}, [], {})


def test_predictions_keep_the_order_of_their_batches_whichever_is_done_first(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    second_is_done = threading.Event()

    def score(batch):
        if batch.keys[0] == b"k0":
            assert second_is_done.wait(timeout=60)
        if batch.keys[0] == b"k1":
            second_is_done.set()
        return batch.keys[0]

    batches = [_batch([f"k{i}".encode()], x=np.array([i])) for i in range(4)]
    pairs = [(batch.keys[0], score) for batch, score in scored_batches(score, batches)]
    assert pairs == [(key, key) for key in (b"k0", b"k1", b"k2", b"k3")]


def _write(path, *batches) -> PredictionWriter:
    writer = PredictionWriter(path, path.suffix, ["id"])
    for keys, predictions in batches:
        writer.add(np.array(keys, dtype=object), predictions)
    writer.close()
    return writer


def _predicted(columns, rows, errors=None) -> Predictions:
    return Predictions(columns, np.array(rows, np.int64), errors or {})


def test_refused_rows_have_an_error_and_no_prediction(tmp_path):
    path = tmp_path / "out.parquet"
    scored = {"y": np.array([0.5]), "label": np.array(["a"])}
    writer = _write(path, ([b"k1", b"k2"], _predicted(scored, [1], {0: "photo: missing"})))
    assert (writer.rows, writer.scored, writer.reasons) == (2, 1, {"photo: missing": 1})
    assert pq.read_table(path).to_pylist() == [
        {"id": "k1", "y": None, "label": None, "error": "photo: missing"},
        {"id": "k2", "y": 0.5, "label": "a", "error": None},
    ]


def test_a_row_that_is_scored_all_the_same_has_both_and_a_missing_key_is_null(tmp_path):
    path = tmp_path / "out.parquet"
    _write(path, ([b""], _predicted({"y": np.array([0.5])}, [0], {0: "id: missing"})))
    assert pq.read_table(path).to_pylist() == [{"id": None, "y": 0.5, "error": "id: missing"}]


def test_each_column_of_a_key_is_a_column_of_the_predictions(tmp_path):
    path = tmp_path / "out.csv"
    writer = PredictionWriter(path, ".csv", ["shop", "till"])
    keys = np.array([b"a%2Fb/4", b"", b"%25/7"], object)
    writer.add(keys, _predicted({"y": np.array([1, 2, 3])}, [0, 1, 2]))
    writer.close()
    assert path.read_text().splitlines() == [
        '"shop","till","y","error"',
        '"a/b","4",1,',
        ",,2,",
        '"%","7",3,',
    ]


def test_counts_are_told_by_reason():
    scored = Scored(2_000, 1_988, {"photo: undecodable_image": 10, "area: not_finite": 2})
    assert scored.failures() == [
        "12 of them are no rows that training would take, not scored; the column 'error' says why:",
        "  10  photo: undecodable_image",
        "   2  area: not_finite",
    ]
    assert (
        Scored(2, 2, {"area: missing": 1})
        .failures()[0]
        .startswith("1 of them are no rows that training would take, all of them scored")
    )
    assert Scored(2, 2, {}).failures() == []


def test_a_first_batch_without_any_prediction_does_not_decide_the_columns(tmp_path):
    path = tmp_path / "out.parquet"
    refused = _predicted({}, [], {0: "no image"})
    scored = _predicted({"y": np.array([0.5])}, [0])
    _write(path, ([b"k1"], refused), ([b"k2"], scored), ([b"k3"], refused))
    assert pq.read_table(path).column_names == ["id", "y", "error"]
    assert pq.read_table(path)["y"].to_pylist() == [None, 0.5, None]


def test_nothing_but_refused_rows(tmp_path):
    path = tmp_path / "out.parquet"
    _write(path, ([b"k1"], _predicted({}, [], {0: "no image"})))
    assert pq.read_table(path).to_pylist() == [{"id": "k1", "error": "no image"}]


def test_csv_has_a_column_for_every_probability(tmp_path):
    path = tmp_path / "out.csv"
    _write(path, ([b"k1"], _predicted({"p": np.array([[0.25, 0.75]])}, [0])))
    table = pacsv.read_csv(path)
    assert table.column_names == ["id", "p_0", "p_1", "error"]
    assert table["p_1"].to_pylist() == [0.75]


def test_parquet_keeps_probabilities_together(tmp_path):
    path = tmp_path / "out.parquet"
    _write(path, ([b"k1"], _predicted({"p": np.array([[0.25, 0.75]], np.float32)}, [0])))
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
    refuse_pictures(Path("scores.parquet"), pipeline)
    with pytest.raises(DeclarationError, match=r"ends in \.parquet, as 'mask' is a picture"):
        refuse_pictures(Path("scores.csv"), pipeline)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A folder with the rows `day=1/a.parquet`."""
    file = tmp_path / "rows" / "day=1" / "a.parquet"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"rows")
    return tmp_path / "rows"


def _symlink(rows: Path) -> Path:
    link = rows.parent / "link.parquet"
    link.symlink_to(rows / "day=1" / "a.parquet")
    return link


def _hard_link(rows: Path) -> Path:
    link = rows.parent / "hard.parquet"
    os.link(rows / "day=1" / "a.parquet", link)
    return link


def _through_a_link(rows: Path) -> Path:
    link = rows.parent / "elsewhere"
    link.symlink_to(rows, target_is_directory=True)
    return link / "day=1" / "a.parquet"


OVER_THE_ROWS = {
    "the file": lambda rows: rows / "day=1" / "a.parquet",
    "another way to write it": lambda rows: rows / ".." / "rows" / "day=1" / "a.parquet",
    "a symlink": _symlink,
    "a hard link": _hard_link,
    "through a linked folder": _through_a_link,
}


@pytest.mark.parametrize("output", OVER_THE_ROWS.values(), ids=OVER_THE_ROWS)
@pytest.mark.parametrize("source", ["", "day=1", "day=1/a.parquet", "*.parquet", "*/a.*"])
@pytest.mark.parametrize("is_declared", [False, True], ids=["input", "table"])
def test_predictions_are_not_written_over_rows(rows, output, source, is_declared):
    other = rows.parent / "other"
    scored, table = (other / "x.csv", rows) if is_declared else (rows / source, other)
    with pytest.raises(DeclarationError, match="--output") as error:
        refuse_output(output(rows), scored, SourceSpec(path=str(table), key="id"))
    assert "expected a file that" in str(error.value)
    assert (rows / "day=1" / "a.parquet").read_bytes() == b"rows"


@pytest.mark.parametrize("name", ["new.parquet", "day=2/new.csv"])
def test_predictions_are_not_written_among_the_rows_to_score(rows, name):
    with pytest.raises(DeclarationError, match="none of --input's"):
        refuse_output(rows / name, rows, SourceSpec(path="other", key="id"))


def test_predictions_that_a_run_would_read_as_rows_are_refused(rows):
    table = SourceSpec(path=str(rows), format="parquet")
    with pytest.raises(DeclarationError, match="that no run reads as rows"):
        refuse_output(rows / "new.parquet", rows.parent / "x.csv", table)
    refuse_output(rows / "new.csv", rows.parent / "x.csv", table)


def test_the_place_of_predictions_is_a_file(rows):
    folder = rows.parent / "folder.csv"
    folder.mkdir()
    with pytest.raises(DeclarationError, match="received a folder"):
        refuse_output(folder, rows, SourceSpec(path="other", key="id"))


@pytest.mark.parametrize("name", ["scores.parquet", "rows.csv", "old.parquet"])
def test_predictions_beside_the_rows_are_written(rows, name):
    (rows.parent / "old.parquet").write_bytes(b"those of yesterday")
    for source in (rows, rows / "day=1" / "a.parquet", rows / "*.parquet"):
        refuse_output(rows.parent / name, source, SourceSpec(path=str(rows), key="id"))
    glob = SourceSpec(path=f"{rows}/*/*.parquet", key="id")
    refuse_output(rows / "day=1" / "scores.csv", rows.parent / "new.parquet", glob)
