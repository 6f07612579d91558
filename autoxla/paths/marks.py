"""Where and how a program died, and which of two deaths came later.

Two runs of one program die of the same thing where the exception, the shape of its message and the line of
the program are the same. Numbers, addresses and paths differ from run to run: a shape leaves them out.
"""

from __future__ import annotations

import os
import re
import signal
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from autoxla.notice import printable
from autoxla.paths.children import Run
from autoxla.paths.watch import BETWEEN, WITHIN, is_own
from autoxla.policies.cures import shape_of

#: What Keras, autograph and graphs put in front of an error, colours, and lines of a log that are no errors.
_WRAPPING = re.compile(
    r"^( *)(?:in user code:|Graph execution error:|Detected at node .*"
    r"|(?:\w+: )?Exception encountered when calling .*"
    r'|File ".*", line \d+, in .*(?:\n\1 +\S.*)?)$|\x1b\[[\d;]*m',
    re.MULTILINE,
)
_LOGGED = re.compile(r"[IW]\d{4} |\d{4}-\d\d-\d\d .*: [IW] |WARNING: All log messages")
_STACK_LINE = re.compile(r'^  File "(.*)", line (\d+) in (.*)$', re.MULTILINE)
#: Of the processors' time, in a second.
_TICKS = os.sysconf("SC_CLK_TCK")
#: Bytes of a file of stacks that are read.
_LAST_STACKS = 1 << 16
#: Characters of a message that are compared, and shown.
_LONGEST, _SHOWN = 1000, 160
#: Steps by which a run goes beyond a mark: the last one may be under way in either.
MARGIN = 3
#: Errors of operations.
_OF_OPERATIONS = frozenset({"OpError", "XlaRuntimeError"})


class Frame(NamedTuple):
    """A line of the program's own code."""

    file: str
    line: int
    function: str


Stack = tuple[Frame, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A death: `what` is the exception, the signal or the status, `stack` the program's own code.

    The innermost frame stands last.
    `steps` were done before. `is_loaded`: Keras or TensorFlow was. `is_python`: no operation raised it.
    """

    kind: Literal["exception", "signal", "status", "quiet", "hang"]
    what: str
    message: str = ""
    stack: Stack = ()
    steps: int = 0
    is_loaded: bool = True
    is_python: bool = False

    def is_same(self, other: Mark) -> bool:
        """Return whether both are deaths of the same thing at the same line."""
        shapes = [shape_of(mark.message)[:_LONGEST] for mark in (self, other)]
        ours, theirs = (mark.stack[-1:] for mark in (self, other))
        # The same operation runs in this thread or in one of TensorFlow's, where no line is known.
        is_place = ours == theirs or (self.kind == "signal" and not (ours and theirs))
        return is_place and (self.kind, self.what, shapes[0]) == (other.kind, other.what, shapes[1])

    def __str__(self) -> str:
        lines = map(str.strip, _WRAPPING.sub("", self.message).splitlines())
        first = printable(next(filter(None, lines), "")).removeprefix(f"{self.what}: ")
        place = f" at {Path(self.stack[-1].file).name}:{self.stack[-1].line}" if self.stack else ""
        steps = f" after {self.steps} steps" if self.steps else ""
        said = first if len(first) <= _SHOWN else f"{first[:_SHOWN]} …"
        return f"{self.what}{place}{steps}{': ' if said else ''}{said}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: training steps done, the program's own code, bytes written, seconds of processors."""

    steps: int
    stack: Stack
    written: int
    busy: int

    def is_beyond(self, mark: Mark) -> bool:
        """Return whether this is clearly behind ``mark``: more steps done, or later code reached."""
        return self.steps >= mark.steps + MARGIN or is_later(self.stack, mark.stack)


def read_progress(name: Path, process: int) -> Progress:
    """Return how far the run is whose probe was told of ``name``."""
    files = [Path(f"{name}.{ending}") for ending in ("steps", "out", "err")]
    sizes = [file.stat().st_size if file.exists() else 0 for file in files]
    stack, busy = _read_stack(Path(f"{name}.{process}.stacks")), _count_ticks(process) // _TICKS
    return Progress(sizes[0], stack, sizes[1] + sizes[2], busy)


def read_mark(run: Run) -> Mark | None:
    """Return how ``run`` died, None where it ended well or was ended while it lived."""
    progress, has_loaded = read_progress(run.name, run.process), Path(f"{run.name}.loaded").exists()
    facts = _read_death(run)
    if run.status == 0:
        if "quit" not in facts:
            return None
        # The line in front of it says why, where the run's output is known.
        said, stack = _last_line(run.out), _as_stack(facts["quit"])
        return Mark("quiet", "end with status 0", said or "a library called quit()", stack, progress.steps)
    if run.status is None:
        is_hang = run.ended == HANG
        return Mark("hang", HANG, "", progress.stack, progress.steps, has_loaded) if is_hang else None
    if run.status < 0:
        what = signal.Signals(-run.status).name
        return Mark("signal", what, _last_line(run.err), _read_fatal(run), progress.steps, has_loaded)
    kinds = facts.get("types")
    is_loaded = bool(facts.get("loaded")) or has_loaded
    if not isinstance(kinds, list):
        said = _last_line(run.err or run.out)
        return Mark("status", f"status {run.status}", said, (), progress.steps, is_loaded)
    return Mark(
        "exception",
        str(kinds[0]),
        str(facts.get("message", "")),
        _as_stack(facts["stack"]),
        progress.steps,
        is_loaded,
        is_python=_OF_OPERATIONS.isdisjoint(kinds),
    )


#: Why a run is ended from outside: nothing moves in it any more, or it lives behind the mark.
HANG, BEYOND = "no sign of life", "lives"


def is_later(one: Sequence[Frame], other: Sequence[Frame]) -> bool:
    """Return whether stack ``one`` is of a later moment than ``other``, as far as lines tell."""
    for ours, theirs in zip(one, other, strict=False):
        if ours != theirs:
            is_same_code = (ours.file, ours.function) == (theirs.file, theirs.function)
            return is_same_code and ours.line > theirs.line
    # From the same line the program was called back, further in.
    return len(one) > len(other) > 0


def _as_stack(frames: Any) -> Stack:
    return tuple(Frame(*frame) for frame in frames)


def _read_death(run: Run) -> Mapping[str, Any]:
    """Return what the process left at its exit; where nothing ended it, what a process below it left."""
    own = Path(f"{run.name}.{run.process}.death")
    others = sorted(run.name.parent.glob(f"{run.name.name}.*.death"), key=lambda file: file.stat().st_mtime)
    left = [literal_eval(file.read_text("ascii")) for file in (own, *reversed(others)) if file.exists()]
    return next((facts for facts in left if {"types", "quit"} & facts.keys()), left[0] if left else {})


def _count_ticks(process: int) -> int:
    """Return how long ``process`` and those below it used a processor; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
        below = Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15])) + sum(_count_ticks(int(child)) for child in below)


def _read_stack(file: Path) -> Stack:
    """Return the last stack in a file of stacks."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - _LAST_STACKS))
            # What is being written has no end yet.
            line = stream.read().decode("utf-8", "replace").rpartition("\n")[0].rpartition("\n")[2]
    except OSError:
        return ()
    frames = (frame.split(WITHIN) for frame in line.split(BETWEEN) if frame)
    return tuple(Frame(name, int(number), code) for name, number, code in frames)


def _read_fatal(run: Run) -> Stack:
    """Return what `faulthandler` wrote of the thread that got a fatal signal, if Python ran in it."""
    file = Path(f"{run.name}.{run.process}.fatal")
    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    lines = [Frame(name, int(number), code) for name, number, code in _STACK_LINE.findall(text)]
    return tuple(frame for frame in reversed(lines) if is_own(frame.file))


def _last_line(text: str) -> str:
    lines = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line and not _LOGGED.match(line)), "")
