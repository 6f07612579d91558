"""Running programs in fresh processes, the way most tests here need it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import autoxla

#: What makes ``autoxla`` importable in a child: the very package that these tests import.
HOME = Path(autoxla.__file__).parent.parent
_FOREIGN = ("AUTOXLA", "ITEX_", "KERAS_", "TF_", "XLA_", "PYTHON")


@dataclass(frozen=True)
class Outcome:
    """What a program left behind."""

    status: int
    out: str
    err: str

    @property
    def notices(self) -> list[str]:
        """What autoxla said."""
        return [line for line in self.err.splitlines() if line.startswith("autoxla:")]

    @property
    def last(self) -> Any:
        """The JSON in the last line of standard output."""
        return json.loads(self.out.splitlines()[-1])


def clean_environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without any watched variable, plus ``variables``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    # No cache but the one that a test asks for: what one program taught must not reach another.
    own = {"PYTHONPATH": str(HOME), "TF_CPP_MIN_LOG_LEVEL": "2", "AUTOXLA_CACHE": os.devnull}
    return {**kept, **own, **variables}


def run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, limit: float = 120
) -> Outcome:
    """Run ``python *words`` in ``folder``; ``limit`` is in seconds, beyond it `TimeoutExpired` is raised."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=dict(clean_environment() if environment is None else environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=limit,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def run_code(code: str, folder: Path, **variables: str) -> Outcome:
    """Run ``code`` as the script ``program.py`` in ``folder`` with ``variables`` set."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    return run(["program.py"], folder, clean_environment(**variables))
