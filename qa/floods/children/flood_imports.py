"""Imports of every kind in blocks: ``flood_imports.py dormant|woken|loaded FOLDER IMPORTS``.

``dormant``: no watched module was searched for; ``woken``: they are searched for all the time and never
imported; ``loaded``: tensorflow is imported. ``FOLDER`` holds the small modules.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from floods.children.flooding import count_faults, serve

STATE, FOLDER, SIZE = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
WATCHED = ("tensorflow", "keras", "tf_keras", "keras_core")
NAMES = sorted(file.stem for file in FOLDER.glob("flooded_*.py"))


def import_again(count: int) -> None:
    """Import what is there."""
    for _ in range(count):
        import json.decoder  # noqa: F401


def import_from(count: int) -> None:
    """Import names from a module that is there."""
    for _ in range(count):
        from json.decoder import JSONDecodeError, JSONDecoder  # noqa: F401


def import_by_name(count: int) -> None:
    """Import what is there by its name."""
    for _ in range(count):
        importlib.import_module("json.decoder")


def import_new(count: int) -> None:
    """Import small modules, and forget them."""
    for number in range(count):
        name = NAMES[number % len(NAMES)]
        importlib.import_module(name)
        del sys.modules[name]


def import_missing(count: int) -> None:
    """Import what is nowhere."""
    for _ in range(count):
        with suppress(ModuleNotFoundError):
            import flooded_nowhere  # type: ignore[import-not-found]  # noqa: F401


def find(count: int) -> None:
    """Search for small modules."""
    for number in range(count):
        importlib.util.find_spec(NAMES[number % len(NAMES)])


def find_missing(count: int) -> None:
    """Search for what is nowhere."""
    for _ in range(count):
        importlib.util.find_spec("flooded_nowhere")


def find_watched(count: int) -> None:
    """Search for what autoxla watches."""
    for number in range(count):
        importlib.util.find_spec(WATCHED[number % len(WATCHED)])


#: The kinds, with their shares of a block in hundredths.
KINDS: dict[str, tuple[Callable[[int], None], int]] = {
    "again": (import_again, 40),
    "from": (import_from, 20),
    "by name": (import_by_name, 20),
    "new": (import_new, 4),
    "missing": (import_missing, 5),
    "find_spec": (find, 5),
    "find_spec, missing": (find_missing, 4),
    "find_spec, watched": (find_watched, 2),
}


def work() -> dict[str, object]:
    """Do one block; return the processor's seconds of each kind."""
    times: dict[str, object] = {}
    for name, (run, share) in KINDS.items():
        begin = time.process_time()
        run(SIZE * share // 100)
        times[name] = time.process_time() - begin
    return {"times": times, "faults": count_faults()}


sys.path.insert(0, str(FOLDER))
if STATE == "dormant":
    del KINDS["find_spec, watched"]
if STATE == "loaded":
    import tensorflow  # noqa: F401
serve(work)
