"""The records of a folder of predictions, on this machine and as they are written in a bucket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from flows.prediction.folder_files import FolderFiles
from flows.prediction.prediction_folder import (
    Owner,
    PartitionRecords,
    PredictionFolder,
    UnitReceipt,
)
from flows.prediction.score_job import Scoring
from transforms.contract.errors import DeclarationError
from transforms.contract.workspace.partition import Partition

FLATS = Owner(pipeline="flats", model="flats", partition_by='{"partition_by":"day"}')
FIRST = Scoring(model="flats", version="1", declaration="d")
SECOND = Scoring(model="flats", version="2", declaration="e")
MONDAY = Partition(name="day=1", value="1", fingerprint="f", files=())
TUESDAY = Partition(name="day=2", value="2", fingerprint="g", files=())

Open = Callable[[], PredictionFolder]


@pytest.fixture(params=["local", "a bucket's way"])
def folder(request, tmp_path: Path) -> PredictionFolder:
    """A folder that is not there yet; the other file system is one that has no name "local"."""
    local = pafs.LocalFileSystem()
    if request.param == "local":
        files = FolderFiles(local, str(tmp_path / "scores"))
    else:
        files = FolderFiles(pafs.SubTreeFileSystem(str(tmp_path), local), "scores")
    return PredictionFolder(files, "scores")


def write(records: PartitionRecords, unit: int, *keys: str) -> UnitReceipt:
    """Writes a unit's part and its receipt."""
    with records.new_part(unit) as (part, stream):
        pq.write_table(pa.table({"id": list(keys)}), stream)
        size = stream.tell()
    receipt = UnitReceipt(
        scoring=FIRST, part=part, bytes=size, rows=len(keys), scored=1, reasons={"x: missing": 1}
    )
    records.write_receipt(unit, receipt)
    return receipt


def keys_in(tmp_path: Path) -> list[str]:
    """Returns what Arrow reads of the folder, whatever Braid keeps beside it."""
    return sorted(
        pads.dataset(tmp_path / "scores", partitioning="hive").to_table()["id"].to_pylist()
    )


def test_nothing_is_read_of_a_partition_until_all_of_its_units_are_done(folder, tmp_path):
    records = folder.records(MONDAY, FIRST)
    receipts = [write(records, unit, f"k{unit}") for unit in (0, 1)]
    assert list(tmp_path.rglob("*.parquet")) == []
    assert folder.undone([MONDAY, TUESDAY], FIRST) == [MONDAY, TUESDAY]
    done = records.commit(receipts)
    assert (done.rows, done.scored, done.reasons, done.parts) == (2, 2, {"x: missing": 2}, 2)
    assert folder.undone([MONDAY, TUESDAY], FIRST) == [TUESDAY]
    assert keys_in(tmp_path) == ["k0", "k1"]


def test_another_version_and_other_files_are_other_predictions(folder):
    records = folder.records(MONDAY, FIRST)
    records.commit([write(records, 0, "k")])
    changed = MONDAY.model_copy(update={"fingerprint": "h"})
    kept = FIRST.model_copy(update={"keep_invalid": True})
    assert folder.undone([MONDAY], FIRST) == []
    assert folder.undone([changed], FIRST) == [changed]
    assert folder.undone([MONDAY], SECOND) == folder.undone([MONDAY], kept) == [MONDAY]


def test_new_predictions_take_the_place_of_the_former_ones_of_their_partition(folder, tmp_path):
    for partition, key in ((MONDAY, "monday"), (TUESDAY, "tuesday")):
        records = folder.records(partition, FIRST)
        records.commit([write(records, 0, key)])
    own = tmp_path / "scores" / "day=1" / "_notes.txt"
    own.write_text("a user's own")
    records = folder.records(MONDAY, SECOND)
    receipt = write(records, 0, "monday again")
    assert keys_in(tmp_path) == ["monday", "tuesday"]
    records.commit([receipt])
    assert keys_in(tmp_path) == ["monday again", "tuesday"]
    assert own.exists()
    assert folder.undone([MONDAY], FIRST) == [MONDAY]
    assert folder.undone([MONDAY], SECOND) == []


@pytest.mark.parametrize("last", ["remove", "move", "write"])
def test_a_commit_that_is_killed_is_done_by_the_next(folder, tmp_path, monkeypatch, last):
    former = folder.records(MONDAY, FIRST)
    former.commit([write(former, 0, "former")])
    records = folder.records(MONDAY, SECOND)
    receipts = [write(records, unit, f"k{unit}") for unit in (0, 1)]

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(FolderFiles, last, killed)
        with pytest.raises(KeyboardInterrupt):
            records.commit(receipts)
    assert folder.undone([MONDAY], FIRST) == folder.undone([MONDAY], SECOND) == [MONDAY]
    again = [records.receipt(0), records.receipt(1)]
    assert again == receipts
    records.commit(again)
    assert keys_in(tmp_path) == ["k0", "k1"]


def test_a_receipt_without_its_part_counts_for_nothing(folder, tmp_path):
    records = folder.records(MONDAY, FIRST)
    receipt = write(records, 0, "k")
    assert records.receipt(0) == receipt
    (part,) = tmp_path.rglob(receipt.part)
    part.write_bytes(b"torn")
    assert records.receipt(0) is None


def test_an_attempt_that_fails_leaves_no_part(folder, tmp_path):
    records = folder.records(MONDAY, FIRST)
    with pytest.raises(TypeError), records.new_part(0) as (_, stream):
        stream.write(b"begun" + None)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_resumed_partition_is_cut_as_it_was(folder):
    assert folder.records(MONDAY, FIRST).planned(4) == 4
    assert folder.records(MONDAY, FIRST).planned(1) == 4
    assert folder.records(MONDAY, SECOND).planned(1) == 1


def test_a_folder_belongs_to_one_model_and_one_way_to_partition(folder):
    folder.claim(FLATS)
    folder.claim(FLATS)
    for other in ({"model": "houses"}, {"pipeline": "houses"}, {"partition_by": ""}):
        with pytest.raises(DeclarationError, match="received predictions of model 'flats'"):
            folder.claim(FLATS.model_copy(update=other))


def test_a_folder_with_other_files_is_refused(folder, tmp_path):
    (tmp_path / "scores" / "below").mkdir(parents=True)
    (tmp_path / "scores" / "below" / "other.parquet").write_bytes(b"")
    with pytest.raises(DeclarationError, match=r"--output scores: .*received other files"):
        folder.claim(FLATS)


def test_a_file_is_no_folder(folder, tmp_path):
    (tmp_path / "scores").write_bytes(b"rows")
    with pytest.raises(DeclarationError, match="received other files"):
        folder.claim(FLATS)
    assert (tmp_path / "scores").read_bytes() == b"rows"


def test_a_url_of_no_file_system_is_named():
    with pytest.raises(DeclarationError, match=r"--output ftp://host/scores: expected a folder"):
        PredictionFolder.open("ftp://host/scores")
