"""An S3 of moto's on loopback, as a process of its own, with one bucket."""

from __future__ import annotations

import importlib.util
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from tests.support.command import until

HAS_MOTO = importlib.util.find_spec("moto") is not None
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "word",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3(folder: Path) -> Iterator[str]:
    """Yields the options by which a URL of the bucket `bucket` reaches it.

    Args:
        folder: Where its log goes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        try:
            until(lambda: _listens(port))
            options = f"scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"
            filesystem, path = pafs.FileSystem.from_uri(
                f"s3://bucket?allow_bucket_creation=true&{options}"
            )
            filesystem.create_dir(path)
            yield options
        finally:
            server.kill()
            server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def objects(uri: str) -> dict[str, bytes]:
    """Returns the content of every object below a URI, by its path from there."""
    filesystem, root = pafs.FileSystem.from_uri(uri)
    below = pafs.FileSelector(root, recursive=True, allow_not_found=True)
    contents = {}
    for info in filesystem.get_file_info(below):
        if info.is_file:
            with filesystem.open_input_file(info.path) as file:
                contents[info.path.removeprefix(f"{root}/")] = file.read()
    return contents
