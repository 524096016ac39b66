"""Defects of a workspace's files, and whether a run makes such a file again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from transforms.contract.errors import BraidError
from transforms.contract.workspace.files import Place

_P = TypeVar("_P", bound=Place)

REMADE = "A run makes it again: `--repair` removes it."


@dataclass(frozen=True)
class Defect:
    """Something that is not as it was written.

    Attributes:
        path: The file or folder.
        what: What is wrong, in a few words.
        action: What to do.
        removes: What a repair removes, in this order, as a run makes it again. Nothing of what no
            run makes again, such as a model or a record.
    """

    path: Place
    what: str
    action: str
    removes: tuple[Place, ...] = ()

    def told(self) -> dict[str, str | list[str]]:
        """Returns it as `--json` prints it."""
        removes = list(map(str, self.removes))
        return {
            "path": str(self.path),
            "what": self.what,
            "action": self.action,
            "removes": removes,
        }


def defect_of(
    path: Place,
    read: Callable[[_P], object],
    place: _P,
    *,
    action: str = REMADE,
    removes: tuple[Place, ...] = (),
) -> list[Defect]:
    """Returns what is wrong with a file, as its reader tells it: one item, or none.

    Args:
        path: The file.
        read: Reads it, and raises a `BraidError` or an `OSError` if it cannot.
        place: What that is given: the file, or its folder.
        action: What to do if it cannot be read.
        removes: What a repair removes then.
    """
    try:
        read(place)
    except BraidError as error:
        return [Defect(path, error.received, action, removes)]
    except OSError as error:
        what = error.strerror or str(error)
        return [Defect(path, what, action, removes)]
    return []
