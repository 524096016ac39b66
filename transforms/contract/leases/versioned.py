"""Objects of a bucket that are written under a condition on what is there.

Arrow's file systems have no such write. It is the same bucket by obstore, from the same URI; its
client is loaded where a bucket is worked in, so that what only reads needs none.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from transforms.contract.workspace.bucket import Bucket, BucketPath, asked, failed, open_bucket

_T = TypeVar("_T")

# A renewal has to get through several times a term; what is not answered is asked again by `asked`.
_TIMEOUT = timedelta(seconds=10)
_RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}


@dataclass(frozen=True)
class Versioned:
    """An object as it was read or written.

    Attributes:
        content: Its bytes.
        version: What names this version of it: an ETag, a generation, or both.
    """

    content: bytes
    version: tuple[tuple[str, str], ...]


def read_versioned(place: BucketPath) -> Versioned | None:
    """Returns an object with its version; None if there is none.

    Raises:
        StoreFailed: The bucket does not answer, or refuses.
    """

    def read(client: Any, path: str) -> Versioned | None:
        import obstore

        try:
            there = obstore.get(client, path)
        except FileNotFoundError:
            return None
        return Versioned(bytes(there.bytes()), _version(there.meta))

    return _ask(place, read)


def write_versioned(
    place: BucketPath, content: bytes, *, over: Versioned | None
) -> Versioned | None:
    """Writes an object if that is there which the writer has seen.

    Args:
        place: The object.
        content: No two writers write the same: where an answer was lost, the content tells whose
            write it was.
        over: The version that it replaces; None if there is no object.

    Returns:
        What is there by now; None if something else was there, or the answer was lost.

    Raises:
        StoreFailed: The bucket does not answer, or refuses.
    """

    def write(client: Any, path: str) -> Versioned | None:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        mode: Any = "create" if over is None else dict(over.version)
        try:
            written = obstore.put(client, path, content, mode=mode)
        except (AlreadyExistsError, PreconditionError):
            return None
        except FileNotFoundError as error:  # the bucket, or the object that was to be replaced
            if over is None:
                raise failed(str(place), _said(error)) from None
            return None
        return Versioned(content, _version(written))

    return _ask(place, write)


@cache
def refuse_unconditional(bucket: Bucket) -> None:
    """Refuses a service that writes whatever the condition is: there all would hold a lease.

    Raises:
        StoreFailed: It is one, does not answer, or refuses.
    """
    place = BucketPath(bucket, "leases/condition.json")
    for _ in range(2):  # if the first one is written, the second one is none on the condition
        if write_versioned(place, b"{}", over=None) is None:
            return
    raise failed(str(place), "an object that was written although there was one")


def _version(result: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, result[name]) for name in ("e_tag", "version") if result[name] is not None)


def _ask(place: BucketPath, question: Callable[[Any, str], _T]) -> _T:
    client, root = open_client(place.bucket.uri)
    from obstore.exceptions import BaseError  # which is installed by now

    path = f"{root}/{place.key}".lstrip("/")

    def ask() -> _T:
        try:
            return question(client, path)
        except BaseError as error:
            raise OSError(_said(error)) from None

    return asked(str(place), ask)


def _said(error: Exception) -> str:
    return str(error).partition("Debug source")[0]


@cache
def open_client(uri: str) -> tuple[Any, str]:
    """Returns obstore's client of a URI's bucket, and the path in it.

    Args:
        uri: With the options of Arrow's file systems after "?", and Arrow's credentials: those of
            the environment.

    Raises:
        StoreFailed: obstore is not installed, or cannot be configured so.
    """
    try:
        from obstore.exceptions import BaseError
        from obstore.store import GCSStore, S3Store
    except ImportError as error:
        raise failed(uri.partition("?")[0], str(error)) from None
    try:
        filesystem, root = open_bucket(uri)
        bucket, _, path = root.partition("/")
        url = urlsplit(uri)
        options = dict(parse_qsl(url.query))
        endpoint = options.get("endpoint_override")
        address = f"{options.get('scheme', 'https')}://{endpoint}" if endpoint else None
        limits: Any = {"client_options": _client_options(options), "retry_config": _RETRIES}
        client: Any
        if url.scheme == "s3":
            # Where none is declared, Arrow's client has asked for the bucket's region.
            region = options.get("region") or filesystem.region
            client = S3Store(bucket, config=_s3_config(region, address), **limits)
        else:
            anonymous = url.username == "anonymous"
            client = GCSStore(bucket, config=_gcs_config(address, anonymous), **limits)
    except (BaseError, OSError, ValueError) as error:
        raise failed(uri.partition("?")[0], " ".join(_said(error).split())) from None
    return client, path


def _client_options(options: Mapping[str, str]) -> dict[str, Any]:
    # Without TLS only where an address without it is declared.
    client: dict[str, Any] = {"allow_http": True, "timeout": _TIMEOUT}
    if "tls_ca_file_path" in options:
        client["root_certificate"] = Path(options["tls_ca_file_path"]).read_bytes()
    if options.get("tls_verify_certificates") in ("false", "0"):
        client["allow_invalid_certificates"] = True
    return client


def _s3_config(region: str, address: str | None) -> Any:
    config = {"region": region}
    if address is not None:
        config["endpoint"] = address
    return config | _keys_of_profile()


def _keys_of_profile() -> dict[str, str]:
    """Returns the keys of Amazon's file of credentials, which obstore does not look for.

    The environment has its own, if it names any, which come first.
    """
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    default = Path.home() / ".aws" / "credentials"
    file = configparser.ConfigParser(interpolation=None)
    file.read(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", default))
    profile = os.environ.get("AWS_PROFILE", "default")
    keys = dict(file[profile]) if file.has_section(profile) else {}
    names = ("access_key_id", "secret_access_key", "session_token")
    return {name: keys[f"aws_{name}"] for name in names if f"aws_{name}" in keys}


def _gcs_config(address: str | None, anonymous: bool) -> Any:
    config = {} if address is None else {"base_url": address}
    if anonymous:  # of a writer it asks for a token all the same, and an emulator takes any
        config["bearer_token"] = "anonymous"
    return config
