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

from autoxla import cures
from autoxla.cache import key_of
from autoxla.commands.heal import count_runs, find_cure
from autoxla.launch.launcher import read_options
from autoxla.notice import say
from autoxla.paths.children import Run
from autoxla.paths.marks import Mark, read_mark
from autoxla.planning import WATCH, assemble
from autoxla.policies.cures import name_settings
from autoxla.running import subject_from
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
    key = key_of(subject_from(words))
    record = cures.open_cures(environ).read(key) if key is not None else None
    #: The variables that are kept as a cure of the program when it starts.
    before = (record or {}).get("variables")
    with tempfile.TemporaryDirectory(prefix="autoxla-heal-", ignore_cleanup_errors=True) as folder:
        name = Path(folder, "run-1")
        process, status, is_told = _pass_through(command, {**environ, WATCH: str(name)})
        mark = read_mark(Run(status, "", name, process, "", "", 0.0))
    is_sent = mark is not None and mark.kind == "signal" and mark.what in _SENT
    # What was told to stop has not failed. The death is to be one of Keras or TensorFlow, before training.
    if (
        mark is not None
        and not (is_told or is_sent)
        and mark.kind in ("exception", "signal", "quiet")
        and mark.is_loaded
        and mark.steps == 0
    ):
        found = _find_cure(words, mark, before, quiet=quiet)
        if isinstance(found, int):
            status = -found
        elif found is not None:
            changed = {**environ, **found}
            environ = {name: value for name, value in changed.items() if value is not None}
            _, status, _ = _pass_through(command, environ)
    if status < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def _find_cure(
    words: Sequence[str], mark: Mark, before: object, *, quiet: bool
) -> Mapping[str, str | None] | int | None:
    """Return what to set for another run, which may recall its cure itself; None where there is to be none.

    ``before`` is what was kept when the program started. A signal's number: that interrupted the search.
    """
    subject = subject_from(words)
    situation = assemble(subject, read_environ()).situation
    cure = None if situation.uncured else situation.cure
    if cure is not None and dict(cure.variables) != before:
        return {}
    if cure is not None and mark.kind == "exception":
        return None  # it died under the cure, and of its own
    if cure is not None:
        # Nobody was left in the process to drop it.
        cures.drop(subject, situation, read_environ())
    if not quiet:
        if cure is not None:
            say(f"the program died under {name_settings(cure.variables)}, which is dropped")
        say(f"the program died before its first training step of {mark}; it is run again to find a cure")
    outcome = find_cure(words, budget=_BUDGET, tell=lambda _, __: None)
    search = outcome.search
    variables = None if search.confirmed is None else search.confirmed.variables
    if not quiet and variables is not None:
        say(f"it lives under {name_settings(variables)}, and starts anew")
    elif not quiet:
        said = {"interrupted": "interrupted", "it ends well": "it ended well this time"}
        log = "" if outcome.log is None else f"; what the runs wrote: {outcome.log}"
        say(f"{said.get(search.end, 'no cure was found')} ({count_runs(search)}){log}")
    return outcome.signal or ({} if outcome.kept is not None else variables)


def _pass_through(command: Sequence[str], environ: Mapping[str, str]) -> tuple[int, int, bool]:
    """Run ``command`` in this process' group and pass signals on.

    Returns its process' number, its status and whether a signal came.
    """
    process: subprocess.Popen[bytes] | None = None
    is_told = False

    def forward(number: int, _: FrameType | None) -> None:
        nonlocal is_told
        is_told = True
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
        status = process.wait()
        return process.pid, status, is_told
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Return whether a terminal's keys send their signals to this process."""
    try:
        # Any of the standard streams may be redirected.
        with Path("/dev/tty").open("rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
