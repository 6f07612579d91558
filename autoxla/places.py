"""Where autoxla keeps what it may lose."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder for caches: ``AUTOXLA_CACHE``, else the platform's; it need not exist.

    By hand, since the library for it takes longer to load than a cached look-ahead to read.
    """
    chosen = environ.get("AUTOXLA_CACHE")
    if chosen:
        return Path(chosen)
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - it raises nothing
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "autoxla"
    # An empty or relative XDG_CACHE_HOME counts as unset, by the XDG base directory specification.
    base = Path(environ.get("XDG_CACHE_HOME") or "-")
    return (base if base.is_absolute() else home / ".cache") / "autoxla"
