"""Copies of a bucket's objects: verified, bounded, and of the newest content."""

import pytest

from tests.support.bucket import memory_bucket, place_in
from transforms.contract.fingerprint import new_checksum
from transforms.contract.workspace import cache as module
from transforms.contract.workspace.cache import Cache, local_copies, upload_folder
from transforms.contract.workspace.documents import DamagedFile


@pytest.fixture
def bucket():
    with memory_bucket() as memory:
        yield memory


@pytest.fixture
def store(tmp_path):
    return place_in(tmp_path / "cache", cache_bytes=25)


def content_of(data: bytes) -> str:
    digest = new_checksum()
    digest.update(data)
    return digest.hexdigest()


def test_a_torn_download_is_done_again_and_a_copy_is_not(bucket, store):
    place, data = store / "a.tfrecord", b"records"
    place.write_bytes(data)
    bucket.torn = 2
    cache = Cache(store.bucket)
    path = cache.fetch(place, len(data), content_of(data))
    assert (path.read_bytes(), bucket.requests["read"]) == (data, 3)
    assert cache.fetch(place, len(data), content_of(data)) == path
    assert bucket.requests["read"] == 3


def test_an_object_of_another_content_is_an_error_that_names_it(bucket, store):
    place = store / "a.tfrecord"
    place.write_bytes(b"other")
    with pytest.raises(DamagedFile, match=r"braid/a.tfrecord.*another content, 3 times.*--repair"):
        Cache(store.bucket).fetch(place, 7, content_of(b"records"))
    with pytest.raises(DamagedFile, match="no such object"):
        Cache(store.bucket).fetch(store / "b.tfrecord", 7, content_of(b"records"))


def test_copies_stay_within_their_bound_and_those_about_to_be_read_stay(bucket, store, monkeypatch):
    monkeypatch.setattr(module, "_HELD", 1)
    cache, contents = Cache(store.bucket), [bytes([65 + n]) * 10 for n in range(3)]
    paths = []
    for number, data in enumerate(contents):
        place = store / f"{number}.tfrecord"
        place.write_bytes(data)
        paths.append(cache.fetch(place, 10, content_of(data)))
    assert [path.exists() for path in paths] == [False, True, True]
    assert cache.fetch(store / "0.tfrecord", 10, content_of(contents[0])).exists()


def test_what_is_held_stays_even_beyond_the_bound(bucket, store):
    cache = Cache(store.bucket)
    for number in range(4):
        data = bytes([65 + number]) * 10
        (store / f"{number}.tfrecord").write_bytes(data)
        cache.fetch(store / f"{number}.tfrecord", 10, content_of(data))
    assert sum(path.stat().st_size for path in (store.bucket.cache / "files").iterdir()) == 40


def test_a_document_is_copied_once_and_again_when_it_was_written_anew(bucket, store):
    place = store / "manifests" / "a.json"
    place.write_bytes(b"1")
    copies = [local_copies([place, store / "manifests" / "none.json"]) for _ in range(2)]
    assert [list(each) for each in copies] == [[place], [place]]
    assert (copies[1][place].read_bytes(), bucket.requests["read"]) == (b"1", 1)
    place.write_bytes(b"2")
    assert local_copies([place])[place].read_bytes() == b"2"


def write(folder, **files):
    for name, content in files.items():
        path = folder / "graph" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "last.json").write_text("{}")
    return folder


def test_a_folder_is_that_of_one_attempt_whatever_another_wrote_beside_it(bucket, store, tmp_path):
    place = store / "transforms" / "t"
    upload_folder(write(tmp_path / "first", a="1", b="same"), place, last="last.json")
    bucket.failures = [OSError("PERMISSION_DENIED")]
    with pytest.raises(Exception, match="PERMISSION_DENIED"):
        upload_folder(write(tmp_path / "second", a="2", b="same"), place, last="last.json")
    folder = Cache(store.bucket).folder(place)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {"graph/a", "graph/b", "last.json"}
    assert (folder / "graph" / "a").read_text() == "1"


def test_a_folder_whose_upload_was_cut_is_not_committed(bucket, store, tmp_path, monkeypatch):
    place, put = store / "transforms" / "t", bucket.put

    def killed(path, content):
        if path.endswith("contents.json"):
            raise KeyboardInterrupt
        put(path, content)

    monkeypatch.setattr(bucket, "put", killed)
    with pytest.raises(BaseException):  # noqa: B017, PT011
        upload_folder(write(tmp_path / "first", a="1"), place, last="last.json")
    assert not (place / "last.json").exists()
