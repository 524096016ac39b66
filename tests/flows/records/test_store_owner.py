"""The store of a workspace, which no other workspace writes into."""

import pytest

from flows.records.store_owner import OWNER_FILE, claim_store
from tests.support.bucket import URI, memory_bucket
from transforms.contract.declaration.transform import StoreSpec
from transforms.contract.errors import BraidError
from transforms.contract.workspace.layout import Workspace


@pytest.mark.parametrize("store", ["folder", URI])
def test_a_store_belongs_to_the_workspace_that_wrote_first(tmp_path, store):
    path = store if "://" in store else str(tmp_path / store)
    first, second = (Workspace.declared(tmp_path / n, StoreSpec(path=path)) for n in "ab")
    with memory_bucket():
        claim_store(first)
        claim_store(first)
        with pytest.raises(BraidError, match=r"that of the workspace .*/a on .*another folder"):
            claim_store(second)
        (tmp_path / "a").rename(tmp_path / "moved")
        claim_store(Workspace.declared(tmp_path / "moved", StoreSpec(path=path)))


def test_a_bucket_that_refuses_to_be_written_is_one_sentence(tmp_path):
    with memory_bucket() as bucket:
        workspace = Workspace.declared(tmp_path, StoreSpec(path=URI))

        def refuse(path, metadata):
            raise OSError("PERMISSION_DENIED")

        bucket.open_output_stream = refuse
        with pytest.raises(
            BraidError, match=f"{OWNER_FILE}: .*PERMISSION_DENIED.*this user access"
        ):
            claim_store(workspace)


def test_without_a_store_nothing_is_noted(tmp_path):
    claim_store(Workspace(tmp_path / "w"))
    assert not (tmp_path / "w").exists()
