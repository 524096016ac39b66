"""The pages of the repository: what they name is there, and they are as short as they say."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import flows

ROOT = Path(flows.__file__).parent.parent
PACKAGES = ("flows", "trainer", "transforms")
FOLDERS = (*PACKAGES, "infra", "tests", "docs")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / package / "README.md" for package in (*PACKAGES, "infra")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "flows/templates").glob("*/README.md")),
    ROOT / "tests/benchmarks/PROFILE.md",
]
ONE_SCREEN = 60  # lines
TEN_MINUTES = 2_400  # words, tables and blocks among them
NAMES = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.*")}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def prose(page: Path) -> str:
    """Returns a page without its blocks of code, whose paths are often a user's."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def anchors(page: Path) -> set[str]:
    """Returns the anchors that a page's headings have, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def named_paths(page: Path) -> Iterator[str]:
    """Yields paths of sources in backticks: modules, and folders below a top-level one."""
    for name in re.findall(r"`([\w./*-]+)`", prose(page)):
        if name.endswith(".py") or (name.split("/")[0] in FOLDERS and "/" in name):
            yield name


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@each_page
def test_sources_that_are_named_are_there(page: Path) -> None:
    for name in named_paths(page):
        places = (ROOT / name, page.parent / name)
        is_there = any(place.exists() for place in places)
        assert is_there or ("/" not in name and name in NAMES), name


@each_page
def test_commands_of_this_repository_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    for module in re.findall(r"python -m ([\w.]+)", text):
        if module.split(".")[0] in FOLDERS:
            assert importlib.util.find_spec(module) is not None, module


def test_contributors_are_told_all_that_a_change_has_to_pass() -> None:
    passed = re.findall(r"^make .*$", (ROOT / ".ci" / "run").read_text(), flags=re.M)
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert passed
    assert [command for command in passed if f"`{command}`" not in page] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_page_of_a_package_is_one_screen_and_has_every_folder(package: str) -> None:
    page = (ROOT / package / "README.md").read_text(encoding="utf-8")
    assert len(page.splitlines()) <= ONE_SCREEN
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert {name for name in folders if f"`{name}/`" not in page} == set()


def test_the_first_page_is_read_in_ten_minutes() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= TEN_MINUTES


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.*")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()


def test_every_decision_is_listed_and_has_the_four_parts() -> None:
    index = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs/decisions").glob("*.md")):
        if page.name != "README.md":
            assert f"({page.name})" in index
            parts = re.findall(r"^\*\*(\w+)\b", page.read_text(encoding="utf-8"), flags=re.M)
            assert parts == ["Context", "Decision", "Tried", "Consequences"], page.name
