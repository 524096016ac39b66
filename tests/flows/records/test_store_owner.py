"""The store of a workspace on a disk, which no other workspace writes into."""

import pytest

from flows.records.store_owner import claim_folder, own_name
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace


def test_a_store_on_a_disk_belongs_to_the_workspace_that_wrote_first(tmp_path):
    store = tmp_path / "store"
    first, second = Workspace(tmp_path / "a", store), Workspace(tmp_path / "b", store)
    claim_folder(first, store)
    claim_folder(first, store)
    with pytest.raises(BraidError, match=r"that of the workspace .*/a on .*another folder"):
        claim_folder(second, store)
    (tmp_path / "a").rename(tmp_path / "moved")
    claim_folder(Workspace(tmp_path / "moved", store), store)


def test_a_workspace_keeps_its_name(tmp_path):
    first, second = Workspace(tmp_path / "a"), Workspace(tmp_path / "b")
    assert own_name(first) == own_name(first)
    assert own_name(first).workspace != own_name(second).workspace
