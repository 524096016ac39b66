"""The page at `/`: a form made from the declaration, and what the server answers.

It loads nothing: the browser is told to take no script and no style but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path

from fastapi import Response

from flows.console.harmless import plain
from flows.serving.served import Served

_PAGE = Path(__file__).with_name("form.html")
_PLACE = "/*MODEL*/"


def page_of(served: Served) -> Response:
    """Returns the page of a model."""
    document = {
        "name": served.name,
        "version": served.version,
        "labels": served.labels,
        "pictures": [output.name for output in served.outputs if output.is_picture],
        "inputs": [
            {
                "name": column.name,
                "label": plain(column.name),
                "kind": column.kind,
                "is_number": column.datatype == "FP32",
                "is_list": bool(column.shape),
                "may_be_missing": column.may_be_missing,
            }
            for column in served.inputs
        ],
    }
    # Within a page "</script>" would end the script, wherever it stands.
    model = json.dumps(document).replace("<", "\\u003c")
    text, policy = _page()
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return Response(text.replace(_PLACE, model), 200, headers, media_type="text/html")


@cache
def _page() -> tuple[str, str]:
    """Returns the page without a model, and what the browser may take of it."""
    text = _PAGE.read_text(encoding="utf-8")
    hashes = {
        tag: _hash(re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[0])
        for tag in ("script", "style")
    }
    policy = [
        "default-src 'none'",
        f"script-src {hashes['script']}",
        f"style-src {hashes['style']}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return text, "; ".join(policy)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
