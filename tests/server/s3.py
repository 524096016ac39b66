"""An S3 on loopback, moto's, with one bucket."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.fs as pafs

from tests.support.command import until

# Of every process that asks it: any key will do.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "word",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3_server(log: Path) -> Iterator[str]:
    """Starts it for the block; gives the options by which a URL of "s3://bucket" reaches it.

    This process has to have the credentials in its environment.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
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
