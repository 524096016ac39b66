"""The rules by which the benchmark of quality judges; it is run by a command of its own."""

from __future__ import annotations

from ctypes.util import find_library

import numpy as np
import pyarrow as pa
import pytest
import yaml

from tests.benchmarks.quality_baselines import baselines, constant
from tests.benchmarks.quality_metrics import METRICS, Verdict, compare, figures
from tests.benchmarks.quality_report import verdict_sentence
from tests.benchmarks.quality_tables import TABLES, BenchmarkTable, SplitTable
from transforms.contract.declaration.parsing import load

_AUC = METRICS["binary"]["auc"]
_MAPE = METRICS["numeric"]["mape"]


@pytest.mark.parametrize(
    ("seeds", "verdict"),
    [
        ([0.80, 0.81], "ahead"),  # by 0.025, with seeds that are 0.01 apart
        ([0.77, 0.81], "at or above"),  # by 0.01, with seeds that are 0.04 apart
        ([0.78, 0.78], "at or above"),
        ([0.9], "at or above"),  # one seed has no spread
        ([0.776, 0.776], "within tolerance"),
        ([0.774, 0.774], "below"),
    ],
)
def test_a_lead_counts_beyond_the_spread_of_seeds_and_a_loss_beyond_the_tolerance(seeds, verdict):
    assert compare(_AUC, seeds, baseline=0.78).verdict == verdict


def test_a_smaller_error_is_ahead():
    comparison = compare(_MAPE, [0.15, 0.15], baseline=0.17)
    assert comparison.verdict == "ahead"
    assert comparison.difference == pytest.approx(0.02)


def test_the_bounds_are_met_by_12_level_tables_7_of_them_ahead_and_none_below():
    names = list(TABLES)
    met: dict[str, Verdict] = dict.fromkeys(names[:7], "ahead")
    met |= dict.fromkeys(names[7:12], "at or above")
    assert verdict_sentence(met | {names[12]: "within tolerance"}).startswith("Passed")
    assert verdict_sentence(met | {names[12]: "below"}).startswith("Not passed")
    fewer = met | {names[6]: "at or above"}
    assert verdict_sentence(fewer | {names[12]: "at or above"}).startswith("Not passed")
    assert verdict_sentence(met).startswith("Not complete")


def test_a_binary_target_is_judged_by_the_probability_of_its_positive_value():
    told = figures("binary", np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.9]))
    assert told["auc"] == pytest.approx(0.75)
    assert told["accuracy"] == pytest.approx(0.75)


def _split(table: BenchmarkTable, fitted: dict, test: dict) -> SplitTable:
    rows = {"train": len(fitted[table.target]), "validation": 0, "test": len(test[table.target])}
    return SplitTable(table, pa.table(fitted), pa.table(test), rows)


@pytest.mark.skipif(find_library("gomp") is None, reason="LightGBM wants libgomp.so.1")
def test_trees_take_a_category_that_they_were_not_fitted_on_and_the_month_of_a_time():
    table = BenchmarkTable("sales", "sold", "numeric", "r2", times=("day",))
    days = [f"2026-0{1 + i % 2}-01T00:00:00" for i in range(100)]
    fitted = {"row": days, "day": days, "city": ["Rome"] * 100, "sold": [1.0, 5.0] * 50}
    test = {"row": days[:2], "day": days[:2], "city": ["Oslo"] * 2, "sold": [1.0, 5.0]}
    split = _split(table, fitted, test)
    assert baselines(split)["LightGBM"] == pytest.approx([1.0, 5.0], abs=0.1)
    assert constant(split) == pytest.approx([3.0, 3.0])


def test_the_nearest_neighbour_pads_a_shorter_series():
    fitted = {"signal": [[[1.0], [1.0]], [[5.0]]], "label": ["long", "short"]}
    test = {"signal": [[[1.0], [0.9]], [[4.0]]], "label": ["long", "short"]}
    (predicted,) = baselines(_split(TABLES["vowels"], fitted, test)).values()
    assert predicted.tolist() == ["long", "short"]


def test_a_declaration_has_columns_and_kinds_alone_and_is_valid(tmp_path):
    table = BenchmarkTable("flats", "rent", "numeric", "r2")
    schema = pa.schema(
        [(name, pa.string()) for name in ("row", "split", "city")]
        + [(name, pa.float64()) for name in ("area", "rent")]
    )
    text = table.declaration(tmp_path, schema)
    (tmp_path / "pipeline.yaml").write_text(text)
    assert load(tmp_path / "pipeline.yaml").targets["rent"].kind == "numeric"
    assert yaml.safe_load(text) == {
        "name": "flats",
        "source": {"path": str(tmp_path / "bench/flats.parquet"), "key": "row"},
        "split": {"by": "column", "column": "split"},
        "features": {"city": {"kind": "categorical"}, "area": {"kind": "numeric"}},
        "targets": {"rent": {"kind": "numeric"}},
    }
