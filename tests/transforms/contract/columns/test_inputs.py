from __future__ import annotations

from transforms.contract.columns.features import RawColumn
from transforms.contract.columns.inputs import named_inputs

NUMBER = RawColumn(name="area", dtype="float32")
TEXT = RawColumn(name="area", dtype="string")
TEXTS = RawColumn(name="area", dtype="string", shape=(3,), padded=True)


def names(**declared: RawColumn) -> dict[str, str]:
    """Returns the inputs' names, which no order of the declaration may change."""
    inputs = named_inputs(declared)
    assert named_inputs(dict(reversed(declared.items()))) == inputs
    return {name: raw.name for name, raw in inputs.items()}


def test_features_that_read_a_column_alike_share_its_input() -> None:
    assert names(a=NUMBER, b=NUMBER) == {"a": "area", "b": "area"}


def test_the_feature_of_the_columns_name_has_the_input_of_that_name() -> None:
    assert names(area=TEXT, b=NUMBER) == {"area": "area", "b": "area:float32"}
    assert names(area=NUMBER, b=TEXT, c=TEXT, d=NUMBER) == {
        **{"area": "area", "b": "area:string"},
        **{"c": "area:string", "d": "area"},
    }


def test_without_such_a_feature_numbers_come_before_texts() -> None:
    assert names(a=TEXT, b=NUMBER, c=TEXTS) == {
        **{"a": "area:string", "b": "area"},
        "c": "area:up to 3 x string",
    }


def test_an_input_beside_another_one_reads_the_same_column() -> None:
    beside = named_inputs({"area": NUMBER, "b": TEXTS})["b"]
    assert beside.columns == ("area",)
    assert (beside.dtype, beside.shape, beside.padded) == ("string", (3,), True)
