from __future__ import annotations

import json

import numpy as np
import pytest

from transforms.contract.declaration.parsing import parse
from transforms.statistics.accumulators import Accumulated
from transforms.statistics.expectations import Judge

FEATURES = {
    "area": {"kind": "numeric"},
    "price": {"kind": "numeric", "scale": "log"},
    "sizes": {"kind": "numeric", "length": 2},
    "city": {"kind": "categorical"},
    "owner": {"kind": "categorical", "sensitive": True},
    "salary": {"kind": "numeric", "sensitive": True},
}


def _judge(**expect):
    return Judge(
        parse(
            {
                "name": "flats",
                "source": {"path": "data", "key": "id"},
                "features": FEATURES,
                "targets": {"sold": {"kind": "binary"}},
                "expect": expect,
            }
        )
    )


def _numbers(name, values):
    counted = Accumulated(rows=len(values))
    counted.add_moments([name], np.array(values, np.float32).reshape(len(values), -1))
    return counted


def _log(values):
    return np.log1p(np.array(values, np.float32))


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("area", [5, 1000], []),
        ("area", [4, 10], ["d: 'area' goes from 4 to 10, expected 5 to 1000."]),
        ("area", [5, 1000.5], ["d: 'area' goes from 5 to 1000.5, expected 5 to 1000."]),
        ("price", _log([5, 1000]), []),
        ("price", _log([5, 1100]), ["d: 'price' goes from 5 to 1100, expected 5 to 1000."]),
        ("salary", [1, 10], ["d: 'salary' has numbers beyond 5 to 1000."]),
        ("area", [np.nan], []),
    ],
)
def test_numbers_are_held_against_their_range_in_the_column_s_unit(name, values, told):
    judge = _judge(**{name: {"between": [5, 1000]}})
    assert judge.broken("d", _numbers(name, values)) == told


def test_a_range_may_be_open():
    judge = _judge(area={"between": [5, None]})
    assert judge.broken("d", _numbers("area", [1e9])) == []
    told = ["d: 'area' goes from -1 to -1, expected 5 to any."]
    assert judge.broken("d", _numbers("area", [-1])) == told


def test_missing_values_are_a_share_of_the_rows_and_of_a_list_the_worst_place_counts():
    judge = _judge(area={"missing_at_most": 0.5})
    assert judge.broken("d", _numbers("area", [1, np.nan])) == []
    told = ["d: 66.67% of 'area' is missing, expected at most 50.00%."]
    assert judge.broken("d", _numbers("area", [1, np.nan, np.nan])) == told
    judge = _judge(sizes={"missing_at_most": 0.5})
    (told,) = judge.broken("d", _numbers("sizes", [[1, np.nan]]))
    assert told.startswith("d: 100.00% of 'sizes' is missing")
    counted = Accumulated(rows=4)
    counted.missing["city"] = 1
    (told,) = _judge(city={"missing_at_most": 0.2}).broken("d", counted)
    assert told == "d: 25.00% of 'city' is missing, expected at most 20.00%."


def _terms(name, *values):
    counted = Accumulated(rows=len(values))
    counted.add_terms(name, np.array([value.encode() for value in values], object))
    return counted


def test_new_values_are_those_of_no_earlier_partition():
    judge = _judge(city={"new_at_most": 0.25})
    assert judge.broken("a", _terms("city", "Rome", "Oslo")) == []
    assert judge.broken("b", _terms("city", "Rome", "Rome", "Oslo", "Bonn", "")) == []
    told = "c: 50.00% of 'city' is of new values (Kiel, Ulm), expected at most 25.00%."
    assert judge.broken("c", _terms("city", "Bonn", *["Kiel"] * 2, "Rome", "Rome", "Ulm")) == [told]
    assert judge.broken("d", _terms("city", "Ulm")) == []


def test_new_values_of_a_sensitive_column_are_not_named():
    judge = _judge(owner={"new_at_most": 0})
    judge.broken("a", _terms("owner", "Ann"))
    told = ["b: 100.00% of 'owner' is of new values, expected at most 0.00%."]
    assert judge.broken("b", _terms("owner", "Bea")) == told


def test_a_partition_has_as_many_rows_as_are_expected():
    judge = _judge(rows={"at_least": 1000, "at_most": 2000})
    assert judge.broken("a", Accumulated(named=1000)) == []
    assert judge.broken("b", Accumulated(named=12)) == ["b: 12 rows, expected at least 1,000."]
    assert judge.broken("c", Accumulated(named=2001)) == ["c: 2,001 rows, expected at most 2,000."]


def _sampled(name, values):
    counted = _numbers(name, values)
    counted.sample.add({name: np.array(values, np.float32).reshape(len(values), -1)})
    return counted


@pytest.fixture
def frozen(tmp_path):
    """The statistics of a transform that was frozen on the areas 0 to 99, all as frequent."""
    deciles = [9.0, 19.0, 29.0, 39.0, 49.0, 59.0, 69.0, 79.0, 89.0]
    area = {"edges": deciles, "rows": 100, "missing": 0, "counts": [10] * 10}
    (tmp_path / "reference.json").write_text(json.dumps({"terms": {}, "numbers": {"area": [area]}}))
    moments = {"area": {"minimum": [0.0], "maximum": [99.0]}}
    (tmp_path / "moments.json").write_text(json.dumps(moments))
    return tmp_path


def test_numbers_beyond_their_range_are_shown_beside_those_of_the_frozen_rows(frozen):
    judge = _judge(area={"between": [0, 100]})
    judge = Judge(judge.pipeline, frozen)
    assert judge.broken("d", _sampled("area", [50, 60])) == []
    (told,) = judge.broken("d", _sampled("area", [*[190] * 10, *[191] * 10, 198]))
    sentence, rows, reference, axis = told.splitlines()
    assert sentence == "d: 'area' goes from 190 to 198, expected 0 to 100."
    assert rows == "  rows    " + " " * 46 + "█▁"
    assert reference == "  frozen  " + "▁" * 24, "half of the axis, evenly"
    assert axis == "  " + " " * 8 + "0" + "198".rjust(47)
    assert max(map(len, told.splitlines())) <= 60


def test_the_ends_of_an_axis_are_in_the_column_s_unit_and_without_frozen_rows_there_is_one_line():
    judge = _judge(price={"between": [5, 1000]})
    (told,) = judge.broken("d", _sampled("price", _log([0, 10, 20, 3000])))
    _, rows, axis = told.splitlines()
    assert (rows[10], rows[-1]) == ("█", "█")
    assert axis.split() == ["0", "3000"]


def test_numbers_of_a_sensitive_column_are_not_shown():
    judge = _judge(salary={"between": [5, 1000]})
    told = ["d: 'salary' has numbers beyond 5 to 1000."]
    assert judge.broken("d", _sampled("salary", [1, 2, 3])) == told
