"""The declared receiver of a pipeline's bad news."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from transforms.contract.spec import RuleBroken, Spec

_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")


def _variable(text: str) -> str:
    if _VARIABLE.fullmatch(text) is None:
        raise RuleBroken(
            expected="${NAME}, an environment variable that `braid deploy` finds the address in, "
            "as whoever knows it can post there",
            received="another text",
        )
    return text


class NotifySpec(Spec):
    """The receiver that a Prefect server tells of runs that fail or are refused, and of drift.

    Attributes:
        webhook: `${NAME}`, the environment variable with the URL that the server posts to. Only
            `braid deploy` reads it, and hands it to the server.
    """

    webhook: Annotated[str, AfterValidator(_variable)]
