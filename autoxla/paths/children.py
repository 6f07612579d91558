"""The program in child processes, one for each run on a path; what is seen there is a probe's matter."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from autoxla.launch.launcher import read_options
from autoxla.notice import say
from autoxla.paths.listing import Path as ExecutionPath
from autoxla.planning import PROBE
from autoxla.situation.environment import read_environ

#: Lines of a run's output that are shown.
_LAST = 5
#: Bytes of each stream that are kept of a run.
_LONGEST = 1 << 22
#: Seconds that what a run has started may take to end: multiprocessing's resource tracker unlinks memory.
_GRACE = 1.0
_POLL = 0.01
#: Seconds from one look at a run to the next.
_LOOK = 0.2
#: A report, or who speaks for the processes of a tree, is the user's own run's.
_LEFT_OUT = ("AUTOXLA_REPORT", "AUTOXLA_ROOT")
_ENDING = (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Run:
    """One run that is over.

    `status` is the program's, negative for a signal, None where the run was `ended` from here for a reason.
    `name` is how the files begin that a probe left, and `process` the program's number; `out` and `err` are
    what the program wrote, `wall` its seconds.
    """

    status: int | None
    ended: str
    name: Path
    process: int
    out: str
    err: str
    wall: float

    @property
    def fault(self) -> str | None:
        """Why the run counts for nothing, None where it ended with status 0."""
        if self.status is not None and self.status < 0:
            return f"ended by signal {signal.Signals(-self.status).name}"
        return f"ended with status {self.status}" if self.status else self.ended or None

    @property
    def tail(self) -> tuple[str, ...]:
        """The end of what the program wrote."""
        return tuple(line for line in f"{self.out}\n{self.err}".splitlines() if line.strip())[-_LAST:]


class Children:
    """Runs ``python *words`` in child processes; what they print goes to ``log`` in ``folder``, too.

    Each gets ``variables``, and in the variable ``probe`` the name of a file in ``folder``.
    """

    def __init__(
        self, words: Sequence[str], folder: Path, *, variables: Mapping[str, str], probe: str = PROBE
    ) -> None:
        self._words = list(words)
        self._folder = folder
        self._variables = variables
        self._probe = probe
        # A short name: a socket's path has 104 characters at most.
        self._temporary = folder / "t"
        self._temporary.mkdir(exist_ok=True)
        self._count = 0
        self.log = folder / "log.txt"

    def run(
        self,
        path: ExecutionPath,
        request: Mapping[str, object],
        limit: float,
        look: Callable[[Path, int, float], str] | None = None,
    ) -> Run:
        """Run the program on ``path`` for ``limit`` seconds at most; ``request`` is what a probe is asked.

        ``look`` is called again and again with the name of the probe's file, the number of the process and
        its seconds so far; what it returns is why the run is to end.
        """
        self._count += 1
        name = self._folder / f"run-{self._count}.json"
        name.write_text(json.dumps(request), encoding="utf-8")
        own = {**self._variables, self._probe: str(name), "TMPDIR": str(self._temporary), "AUTOXLA_HEAL": "0"}
        if look is not None and not read_environ().get("PYTHONUNBUFFERED"):
            # What stays in a buffer looks like a program that stands still.
            own["PYTHONUNBUFFERED"] = "1"
        changed = {**dict.fromkeys(_LEFT_OUT), **own, **path.variables}
        kept = {variable: value for variable, value in read_environ().items() if variable not in changed}
        files = [Path(f"{name}.{stream}") for stream in ("out", "err")]
        process: subprocess.Popen[bytes] | None = None
        options, _ = read_options(sys.orig_argv[1:])
        begin, ended = time.monotonic(), ""
        with files[0].open("wb") as out, files[1].open("wb") as err:
            try:
                # A session of its own: all that the program started ends with it, and Ctrl-C is for us.
                process = subprocess.Popen(
                    [sys.executable, *options, "-m", "autoxla", "run", *self._words],
                    env={**kept, **{name: value for name, value in changed.items() if value is not None}},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
                while not ended and process.poll() is None:
                    wall = time.monotonic() - begin
                    ended = f"no result within {limit:.0f} s" if wall > limit else ""
                    if look is not None and not ended:
                        ended = look(name, process.pid, wall)
                    try:
                        process.wait(timeout=min(_LOOK, max(0.0, limit - wall)))
                    except subprocess.TimeoutExpired:
                        continue
                # What is over by itself at the last moment has a status of its own.
                status = process.returncode
            finally:
                if process is not None:
                    _end(process)
        wall = time.monotonic() - begin
        wrote, said = map(_read_end, files)
        with self.log.open("a", encoding="utf-8", errors="surrogateescape") as log:
            log.write(f"\n# {path.command(self._words)}\n{wrote}{said}")
        return Run(status, "" if status is not None else ended, name, process.pid, wrote, said, wall)

    def keep_log(self) -> Path | None:
        """Copy the log into a file that stays; return its name; where that fails, say so."""
        try:
            handle, name = tempfile.mkstemp(prefix=f"{self._folder.name.rpartition('-')[0]}-", suffix=".log")
            os.close(handle)
            return Path(shutil.copyfile(self.log, name))
        except OSError as error:
            say(f"AX902 error records: the runs' log is not kept: {error}")
            return None


def _read_end(file: Path) -> str:
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - _LONGEST))
        return stream.read().decode("utf-8", "replace")


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


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(number)


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP, too, and put the former handlers back behind it.

    The exception holds their number.

    A signal that is ignored stays so: ``nohup`` asks for that.
    """
    former = {number: signal.getsignal(number) for number in _ENDING}
    heeded = {number: handler for number, handler in former.items() if handler is not signal.SIG_IGN}
    try:
        for number in heeded:
            signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
