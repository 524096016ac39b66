"""YAML that anybody may have written: bounded in size, and refused with the line that is wrong."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

MOST_BYTES = 500_000  # of a document
_MOST_NODES = 100_000  # once every alias stands for what it names
_LARGEST_NUMBER = 2**63 - 1
# Text that no file system and no JSON takes: NUL, and halves of a character.
_UNUSABLE = re.compile("[\0\ud800-\udfff]")
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN_TAGS = ("null", "bool", "int", "float", "timestamp", "str", "seq", "map")
# What Python's own constructors raise for a text that looks like one of its values.
_UNREADABLE = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)


class YamlError(Exception):
    """A text is no YAML, or more than a declaration may be; the message names the line."""


def read_yaml(text: str) -> Any:
    """Returns what a YAML document says: mappings, lists, texts, numbers, dates, booleans, null.

    Args:
        text: The document.

    Raises:
        YamlError: It is no YAML, it is too large, a value cannot be read, or a key stands twice.
    """
    if len(text) > MOST_BYTES:
        raise YamlError(f"{len(text):,} characters, more than {MOST_BYTES:,}")
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _refuse_multiplied(node)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise YamlError(" ".join(str(error).split())) from None
    except RecursionError:
        raise YamlError("lists and mappings inside one another, hundreds deep") from None
    finally:
        if loader is not None:
            loader.dispose()


class _Loader(yaml.SafeLoader):
    """Builds plain values alone, and says of what it cannot build where it stands."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Returns the value of a node."""
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except _UNREADABLE as error:
            raise _wrong(node, f"a value that cannot be read: {error}") from None
        if isinstance(value, str) and _UNUSABLE.search(value):
            raise _wrong(node, "text with a NUL or half a character in it")
        if isinstance(value, float) and not math.isfinite(value):
            raise _wrong(node, "a number that is not finite")
        if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
            raise _wrong(node, "a number of more than 63 bits")
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Returns the mapping of a node; YAML alone would take the last of two equal keys."""
        seen: set[str] = set()
        if not isinstance(node, yaml.MappingNode):
            raise _wrong(node, "what is no mapping, and called one")
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _wrong(key, "a list or a mapping as a key")
            if key.value in seen:
                raise _wrong(key, f"the key '{key.value}' stands twice")
            if key.tag != _MERGE:
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_constructors = {
    tag: constructor
    for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.rpartition(":")[2] in _PLAIN_TAGS
}


def _refuse_multiplied(root: yaml.Node) -> None:
    """Refuses aliases of aliases, of which a few lines make billions of values, and circles."""
    sizes: dict[int, int] = {}
    inside: set[int] = set()

    def size(node: yaml.Node) -> int:
        if id(node) in inside:
            raise _wrong(node, "a value that holds itself")
        if id(node) not in sizes:
            inside.add(id(node))
            sizes[id(node)] = 1 + sum(map(size, _children(node)))
            inside.remove(id(node))
        if sizes[id(node)] > _MOST_NODES:
            raise _wrong(node, f"more than {_MOST_NODES:,} values")
        return sizes[id(node)]

    size(root)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _wrong(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
