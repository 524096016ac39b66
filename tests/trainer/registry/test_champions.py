from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from trainer.registry import champions as module
from trainer.registry.champions import BY_HAND, Cause, this_person
from trainer.registry.registry import ModelRegistry
from transforms.contract.errors import BraidError


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose model `m` has four versions and no champion."""
    folder = tmp_path_factory.mktemp("history")
    (folder / "export").mkdir()
    (folder / "export" / "saved_model.pb").write_text("graph")
    registry = ModelRegistry(folder / "workspace")
    for run in "abcd":
        registry.register("m", folder / "export", run_id=run, metrics={})
    return folder / "workspace"


@pytest.fixture
def registry(registered: Path, tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(shutil.copytree(registered, tmp_path / "workspace"))


def _told(registry: ModelRegistry) -> list[tuple[str, str, str | None, str]]:
    return [(c.what, c.version, c.before, c.state) for c in registry.history("m").changes]


def test_a_change_tells_who_when_why_and_what_the_gate_had_said(registry):
    registry.note_gate("m", "2", "refused: test_auc 0.4 is not at least 0.5.")
    registry.promote("m", "1", Cause("gate", "run r1"))
    registry.promote("m", "2", Cause("hand", "season opens; see sqlite://u:hidden1@h/db"))
    history = registry.history("m")
    first, second = history.changes
    assert (first.what, first.version, first.before, first.reason, first.gate) == (
        "gate", "1", None, "run r1", ""
    )  # fmt: skip
    assert (second.what, second.version, second.before) == ("hand", "2", "1")
    assert second.reason == "season opens; see sqlite://u:***@h/db"
    assert second.gate == "refused: test_auc 0.4 is not at least 0.5."
    assert first.by == second.by == this_person()
    assert first.at < second.at
    assert history.champion == "2"
    assert [(r.version, r.run_id) for r in history.registrations] == [
        ("1", "a"), ("2", "b"), ("3", "c"), ("4", "d")
    ]  # fmt: skip
    assert history.registrations[1].gate == second.gate


def test_the_champion_already_is_not_promoted_again(registry):
    assert registry.promote("m", "1").before is None
    assert registry.promote("m", "1") is None
    assert _told(registry) == [("hand", "1", None, "done")]


def test_the_history_moves_with_the_workspace(registry, tmp_path):
    registry.promote("m", "1")
    (tmp_path / "workspace").rename(tmp_path / "elsewhere")
    moved = ModelRegistry(tmp_path / "elsewhere")
    assert moved.history("m").champion == "1"
    assert _told(moved) == [("hand", "1", None, "done")]


def test_going_back_goes_one_champion_further_each_time(registry):
    for version in ("1", "2", "3"):
        registry.promote("m", version)
    for champion, former in (("3", "2"), ("2", "1")):
        assert registry.history("m").former() == former
        registry.promote("m", former, Cause("rollback", instead_of=champion))
    assert registry.history("m").former() is None
    registry.promote("m", "4")
    assert registry.history("m").former() == "1"


def test_a_champion_from_before_there_was_a_history_can_be_gone_back_to(registry):
    registry.models()
    registry._client().set_registered_model_alias("m", "champion", "2")
    assert not registry.history("m").tells_of_champion()
    assert registry.history("m").former() is None
    registry.promote("m", "3")
    assert registry.history("m").former() == "2"
    registry._client().set_registered_model_alias("m", "champion", "4")
    assert registry.history("m").former() == "3"


def test_going_back_is_refused_once_another_became_the_champion(registry):
    for version in ("1", "2", "3"):
        registry.promote("m", version)
    with pytest.raises(BraidError, match="expected version 2 as the champion"):
        registry.promote("m", "1", Cause("rollback", instead_of="2"))
    assert registry.history("m").champion == "3"
    assert len(_told(registry)) == 3


def test_an_unknown_version_leaves_no_word(registry):
    with pytest.raises(BraidError, match=r"registry\.db"):
        registry.promote("m", "9")
    assert _told(registry) == []


@pytest.mark.parametrize(
    ("call", "which", "champion", "states"),
    [
        ("set_registered_model_tag", 1, "1", []),
        ("set_registered_model_alias", 1, "1", ["cut short"]),
        ("set_registered_model_tag", 2, "2", ["done"]),
    ],
)
def test_a_kill_at_any_point_leaves_one_champion_and_a_true_history(
    registry, monkeypatch, call, which, champion, states
):
    registry.promote("m", "1")
    real, calls = getattr(registry._client(), call), []

    def kill(*arguments, **named):
        calls.append(arguments)
        if len(calls) == which:
            raise KeyboardInterrupt
        return real(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(registry._client(), call, kill)
        with pytest.raises(KeyboardInterrupt):
            registry.promote("m", "2")
    before = [("hand", "1", None, "done"), *(("hand", "2", "1", state) for state in states)]
    assert registry.history("m").champion == champion
    assert registry.history("m").tells_of_champion()
    assert _told(registry) == before
    # What was seen stays so, whatever becomes the champion later.
    registry.promote("m", "3")
    registry.promote("m", "2")
    assert _told(registry) == [
        *before, ("hand", "3", champion, "done"), ("hand", "2", "3", "done")
    ]  # fmt: skip


def test_two_promotions_at_once_leave_one_champion_and_both_entries(registry, tmp_path):
    registry.promote("m", "1")
    code = (
        "import sys; from pathlib import Path; from trainer.registry.registry import ModelRegistry;"
        f"ModelRegistry(Path({str(tmp_path / 'workspace')!r})).promote('m', sys.argv[1])"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, v]) for v in ("2", "3")]
    assert [process.wait() for process in processes] == [0, 0]
    first, second, third = registry.history("m").changes
    assert {second.version, third.version} == {"2", "3"}
    assert (first.before, second.before, third.before) == (None, "1", second.version)
    assert registry.history("m").champion == third.version


def test_two_workspaces_on_one_server_have_the_champion_that_came_last(tmp_path, monkeypatch):
    """Their locks do not know of each other: one promotes within the promotion of the other."""
    (tmp_path / "export").mkdir()
    uri = f"sqlite:///{tmp_path / 'server.db'}"
    one, two = (ModelRegistry(tmp_path / name, uri) for name in ("one", "two"))
    for run in "abc":
        one.register("m", tmp_path / "export", run_id=run, metrics={})
    one.promote("m", "1")
    move = one._client().set_registered_model_alias

    def late(*arguments):
        two.promote("m", "3")
        move(*arguments)

    monkeypatch.setattr(one._client(), "set_registered_model_alias", late)
    one.promote("m", "2")
    assert _told(two) == [
        ("hand", "1", None, "done"), ("hand", "3", "1", "done"), ("hand", "2", "1", "done")
    ]  # fmt: skip
    assert two.history("m").champion == "2"
    assert two.history("m").tells_of_champion()


def test_the_history_keeps_the_newest_changes_and_cuts_long_reasons(registry, monkeypatch):
    monkeypatch.setattr(module, "_MOST_CHANGES", 3)
    for version in ("1", "2", "3", "4", "1"):
        registry.promote("m", version, Cause("hand", "x" * 9999))
    assert [change.version for change in registry.history("m").changes] == ["3", "4", "1"]
    assert {len(change.reason) for change in registry.history("m").changes} == {500}
    assert registry.history("m").former() == "4"


def test_a_tag_that_is_no_change_is_told_and_in_nobodys_way(registry):
    registry.models()
    registry._client().set_registered_model_tag("m", "braid.champion.x", "by hand")
    registry.promote("m", "1", BY_HAND)
    assert registry.history("m").unreadable == ("braid.champion.x",)
    assert _told(registry) == [("hand", "1", None, "done")]
    assert registry.history("other") == module.History()
