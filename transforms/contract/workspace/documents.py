"""Reading the files that Braid wrote: whole ones, or an error that names the file and what to do.

They are renamed into place whole, so that a wrong one was cut by a disk, a copy or a hand. None of
them is a pickle, which would run what others have put into it.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from transforms.contract.errors import BraidError
from transforms.contract.workspace.files import Place, size_of

_M = TypeVar("_M", bound=BaseModel)
_T = TypeVar("_T")

CHECK = "Run `braid check --repair`, which removes what a run makes again, then run again."
BRING_BACK = "Bring it back from a copy, or move it away: Braid then goes on without it."
RETRAIN = "Bring it back from a copy, or run with --retrain, which trains a new model."
# What readers of JSON, NumPy and Arrow raise for content that is not theirs.
_WRONG_CONTENT = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    EOFError,
    RecursionError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
_LONGEST = 200  # characters of what a reader says


class DamagedFile(BraidError):  # noqa: N818 - it names what is there
    """A file that Braid wrote is not as it was written."""


@contextmanager
def reading(
    path: Place, *, action: str = CHECK, also: tuple[type[Exception], ...] = ()
) -> Iterator[None]:
    """Turns what a reader says of wrong content into an error that names the file.

    Args:
        path: The file that the block reads.
        action: What to do about it.
        also: What else the reader raises for content that is not its own.

    Raises:
        DamagedFile: The content is not what was written there.
    """
    wrong: tuple[type[Exception], ...] = (*_WRONG_CONTENT, *also, OSError)
    try:
        yield
    except wrong as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system could not read it; without a number it is a library's word
        said = " ".join(str(error).split()) or type(error).__name__
        is_empty = size_of(path) == 0
        raise DamagedFile(
            str(path),
            expected="the file as Braid wrote it",
            received="an empty file" if is_empty else said[:_LONGEST],
            action=action,
        ) from None


def read_json(path: Place, model: type[_M], *, action: str = CHECK) -> _M:
    """Returns what a JSON file holds.

    Args:
        path: The file.
        model: Of what type its content is.
        action: What to do if it is not.

    Raises:
        DamagedFile: It is cut, empty, or of another content.
    """
    with reading(path, action=action):
        return model.model_validate_json(path.read_bytes())


def read_value(path: Place, type_: TypeAdapter[_T], *, action: str = CHECK) -> _T:
    """Returns the value that a JSON file holds, as `read_json` does."""
    with reading(path, action=action):
        return type_.validate_json(path.read_bytes())


def read_object(path: Place, *names: str, action: str = CHECK) -> dict[str, Any]:
    """Returns the object that a JSON file holds, which has some names in any case.

    Raises:
        DamagedFile: It is cut, empty, no object, or lacks a name.
    """
    with reading(path, action=action):
        document = json.loads(path.read_bytes())
        missing = [name for name in names if name not in document]
        if missing or not isinstance(document, dict):
            raise ValueError(f"no {', '.join(missing) or 'object'} in it")
        return document
