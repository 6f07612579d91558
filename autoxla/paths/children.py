"""The program in child processes, one for each run on a path; what is measured there is a probe's matter."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoxla.paths.listing import Path as ExecutionPath
from autoxla.planning import PROBE
from autoxla.situation.environment import read_environ

#: Lines of a run's output that are shown.
_LAST = 5
#: Seconds that what a run has started may take to end: multiprocessing's resource tracker unlinks memory.
_GRACE = 1.0
_POLL = 0.01
#: A report, or who speaks for the processes of a tree, is the user's own run's.
_LEFT_OUT = ("AUTOXLA_REPORT", "AUTOXLA_ROOT")
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Run:
    """One run that is over: `fault` is why it counts for nothing, None where it ended with status 0.

    `facts` are what the probe left, `tail` is the end of what the program wrote, `wall` its seconds.
    """

    fault: str | None
    facts: Mapping[str, object]
    tail: tuple[str, ...]
    wall: float


class Children:
    """Runs ``python *words`` in child processes; what they print goes to ``log`` in ``folder``."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self._words = list(words)
        self._folder = folder
        # A short name: a socket's path has 104 characters at most.
        self._temporary = folder / "t"
        self._temporary.mkdir(exist_ok=True)
        self._count = 0
        self.log = folder / "log.txt"

    def run(self, path: ExecutionPath, request: Mapping[str, object], limit: float) -> Run:
        """Run the program on ``path`` for ``limit`` seconds at most; ``request`` is what a probe is asked."""
        self._count += 1
        asked = self._folder / f"run-{self._count}.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        kept = {name: value for name, value in read_environ().items() if name not in _LEFT_OUT}
        own = {"AUTOXLA": "auto", PROBE: str(asked), "TMPDIR": str(self._temporary)}
        process: subprocess.Popen[bytes] | None = None
        begin, fault = time.monotonic(), None
        with self.log.open("a+b") as log:
            log.write(f"\n# {path.command(self._words)}\n".encode("utf-8", "surrogateescape"))
            log.flush()
            start = log.tell()
            try:
                # A session of its own: all that the program started ends with it, and Ctrl-C is for us.
                process = subprocess.Popen(
                    [sys.executable, "-m", "autoxla", "run", *self._words],
                    env={**kept, **own, **path.variables},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                status = process.wait(timeout=limit)
                if status < 0:
                    fault = f"ended by signal {signal.Signals(-status).name}"
                elif status:
                    fault = f"ended with status {status}"
            except subprocess.TimeoutExpired:
                fault = f"no result within {limit:.0f} s"
            finally:
                if process is not None:
                    _end(process)
            wall = time.monotonic() - begin
            log.seek(start)
            lines = log.read().decode("utf-8", "replace").splitlines()
        tail = tuple(line for line in lines if line.strip())[-_LAST:]
        return Run(fault, read_facts(asked.with_suffix(".done")), tail, wall)


def read_facts(file: Path) -> dict[str, object]:
    """Return what a probe left in ``file``, nothing where there is none."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End ``process`` and its group, those that ignore SIGTERM after `_GRACE` seconds."""
    try:
        process.kill()
        process.wait()
        # Workers end by it. The resource tracker ignores it, and ends once none of them is left.
        is_left = _send(process.pid, signal.SIGTERM)
        until = time.monotonic() + _GRACE
        while is_left and time.monotonic() < until:
            time.sleep(_POLL)
            is_left = _send(process.pid, 0)
    finally:  # also where a second Ctrl-C cuts the wait short
        _send(process.pid, signal.SIGKILL)
        process.wait()


def _send(group: int, number: int) -> bool:
    """Send a signal to a process group; return False where no process of it is left."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # the latter on macOS, where only zombies are left
        return False
    return True


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP, too, and put the former handlers back behind it.

    A signal that is ignored stays so: ``nohup`` asks for that.
    """
    former = {number: signal.getsignal(number) for number in _ENDING}
    heeded = {number: handler for number, handler in former.items() if handler is not signal.SIG_IGN}
    try:
        for number in heeded:
            signal.signal(number, signal.default_int_handler)
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
