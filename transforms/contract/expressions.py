"""Expressions on the columns of a row, as a user writes them: their grammar and their parts.

The grammar is a part of Python's: Python's own parser reads it, nothing is ever executed, and what
is not named here is refused. `transforms.columns.expressions` says what it makes of rows.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from transforms.contract.spec import RuleBroken

_DEEPEST = 50  # one in another; people lose track long before, and Python's stack some time after
_LONGEST = 1_000  # characters
_SHOWN = 100  # of them, in an error
_GREATEST = 2**63 - 1
_ANY_NUMBER = 16
# How many arguments a function takes, at least and at most.
FUNCTIONS: dict[str, tuple[int, int]] = {
    **dict.fromkeys(("abs", "ceil", "exp", "floor", "log", "round", "sqrt"), (1, 1)),
    **dict.fromkeys(("min", "max"), (2, _ANY_NUMBER)),
    **dict.fromkeys(("length", "lower", "strip", "upper"), (1, 1)),
    **dict.fromkeys(("contains", "ends_with", "starts_with"), (2, 2)),
    **dict.fromkeys(("day", "hour", "month", "weekday", "year"), (1, 1)),
    "is_null": (1, 1),
    "coalesce": (2, _ANY_NUMBER),
}
_COLUMN = "column"  # names a column whose name is no word, such as column("trip distance")
_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.And: "and",
    ast.Or: "or",
    ast.Not: "not",
    ast.USub: "negative",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_SUMS = (ast.Add, ast.Sub)  # of one precedence, as are all other signs between two numbers
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|$)")  # as Python's parser counts lines


@dataclass(frozen=True)
class Term:
    """A part of an expression.

    Attributes:
        start: Where it begins in the text, in characters from 0.
        text: How it is written there.
    """

    start: int
    text: str


@dataclass(frozen=True)
class Literal(Term):
    """A value that stands in the text."""

    value: bool | int | float | str


@dataclass(frozen=True)
class Column(Term):
    """A row's value in a column."""

    name: str


@dataclass(frozen=True)
class Call(Term):
    """An operator, or one of `FUNCTIONS`, with what it is applied to.

    Attributes:
        function: Its sign or name; "if" takes a condition and what each answer to it gives, and
            "in" a value and those that it may be.
    """

    function: str
    arguments: tuple[Term, ...]


def parse_expression(text: str) -> Term:
    """Reads an expression.

    Raises:
        RuleBroken: It is none, with the first character that is wrong.
    """
    try:
        with warnings.catch_warnings():  # of spellings, which come on every reading
            warnings.simplefilter("ignore")
            body = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        place = error.offset or len(text.strip())  # it ends too early
        received = f"{error.msg} at character {place} of {_short(text.strip())}"
        raise _broken("an expression on one line, such as tips > 0.2 * fare", received) from None
    except (ValueError, RecursionError, MemoryError):  # a null byte; or too deep to be read
        raise _broken("an expression that can be read", _short(text)) from None
    reader = _Reader(text.strip())
    term = reader.term(body, 0)
    reader.refuse_comment(term)
    return term


def columns_of(text: str | None) -> tuple[str, ...]:
    """Returns the columns that an expression, if there is one, reads, each once, in its order."""
    return tuple(dict.fromkeys(_columns(parse_expression(text)))) if text else ()


def _columns(term: Term) -> Iterator[str]:
    terms = [term]  # no recursion, as a long sum is deep
    while terms:
        term = terms.pop()
        if isinstance(term, Column):
            yield term.name
        elif isinstance(term, Call):
            terms.extend(reversed(term.arguments))


def _checked(text: str) -> str:
    if not any(_columns(parse_expression(text))):
        raise _broken("an expression with a column in it", _short(text))
    return text


Expression = Annotated[str, Field(min_length=1, max_length=_LONGEST), AfterValidator(_checked)]


def _broken(expected: str, received: str) -> RuleBroken:
    return RuleBroken(expected=expected, received=received)


class _Reader:
    """Takes from Python's syntax tree what the grammar has, and refuses the rest by its place."""

    def __init__(self, text: str) -> None:
        self._text = text

    def term(self, node: ast.expr, depth: int) -> Term:
        """Returns what a node stands for."""
        if depth > _DEEPEST:
            raise self._refused(node, f"at most {_DEEPEST} parts within one another")

        def inner(part: ast.expr) -> Term:
            return self.term(part, depth + 1)

        if isinstance(node, ast.Constant):
            return Literal(*self._span(node), self._value(node))
        if isinstance(node, ast.Name):
            start, name = self._span(node)
            return Column(start, name, name)  # not node.id, in which Python changes letters: NFKC
        if isinstance(node, ast.UnaryOp):
            return self._unary(node, inner(node.operand))
        if isinstance(node, ast.BinOp):
            return self._chain(node, depth)
        if isinstance(node, ast.BoolOp):
            return self._call(node, self._sign(node, node.op), *map(inner, node.values))
        if isinstance(node, ast.IfExp):
            parts = (node.test, node.body, node.orelse)
            return self._call(node, "if", *map(inner, parts))
        if isinstance(node, ast.Compare):
            return self._comparison(node, [inner(part) for part in _compared(node)])
        if isinstance(node, ast.Call):
            return self._function(node, [inner(part) for part in node.args])
        raise self._refused(node, "columns, values, operators and functions")

    def _chain(self, node: ast.BinOp, depth: int) -> Term:
        """Returns a sum or a product, from the left, where no part is deeper than another."""
        links = [node]
        while isinstance(left := links[-1].left, ast.BinOp) and _is_sum(left) == _is_sum(node):
            links.append(left)
        term = self.term(links[-1].left, depth + 1)
        for link in reversed(links):
            sign = self._sign(link, link.op)
            term = self._call(link, sign, term, self.term(link.right, depth + 1))
        return term

    def refuse_comment(self, term: Term) -> None:
        """Refuses what Python takes for a comment: in YAML's folded text it hides the rest."""
        behind = self._text[term.start + len(term.text) :].lstrip(" \t)")
        if behind.startswith("#"):
            raise _broken("an expression without a comment", _short(behind))

    def _span(self, node: ast.expr) -> tuple[int, str]:
        piece = ast.get_source_segment(self._text, node) or ""
        lines = _LINE.findall(self._text)[: node.lineno]
        start = sum(map(len, lines[:-1]))
        start += len(lines[-1].encode()[: node.col_offset].decode())  # Python counts bytes
        return start, piece

    def _refused(self, node: ast.expr, expected: str) -> RuleBroken:
        start, text = self._span(node)
        return _broken(expected, f"{_short(text)} at character {start + 1} of {_short(self._text)}")

    def _call(self, node: ast.expr, function: str, *arguments: Term) -> Call:
        return Call(*self._span(node), function, arguments)

    def _sign(self, node: ast.expr, operator: ast.AST) -> str:
        sign = _OPERATORS.get(type(operator))
        if sign is None:
            known = ", ".join(s for s in _OPERATORS.values() if s != "negative")
            raise self._refused(node, f"one of the operators {known}")
        return sign

    def _value(self, node: ast.Constant) -> bool | int | float | str:
        value: Any = node.value
        if value is None or value == "":
            raise self._refused(node, "is_null(...), as a comparison with nothing is no answer")
        if not isinstance(value, bool | int | float | str):
            raise self._refused(node, "a number, a text, True or False")
        if isinstance(value, float) and not math.isfinite(value):
            raise self._refused(node, "a finite number")
        if isinstance(value, int) and abs(value) > _GREATEST:
            raise self._refused(node, f"a whole number up to {_GREATEST}")
        if isinstance(value, str) and not _is_utf8(value):
            raise self._refused(node, "a text in UTF-8")
        return value

    def _unary(self, node: ast.UnaryOp, operand: Term) -> Term:
        if isinstance(node.op, ast.UAdd):
            return operand
        is_number = isinstance(operand, Literal) and not isinstance(operand.value, bool | str)
        if isinstance(node.op, ast.USub) and is_number:
            return Literal(*self._span(node), -operand.value)  # type: ignore[attr-defined]
        return self._call(node, self._sign(node, node.op), operand)

    def _comparison(self, node: ast.Compare, terms: list[Term]) -> Term:
        if isinstance(node.ops[0], ast.In | ast.NotIn):
            if len(node.ops) > 1:
                raise self._refused(node, "one `in`, with `and` between two conditions")
            values = [term for term in terms[1:] if isinstance(term, Literal)]
            is_list = isinstance(node.comparators[0], ast.List | ast.Tuple)
            if len(values) < len(terms) - 1 or not values or not is_list:
                expected = 'a list of values, such as ["Bern", "Basel"]'
                raise self._refused(node.comparators[0], expected)
            isin = self._call(node, "in", *terms)
            return self._call(node, "not", isin) if isinstance(node.ops[0], ast.NotIn) else isin
        signs = [self._sign(node, operator) for operator in node.ops]
        if not set(signs) <= set(COMPARISONS):
            raise self._refused(node, "`in` on its own, with `and` between two conditions")
        pairs = [
            self._call(node, sign, left, right)
            for sign, left, right in zip(signs, terms, terms[1:], strict=False)
        ]
        return pairs[0] if len(pairs) == 1 else self._call(node, "and", *pairs)

    def _function(self, node: ast.Call, arguments: list[Term]) -> Term:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name == _COLUMN:
            if len(arguments) == 1 and isinstance(arguments[0], Literal) and not node.keywords:
                return Column(*self._span(node), str(arguments[0].value))
            raise self._refused(node, 'a column\'s name, such as column("trip distance")')
        if name not in FUNCTIONS:
            raise self._refused(node.func, f"one of the functions {', '.join(sorted(FUNCTIONS))}")
        least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most or node.keywords:
            count = f"{least}" if least == most else f"{least} to {most}"
            raise self._refused(node, f"{count} argument(s) of {name}, without names")
        return self._call(node, name, *arguments)


def _is_sum(node: ast.BinOp) -> bool:
    return isinstance(node.op, _SUMS)


def _compared(node: ast.Compare) -> list[ast.expr]:
    """Returns what a comparison compares; of `in`, the value and those that it may be."""
    first = node.comparators[0]
    if isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(first, ast.List | ast.Tuple):
        return [node.left, *first.elts]
    return [node.left, *node.comparators]


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
