"""Every template gives a project that validates and a page that says how to run it."""

from __future__ import annotations

import hashlib
import importlib
import io
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from click.testing import CliRunner
from PIL import Image

from flows import templates
from flows.commands.cli import cli
from flows.templates.listings.table import write_table
from tests.templates.project import printed_commands
from transforms.contract.declaration.parsing import load

_DECLARATIONS = [
    (name, path.name)
    for name in templates.names()
    for path in sorted(templates.source(name).glob("*.yaml"))
]


@pytest.fixture(scope="module")
def projects(tmp_path_factory) -> dict[str, Path]:
    """Every template's project, as `braid init` makes it."""
    parent = tmp_path_factory.mktemp("templates")
    return {name: templates.create(name, parent / name).parent for name in templates.names()}


@pytest.mark.parametrize(("name", "declaration"), _DECLARATIONS)
def test_every_declaration_fits_the_table_beside_it(name, declaration, projects):
    done = CliRunner().invoke(cli, ["validate", str(projects[name] / declaration)])
    assert done.exception is None
    assert "is valid" in done.output


@pytest.mark.parametrize("name", list(templates.names()))
def test_a_page_prints_the_commands_for_all_of_its_template(name, projects):
    commands = printed_commands(name)
    assert commands[0] == f"braid init {name} --template {name}"
    for path in projects[name].glob("*.yaml"):
        assert f"braid run {name}/{path.name}" in commands
    assert (projects[name] / "README.md").read_text().startswith("# ")


def test_declarations_of_one_template_have_runs_of_their_own():
    for name in templates.names():
        files = list(templates.source(name).glob("*.yaml"))
        assert len({load(file).name for file in files}) == len(files)


def test_names_have_dashes_and_titles_end_like_sentences():
    for name, title in templates.names().items():
        assert "_" not in name
        assert title.endswith((".", "?"))


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


@pytest.mark.parametrize("name", list(templates.names()))
def test_the_same_seed_gives_the_same_bytes(name, tmp_path):
    table = importlib.import_module(f"{templates.__name__}.{templates.source(name).name}.table")

    def digests(folder: str, seed: int) -> dict[Path, str]:
        root = tmp_path / folder
        table.write_table(root, rows=60, seed=seed)
        files = sorted(path for path in root.rglob("*") if path.is_file())
        return {f.relative_to(root): hashlib.sha256(f.read_bytes()).hexdigest() for f in files}

    assert digests("a", 1) == digests("b", 1)
    assert digests("c", 2) != digests("a", 1)
