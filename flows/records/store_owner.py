"""The store of a pipeline's shards, and the workspace that it belongs to."""

from __future__ import annotations

import uuid
from pathlib import Path

from transforms.contract.declaration.pipeline import PipelineSpec
from transforms.contract.errors import BraidError
from transforms.contract.spec import Spec
from transforms.contract.workspace.documents import BRING_BACK, read_json
from transforms.contract.workspace.files import Place, write_atomic
from transforms.contract.workspace.layout import Workspace
from transforms.contract.workspace.locks import this_machine

OWNER_FILE = "braid-store.json"  # of a store, and of the workspace that it belongs to


class StoreOwner(Spec):
    """The workspace that a store belongs to: no lock keeps two from removing each other's shards.

    Attributes:
        workspace: A name that no other workspace has; a copy has the same.
        place: Its machine and folder as they were, for people.
    """

    workspace: str
    place: str


def open_store(pipeline: PipelineSpec, root: Path) -> Workspace:
    """Returns a workspace with its declared store, which belongs to it from now on.

    Raises:
        BraidError: It belongs to another one, or cannot be written.
    """
    workspace = Workspace.declared(root, pipeline.declared_store())
    claim_store(workspace)
    return workspace


def claim_store(workspace: Workspace) -> None:
    """Notes in a store that it belongs to a workspace, before something is written there.

    Raises:
        BraidError: It belongs to another one, or cannot be written.
    """
    root, store = workspace.root, workspace.store
    if store is None:
        return
    own = _read(root / OWNER_FILE)
    if own is None:
        own = StoreOwner(workspace=uuid.uuid4().hex, place=f"{root} on {this_machine()}")
        write_atomic(root / OWNER_FILE, own.model_dump_json())
    mark = store / OWNER_FILE
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


def _read(place: Place) -> StoreOwner | None:
    return read_json(place, StoreOwner, action=BRING_BACK) if place.exists() else None
