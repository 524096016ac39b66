"""The check of a SavedModel, as far as it can be made without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from flows.checks.defects import Defect
from transforms.contract.workspace.documents import reading
from transforms.contract.workspace.manifest import StoredFeature

GRAPH_FILE = "saved_model.pb"
INDEX_FILE = "variables/variables.index"
_DATA_FILES = "variables.data-*"
_TABLE_END = bytes.fromhex("57fb808b247547db")  # of an index, which is a table as LevelDB's
_VARINT, _FIXED_64, _LENGTH, _FIXED_32 = 0, 1, 2, 5  # the wire types of protocol buffers


def refuse_cut_graph(folder: Path) -> None:
    """Refuses a graph that ends within a field of its message.

    Raises:
        DamagedFile: It does, or is empty.
        FileNotFoundError: There is none.
    """
    path = folder / GRAPH_FILE
    with reading(path):
        content, place = path.read_bytes(), 0
        while place < len(content) or not content:
            key, place = _varint(content, place)
            if key & 7 == _VARINT:
                _, place = _varint(content, place)
            elif key & 7 == _LENGTH:
                length, place = _varint(content, place)
                place += length
            else:
                place += {_FIXED_64: 8, _FIXED_32: 4}[key & 7]
        if place > len(content):
            raise ValueError(f"the file ends {place - len(content):,} bytes too early")


def refuse_cut_variables(folder: Path) -> None:
    """Refuses variables whose index has no end, or that have no data.

    Raises:
        DamagedFile: The index is cut, or the data is empty.
        FileNotFoundError: There is no index.
    """
    index = folder / INDEX_FILE
    with reading(index):
        if not index.read_bytes().endswith(_TABLE_END):
            raise ValueError("the file ends too early")
        if not list(index.parent.glob(_DATA_FILES)):
            raise ValueError("no data beside it")


def missing_assets(
    folder: Path, stored: Iterable[StoredFeature], *, action: str, removes: tuple[Path, ...] = ()
) -> Iterator[Defect]:
    """Yields the vocabularies that a SavedModel lacks.

    Args:
        folder: The SavedModel.
        stored: The features and targets that it was made for.
        action: What to do about it.
        removes: What a repair removes.
    """
    for feature in stored:
        path = folder / "assets" / f"{feature.name}.txt"
        if feature.role == "feature" and feature.first_term is not None and not path.exists():
            yield Defect(path, "no such file", action, removes)


def _varint(content: bytes, place: int) -> tuple[int, int]:
    """Returns the number at a place, seven bits a byte, and the place after it."""
    value = shift = 0
    while True:
        byte = content[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
