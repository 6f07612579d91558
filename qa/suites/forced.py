"""A plug-in of pytest with which each trial begins at once and ends with XLA, as in `trial_parity`.

At the end it says how many there were, and how many faults of autoxla.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections import Counter
from typing import Any

import pytest

_SAID = re.compile(r"autoxla: ([0-9]+) trials, ([0-9]+) ended with XLA, ([0-9]+) faults")


def pytest_configure(config: pytest.Config) -> None:
    """Import Keras as the suite will, and force trials."""
    generation = os.environ.get("SUITES_KERAS", "keras")
    words, sys.argv = sys.argv, [sys.argv[0], generation]  # `trial_parity` reads its first argument
    try:
        importlib.import_module("trial_parity").force()
    finally:
        sys.argv = words
    from autoxla.trial import driver
    from autoxla.trial.comparison import Verdict

    # These trainings are of a few steps, and those that are seeded would be left alone.
    names: Any = driver
    names._FIRST_LOOK = 1
    names.find_seed = names.find_global_seed = lambda *_: None
    names.judge = lambda pairs: Verdict("challenger" if pairs else None, 0.5, 0.4, 0.6, len(pairs))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print what `read_trials` reads."""
    from autoxla.hooks.boundary import FAULTS
    from autoxla.runtime import current

    trials = [trial.get("outcome") for trial in current().trials]
    faults = [str(place) for place, *_ in FAULTS.kept]
    won = trials.count("switched to xla")
    print(f"\nautoxla: {len(trials)} trials, {won} ended with XLA, {len(faults)} faults", *faults)
    print(*Counter(map(str, trials)).items())


def read_trials(output: str) -> dict[str, int] | None:
    """Return the counts in what a suite printed, None where it was run without this plug-in."""
    found = _SAID.search(output)
    return (
        None
        if found is None
        else dict(zip(("trials", "won", "faults"), map(int, found.groups()), strict=True))
    )
