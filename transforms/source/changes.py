"""Source files that change while they are read: refused before anything of them is committed.

A rewritten file would give statistics of its old rows and shards of its new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pyarrow.fs as pafs

from transforms.contract.errors import BraidError
from transforms.contract.workspace.partition import SourceFile
from transforms.source.scan import open_filesystem


def refuse_changed(source: str, files: Iterable[SourceFile]) -> None:
    """Holds files against what they were when the source was scanned: their size and their time.

    Args:
        source: The path or URI that says on which file system they are.
        files: As they were.

    Raises:
        BraidError: One was written anew, or is gone.
    """
    filesystem, _ = open_filesystem(source)
    known = {file.path: file for file in files}
    for info in filesystem.get_file_info(list(known)):
        file = known[info.path]
        now = SourceFile(path=info.path, size=info.size or 0, modified_ns=info.mtime_ns or 0)
        if info.type != pafs.FileType.File or now != file:
            raise BraidError(
                info.path,
                expected=f"the file as it was when the run looked for files: {_in_words(file)}",
                received=_in_words(now) if info.type == pafs.FileType.File else "no file",
                action="Run again, once nobody writes it: nothing of it was committed. Write new "
                "rows into new files, or rename a whole file into the place of another.",
            )


@contextmanager
def unchanged(source: str, files: Iterable[SourceFile]) -> Iterator[None]:
    """Refuses files that changed while the block read them, also if it failed for that.

    Raises:
        BraidError: As of `refuse_changed`.
    """
    files = tuple(files)
    try:
        yield
    except Exception:
        refuse_changed(source, files)
        raise
    refuse_changed(source, files)


def _in_words(file: SourceFile) -> str:
    moment = datetime.fromtimestamp(file.modified_ns / 1e9, UTC)
    return f"{file.size:,} bytes of {moment:%Y-%m-%d %H:%M:%S.%f} UTC"
