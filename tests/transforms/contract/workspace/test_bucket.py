"""A bucket: objects that are there whole, asked for again where it does not answer."""

from pathlib import Path

import pytest

from tests.support.bucket import memory_bucket, place_in
from transforms.contract.workspace.bucket import StoreFailed
from transforms.contract.workspace.files import presence, remove, write_atomic

BUSY = OSError("AWS Error SLOW_DOWN: HTTP status 503")


@pytest.fixture
def bucket():
    with memory_bucket() as memory:
        yield memory


@pytest.fixture
def store(tmp_path):
    return place_in(tmp_path / "cache")


def test_what_is_written_is_there_by_its_name_until_it_is_removed(bucket, store):
    place = store / "shards" / "a.json"
    write_atomic(place, "{}")
    assert (place.read_bytes(), place.size(), place.name) == (b"{}", 2, "a.json")
    assert str(place) == "gs://bucket/braid/shards/a.json"
    assert [child.key for child in store.folders()] == ["shards"]
    assert (store / "shards").folders() == store.children() == []
    remove(store / "shards")
    assert place.size() is None
    assert bucket.objects == {}


def test_a_bucket_that_is_busy_now_and_then_is_asked_again(bucket, store):
    bucket.failures = [BUSY, BUSY]
    write_atomic(store / "a", "1")
    bucket.failures = [BUSY]
    assert (store / "a").read_bytes() == b"1"
    bucket.failures = [BUSY, BUSY, BUSY]
    assert (store / "a") in store.children()


def test_a_bucket_that_stays_busy_ends_in_a_sentence(bucket, store):
    bucket.failures = [BUSY] * 20
    with pytest.raises(StoreFailed, match=r"braid/a: expected a bucket .*SLOW_DOWN"):
        (store / "a").read_bytes()


def test_a_refusal_is_not_asked_again(bucket, store):
    bucket.failures = [OSError("AWS Error ACCESS_DENIED during PutObject operation")]
    with pytest.raises(StoreFailed, match=r"ACCESS_DENIED.*give this user access"):
        (store / "a").size()
    assert bucket.requests.total() == 1


def test_an_upload_that_breaks_off_is_done_again(bucket, store, tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_bytes(b"all of it")
    put, times = bucket.put, iter(range(10))
    monkeypatch.setattr(
        bucket, "put", lambda path, content: put(path, content[: 3 if next(times) == 0 else None])
    )
    (store / "a").upload(file)
    assert (store / "a").read_bytes() == b"all of it"


def test_an_upload_that_never_arrives_whole_leaves_nothing(bucket, store, monkeypatch):
    put = bucket.put
    monkeypatch.setattr(bucket, "put", lambda path, content: put(path, content[:3]))
    with pytest.raises(StoreFailed, match="3 bytes of 9 arrived"):
        write_atomic(store / "a", "all of it")
    assert bucket.objects == {}


def test_many_places_of_a_folder_are_looked_for_by_one_listing(bucket, store):
    for number in range(100):
        bucket.put(f"bucket/braid/level/{number}", b"")
    is_there = presence(store / "level" / str(number) for number in range(200))
    assert [is_there(store / "level" / str(n)) for n in (0, 99, 100)] == [True, True, False]
    assert bucket.requests == {"list": 1}


def test_a_scratch_file_goes_with_its_block(store):
    with store.bucket.scratch("a") as path:
        path.write_text("half")
    assert not list(Path(store.bucket.cache).rglob("*a"))
