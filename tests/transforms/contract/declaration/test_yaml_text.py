"""YAML from anybody: plain values, or one sentence with the line."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.contract.declaration.yaml_text import MOST_BYTES, YamlError, read_yaml

_LAUGHS = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 8)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
_MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [*{before}, *{before}]}}\n"
    for before, name in zip("abcdefghijklmnopqrstuvwx", "bcdefghijklmnopqrstuvwxy", strict=True)
)


def test_a_document_is_plain_values():
    text = "a: [1, 2.5, yes, null, 2026-01-31]\nb: &b {c: x}\nd: {<<: *b, e: *b}"
    assert read_yaml(text) == {
        "a": [1, 2.5, True, None, datetime.date(2026, 1, 31)],
        "b": {"c": "x"},
        "d": {"c": "x", "e": {"c": "x"}},
    }
    assert read_yaml("") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{[1, 2]: 3}", "a list or a mapping as a key"),
        ("? {a: 1}\n: 2", "a list or a mapping as a key"),
        ("x: 1\na: 2026-02-30", "day is out of range for month"),
        ("x: 1\na: !!int abc", "invalid literal for int"),
        ("x: 1\na: !!bool abc", "cannot be read"),
        ("x: 1\na: !!timestamp abc", "cannot be read"),
        ("x: 1\na: " + "9" * 5_000, "4300 digits"),
        ("x: 1\na: 0x" + "f" * 6_000, "more than 63 bits"),
        ("x: 1\na: -9223372036854775809", "more than 63 bits"),
        ("x: 1\na: .inf", "not finite"),
        ("x: 1\na: 1.0e+999", "not finite"),
        ('x: 1\na: "\\0"', "a NUL"),
        ('x: 1\n"\\ud800": 1', "half a character"),
        ("a: !!set {x}", "tag:yaml.org,2002:set"),
        ("a: !!binary aGk=", "tag:yaml.org,2002:binary"),
        ("a: !!python/name:os.system x", "could not determine a constructor"),
        ("!!map [1]", "what is no mapping"),
        ("a: {<<: 3}", "expected a mapping"),
        (_LAUGHS, "more than 100,000 values"),
        (_MERGES, "more than 100,000 values"),
        ("a: &a [*a]", "a value that holds itself"),
        ("[" * 100_000, "inside one another"),
        ("a: 1\na: 2", "the key 'a' stands twice"),
        ("a: 1\n---\nb: 2", "a single document"),
        ("x" * (MOST_BYTES + 1), "characters, more than"),
    ],
)
def test_what_is_no_plain_document_is_refused_in_a_sentence(text, said):
    with pytest.raises(YamlError, match=said) as caught:
        read_yaml(text)
    assert "\n" not in str(caught.value)
    if text.startswith("x: 1"):
        assert "line 2" in str(caught.value)


_PIECES = st.sampled_from(
    [*"[]{}:,-?!&*#|>%@'\"\n\t ab09.", "<<: ", "!!", "&a ", "*a", "0x", "2026-01-01", ".inf", "- "]
)


@given(st.one_of(st.text(), st.lists(_PIECES).map("".join)))
def test_any_text_is_a_value_or_a_sentence(text):
    try:
        read_yaml(text)
    except YamlError as error:
        said = str(error)
    else:
        said = "a value"
    assert said
