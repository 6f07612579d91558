"""Starting programs against the autoxla that is installed, or against the checkout where none is."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import autoxla
from programs import Outcome, clean_environment, run

#: The tests' folder: programs find `trial_parity` there.
TESTS = Path(__file__).parents[1]
PACKAGE = Path(autoxla.__file__).parent
IS_INSTALLED = PACKAGE.is_relative_to(sys.prefix)
#: Seconds; on a shared machine, TensorFlow's import alone may take a good part of them.
LIMIT = 600


def start(words: Sequence[str], folder: Path, **variables: str) -> Outcome:
    """Run ``python *words`` in ``folder``, with `TESTS` on the path."""
    path = [str(TESTS)] if IS_INSTALLED else [str(PACKAGE.parent), str(TESTS)]
    kept = {"PYTHONPATH": os.pathsep.join(path), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return run(words, folder, clean_environment(**{**kept, **variables}), limit=LIMIT)


def start_code(code: str, folder: Path, *words: str, **variables: str) -> Outcome:
    """Run ``code`` as ``program.py`` in ``folder``: ``python *words program.py``."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    return start([*words, "program.py"], folder, **variables)
