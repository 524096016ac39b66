"""The pages of the site beside those in docs: READMEs of packages, and reference from the code.

MkDocs calls these functions while it builds. A link from one page of the repository to another
leads to that page of the site; one to a file that is no page becomes the file's path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from reference import pages

ROOT = Path(__file__).parents[2]
# Pages that lie elsewhere in the repository, by their place on the site.
ELSEWHERE = {
    "index.md": "README.md",
    "pages.md": "docs/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    **{f"{name}.md": f"{name}/README.md" for name in ("flows", "infra", "trainer", "transforms")},
    **{
        f"templates/{path.parent.name}.md": path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "flows/templates").glob("*/README.md"))
    },
}
_PLACES = {path: place for place, path in ELSEWHERE.items()}
_BLOCK = re.compile(r"(^```.*?^```$)", re.M | re.S)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
_LIST_WITHOUT_GAP = re.compile(r"^((?!- |\s|\||$).*)\n(?=- )", re.M)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that lie elsewhere, and those that are made from the code."""
    for place, path in ELSEWHERE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    for name, text in pages().items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Returns a page's text with the links and lists of the site."""
    del config
    place = page.file.src_uri
    if place.startswith("reference/"):
        return markdown
    path = ELSEWHERE.get(place, f"docs/{place}")
    parts = _BLOCK.split(markdown)
    parts[::2] = [_on_site(part, path, place, files) for part in parts[::2]]
    return "".join(parts)


def _on_site(text: str, path: str, place: str, files: Files) -> str:
    def linked(match: re.Match[str]) -> str:
        label, target = match.groups()
        if urlsplit(target).scheme or target.startswith("#"):
            return match[0]
        name, _, anchor = target.partition("#")
        leads_to = os.path.normpath(Path(path).parent / name)
        there = _PLACES.get(leads_to, leads_to.removeprefix("docs/"))
        if files.get_file_from_path(there) is not None:
            relative = os.path.relpath(there, Path(place).parent)
            return f"[{label}]({relative}{'#' + anchor if anchor else ''})"
        if not (ROOT / leads_to).exists():
            return match[0]  # which ends a strict build
        is_its_name = label.strip("`") in (leads_to, Path(leads_to).name)
        return f"`{leads_to}`" if is_its_name else f"{label} (`{leads_to}`)"

    # Markdown as MkDocs reads it wants an empty line before a list.
    return _LIST_WITHOUT_GAP.sub(r"\1\n\n", _LINK.sub(linked, text))
