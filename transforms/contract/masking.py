"""Secrets as `***`: those that the form of a URI tells of, and those that are known by their value.

`transforms.contract.declaration.secrets` makes values known. Errors, logs, records and
all that is shown go through `masked`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

MASK = "***"
SECRET_NAME = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|(api|access|private|auth)_?key", re.IGNORECASE
)
# A password before the last @ of a URI, and a value of its query.
_PASSWORD = re.compile(r"(?<=://)([^/\s:@]*:)([^\s]+)(?=@)")
_QUERY = re.compile(r"([?&;]([^=&;\s]+)=)([^&;\s'\"]+)")
_SHORTEST = 6  # characters; a shorter one is too common a text to be masked wherever it stands
_known: set[str] = set()


def masked(text: str) -> str:
    """Returns a text with the passwords of its URIs, and all known secrets, as `***`."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return without_passwords(text)


def without_passwords(text: str) -> str:
    """Returns a text with the passwords of its URIs as `***`, by their form alone."""
    return replace_secrets(text, lambda _: MASK)


def replace_secrets(text: str, replace: Callable[[str], str]) -> str:
    """Returns a text with another one for every secret that the form of a URI tells of."""
    text = _PASSWORD.sub(lambda match: match.group(1) + replace(match.group(2)), text)

    def in_query(match: re.Match[str]) -> str:
        if SECRET_NAME.search(match.group(2)) is None:
            return match.group()
        return match.group(1) + replace(match.group(3))

    return _QUERY.sub(in_query, text)


def remember(secret: str) -> None:
    """Makes a secret known to this process."""
    _known.update(each for each in (secret, unquote(secret)) if len(each) >= _SHORTEST)
