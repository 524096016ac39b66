"""The history of a model's champions: who made which version the champion, when and why.

It lies in the registry, a tag of the registered model for every change, so that it goes along with
a workspace that is moved and every machine sees the same. A change is noted before the alias moves
and confirmed after, as MLflow has no transactions: of a process that was killed in between, the
alias itself tells how far it came.
"""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from transforms.contract.errors import BraidError
from transforms.contract.masking import masked

CHAMPION = "champion"
GATE_TAG = "braid.gate"
BY_TAG = "braid.by"
LONGEST_REASON = 500  # characters
_PREFIX = "braid.champion."
_LONGEST_GATE = 1000  # characters
# Whoever asks for an alias gets all tags of a model: some 60 kB. Older changes are let go of.
_MOST_CHANGES = 200

What = Literal["gate", "hand", "rollback"]


@dataclass(frozen=True)
class Cause:
    """The cause that makes a version the champion.

    Attributes:
        what: A run's gate that passed, somebody's wish, or somebody who goes back.
        reason: Why, in somebody's words; long ones are cut.
        instead_of: The only champion whose place the version may take; None is any.
    """

    what: What
    reason: str = ""
    instead_of: str | None = None


BY_HAND = Cause("hand")


class ChampionChange(BaseModel):
    """One change of the champion.

    Attributes:
        at: When it was begun, or once it is done when the alias moved, in UTC.
        what: What made it that, as `Cause` has it.
        version: The champion since.
        before: The champion until then, if there was one.
        by: Whose process it was, as user@machine.
        reason: Why, in the words of whoever did it.
        gate: What the gate had said of the version, if it was asked.
        state: "begun" until the alias has moved, "done" then; "cut short" if it never did.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: AwareDatetime
    what: What
    version: str
    before: str | None
    by: str
    reason: str = ""
    gate: str = ""
    state: Literal["begun", "done", "cut short"] = "begun"


@dataclass(frozen=True)
class Registration:
    """One version's way into the registry.

    Attributes:
        at: When, in UTC.
        version: Its number, as text.
        run_id: The run that made it.
        by: Whose process it was, as user@machine; "" in registries of older versions.
        gate: What the gate said of it last, if it was asked.
    """

    at: datetime
    version: str
    run_id: str
    by: str
    gate: str


@dataclass(frozen=True)
class History:
    """The past of a registered model's versions.

    Attributes:
        champion: The version with the alias, if there is one.
        registrations: Of the versions that are there, the oldest first.
        changes: Of the champion, the oldest first.
        unreadable: Tags that are no changes as Braid writes them.
    """

    champion: str | None = None
    registrations: tuple[Registration, ...] = ()
    changes: tuple[ChampionChange, ...] = ()
    unreadable: tuple[str, ...] = ()

    def former(self) -> str | None:
        """Returns the champion before this one; one that was gone back from is none."""
        champions: list[str] = []
        for change in self.changes:
            if change.state != "done":
                continue
            _put(champions, change.before)  # whatever made it the champion
            if change.what == "rollback":
                del champions[-1:]
            _put(champions, change.version)
        _put(champions, self.champion)
        return champions[-2] if len(champions) > 1 else None

    def tells_of_champion(self) -> bool:
        """Whether the last change is the one that made the champion what it is."""
        done = [change for change in self.changes if change.state == "done"]
        return (done[-1].version if done else None) == self.champion


def _put(champions: list[str], version: str | None) -> None:
    if version is not None and champions[-1:] != [version]:
        champions.append(version)


def this_person() -> str:
    """Returns whose process this is, as user@machine."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}"


def gate_sentence(text: str) -> str:
    """Returns what the gate said, no longer than a tag should be."""
    return text if len(text) <= _LONGEST_GATE else f"{text[: _LONGEST_GATE - 1]}…"


def read_history(client: Any, name: str, versions: Sequence[Any], run_tag: str) -> History:
    """Returns the history of a registered model.

    Args:
        client: MLflow's.
        name: The model's.
        versions: MLflow's entities of its versions.
        run_tag: The tag of a version that names its run.
    """
    model = client.get_registered_model(name)
    champion = _champion(model)
    noted, unreadable = _noted(model.tags)
    registrations = (
        Registration(
            at=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
            version=str(version.version),
            run_id=version.tags.get(run_tag, ""),
            by=version.tags.get(BY_TAG, ""),
            gate=version.tags.get(GATE_TAG, ""),
        )
        for version in sorted(versions, key=lambda version: int(version.version))
    )
    changes = tuple(_settled(change, champion) for change in noted.values())
    return History(champion, tuple(registrations), changes, unreadable)


def move_champion(client: Any, name: str, version: str, cause: Cause) -> ChampionChange | None:
    """Gives the alias `champion` to a version, and notes that.

    The caller keeps other processes of the workspace out. Those of other workspaces on the same
    server are not: whichever moves the alias last has it, and each has its entry.

    Args:
        client: MLflow's.
        name: The model's.
        version: The champion to be.
        cause: What makes it that.

    Returns:
        The change, or None if the version is the champion already.

    Raises:
        BraidError: Another version is the champion by now.
    """
    model = client.get_registered_model(name)
    champion = _champion(model)
    noted, _ = _noted(model.tags)
    for key, earlier in noted.items():
        if earlier.state == "begun":
            _note(client, name, key, _settled(earlier, champion))
    if champion == version:
        return None
    _refuse_moved(name, cause, champion)
    gate = client.get_model_version(name, version).tags.get(GATE_TAG, "")
    change = ChampionChange(
        at=datetime.now(UTC),
        what=cause.what,
        version=version,
        before=champion,
        by=this_person(),
        reason=masked(cause.reason)[:LONGEST_REASON],
        gate=gate,
    )
    key = f"{_PREFIX}{change.at:%Y%m%dT%H%M%S.%fZ}-{secrets.token_hex(3)}"
    _note(client, name, key, change)
    client.set_registered_model_alias(name, CHAMPION, version)
    # Now, as another workspace may have moved the alias since this was begun.
    done = change.model_copy(update={"state": "done", "at": datetime.now(UTC)})
    _note(client, name, key, done)
    for oldest in list(noted)[: max(0, len(noted) + 1 - _MOST_CHANGES)]:
        client.delete_registered_model_tag(name, oldest)
    return done


def _refuse_moved(name: str, cause: Cause, champion: str | None) -> None:
    if cause.instead_of not in (None, champion):
        raise BraidError(
            f"model '{name}'",
            expected=f"version {cause.instead_of} as the champion, as it was a moment ago",
            received=f"version {champion}",
            action="Somebody else has just moved it. Look at `braid history`, and decide again.",
        )


def _note(client: Any, name: str, key: str, change: ChampionChange) -> None:
    client.set_registered_model_tag(name, key, change.model_dump_json())


def _noted(tags: Mapping[str, str]) -> tuple[dict[str, ChampionChange], tuple[str, ...]]:
    """Returns the changes by their tags, the oldest first, and the tags that are none."""
    noted, unreadable = {}, []
    for key in sorted(key for key in tags if key.startswith(_PREFIX)):
        try:
            noted[key] = ChampionChange.model_validate_json(tags[key])
        except ValidationError:
            unreadable.append(key)
    return dict(sorted(noted.items(), key=lambda item: item[1].at)), tuple(unreadable)


def _settled(change: ChampionChange, champion: str | None) -> ChampionChange:
    """Returns a change whose process did not confirm it as what the alias shows it to be."""
    if change.state != "begun":
        return change
    state = "done" if change.version == champion else "cut short"
    return change.model_copy(update={"state": state})


def _champion(model: Any) -> str | None:
    version = model.aliases.get(CHAMPION)
    return None if version is None else str(version)
