"""Every template gives a project that validates; the listings have what they promise."""

from __future__ import annotations

import hashlib
import io

import pyarrow.dataset as ds
import pytest
from PIL import Image

from flows import templates
from flows.templates.listings.table import write_table
from transforms.contract.declaration import load
from transforms.source import check_schema, scan


@pytest.mark.parametrize("name", list(templates.names()))
def test_a_template_gives_a_declaration_that_its_table_fits(name, tmp_path):
    pipeline = load(templates.create(name, tmp_path / "project"))
    check_schema(pipeline, scan(pipeline.source).files())


@pytest.fixture(scope="module")
def listings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listings")
    write_table(folder)
    return folder


def _rows(folder):
    return ds.dataset(folder, partitioning="hive").to_table().to_pylist()


def _problem(row) -> str | None:
    for name in ("photo", "sold_fast", "price"):
        if row[name] is None:
            return f"no {name}"
    if row["sold_fast"] not in (0, 1):
        return "label neither 0 nor 1"
    for name in ("area", "price"):
        if abs(row[name]) == float("inf"):
            return f"infinite {name}"
    try:
        image = Image.open(io.BytesIO(row["photo"]))
        image.load()
    except Image.DecompressionBombError:
        return "huge"
    except OSError as error:
        return "truncated" if "truncated" in str(error) else "no image"
    return None


def test_three_days_of_2000_listings_with_keys_of_their_own(listings):
    rows = _rows(listings)
    assert len(rows) == 2000
    assert len({row["listing_id"] for row in rows}) == 2000
    assert sorted({row["day"] for row in rows}) == ["2026-01-01", "2026-01-02", "2026-01-03"]


def test_exactly_one_in_a_hundred_is_damaged_in_every_way(listings):
    problems = [problem for problem in map(_problem, _rows(listings)) if problem]
    assert len(problems) == 20
    assert set(problems) == {
        "truncated",
        "no image",
        "huge",
        "no photo",
        "no sold_fast",
        "label neither 0 nor 1",
        "no price",
        "infinite area",
        "infinite price",
    }


def test_a_day_has_several_row_groups(listings):
    fragments = list(ds.dataset(listings).get_fragments())
    assert all(len(fragment.row_groups) >= 3 for fragment in fragments)


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    def digest(name: str, seed: int) -> list[str]:
        write_table(tmp_path / name, rows=60, seed=seed)
        files = sorted((tmp_path / name).rglob("*.parquet"))
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]

    assert digest("a", 1) == digest("b", 1)
    assert digest("c", 2) != digest("a", 1)
