"""One program twice, plain and with autoxla, with a limit beyond which it hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from programs import clean_environment

#: Seconds. So much more than any of these programs takes that it hangs.
LIMIT = 60.0
LONG_AGO = 1_600_000_000_000_000_000  # ns

KERAS = """\
\"\"\"Stands for Keras: a module of that name, which is all that these programs need of it.\"\"\"

__version__ = "3.15.1"
ANSWER = 42
"""
HELPER = "ANSWER = 43\n"
#: A program that prints a result and ends with a status of its own. Its import is one that is learned.
PROGRAM = """\
import importlib
import os
import sys

import helper

{before}
keras = importlib.import_module("ke" + "ras")
{after}
print("result", keras.ANSWER, helper.ANSWER, flush=True)
sys.exit(7)
"""


@dataclass(frozen=True)
class Seen:
    """What a program left behind. `status` None: it hung, and was killed."""

    status: int | None
    out: str
    err: str
    seconds: float

    @property
    def notices(self) -> list[str]:
        """What autoxla said."""
        return [line for line in self.err.splitlines() if line.startswith("autoxla:")]


@dataclass(frozen=True)
class Pair:
    """A program under some trouble, plain and with autoxla."""

    plain: Seen
    ours: Seen

    @property
    def is_same(self) -> bool:
        """Tell whether both ended, with the same output and the same status."""
        return self.plain.status is not None and self._result(self.plain) == self._result(self.ours)

    @staticmethod
    def _result(seen: Seen) -> tuple[int | None, str]:
        return seen.status, seen.out

    def tell(self) -> str:
        """Return both as text, for a test that fails."""
        return "\n".join(f"{name}: {seen}" for name, seen in (("plain", self.plain), ("ours", self.ours)))


def lay(folder: Path, before: str = "", after: str = "") -> Path:
    """Write the program with its modules, old enough to be remembered; return its file."""
    files = {"keras/__init__.py": KERAS, "helper.py": HELPER}
    files["program.py"] = PROGRAM.format(before=before, after=after)
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        os.utime(file, ns=(LONG_AGO, LONG_AGO))
    return folder / "program.py"


def start(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    limit: float = LIMIT,
    prepare: Callable[[], None] | None = None,
) -> Seen:
    """Run ``words``; what still runs after ``limit`` seconds is killed with all that it started."""
    begin = time.monotonic()
    process = subprocess.Popen(
        [*words],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 - no thread runs here
    )
    status: int | None = None
    try:
        out, err = process.communicate(timeout=limit)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
    return Seen(status, out.decode(errors="replace"), err.decode(errors="replace"), time.monotonic() - begin)


def environment(cache: Path, **variables: str) -> dict[str, str]:
    """Return an environment in which autoxla has something to say, to keep and to report."""
    own = {"AUTOXLA_CACHE": str(cache), "TF_USE_LEGACY_KERAS": "yes"}
    return clean_environment(**{**own, **variables})


def run_both(
    program: Path,
    variables: Mapping[str, str],
    prepare: Callable[[], None] | None = None,
    limit: float = LIMIT,
    folder: Path | None = None,
) -> Pair:
    """Run a program under ``python`` and under ``python -m autoxla``."""
    where = program.parent if folder is None else folder
    plain, ours = (
        start([sys.executable, *words, str(program)], where, variables, limit, prepare)
        for words in ([], ["-m", "autoxla"])
    )
    return Pair(plain, ours)
