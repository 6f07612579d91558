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
from autoxla.commands import INTERRUPTED, BadArgumentsError
from autoxla.commands.terminal import make_console, print_table
from autoxla.lookahead.notebook import NotANotebookError
from autoxla.model import Cure, Situation
from autoxla.notice import printable, say
from autoxla.paths import cells
from autoxla.paths.candidates import find_candidates
from autoxla.paths.children import Children, raising_interrupts
from autoxla.paths.listing import Path as ExecutionPath
from autoxla.paths.listing import Paths
from autoxla.paths.marks import Mark
from autoxla.paths.search import Attempt, Search
from autoxla.planning import WATCH, assemble
from autoxla.policies.cures import name_settings
from autoxla.running import subject_from
from autoxla.settings import VARIABLES
from autoxla.situation.environment import UNCURED, read_environ

#: Healing was asked for, whatever the mode of other runs is, and what cured the program before is not used.
_IN_CHILDREN = {"AUTOXLA": "auto", UNCURED: "1"}
_HEAD = ("run", "under", "result", "s")
_QUESTION = (
    "heal runs the program several times. Each run is real: it writes files, downloads data and registers "
    "runs as usual. Go on? [y/N] "
)
#: Settings of ``pyproject.toml`` by variable.
_SETTINGS = {variable: name for name, variable in VARIABLES.items()}
#: What a cure is written for, as it is printed.
_PLACES = {
    "shell": "in the shell:",
    "pyproject": "in pyproject.toml:",
    "program": "first in the program:",
    "cell": "in a new first cell:",
}
_MOST_CHANGED = 5
#: Is told of each run, before it and behind it.
Tell = Callable[[ExecutionPath, Attempt | None], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What healing came to: the search, the key of the record if a cure was kept, and else the runs' log.

    `signal` is the number of the one that interrupted it, 0 for none. `left_out` are the lines of a notebook
    that did not run.
    """

    search: Search
    kept: str | None
    log: Path | None
    signal: int
    left_out: list[str]


def run(options: argparse.Namespace) -> int:
    """Heal the program that ``options`` name; return the exit status."""
    if not options.yes:
        if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
            raise BadArgumentsError("heal runs the program several times; without a terminal, pass --yes")
        sys.stderr.write(_QUESTION)
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            say("not run")
            return 1
    with _show(quiet=options.quiet or options.json) as tell:
        outcome = find_cure(options.words, budget=options.budget, tell=tell)
    search = outcome.search
    if options.json:
        print(json.dumps(_as_data(outcome, options.words), indent=2))
    else:
        # The table, where it was not shown as it grew.
        if make_console() is None and not options.quiet:
            print_table(_HEAD, _make_rows(search.attempts), with_head=True)
        print(_conclude(search) if options.quiet else f"\n{_conclude(search)}")
        for line in _explain(outcome, options.words, quiet=options.quiet):
            print(line)
        if outcome.log is not None:
            say(f"what the runs wrote: {outcome.log}")
    if search.end == "interrupted":
        return INTERRUPTED
    return 0 if search.end in ("it ends well", "it still runs", "cured") else 1


def find_cure(words: Sequence[str], *, budget: float, tell: Tell) -> Outcome:
    """Look for a cure of the program for ``budget`` seconds, and keep what is confirmed.

    Of a notebook nothing is kept: its next run may have other cells. Raises `BadArgumentsError` where it is
    none.
    """
    subject = subject_from(words)
    is_notebook = subject.program is not None and subject.program.kind == "notebook"
    found: list[Situation] = []
    left_out: list[str] = []

    def list_candidates(mark: Mark) -> Paths:
        # Only now, since a program that ends well needs none.
        found.append(assemble(subject, {**read_environ(), **_IN_CHILDREN}).situation)
        cache = cache_dir(read_environ()).absolute()
        # A notebook was read, and not the files that it became.
        files = [frame.file for frame in mark.stack if not frame.file.startswith(folder)]
        return find_candidates(found[0], read_environ(), os.uname().machine, cache, files)

    kept = log = None
    sent = 0
    with (
        raising_interrupts(),
        tempfile.TemporaryDirectory(prefix="autoxla-heal-", ignore_cleanup_errors=True) as folder,
    ):
        run = list(words)
        if is_notebook:
            below = Path(folder, "cells")
            below.mkdir()
            try:
                run[0], left_out = cells.convert(Path(words[0]), below)
            except (OSError, NotANotebookError) as error:
                raise BadArgumentsError(f"{words[0]}: no notebook that can be read: {error}") from error
        children = Children(run, Path(folder), variables=_IN_CHILDREN, probe=WATCH)
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
        if search.confirmed is None and search.death is not None and search.death.is_loaded:
            log = children.keep_log()
        try:
            if search.confirmed is not None and not is_notebook:
                cure = Cure(search.confirmed.variables, str(search.death), "heal")
                kept = cures.keep(subject, found[0], cure, read_environ())
        except OSError as error:
            say(f"AX902 error records: nothing is kept: {error}")
    return Outcome(search, kept, log, sent, left_out)


@contextmanager
def _show(*, quiet: bool) -> Iterator[Tell]:
    """Give what shows each run: a table that grows on a terminal with rich, else lines on stderr."""
    attempts: list[Attempt] = []
    console = None if quiet else make_console()
    if console is None:

        def tell(_: ExecutionPath, attempt: Attempt | None) -> None:
            if attempt is not None and not quiet:
                attempts.append(attempt)
                say(f"run {' '.join(_make_rows(attempts)[-1][:3])}")

        yield tell
        return
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    #: What runs, and since when.
    running: list[tuple[ExecutionPath, float]] = []

    def draw() -> Table:
        table = Table(box=None, pad_edge=False)
        for name in _HEAD:
            table.add_column(name, overflow="fold", justify="right" if name in ("run", "s") else "left")
        for number, name, result, seconds in _make_rows(attempts):
            table.add_row(number, Text(name), Text(result, "green" if result == "lives" else ""), seconds)
        for path, begun in running:
            so_far = f"{time.monotonic() - begun:.0f}"
            table.add_row(str(len(attempts) + 1), Text(_name(path)), Text("runs …", "dim"), so_far)
        return table

    with Live(get_renderable=draw, console=console, refresh_per_second=4):

        def grow(path: ExecutionPath, attempt: Attempt | None) -> None:
            running[:] = [(path, time.monotonic())] if attempt is None else []
            if attempt is not None:
                attempts.append(attempt)

        yield grow


def _name(path: ExecutionPath) -> str:
    """Return the variables of ``path`` as the table shows them."""
    return printable(name_settings(path.variables) or "as it is")


def _make_rows(attempts: Sequence[Attempt]) -> list[tuple[str, str, str, str]]:
    """Return number, settings, result and seconds of each run; what ran before says so."""
    rows, names = [], set[str]()
    for attempt in attempts:
        name = _name(attempt.path)
        result = "lives" if attempt.mark is None else printable(str(attempt.mark))
        shown = f"{name}, again" if name in names else name
        rows.append((str(attempt.number), shown, result, f"{attempt.run.wall:.1f}"))
        names.add(name)
    return rows


def _explain(outcome: Outcome, words: Sequence[str], *, quiet: bool) -> Iterator[str]:
    """Yield what to do about it, what was not tried, and what was kept."""
    search = outcome.search
    if search.confirmed is not None:
        for where, lines in _write_cure(search.confirmed, words).items():
            for number, line in enumerate(lines):
                yield f"  {_PLACES[where] if number == 0 else '':<22}{printable(line)}"
        for before, after in search.find_changed_output()[:_MOST_CHANGED]:
            yield f"  it printed            {printable(before)}"
            yield f"  and prints now        {printable(after)}"
    for name, reason in search.impossible.items():
        # What is not installed may be what the program died for want of.
        is_missing = "pip install" in reason and "keras" in str(search.death).lower()
        is_open = search.end == "nothing helps" and search.death is not None and search.death.is_loaded
        if is_missing or (is_open and not quiet):
            yield f"  not tried: {name}: {reason}"
    if outcome.kept is not None:
        yield "kept for its next runs"
    if outcome.left_out and not quiet:
        yield "left out, because only a kernel can run it:"
        yield from (f"  {printable(line)}" for line in outcome.left_out)


def _conclude(search: Search) -> str:
    """Return in one line what the runs came to."""
    cure = "" if search.cure is None else _name(search.cure)
    said = {
        "it ends well": "the program ends well under autoxla as it is",
        "it still runs": "the program still ran at the end of the budget; give it more with --budget",
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
    elif search.death is not None and not search.death.is_loaded:
        died = printable(str(search.death))
        said += f": the program died before it had imported Keras or TensorFlow, of {died}"
    elif search.end == "out of budget":
        said += f"; as it is the program dies of {printable(str(search.death))}"
    return f"{said} ({count_runs(search)}, {search.elapsed:.0f} s)"


def count_runs(search: Search) -> str:
    """Return how many runs there were, in words."""
    runs = len(search.attempts)
    return f"{runs} run{'s' * (runs != 1)}" if runs else "no run was over"


def _write_cure(path: ExecutionPath, words: Sequence[str]) -> dict[str, list[str]]:
    """Return the lines that make ``path`` the program's own, by where they stand: keys of `_PLACES`."""
    settings = {_SETTINGS[name]: value for name, value in path.variables.items() if name in _SETTINGS}
    others = {name: value for name, value in path.variables.items() if name not in _SETTINGS}
    first = ["import os"] if others else []
    for name, value in others.items():
        first.append(
            f"os.environ.pop({name!r}, None)" if value is None else f"os.environ[{name!r}] = {value!r}"
        )
    is_notebook = words[0].endswith(".ipynb")
    if settings or is_notebook:
        first.append("import autoxla")
    if settings:
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        first.append(f"autoxla.configure({given})")
    if is_notebook:
        return {"cell": first}
    lines = {"shell": [path.command(words)]}
    if settings and not others:
        lines["pyproject"] = ["[tool.autoxla]", *(f'{n} = "{v}"' for n, v in settings.items())]
    return {**lines, "program": first}


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
    cure = search.confirmed
    return {
        "program": words[0],
        "arguments": list(words[1:]),
        "end": search.end,
        "cure": None if cure is None else {"variables": dict(cure.variables), **_write_cure(cure, words)},
        "found_after": next((attempt.number for attempt in search.attempts if attempt.mark is None), 0),
        "runs": runs,
        "nearest": None if search.nearest is None else search.nearest.number,
        "impossible": search.impossible,
        "changed_output": search.find_changed_output(),
        "record": outcome.kept,
        "seconds": round(search.elapsed, 1),
        "log": None if outcome.log is None else str(outcome.log),
        "left_out": outcome.left_out,
    }
