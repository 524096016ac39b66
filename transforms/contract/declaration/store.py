"""The store of shards, rejects, statistics and transforms as a user declares it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Tag

from transforms.contract.spec import Bytes, Named, RuleBroken, Spec

_SCHEMES = ("gs", "s3")


def _refuse_unknown_scheme(path: str) -> str:
    scheme, separator, rest = path.partition("://")
    if separator and (scheme not in _SCHEMES or not rest.strip("/")):
        raise RuleBroken(
            expected="a folder, gs://BUCKET/FOLDER or s3://BUCKET/FOLDER", received=repr(path)
        )
    return path


StorePath = Annotated[Named, AfterValidator(_refuse_unknown_scheme)]


class StoreSpec(Spec):
    """A store, and how much of a bucket is held on this machine.

    Attributes:
        path: A folder, or a URL such as "gs://bucket/braid" or "s3://bucket/braid". A relative path
            is taken from the folder of the declaration. Credentials are those of the environment.
        cache_bytes: Of a bucket, the size of the verified copies that the workspace keeps; what was
            read longest ago makes room. Files that are being read stay, so that it may be exceeded
            by some forty shards.
    """

    path: StorePath
    cache_bytes: Bytes = 20 * 1024**3


def _form_of(value: Any) -> str:
    return "path" if isinstance(value, str) else "keys"


Store = Annotated[
    Annotated[StorePath, Tag("path")] | Annotated[StoreSpec, Tag("keys")], Discriminator(_form_of)
]


def store_of(declared: str | StoreSpec) -> StoreSpec:
    """Returns a declared store with all its keys."""
    return StoreSpec(path=declared) if isinstance(declared, str) else declared
