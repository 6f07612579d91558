"""The library of `trouble.c`: compiled once, and the variables that it is told by."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("trouble.c")
YEAR = 365 * 86_400  # s


def is_possible() -> bool:
    """Tell whether the library can be made here: it is glibc's, and wants a compiler."""
    return sys.platform == "linux" and shutil.which("gcc") is not None


def build(folder: Path) -> Path:
    """Compile the library into ``folder``; return its file."""
    library = folder / "trouble.so"
    words = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    return library


def trouble(library: Path, kind: str, below: Path, after: int = 0) -> dict[str, str]:
    """Return the variables that bring trouble of ``kind`` to what is at or below a path."""
    return {
        "LD_PRELOAD": str(library),
        "TROUBLE_KIND": kind,
        "TROUBLE_BELOW": str(below),
        "TROUBLE_AFTER": str(after),
    }


def clock(library: Path, seconds: int, calls: int = 0) -> dict[str, str]:
    """Return the variables that put the wall clock off, from a call for the time on."""
    return {"LD_PRELOAD": str(library), "TROUBLE_CLOCK": f"{seconds}@{calls}"}
