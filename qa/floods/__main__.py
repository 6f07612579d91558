"""``PYTHONPATH=qa:tests python -m floods records|imports|steps|threads|page|all``, from a checkout."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from autoxla import __version__
from benchmarks import make_header
from floods import imports, page, records, steps, threads

FLOODS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "records": records.measure,
    "imports": imports.measure,
    "steps": steps.measure,
    "threads": threads.measure,
}


def main(words: Sequence[str]) -> int:
    """Run what ``words`` name, keep what came of it, renew the page; return the exit status."""
    names = list(FLOODS) if list(words) == ["all"] else list(words)
    if not names or not {*names} <= {*FLOODS, "page"}:
        print(f"{__doc__}\nfloods: {', '.join(FLOODS)}; page renews the tables in the documentation")
        return 2
    for name in names:
        if name in FLOODS:
            keep(name, FLOODS[name])
    page.main()
    return 0


def keep(name: str, measure: Callable[[], dict[str, Any]]) -> None:
    """Run a flood, and keep its figures beside those of the others."""
    begin = time.monotonic()
    found = measure()
    versions = {
        "autoxla": __version__,
        **{each: version(each) for each in ("tensorflow", "keras", "tf_keras")},
    }
    entry = {**make_header(versions), "minutes": round((time.monotonic() - begin) / 60, 1), **found}
    page.RESULTS.write_text(json.dumps({**page.load(), name: entry}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
