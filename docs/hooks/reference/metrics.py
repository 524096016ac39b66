"""The page on the metrics, and which target kinds have them."""

from __future__ import annotations

from collections.abc import Iterator

from reference.documents import sections, table
from reference.keys import page_of
from transforms.contract.declaration.json_schema import declaration_schema
from transforms.contract.declaration.judgement.metrics import METRICS

_INTRODUCTION = """# Metrics

A metric is named by split, target and metric, such as `test_price_rmse`; `test_loss` and
`validation_loss` are of all targets together. In bold: what is computed unless `metrics` of the
target says otherwise.

"""


def metrics_page() -> str:
    """Returns the page, in Markdown."""
    return _INTRODUCTION + table(("metric", "what it is", "better", "of targets"), _rows()) + "\n"


def _rows() -> Iterator[tuple[str, ...]]:
    schema = declaration_schema()
    targets = [
        (part.link("metrics.md"), schema["$defs"][part.definition]["properties"]["metrics"])
        for part in sections(schema, "pipeline.yaml", page_of)
        if part.title.startswith("targets.NAME: ")
    ]
    for name, metric in METRICS.items():
        kinds = [
            f"**{link}**" if name in offered["default"] else link
            for link, offered in targets
            if name in offered["items"]["enum"]
        ]
        better = "lower" if metric.lower_is_better else "higher"
        yield f"`{name}`", metric.meaning, better, ", ".join(kinds)
