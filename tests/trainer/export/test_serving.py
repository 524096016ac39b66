from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.world import raw_rows
from trainer.export.serving import _as_input, check, load, try_out
from transforms.contract.columns.features import RawColumn
from transforms.contract.errors import BraidError
from transforms.contract.steps.results import CheckResult


@pytest.fixture(scope="module")
def scorer(trainer_run):
    return load(trainer_run.results["export"].folder)


def test_many_rows_are_scored_in_batches_and_in_order(scorer):
    columns = raw_rows(range(600))
    together = scorer.score(columns)
    last = scorer.score({name: values[-3:] for name, values in columns.items()})
    assert together["group"].shape == (600,)
    assert together["group__probabilities"].shape == (600, 3)
    np.testing.assert_allclose(together["sold"][-3:], last["sold"], rtol=1e-5)
    assert together["group"][-3:].tolist() == last["group"].tolist()


def test_labels_are_text(scorer):
    answers = scorer.score(raw_rows(range(4)))["group"]
    assert answers.dtype.kind == "U"
    assert set(answers) <= {"a", "b", "c"}


def test_none_nan_and_an_absent_column_are_all_missing(scorer):
    ways = [
        {"color": [None], "unit price": [None], "sizes": [None]},
        {"color": [""], "unit price": [np.nan], "sizes": np.full((1, 2), np.nan)},
        {"color": np.array([float("nan")], object)},
    ]
    first, second, third = (scorer.score(way)["sold"] for way in ways)
    np.testing.assert_allclose(first, second)
    np.testing.assert_allclose(first, third)


def test_labels_are_spelt_as_in_the_shards():
    label = RawColumn(name="c", dtype="string")
    spelt = _as_input(label, [True, np.False_, 3, "é", b"x", None], 6)
    assert spelt.tolist() == [b"true", b"false", b"3", "é".encode(), b"x", b""]
    labels = RawColumn(name="c", dtype="string", shape=(2,), padded=True)
    spelt = _as_input(labels, [[True], np.array([3, 4]), ["a", None], [], None], 5)
    assert spelt.tolist() == [[b"true", b""], [b"3", b"4"], [b"a", b""], [b"", b""], [b"", b""]]


NUMBER = RawColumn(name="area", dtype="float32")


def test_texts_spell_numbers_as_they_do_in_a_table():
    given = ["1.5", b" +2 ", "", "NaN", None, 3, float("nan")]
    expected = [1.5, 2, np.nan, np.nan, np.nan, 3, np.nan]
    np.testing.assert_array_equal(_as_input(NUMBER, given, 7), np.array(expected, np.float32))
    pair = RawColumn(name="pair", dtype="float32", shape=(2,))
    assert _as_input(pair, [["1", "2e0"]], 1).tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("text", ["far", "1_000", "\u0661", b"\xff"])
def test_texts_that_are_no_numbers_are_refused(text):
    with pytest.raises(BraidError, match=r"column area: expected numbers, or texts that spell"):
        _as_input(NUMBER, ["1", text], 2)


def test_times_are_spelt_so_that_the_graph_reads_them():
    time = RawColumn(name="c", dtype="string")
    noon = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=1)))
    values = [noon, date(2026, 1, 31), np.datetime64("2026-01-31T12", "h"), "2026-01-31"]
    spelt = _as_input(time, [*values, np.datetime64("NaT"), None], 6)
    assert spelt.tolist() == [
        *(b"2026-01-31T12:00:00+01:00", b"2026-01-31", b"2026-01-31T12:00:00.000000"),
        *(b"2026-01-31", b"", b""),
    ]
    days = np.array(["2026-01-31", "NaT"], "datetime64[ns]")
    assert _as_input(time, days, 2).tolist() == [b"2026-01-31T00:00:00.000000", b""]


def test_lists_of_any_length_are_cut_as_in_the_shards():
    labels = RawColumn(name="c", dtype="string", shape=(2,), padded=True)
    given = _as_input(labels, [["a", "b", "c"], [None, "", "b"], ["c"]], 3)
    assert given.tolist() == [[b"a", b"b"], [b"b", b""], [b"c", b""]]
    series = RawColumn(name="c", dtype="float32", shape=(2, 1), padded=True)
    given = _as_input(series, [[1.0, 2.0, 3.0], [4.0]], 2)
    np.testing.assert_array_equal(given[..., 0], [[1.0, 2.0], [4.0, np.nan]])
    steps = RawColumn(name="c", dtype="float32", shape=(2, 2), padded=True)
    with pytest.raises(BraidError, match=r"expected \[any, 2\] entries .* received \[1, 3\]"):
        _as_input(steps, [[[1.0, 2.0, 3.0]]], 1)


def test_no_rows_give_no_predictions(scorer):
    answers = scorer.score({"color": []})
    assert {name: values.shape for name, values in answers.items()} == {
        "sold": (0,),
        "group": (0,),
        "group__probabilities": (0, 3),
        "cost": (0,),
    }


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"color": ["red"], "unit price": [1.0, 2.0]}, "Give arrays of one length"),
        ({"stranger": ["red"]}, "received none of them"),
        ({"sizes": [[1.0, 2.0, 3.0]]}, r"expected \[2\] entries in a row, received \[3\]"),
    ],
)
def test_columns_that_do_not_fit_are_refused(scorer, columns, words):
    with pytest.raises(BraidError, match=words):
        scorer.score(columns)


def test_a_folder_without_an_export_is_refused(tmp_path):
    with pytest.raises(BraidError, match=r"no braid.json in it"):
        load(tmp_path)


def test_an_export_that_raises_instead_of_answering_is_refused(scorer):
    def refuse(_arrays):
        raise tf.errors.FailedPreconditionError(None, None, "Table not\ninitialized.")

    broken = replace(scorer)
    vars(broken)["_serving"] = refuse
    with pytest.raises(BraidError, match=r"the export: .* received Table not initialized\."):
        try_out(broken)


def test_the_check_passes_for_a_whole_export(trainer_run):
    assert trainer_run.results["check"] == CheckResult()


def test_the_check_refuses_predictions_that_are_no_numbers(trainer_run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    module = tf.Module()

    def serve(tensors):
        rows = tf.shape(tensors["color"])[0]
        return {"sold": tf.fill([rows], np.float32("nan"))}

    names = json.loads((Path(trainer_run.job.run_folder) / "export" / "braid.json").read_text())
    shapes = {"sizes": [None, 2]}
    dtypes = {"unit_price": tf.float32, "sizes": tf.float32, "band": tf.float32}
    module.serve = tf.function(
        serve,
        input_signature=[
            {
                n: tf.TensorSpec(shapes.get(n, [None]), dtypes.get(n, tf.string), name=n)
                for n in names["arguments"].values()
            }
        ],
    )
    signatures = {"serving_default": module.serve.get_concrete_function()}
    tf.saved_model.save(module, str(folder / "export"), signatures=signatures)
    shutil.copy(Path(trainer_run.job.run_folder) / "export" / "braid.json", folder / "export")
    job = trainer_run.job.model_copy(update={"run_folder": str(folder)})
    with pytest.raises(BraidError, match=r"'sold' for a row without any value: .* received nan"):
        check(job)
