"""A million imports of every kind, in three states of the process, beside plain Python in turns."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from documents import drop_log
from floods.turns import CHILDREN, LAUNCHERS, OURS, PLAIN, Series, compare, compare_growth, take_turns

PROGRAM = CHILDREN / "flood_imports.py"
#: What the process knows of watched modules.
STATES = ("dormant", "woken", "loaded")
IMPORTS, BLOCKS = 1_000_000, 100
MODULES = 100


def measure(imports: int = IMPORTS, blocks: int = BLOCKS, states: tuple[str, ...] = STATES) -> dict[str, Any]:
    """Return ratios of times, their drifts, and what memory grew by, for each state."""
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder, "small")
        write_modules(small)
        return {
            "imports": imports,
            "states": {state: measure_state(state, Path(folder), small, imports, blocks) for state in states},
        }


def write_modules(folder: Path) -> None:
    """Write small modules to import."""
    folder.mkdir()
    for number in range(MODULES):
        text = f"value = {number}\n\n\ndef get():\n    return value\n"
        (folder / f"flooded_{number:03}.py").write_text(text, encoding="utf-8")


def measure_state(state: str, folder: Path, small: Path, imports: int, blocks: int) -> dict[str, Any]:
    """Return what one state of the process makes of the imports."""
    words = [str(PROGRAM), state, str(small), str(imports // blocks)]
    series = take_turns({name: [*first, *words] for name, first in LAUNCHERS.items()}, blocks, folder)
    ours, plain = series[OURS], series[PLAIN]
    kinds = [kind for kind, seconds in ours.blocks[-1]["times"].items() if seconds > 0]
    return {
        "all": compare(ours.of("processor"), plain.of("processor")),
        "kinds": {kind: compare_kind(ours, plain, kind) for kind in kinds if is_measured(plain, kind)},
        # Over half of the settled blocks, by a thousand imports.
        "growth": compare_growth(ours, plain, len(ours.of("KiB")) / 2 * imports / blocks / 1000),
        "faults": ours.blocks[-1]["faults"],
        "said": list(drop_log(ours.errors)),
    }


def is_measured(plain: Series, kind: str) -> bool:
    """Return whether a kind of import took a time that the clock shows."""
    return min(plain.of("times", kind)) > 0


def compare_kind(ours: Series, plain: Series, kind: str) -> dict[str, float]:
    """Return the ratio of one kind, and its drift."""
    return compare(ours.of("times", kind), plain.of("times", kind))
