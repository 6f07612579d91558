"""A real trial while the cache's file system or the clock is in trouble."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from surroundings.compiling import run_code, write_program
from surroundings.double import YEAR, clock, trouble
from surroundings.running import Pair


def _cache(folder: Path) -> Path:
    return folder / "cache"


#: Gives what is told to the library, for a program in a folder.
Told = Callable[[Path, Path], Mapping[str, str]]
TRIALS: dict[str, Told] = {
    "the cache never answers (double)": lambda lib, at: trouble(lib, "silent", _cache(at)),
    "disk full (double)": lambda lib, at: trouble(lib, "full", _cache(at)),
    "the clock jumps a year ahead (double)": lambda lib, _: clock(lib, YEAR, 2000),
    "the clock jumps a year back (double)": lambda lib, _: clock(lib, -YEAR, 2000),
}


def run_trial(folder: Path, variables: Mapping[str, str]) -> Pair:
    """Train with a trial that goes to its end, in this trouble."""
    return run_code(folder, write_program(), **variables)
