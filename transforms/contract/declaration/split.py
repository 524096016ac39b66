"""The split of the rows as a user declares it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from transforms.contract.spec import Named, RuleBroken, Spec

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
Percentage = Annotated[int, Field(ge=0, le=100)]


class HashSplit(Spec):
    """Percentages by hash of the key, or of a group's name: a row never changes its split.

    Attributes:
        column: The column that names a row's group, such as a customer: all rows of a group are in
            one split. Percentages are then of the groups. Without it every row is on its own.
        train: Percentage of training rows.
        validation: Percentage of validation rows.
        test: Percentage of test rows.
    """

    by: Literal["hash"] = "hash"
    column: Named | None = None
    train: Percentage = 80
    validation: Percentage = 10
    test: Percentage = 10

    @model_validator(mode="after")
    def _percentages_add_up(self) -> Self:
        total = self.train + self.validation + self.test
        if total != 100:
            raise RuleBroken(
                expected="percentages that add up to 100", received=f"a total of {total}"
            )
        if self.train == 0:
            raise RuleBroken(expected="at least 1 percent of training rows", received="train 0")
        return self


class TrainShare(Spec):
    """A percentage of the rows that the column calls training rows, by hash of the key.

    Attributes:
        from_: The split that gives the rows away, `from` in the declaration.
        percent: How many of its rows go.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    from_: Annotated[Literal["train"], Field(alias="from")]
    percent: Annotated[int, Field(ge=1, le=50)]


def _values_or_share(value: Any) -> str:
    return "share" if isinstance(value, dict | TrainShare) else "values"


ColumnRows = Annotated[
    Annotated[tuple[str, ...], Tag("values")] | Annotated[TrainShare, Tag("share")],
    Discriminator(_values_or_share),
]


class ColumnSplit(Spec):
    """The split stands in a column.

    Attributes:
        column: The column.
        train: Its values in training rows.
        validation: Its values in validation rows; or, for a table without any, a share of the
            training rows.
        test: The same for test rows.
    """

    by: Literal["column"]
    column: Named
    train: tuple[str, ...] = ("train",)
    validation: ColumnRows = ("validation",)
    test: ColumnRows = ("test",)

    @model_validator(mode="after")
    def _splits_are_disjoint(self) -> Self:
        values = [value for rows in self.values() for value in dict.fromkeys(rows)]
        twice = sorted({value for value in values if values.count(value) > 1})
        if twice:
            raise RuleBroken(
                expected="values that belong to one split each", received=f"{twice[0]!r} twice"
            )
        _, validation, test = self.percentages()
        if validation + test == 100:
            raise RuleBroken(
                expected="a share of the training rows that stays", received="100 percent taken"
            )
        return self

    def values(self) -> tuple[tuple[str, ...], ...]:
        """Returns the values of every split, in the order of `SPLITS`; a share has none."""
        return tuple(
            () if isinstance(rows, TrainShare) else rows
            for rows in (self.train, self.validation, self.test)
        )

    def percentages(self) -> tuple[int, int, int]:
        """Returns what each split gets of the column's training rows, in the order of `SPLITS`."""
        validation, test = (
            rows.percent if isinstance(rows, TrainShare) else 0
            for rows in (self.validation, self.test)
        )
        return 100 - validation - test, validation, test


class TimeSplit(Spec):
    """Rows before `validation_from` train, rows from `test_from` on test.

    The bounds are compared with the column's values in the column's own type: a date or a
    timestamp in ISO 8601, a number, or text.

    Attributes:
        column: The column with the times.
        validation_from: The first time of validation rows.
        test_from: The first time of test rows.
    """

    by: Literal["time"]
    column: Named
    validation_from: str | int | float
    test_from: str | int | float


def _split_kind(value: Any) -> Any:
    """Returns what decides a split's class; a split that does not say is by hash."""
    return value.get("by", "hash") if isinstance(value, dict) else getattr(value, "by", None)


Split = Annotated[
    Annotated[HashSplit, Tag("hash")]
    | Annotated[ColumnSplit, Tag("column")]
    | Annotated[TimeSplit, Tag("time")],
    Discriminator(_split_kind),
]
