"""An S3 on loopback, moto's, which does one thing at a time and answers 503 on demand."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

import pyarrow.fs as pafs
import pytest

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "word",
    "AWS_EC2_METADATA_DISABLED": "true",
}
needs_moto = pytest.mark.skipif(
    importlib.util.find_spec("moto") is None, reason="moto is not installed; the lock has it"
)


class S3:
    """A server with one bucket, of the name "bucket".

    Attributes:
        options: The options by which a URL reaches it.
        requests: How many it was asked.
        busy_every: Every how many-th request is answered by 503; 0 is none.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_request(self, *_: object) -> None:
                pass

        self.requests = 0
        self.busy_every = 0
        self._app = DomainDispatcherApplication(create_backend_app)
        # moto looks at a condition and writes in two steps, in a thread a request.
        self._lock = threading.Lock()
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=Handler
        )
        address = f"127.0.0.1:{self._server.port}"
        self.options = f"scheme=http&endpoint_override={address}&region=us-east-1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        # All servers of a process have one memory.
        urlopen(Request(f"http://{address}/moto-api/reset", method="POST")).close()

    def url(self, path: str) -> str:
        """Returns the URL of a path in the bucket."""
        return f"s3://bucket/{path}?{self.options}"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()

    def _answer(self, environ, start_response):
        with self._lock:
            self.requests += 1
            if self.busy_every and self.requests % self.busy_every == 0:
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start_response("503 Slow Down", [("Content-Length", "0")])
                return [b""]
            return list(self._app(environ, start_response))


@contextmanager
def s3_server() -> Iterator[S3]:
    """Starts an S3 for the block, with credentials in the environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server = S3()
        try:
            filesystem, path = pafs.FileSystem.from_uri(
                f"s3://bucket?allow_bucket_creation=true&{server.options}"
            )
            filesystem.create_dir(path)
            yield server
        finally:
            server.close()


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
