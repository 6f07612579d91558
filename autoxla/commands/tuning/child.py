"""One run of the program in a child process, watched by `autoxla.trial.probe`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from statistics import median

from autoxla.commands.tuning.judging import Sample
from autoxla.commands.tuning.paths import Path as ExecutionPath
from autoxla.commands.tuning.paths import child_environment
from autoxla.planning import PROBE
from autoxla.situation.environment import read_environ

#: Lines of a failed run's output that are shown.
_LAST = 5
#: Seconds that what a run has started may take to end: multiprocessing's resource tracker unlinks memory.
_GRACE = 1.0
_POLL = 0.01
#: What the probe leaves.
_FACTS = frozenset({"times", "losses", "memory", "jit", "dtype"})


@dataclass(frozen=True, slots=True)
class Request:
    """What one run is to measure: `steps` and `least` seconds of them, but no more than `most` seconds.

    `perturb`: each weight is moved by one unit in its last place before the first step.
    """

    steps: int
    least: float
    most: float
    perturb: bool = False


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run measured. Times are in seconds, `memory` (the peak) in bytes, `wall` is the whole run's.

    `compile_s` is what the first step took beyond a typical one: trace and compile.
    """

    sample: Sample
    compile_s: float
    memory: int
    losses: tuple[float | None, ...]
    jit: bool
    dtype: str
    steps: int
    wall: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A run without a measurement, for `reason`; `tail` is the end of what it wrote."""

    reason: str
    tail: tuple[str, ...] = ()


class Children:
    """Runs the program in child processes; what they print goes to ``log``."""

    def __init__(self, words: Sequence[str], folder: Path) -> None:
        self._words = list(words)
        self._folder = folder
        # A short name: a socket's path has 104 characters at most.
        self._temporary = folder / "t"
        self._temporary.mkdir(exist_ok=True)
        self._count = 0
        self.log = folder / "log.txt"

    def run(self, path: ExecutionPath, request: Request, limit: float) -> Measurement | Failure:
        """Run the program on ``path`` for ``limit`` seconds at most."""
        self._count += 1
        asked = self._folder / f"run-{self._count}.json"
        asked.write_text(json.dumps(asdict(request)), encoding="utf-8")
        start = self._begin_log(path)
        begin = time.monotonic()
        status = self._start(path, asked, limit)
        wall = time.monotonic() - begin
        facts = _load(asked.with_suffix(".done"))
        fault = _why(status, limit) or _find_gap(facts)
        return _measure(facts, wall) if fault is None else Failure(fault, self._tail(start))

    def _start(self, path: ExecutionPath, asked: Path, limit: float) -> int | None:
        command = [sys.executable, "-m", "autoxla", "run", *self._words]
        environment = {
            **child_environment(path, read_environ()),
            PROBE: str(asked),
            "TMPDIR": str(self._temporary),
        }
        process: subprocess.Popen[bytes] | None = None
        try:
            with self.log.open("ab") as log:
                # A session of its own: all that the program started ends with it, and Ctrl-C is for us.
                process = subprocess.Popen(
                    command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            return process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process is not None:
                _end(process)

    def _begin_log(self, path: ExecutionPath) -> int:
        with self.log.open("ab") as log:
            log.write(f"\n# {path.command(self._words)}\n".encode("utf-8", "surrogateescape"))
            return log.tell()

    def _tail(self, start: int) -> tuple[str, ...]:
        with self.log.open("rb") as log:
            log.seek(start)
            text = log.read().decode("utf-8", "replace")
        return tuple(line for line in text.splitlines() if line.strip())[-_LAST:]


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


def _why(status: int | None, limit: float) -> str | None:
    """Return why a run that ended with ``status`` counts for nothing, None where that is 0."""
    if status is None:
        return f"no result within {limit:.0f} s"
    if status < 0:
        return f"ended by signal {signal.Signals(-status).name}"
    return f"ended with status {status}" if status else None


def _load(file: Path) -> dict[str, object]:
    """Return what the probe left in ``file``, nothing where there is none."""
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _find_gap(facts: Mapping[str, object]) -> str | None:
    """Return what is missing in ``facts`` for a measurement, None where nothing is."""
    steps = len(_numbers(facts.get("times")))
    if steps == 0:
        return "it ended without a training step of Keras"
    if steps == 1:
        return "it ended after only one training step"
    missing = sorted(_FACTS - facts.keys())
    return f"its result lacks {', '.join(missing)}" if missing else None


def _measure(facts: Mapping[str, object], wall: float) -> Measurement:
    times, losses = _numbers(facts["times"]), facts["losses"]
    typical = median(times[1:])
    return Measurement(
        Sample(typical, min(times[1:])),
        max(0.0, times[0] - typical),
        int(str(facts["memory"])),
        tuple(losses) if isinstance(losses, list) else (),
        facts["jit"] is True,
        str(facts["dtype"]),
        len(times) - 1,
        wall,
    )


def _numbers(values: object) -> list[float]:
    numbers = [float(value) for value in values] if isinstance(values, list) else []
    # A clock that stood still would make ratios infinite.
    return [max(number, 1e-9) for number in numbers if isfinite(number)]
