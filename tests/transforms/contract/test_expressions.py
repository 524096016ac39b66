from __future__ import annotations

import pytest

from transforms.contract.expressions import columns_of, parse_expression
from transforms.contract.spec import RuleBroken


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("tips > 0.2 * fare", ("tips", "fare")),
        ("fare > 0 and fare < 9", ("fare",)),
        (' column("trip distance") > 1 ', ("trip distance",)),
        ("year(day) in [2025, 2026]", ("day",)),
        ("(a\n or b)", ("a", "b")),
        ("a and " * 100 + "a", ("a",)),
        ("µg > nº", ("µg", "nº")),  # letters that Python would write as others
        (" - ".join(f"c{i}" for i in range(150)) + " > 0", tuple(f"c{i}" for i in range(150))),
    ],
)
def test_an_expression_names_its_columns(text: str, columns: tuple[str, ...]) -> None:
    assert columns_of(text) == columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "fare >",
            r"on one line, such as tips > 0.2 \* fare, received invalid syntax at character",
        ),
        ("fare > 0\nand tips > 1", "on one line"),
        ("fare > 0 # net and tips > 1", "without a comment, received '# net and tips > 1'"),
        ("(fare > 0) # (net)", "without a comment"),
        ("foo(fare)", "one of the functions abs, ceil, .* received 'foo' at character 1 of"),
        ("__import__('os').system('x')", "received .__import__.* at character 1"),
        ("abs(fare, tips)", r"1 argument\(s\) of abs"),
        ("abs(x=1)", r"1 argument\(s\) of abs"),
        ("column(fare) > 1", "a column's name"),
        ("fare ** 2", r"one of the operators \+, -, .* received 'fare \*\* 2' at character 1"),
        ("é > 1 and x ** 2", "received .* at character 11 of"),
        ("fare > None", r"is_null\(\.\.\.\), .* received 'None' at character 8"),
        ("fare is None", r"is_null\(\.\.\.\)"),
        ("a == ''", r"is_null\(\.\.\.\)"),
        ("x.y > 1", "received 'x.y' at character 1"),
        ("f'{x}' == x", "received .* at character 1"),
        ("(lambda: x)() > 1", "one of the functions"),
        ("[x for x in y]", "columns, values, operators and functions"),
        ("x in y", r'values, such as \["Bern", "Basel"\], received \'y\' at character 6'),
        ("x in ()", "values, such as"),
        ('x in "Bern, Basel"', r"a list of values, such as .*, received '\"Bern, Basel\"'"),
        ("x not in 3", "a list of values, such as"),
        ("(x == '\u2028\x85\fé' or\n a ** 2 > 1)", r"received 'a \*\* 2' at character 18 of"),
        ("(x == 'é'\r\nor é == 'é' or a ** 2 > 1)", r"received 'a \*\* 2' at character 27 of"),
        ("x in [y]", "values, such as"),
        ("0 < x in [1]", "columns, values, operators and functions, received '\\[1\\]'"),
        ("1e999 > x", "a finite number"),
        ("9223372036854775808 > x", "a whole number up to"),
        ("b'x' == x", "a number, a text, True or False"),
        ("x == '\ud800'", "can be read"),
        (r"x == '\ud800'", "a text in UTF-8"),
        ("not " * 60 + "x", "at most 50 parts within one another"),
        ("(" * 300 + "x" + ")" * 300, "too many nested parentheses"),
        ("x\x00", "null bytes"),
        ("", "on one line"),
    ],
)
def test_what_is_no_expression_is_refused_at_its_place(text: str, message: str) -> None:
    with pytest.raises(RuleBroken, match=message):
        parse_expression(text)
