"""The pages of reference that are made from the code, and the site that they are a part of."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows.commands.cli import cli
from flows.records.record import RunRecord
from transforms.contract.declaration.json_schema import declaration_schema, schema_of
from transforms.contract.declaration.judgement.metrics import METRICS
from transforms.contract.network.encoders import ENCODERS_BY_FEATURE_KIND, encoders_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs/hooks")
        from reference import pages

        return pages()


def rows_of(page: str, title: str) -> dict[str, list[str]]:
    """Returns the other cells of every row of a section's table, by the name in its first."""
    (section,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.S | re.M)
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", section, re.M)
    return {name: cells.split(" | ") for name, cells in rows}


def objects(schema: dict[str, Any]) -> list[dict[str, Any]]:
    defined = schema.get("$defs", {}).values()
    return [schema, *(each for each in defined if "properties" in each)]


def test_a_key_has_its_type_its_default_and_its_description(pages):
    rows = rows_of(pages["training.md"], "training")
    assert rows["optimizer"] == [
        "`adam` or `adamw` or `sgd`",
        "`adamw`",
        "What makes steps out of gradients.",
    ]
    assert rows["learning_rate"][:2] == ["number above 0", "`0.0015`"]
    assert rows_of(pages["keys.md"], "source")["path"][:2] == ["text", "required"]


@pytest.mark.parametrize(
    ("schema", "on"),
    [
        (declaration_schema(), ["keys.md", "features.md", "targets.md", "model.md", "training.md"]),
        (schema_of(RunRecord), ["run.md"]),
    ],
    ids=["declaration", "run.json"],
)
def test_every_key_of_every_object_is_described_on_a_page(pages, schema, on):
    titles = [(pages[page], t) for page in on for t in re.findall(r"^## (.*)$", pages[page], re.M)]
    assert len(titles) == len({title for _, title in titles}), "a title is there twice"
    tables = [rows_of(page, title) for page, title in titles]
    assert all(cells[-1].strip() for table in tables for cells in table.values())
    described = {frozenset(table) for table in tables}
    assert {frozenset(each["properties"]) for each in objects(schema)} <= described


@pytest.mark.parametrize("kind", ENCODERS_BY_FEATURE_KIND)
def test_a_kind_is_on_its_page_with_every_encoder(pages, kind):
    (section,) = re.findall(
        rf"^## features.NAME: {{kind: {kind}}}\n(.*?)(?=^## |\Z)", pages["features.md"], re.S | re.M
    )
    for encoder in encoders_of(kind):
        name = encoder.model_fields["kind"].default
        assert f"(model.md#modelencodersname-kind-{name})" in section


def test_every_metric_is_on_its_page_with_its_targets(pages):
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", pages["metrics.md"], re.M)
    assert {name for name, _ in rows} == set(METRICS)
    meaning, better, targets = dict(rows)["rmse"].split(" | ")
    assert (meaning[:8], better) == ("The root", "lower")
    assert targets.startswith("**[kind: numeric](targets.md#targetsname-kind-numeric)**")


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_a_command_is_on_its_page_with_every_option(pages, name):
    rows = rows_of(pages["commands.md"], f"braid {name}")
    for parameter in cli.commands[name].params:
        flags = parameter.opts if parameter.param_type_name == "option" else ()
        named = {word for row in rows for word in re.split(r"[^\w-]+", row)}
        assert set(flags) <= named, parameter.name


def test_the_site_is_built_strictly_and_loads_nothing_from_elsewhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    built = subprocess.run(
        [*command, "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    written = [path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.html")]
    assert len(written) > 50
    loaded = (re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', p) for p in written)
    assert {url for urls in loaded for url in urls if "//" in url} == set()
