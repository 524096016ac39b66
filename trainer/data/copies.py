"""Copies of a bucket's shards, made just before they are read, and those of the next ones ahead."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf

from trainer.data.shards import ShardFile
from transforms.contract.errors import BraidError

_AT_ONCE = 4  # downloads; of files of 128 MiB they fill most networks
_AHEAD = 4  # files that are there before they are asked for


class Copies:
    """Makes shards readable by their paths; those that lie on a disk are.

    Args:
        files: The shards.
        more_to_come: Whether `add` tells of others later.
    """

    def __init__(self, files: Iterable[ShardFile] = (), *, more_to_come: bool = False) -> None:
        self._files: dict[bytes, ShardFile] = {}
        self.add(files)
        self._has_copies = more_to_come or any(f.stored for f in self._files.values())

    def add(self, files: Iterable[ShardFile]) -> None:
        """Takes shards that arrive."""
        self._files |= {str(file.path).encode(): file for file in files}

    def ahead_of(self, paths: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the same paths, string [], each once there is a file, in the same order."""
        if not self._has_copies:
            return paths
        copied = paths.map(
            lambda path: tf.ensure_shape(tf.numpy_function(self._fetch, [path], tf.string), []),
            num_parallel_calls=_AT_ONCE,
            deterministic=True,
        )
        return copied.prefetch(_AHEAD)

    def _fetch(self, path: bytes) -> bytes:
        try:
            return str(self._files[path].fetch()).encode()
        except BraidError as error:
            self._files[path].fail(error)  # TensorFlow keeps nothing of it but its text
            raise
