from __future__ import annotations

import numpy as np
import pytest

from flows.serving.limits import RequestError
from flows.serving.rows import RowReader
from transforms.contract.declaration.parsing import parse

READER = RowReader(
    parse(
        {
            "name": "flats",
            "source": {"path": "gs://nowhere/data", "key": "id"},
            "split": {"by": "column", "column": "fold"},
            "features": {
                "city": {"kind": "categorical"},
                "tags": {"kind": "categorical", "length": 3},
                "area": {"kind": "numeric"},
                "pair": {"kind": "numeric", "length": 2},
                "day": {"kind": "datetime"},
                "photo": {"kind": "image", "height": 8, "width": 8},
                "pulse": {"kind": "sequence", "length": 3},
                "track": {"kind": "sequence", "length": 2, "channels": 2},
                "coded": {"kind": "categorical", "column": "floor"},
                "floor": {"kind": "numeric", "column": "floor"},
            },
            "targets": {"sold": {"kind": "binary"}},
        }
    ),
    most_rows=3,
)


def _columns(*instances):
    return READER.batch([READER.of_instances(instances)]).columns


def _refused(*instances):
    refused = READER.batch([READER.of_instances(instances)]).refused
    return {row: f"{reject.column}: {reject.reason}" for row, reject in refused.items()}


@pytest.mark.parametrize(
    ("column", "value", "taken"),
    [
        ("city", "Bern", b"Bern"),
        ("city", 8, b"8"),
        ("city", 8.0, b"8"),
        ("city", True, b"true"),
        ("city", {"b64": "w7w="}, "ü".encode()),
        ("city", None, b""),
        ("area", 3, 3.0),
        ("area", " 3.5 ", 3.5),
        ("area", True, 1.0),
        ("photo", {"b64": "AAE="}, b"\0\1"),
        ("day", "2026-01-31", b"2026-01-31"),
    ],
)
def test_a_value_is_taken_as_a_table_s_would_be(column, value, taken):
    assert _columns({column: value})[column][0] == taken


def test_lists_are_taken_as_a_table_s_would_be():
    columns = _columns(
        {"tags": ["a", None, 7], "pair": [1, 2], "pulse": [1, 2, 3], "track": [[1, 2], [3, 4]]},
        {"tags": [], "pair": None, "pulse": [[1], [2], [3]], "track": None},
    )
    assert columns["tags"].tolist() == [[b"a", b"7", b""], [b"", b"", b""]]
    assert columns["pair"][0].tolist() == [1, 2]
    assert np.isnan(columns["pair"][1]).all()
    assert columns["pulse"][:, :, 0].tolist() == [[1, 2, 3], [1, 2, 3]]
    assert columns["track"][0].tolist() == [[1, 2], [3, 4]]


def test_a_column_that_is_read_in_two_ways_is_sent_once():
    columns = _columns({"floor": 3}, {"floor": "4"})
    of_floor = [values.tolist() for name, values in columns.items() if "floor" in name]
    assert [3.0, 4.0] in of_floor
    assert [b"3", b"4"] in of_floor


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        (7, "instances: not_an_object"),
        ({"aera": 1}, "aera: not_a_column_of_the_model"),
        ({"area": "x"}, "area: not_a_number"),
        ({"area": [1]}, "area: not_a_number"),
        ({"area": {}}, "area: not_a_number"),
        ({"city": ["a"]}, "city: not_a_text"),
        ({"city": {"b64": "/w=="}}, "city: not_utf8"),
        ({"tags": "a"}, "tags: not_a_list"),
        ({"pair": [1, 2, 3]}, "pair: length_is_not_2"),
        ({"pair": [1, "2"]}, "pair: not_a_number"),
        ({"pulse": [1, 2]}, "pulse: length_is_not_3"),
        ({"track": [[1, 2], [3]]}, "track: channels_is_not_2"),
        ({"photo": "/etc/passwd"}, "photo: not_base64"),
        ({"photo": {"b64": "!"}}, "photo: not_base64"),
        ({"photo": {"b64": 7}}, "photo: not_base64"),
        ({"day": "yesterday"}, "day: not_a_datetime"),
    ],
)
def test_a_value_that_makes_no_sense_costs_its_row_with_a_reason(instance, reason):
    assert _refused({}, instance, {}) == {1: reason}


def test_what_a_table_has_beside_the_model_s_columns_may_be_sent_along():
    assert _refused({"id": "a", "fold": "train", "sold": 1, "city": "Bern"}) == {}


def test_requests_that_share_a_batch_keep_their_places():
    parts = [READER.of_instances([{"area": 1}, 7]), READER.of_columns({"area": ["2", 3]})]
    batch = READER.batch(parts)
    assert batch.columns["area"].tolist()[::2] == [1, 2]
    assert list(batch.refused) == [1]


def test_columns_of_another_model_or_of_two_lengths_are_refused():
    with pytest.raises(RequestError, match=r"aera: not_a_column_of_the_model; it takes city"):
        READER.of_columns({"aera": [1]})
    with pytest.raises(RequestError, match="one length"):
        READER.of_columns({"area": [1], "city": ["a", "b"]})


def test_too_many_rows_are_refused_before_they_are_looked_at():
    with pytest.raises(RequestError, match="at most 3 rows"):
        READER.of_instances([7] * 4)
    with pytest.raises(RequestError, match="at most 3 rows"):
        READER.of_columns({"area": [{}] * 4})


def test_the_key_is_kept_as_a_table_has_it_and_costs_no_row_its_answer():
    parts = [
        READER.of_instances([{"id": "a"}, {"id": 7.0}, {"id": ["b"]}]),
        READER.of_columns({"id": [12, None], "area": [1, 2]}),
    ]
    assert READER.key(parts)["id"].to_pylist() == ["a", "7", None, "12", None]
    assert "id" not in READER.table(parts)
    assert not READER.batch(parts).refused


def test_a_text_beside_numbers_leaves_whole_numbers_as_keys_spell_them():
    parts = [
        READER.of_instances([{"area": 12}]),
        READER.of_instances([{"area": "12"}, {"area": 0.5}]),
    ]
    assert READER.table(parts)["area"].to_pylist() == ["12", "12", "0.5"]
