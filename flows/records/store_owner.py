"""The workspaces of a store: what each is called, and whose a store on a disk is."""

from __future__ import annotations

import uuid
from pathlib import Path

from transforms.contract.errors import BraidError
from transforms.contract.spec import Spec
from transforms.contract.workspace.documents import BRING_BACK, read_json
from transforms.contract.workspace.files import write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import this_machine

OWNER_FILE = "braid-store.json"  # of a workspace with a store, and of a store on a disk


class StoreOwner(Spec):
    """A workspace, as stores know it.

    Attributes:
        workspace: A name that no other workspace has; a copy has the same.
        place: Its machine and folder as they were, for people.
    """

    workspace: str
    place: str


def own_name(workspace: Workspace) -> StoreOwner:
    """Returns how a store knows a workspace, which is given a name the first time."""
    file = workspace.root / OWNER_FILE
    own = _read(file)
    if own is None:
        place = f"{workspace.root} on {this_machine()}"
        own = StoreOwner(workspace=uuid.uuid4().hex, place=place)
        write_atomic(file, own.model_dump_json())
    return own


def claim_folder(workspace: Workspace, store: Path) -> None:
    """Notes in a store on a disk that it belongs to a workspace, before something is written there.

    No lock keeps two workspaces from removing each other's shards there.

    Raises:
        BraidError: It belongs to another one, or cannot be written.
    """
    own, mark = own_name(workspace), store / OWNER_FILE
    owner = _read(mark)
    if owner is None:
        write_atomic(mark, own.model_dump_json())
        owner = _read(mark) or own
    if owner.workspace != own.workspace:
        raise BraidError(
            f"store {store}",
            expected="one that no other workspace writes into",
            received=f"that of the workspace {owner.place}",
            action="Give `store` another folder. If that workspace is gone for good, remove "
            f"{mark}: the next run takes over what is there.",
        )


def _read(file: Path) -> StoreOwner | None:
    return read_json(file, StoreOwner, action=BRING_BACK) if file.exists() else None
