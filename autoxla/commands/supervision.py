"""What the launcher does where ``heal`` is on: the program runs in a child, and again when it is cured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

from autoxla.commands.heal import find_cure
from autoxla.launch.launcher import read_options
from autoxla.notice import say
from autoxla.paths.children import Run
from autoxla.paths.marks import Mark, read_mark
from autoxla.planning import WATCH, assemble, subject_from
from autoxla.policies.cures import name_settings
from autoxla.situation.environment import read_environ

_BUDGET = 600.0
#: What a user or a scheduler sends: passed on, and no death that is to be healed.
_FORWARDED = (*("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"), *("SIGUSR1", "SIGUSR2"))
_SENT = (*_FORWARDED, "SIGKILL", "SIGPIPE")


def supervise(words: Sequence[str], *, quiet: bool) -> int:
    """Run the program with this process' terminal and streams, and again, once, if it can be healed.

    Returns its exit status; where a signal ended it, the same ends this process.
    """
    options, _ = read_options(sys.orig_argv[1:])
    command = [sys.executable, *options, "-m", "autoxla", *(["--quiet"] if quiet else []), "run", *words]
    environ = {**read_environ(), "AUTOXLA_HEAL": "0"}
    with tempfile.TemporaryDirectory(prefix="autoxla-heal-", ignore_cleanup_errors=True) as folder:
        name = Path(folder, "run-1")
        process, status = _pass_through(command, {**environ, WATCH: str(name)})
        mark = read_mark(Run(status, "", name, process, "", "", 0.0))
    if mark is not None and _may_be_healed(mark) and _find_cure(words, mark, quiet=quiet):
        _, status = _pass_through(command, environ)
    if status < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _may_be_healed(mark: Mark) -> bool:
    """Return whether the program died of Keras or TensorFlow, before it had trained."""
    is_sent = mark.kind == "signal" and mark.what in _SENT
    return mark.is_loaded and mark.steps == 0 and mark.kind in ("exception", "signal") and not is_sent


def _find_cure(words: Sequence[str], mark: Mark, *, quiet: bool) -> bool:
    """Return whether the next run starts with a cure, which that one learned itself or the search finds."""
    situation = assemble(subject_from(words), read_environ()).situation
    if situation.cure is not None and not situation.uncured:
        return True
    if not quiet:
        say(f"the program died before its first training step of {mark}; it is run again to find a cure")
    outcome = find_cure(words, budget=_BUDGET, tell=lambda _, __: None)
    search = outcome.search
    if not quiet and search.cure is not None and search.is_confirmed:
        say(f"it lives under {name_settings(search.cure.variables)}, and starts anew")
    elif not quiet:
        say(f"no cure was found in {len(search.attempts)} runs")
    return outcome.kept is not None


def _pass_through(command: Sequence[str], environ: Mapping[str, str]) -> tuple[int, int]:
    """Run ``command`` in this process' group and pass signals on; return its process' number and status."""
    process: subprocess.Popen[bytes] | None = None

    def forward(number: int, _: FrameType | None) -> None:
        # What a terminal sends reaches the whole group, so the child has it already.
        if process is not None and not (number in (signal.SIGINT, signal.SIGQUIT) and _is_in_foreground()):
            process.send_signal(number)

    numbers = [signal.Signals[name] for name in _FORWARDED]
    heeded = {number: signal.getsignal(number) for number in numbers}
    heeded = {number: handler for number, handler in heeded.items() if handler is not signal.SIG_IGN}
    try:
        # A handler is no child's: each of these signals has its default there.
        for number in heeded:
            signal.signal(number, forward)
        process = subprocess.Popen(command, env=dict(environ))
        return process.pid, process.wait()
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Return whether a terminal's keys send their signals to this process."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False
