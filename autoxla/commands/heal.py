"""``python -m autoxla heal PROGRAM``: find the setting under which a program that dies runs, and keep it."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoxla import cures
from autoxla.cache import cache_dir
from autoxla.commands import BadArgumentsError
from autoxla.commands.terminal import make_console, print_table
from autoxla.model import Cure, Situation
from autoxla.notice import printable, say
from autoxla.paths.candidates import find_candidates
from autoxla.paths.children import Children, raising_interrupts
from autoxla.paths.listing import Path as ExecutionPath
from autoxla.paths.listing import Paths
from autoxla.paths.marks import Mark
from autoxla.paths.search import Attempt, Search
from autoxla.planning import WATCH, assemble
from autoxla.policies.cures import name_settings
from autoxla.running import subject_from
from autoxla.situation.environment import read_environ

_INTERRUPTED = 130
#: Healing was asked for, whatever the mode of other runs is, and what cured the program before is not used.
_IN_CHILDREN = {"AUTOXLA": "auto", cures.UNCURED: "1"}
_HEAD = ("run", "under", "result", "s")
_QUESTION = (
    "heal runs the program again and again, and each run is a real one: what it writes, downloads and "
    "registers is written, downloaded and registered each time. Go on? [y/N] "
)
#: Settings of ``pyproject.toml`` by variable.
_SETTINGS = {"AUTOXLA_KERAS": "keras", "AUTOXLA_STEP": "step"}
#: What a cure is written for, as it is printed.
_PLACES = {
    "shell": "in the shell:",
    "pyproject": "in pyproject.toml:",
    "program": "first in the program:",
}
_MOST_CHANGED = 5
#: Is told of each run, before it and behind it.
Tell = Callable[[ExecutionPath, Attempt | None], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What healing came to: the search, the key of the record if a cure was kept, and else the runs' log.

    `signal` is the number of the one that interrupted it, 0 for none.
    """

    search: Search
    kept: str | None
    log: Path | None
    signal: int = 0


def run(options: argparse.Namespace) -> int:
    """Heal the program that ``options`` name; return the exit status."""
    if not options.yes and not _ask():
        say("not run")
        return 1
    with _show(quiet=options.quiet or options.json) as tell:
        outcome = find_cure(options.words, budget=options.budget, tell=tell)
    if options.json:
        print(json.dumps(_as_data(outcome, options.words), indent=2))
    else:
        _print(outcome, options.words, quiet=options.quiet)
    if outcome.search.end == "interrupted":
        return _INTERRUPTED
    return 0 if outcome.search.end in ("it ends well", "it still runs", "cured") else 1


def find_cure(words: Sequence[str], *, budget: float, tell: Tell) -> Outcome:
    """Look for a cure of the program for ``budget`` seconds, and keep what is confirmed."""
    subject = subject_from(words)
    found: list[Situation] = []

    def list_candidates(mark: Mark) -> Paths:
        # Only now, since a program that ends well needs none.
        found.append(assemble(subject, {**read_environ(), **_IN_CHILDREN}).situation)
        cache, files = cache_dir(read_environ()).absolute(), [frame.file for frame in mark.stack]
        return find_candidates(found[0], read_environ(), os.uname().machine, cache, files)

    kept = log = None
    sent = 0
    with (
        raising_interrupts(),
        tempfile.TemporaryDirectory(prefix="autoxla-heal-", ignore_cleanup_errors=True) as folder,
    ):
        children = Children(words, Path(folder), variables=_IN_CHILDREN, probe=WATCH)
        search = Search(
            lambda path, limit, look: children.run(path, {}, limit, look),
            list_candidates,
            budget=budget,
            clock=time.monotonic,
            tell=tell,
        )
        try:
            search.search()
        except KeyboardInterrupt as interrupt:
            search.end, sent = "interrupted", next(iter(interrupt.args), signal.SIGINT)
        try:
            if search.cure is not None and search.is_confirmed:
                cure = Cure(search.cure.variables, str(search.first.mark), "heal")
                kept = cures.keep(subject, found[0], cure, read_environ())
            elif search.attempts and search.first.mark is not None and search.first.mark.is_loaded:
                log = children.keep_log()
        except OSError as error:
            say(f"AX902 error records: nothing is kept: {error}")
    return Outcome(search, kept, log, sent)


def _ask() -> bool:
    """Return whether the user lets the program run. Raises `BadArgumentsError` where nobody can answer."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        raise BadArgumentsError("heal runs the program several times; without a terminal, say --yes to that")
    sys.stderr.write(_QUESTION)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


@contextmanager
def _show(*, quiet: bool) -> Iterator[Tell]:
    """Give what shows each run: a table that grows on a terminal with rich, else lines on stderr."""
    rows: list[tuple[str, ...]] = []
    console = None if quiet else make_console()
    if console is None:

        def tell(_: ExecutionPath, attempt: Attempt | None) -> None:
            if attempt is not None and not quiet:
                say(f"run {' '.join(_make_row(attempt)[:3])}")

        yield tell
        return
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    begun = [time.monotonic()]

    def draw() -> Table:
        table = Table(box=None, pad_edge=False)
        for name in _HEAD:
            table.add_column(name, overflow="fold", justify="right" if name in ("run", "s") else "left")
        for row in rows:
            seconds = row[3] or f"{time.monotonic() - begun[0]:.0f}"
            colour = {"lives": "green", "": "dim"}.get(row[2], "")
            table.add_row(row[0], Text(row[1]), Text(row[2] or "runs …", colour), seconds)
        return table

    with Live(get_renderable=draw, console=console, refresh_per_second=4):

        def grow(path: ExecutionPath, attempt: Attempt | None) -> None:
            if attempt is None:
                begun[0] = time.monotonic()
                rows.append((str(len(rows) + 1), _name(path), "", ""))
            else:
                rows[-1] = _make_row(attempt)

        yield grow


def _name(path: ExecutionPath) -> str:
    """Return the variables of ``path`` as the table shows them."""
    return printable(name_settings(path.variables) or "nothing: as it is")


def _make_row(attempt: Attempt) -> tuple[str, str, str, str]:
    result = "lives" if attempt.mark is None else printable(str(attempt.mark))
    return str(attempt.number), _name(attempt.path), result, f"{attempt.run.wall:.1f}"


def _print(outcome: Outcome, words: Sequence[str], *, quiet: bool) -> None:
    """Print the table where it was not shown as it grew, and what the runs came to."""
    search = outcome.search
    if make_console() is None and not quiet:
        print_table(_HEAD, [_make_row(attempt) for attempt in search.attempts], with_head=True)
    print(_conclude(search) if quiet else f"\n{_conclude(search)}")
    if search.cure is not None and search.is_confirmed:
        for where, lines in _write_cure(search.cure, words).items():
            for number, line in enumerate(lines):
                print(f"  {_PLACES[where] if number == 0 else '':<22}{printable(line)}")
    for before, after in search.find_changed_output()[:_MOST_CHANGED] if search.is_confirmed else ():
        print(f"  it printed            {printable(before)}\n  and prints now        {printable(after)}")
    mark = search.first.mark if search.attempts else None
    for name, reason in search.impossible.items():
        # What is not installed may be what the program died for want of.
        is_missing = "pip install" in reason and "keras" in str(mark).lower()
        is_open = search.end == "nothing helps" and mark is not None and mark.is_loaded
        if is_missing or (is_open and not quiet):
            print(f"  not tried: {name}: {reason}")
    if outcome.kept is not None:
        print("kept for its next runs")
    if outcome.log is not None:
        say(f"what the runs wrote: {outcome.log}")


def _conclude(search: Search) -> str:
    """Return in one line what the runs came to."""
    cure = "" if search.cure is None else _name(search.cure)
    said = {
        "it ends well": "the program ends well under autoxla as it is",
        "it still runs": "the program still runs where the budget ends; give it more with --budget",
        "cured": f"the program lives under {cure}",
        "at random": f"no cure: it lived under {cure} once, and dies at random",
        "nothing helps": "no setting helps",
        "out of budget": "the budget is used up",
        "interrupted": "interrupted",
    }[search.end]
    if search.cure is not None and search.end in ("out of budget", "interrupted"):
        said += f"; it lived under {cure}, which is not confirmed"
    elif search.nearest is not None and search.cure is None:
        mark = printable(str(search.nearest.mark))
        said += f"; it came furthest under {_name(search.nearest.path)}: {mark}"
    elif search.attempts and search.first.mark is not None and not search.first.mark.is_loaded:
        died = printable(str(search.first.mark))
        said += f": the program died before it had imported Keras or TensorFlow, of {died}"
    elif search.end == "out of budget":
        said += f"; as it is the program dies of {printable(str(search.first.mark))}"
    return f"{said} ({count_runs(search)}, {search.elapsed:.0f} s)"


def count_runs(search: Search) -> str:
    """Return how many runs there were, in words."""
    runs = len(search.attempts)
    return f"{runs} run{'s' * (runs != 1)}" if runs else "no run was over"


def _write_cure(path: ExecutionPath, words: Sequence[str]) -> dict[str, list[str]]:
    """Return the lines that make ``path`` the program's own, by where they stand: keys of `_PLACES`."""
    settings = {_SETTINGS[name]: value for name, value in path.variables.items() if name in _SETTINGS}
    others = {name: value for name, value in path.variables.items() if name not in _SETTINGS}
    lines = {"shell": [path.command(words)]}
    if settings and not others:
        lines["pyproject"] = ["[tool.autoxla]", *(f'{n} = "{v}"' for n, v in settings.items())]
    first = ["import os"] if others else []
    for name, value in others.items():
        first.append(
            f"os.environ.pop({name!r}, None)" if value is None else f"os.environ[{name!r}] = {value!r}"
        )
    if settings:
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        first += ["import autoxla", f"autoxla.configure({given})"]
    lines["program"] = first
    return lines


def _as_data(outcome: Outcome, words: Sequence[str]) -> dict[str, object]:
    """Return the result as JSON has it."""
    search = outcome.search
    runs = [
        {
            "number": attempt.number,
            "variables": dict(attempt.path.variables),
            "lives": attempt.mark is None,
            "death": None if attempt.mark is None else str(attempt.mark),
            "steps": 0 if attempt.mark is None else attempt.mark.steps,
            "seconds": round(attempt.run.wall, 1),
        }
        for attempt in search.attempts
    ]
    cure = search.cure if search.is_confirmed else None
    return {
        "program": words[0],
        "arguments": list(words[1:]),
        "end": search.end,
        "cure": None if cure is None else {"variables": dict(cure.variables), **_write_cure(cure, words)},
        "found_after": search.found_after,
        "runs": runs,
        "nearest": None if search.nearest is None else search.nearest.number,
        "impossible": search.impossible,
        "changed_output": search.find_changed_output(),
        "record": outcome.kept,
        "seconds": round(search.elapsed, 1),
        "log": None if outcome.log is None else str(outcome.log),
    }
