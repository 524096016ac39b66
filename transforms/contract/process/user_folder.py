"""Folders of this user's own on this machine, for what can be had again."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def user_folder(name: str) -> Path:
    """Returns a folder in the user's cache; of an account without a home, as many containers have
    it, among temporary files.
    """
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = cache / "braid" / name
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return Path(tempfile.gettempdir()) / f"braid-{os.getuid()}" / name
    return folder
