"""A bucket in memory, as Arrow's file systems show one, which fails and tears on demand."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from obstore.store import MemoryStore

from transforms.contract.leases import versioned
from transforms.contract.workspace import bucket as module
from transforms.contract.workspace.bucket import Bucket, BucketPath

URI = "gs://bucket/braid"


class MemoryBucket(pafs.FileSystemHandler):
    """Objects by path, of which a listing tells a level at a time, without folders like Google's.

    Attributes:
        objects: Contents by path; an object is there once its stream is closed.
        requests: How often each kind of request was made.
        failures: What the next requests raise, in their order.
        torn: How many of the next objects that are read come with another end.
    """

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: Counter[str] = Counter()
        self.failures: list[Exception] = []
        self.torn = 0
        self._times: dict[str, int] = {}
        self._clock = itertools.count(1)

    def put(self, path: str, content: bytes) -> None:
        self.objects[path] = content
        self._times[path] = next(self._clock) * 10**9

    def _asked(self, kind: str) -> None:
        self.requests[kind] += 1
        if self.failures:
            raise self.failures.pop(0)

    def _info(self, path: str) -> pafs.FileInfo:
        if path in self.objects:
            size, time = len(self.objects[path]), self._times[path]
            return pafs.FileInfo(path, pafs.FileType.File, size=size, mtime_ns=time)
        is_folder = any(each.startswith(f"{path}/") for each in self.objects)
        kind = pafs.FileType.Directory if is_folder else pafs.FileType.NotFound
        return pafs.FileInfo(path, kind)

    def get_type_name(self):
        return "memory"

    def normalize_path(self, path):
        return path

    def get_file_info(self, paths):
        self._asked("look")
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector):
        self._asked("list")
        folder = selector.base_dir.rstrip("/") + "/"
        below = [path for path in self.objects if path.startswith(folder)]
        if not selector.recursive:
            below = [path for path in below if "/" not in path.removeprefix(folder)]
        return [self._info(path) for path in below]

    def open_input_file(self, path):
        self._asked("read")
        if path not in self.objects:
            raise FileNotFoundError(path)
        content = self.objects[path]
        if self.torn and content:
            self.torn -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        return pa.PythonFile(BytesIO(content), mode="r")

    def open_output_stream(self, path, metadata):
        self._asked("write")
        return pa.PythonFile(_Upload(self, path), mode="w")

    def copy_file(self, src, dest):
        self._asked("copy")
        self.put(dest, self.objects[src])

    def delete_file(self, path):
        self._asked("delete")
        del self.objects[path]

    def delete_dir(self, path):
        self._asked("delete")
        for each in [each for each in self.objects if each.startswith(f"{path}/")]:
            del self.objects[each]

    def _refuse(self, *_):
        raise NotImplementedError("no bucket can do this")

    create_dir = delete_dir_contents = delete_root_dir_contents = move = _refuse
    open_append_stream = open_input_stream = _refuse


class _Upload(BytesIO):
    def __init__(self, bucket: MemoryBucket, path: str) -> None:
        super().__init__()
        self._bucket, self._path = bucket, path

    def close(self) -> None:
        if not self.closed:
            self._bucket.put(self._path, self.getvalue())
        super().close()


@contextmanager
def memory_bucket() -> Iterator[MemoryBucket]:
    """Gives a bucket that every URI leads to while the block runs, and asks it again at once.

    What is written under a condition, leases, lies in a memory of its own.
    """
    handler, leases = MemoryBucket(), MemoryStore()
    filesystem = pafs.PyFileSystem(handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "open_bucket", lambda uri: (filesystem, uri.partition("://")[2]))
        patch.setattr(versioned, "open_client", lambda uri: (leases, uri.partition("://")[2]))
        patch.setattr(module, "_FIRST_WAIT", 0.001)
        patch.setattr(module, "_LAST_WAIT", 0.004)
        yield handler


def place_in(cache: Path, cache_bytes: int = 10**9) -> BucketPath:
    """Returns the place of a store, whose copies go into a folder."""
    return BucketPath(Bucket(URI, cache, cache_bytes))
