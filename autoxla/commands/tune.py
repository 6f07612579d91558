"""``python -m autoxla tune PROGRAM``: run it on each path, and keep the fastest for its next runs."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from autoxla.commands import INTERRUPTED, BadArgumentsError
from autoxla.commands.terminal import print_table
from autoxla.model import Situation
from autoxla.notice import say
from autoxla.paths.children import Children, raising_interrupts
from autoxla.paths.listing import Paths, find_paths
from autoxla.paths.measuring import measure, name_step
from autoxla.paths.race import Entry, Race, find_break_even
from autoxla.paths.sources import may_train
from autoxla.planning import PROBE, assemble
from autoxla.policies import decide
from autoxla.running import subject_from
from autoxla.situation.environment import read_environ
from autoxla.situation.hardware import count_cores
from autoxla.tuned import keep_tuned, open_tuned

_PLURALS = {"step": "steps", "batch": "batches", "call": "calls"}
#: Tuning was asked for, whatever the mode of other runs is.
_IN_CHILDREN = {"AUTOXLA": "auto"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What tuning came to: the race, what could not be tried, and the record's key if one was written."""

    race: Race
    impossible: Mapping[str, str]
    kept: str | None
    log: Path | None


def run(options: argparse.Namespace) -> int:
    """Tune the program that ``options`` name; return the exit status."""
    subject = subject_from(options.words)
    # As the child on the default path finds it.
    situation = assemble(subject, {**read_environ(), **_IN_CHILDREN, PROBE: ""}).situation
    backend = decide(situation).path.backend
    if backend != "tensorflow":
        raise BadArgumentsError(f"Keras runs on {backend}; only TensorFlow has several paths")
    paths = find_paths(situation, read_environ(), os.uname().machine, count_cores())
    if options.paths is not None:
        names = options.paths.split(",")
        known = {path.name for path in paths.possible} | set(paths.impossible)
        if unknown := sorted(set(names) - known):
            raise BadArgumentsError(f"{', '.join(unknown)}: here the paths are {', '.join(sorted(known))}")
        paths = paths.choose(names)
    outcome = _tune(options, paths, situation, subject.arguments)
    failed = [entry for entry in outcome.race.entries if entry.status == "failed"]
    if options.json:
        print(json.dumps(_as_data(outcome, options.words), indent=2))
        failed = []
    elif options.quiet:
        failed = [entry for entry in failed if entry is outcome.race.default]
    else:
        _print(outcome, options.words)
    for entry in failed:
        for line in (entry.reason, *entry.tail):
            say(f"{entry.path.name}: {line}")
    if outcome.log is not None and failed:
        say(f"what the runs wrote: {outcome.log}")
    if outcome.race.end == "interrupted":
        return INTERRUPTED
    return 0 if outcome.race.default.runs else 1


def _tune(
    options: argparse.Namespace, paths: Paths, situation: Situation, arguments: Sequence[str]
) -> Outcome:
    """Run the race, in a folder of its own, and keep what is to outlive it."""
    with (
        raising_interrupts(),
        tempfile.TemporaryDirectory(prefix="autoxla-tune-", ignore_cleanup_errors=True) as folder,
        _telling(options.budget, quiet=options.quiet) as tell,
    ):
        children = Children(options.words, Path(folder), variables=_IN_CHILDREN)
        race = Race(
            paths.possible,
            lambda path, request, limit: measure(children.run(path, asdict(request), limit), request.phase),
            steps=options.steps,
            budget=options.budget,
            clock=time.monotonic,
            tell=tell,
            may_train=may_train(situation),
        )
        try:
            race.run()
        except KeyboardInterrupt:
            race.end = "interrupted"
        kept = None
        log = children.keep_log() if any(entry.status == "failed" for entry in race.entries) else None
        if (winner := race.winner()) is not None:
            try:
                record = _make_record(race, winner, situation)
                kept = keep_tuned(situation, arguments, open_tuned(read_environ()), record)
            except OSError as error:
                say(f"AX902 error records: nothing is kept: {error}")
    return Outcome(race, paths.impossible, kept, log)


@contextmanager
def _telling(budget: float, *, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Give a function that shows how far the race is: a bar on a terminal with rich, else lines.

    The bar is the share of ``budget``, in seconds, that is used up. ``quiet`` shows nothing.
    """
    is_drawn = not quiet and sys.stderr is not None and sys.stderr.isatty() and find_spec("rich") is not None
    if not is_drawn:
        yield (lambda _: None) if quiet else say
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    words = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), BarColumn(bar_width=20), TimeElapsedColumn(), words)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("round 1, default", total=budget)
        yield lambda line: progress.update(task, description=line, completed=progress.tasks[0].elapsed or 0.0)


def _make_record(race: Race, winner: Entry, situation: Situation) -> dict[str, object]:
    """Return what the next run needs, and what was measured."""
    default, is_default = race.default, winner is race.default
    judgement = winner.against(default)
    ratio = 1.0 if judgement is None or is_default else judgement.ratio
    usual = "xla" if default.runs[0].jit else "graph"
    # What Keras resolves to XLA model by model is left to it.
    is_graph = usual == "graph" and situation.usage.jit_compile is None
    return {
        "winner": usual if is_default else winner.path.name,
        "step": winner.path.step or ("graph" if is_graph and is_default else None),
        "settings": dict(winner.path.settings),
        "speedup": round(max(1.0, 1 / ratio), 3),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "default_ms": _ms(default.step_s),
        "step_ms": _ms(winner.step_s),
        "compile_s": round(winner.compile_s, 3),
        "rounds": race.rounds,
        "phase": race.phase,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 4)


def _as_data(outcome: Outcome, words: Sequence[str]) -> dict[str, object]:
    """Return the result as JSON has it; times in the units that their names end with."""
    race, winner = outcome.race, outcome.race.winner()
    rows: list[dict[str, object]] = []
    for entry in race.entries:
        rows.append(
            {
                "name": entry.path.name,
                "status": entry.status,
                "reason": entry.reason,
                "environment": dict(entry.path.variables),
                "command": entry.path.command(words),
            }
        )
        if entry.runs:
            judgement = entry.against(race.default)
            bounds = judgement and [round(judgement.low, 4), round(judgement.high, 4)]
            rows[-1] |= {
                "step_ms": _ms(entry.step_s),
                "rounds_ms": [_ms(each.sample.typical) for each in entry.runs],
                "least_ms": _ms(entry.least_s),
                "compile_s": round(entry.compile_s, 3),
                "beside_ms": {name: _ms(seconds) for name, seconds in entry.beside.items()},
                "memory_mb": round(max(each.memory for each in entry.runs) / 1e6),
                "ratio": judgement and round(judgement.ratio, 4),
                "ratio_bounds": bounds,
                "break_even_steps": find_break_even(race.default, entry),
            }
    return {
        "program": words[0],
        "arguments": list(words[1:]),
        "paths": rows,
        "impossible": dict(outcome.impossible),
        "winner": None if winner is None else winner.path.name,
        "end": race.end,
        "rounds": race.rounds,
        "repeatable": race.is_repeatable,
        "phase": race.phase,
        "compared": race.compared,
        "record": outcome.kept,
        "seconds": round(race.elapsed, 1),
        "log": None if outcome.log is None else str(outcome.log),
    }


def _print(outcome: Outcome, words: Sequence[str]) -> None:
    """Print a row for each path, what that means, and the commands that run the paths."""
    race, winner, default = outcome.race, outcome.race.winner(), outcome.race.default
    rows = [_make_row(race, entry, is_winner=entry is winner) for entry in race.entries]
    rows += [(name, "", "", "", "", "", reason) for name, reason in outcome.impossible.items()]
    step = name_step(race.phase or "train")
    head = ("path", f"ms a {step}", "of the default", "compile s", "MB", "pays after", "")
    print_table(head, rows, with_head=True)
    judgement = None if winner is None else winner.against(default)
    kept = "kept for the next run" if outcome.kept is not None else "not kept"
    if not race.others:
        said = "the program leaves no other path open; nothing is kept"
    elif winner is None or judgement is None:
        reason = race.end if default.runs else f"{race.end or 'nothing was measured'}: {default.reason}"
        said = f"no path is clear of the noise ({reason.rstrip(': ')}); nothing is kept"
    elif winner is default:
        said = f"no other path is faster with the same results (rounds: {race.rounds}); {kept}"
    else:
        bounds = f"{1 / judgement.high:.2f} to {1 / judgement.low:.2f} in {judgement.rounds} rounds"
        gain = f"{1 / judgement.ratio:.2f} times faster than the default ({bounds})"
        said = f"{winner.path.name} is {gain}; {kept}"
    print(f"\n{said}")
    if race.phase not in ("", "train"):
        print(f"timed: {race.phase}; compared: {race.compared}")
    for name, usual in default.beside.items():
        others = [entry for entry in race.others if name in entry.beside]
        times = (f", {entry.beside[name] * 1e3:.3g} on {entry.path.name}" for entry in others)
        print(f"beside: {name}, {usual * 1e3:.3g} ms a {name_step(name)} on the default{''.join(times)}")
    if default.runs:
        print("\nto run one of them:")
        for entry in race.entries:
            if entry.runs:
                print(f"  {entry.path.command(words)}")


def _make_row(race: Race, entry: Entry, *, is_winner: bool) -> tuple[str, ...]:
    is_default = entry is race.default
    note = entry.reason
    if is_winner:
        note = "fastest"
    elif entry.status == "rejected":
        note = f"rejected: {entry.reason}"
    elif entry.status == "running" and not is_default:
        note = "faster, too" if race.is_faster(entry) else "not clear of the noise"
        if race.compared == "nothing":
            note = "nothing that it returns or prints can be compared"
        elif not race.is_compared(entry):
            note = "its results are not compared with enough seeds"
    if not entry.runs:
        return entry.path.name, "", "", "", "", "", note
    name = f"default ({'xla' if entry.runs[0].jit else 'graph'})" if is_default else entry.path.name
    times = [run.sample.typical * 1e3 for run in entry.runs]
    spread = f" ({min(times):.3g}-{max(times):.3g})" if len(times) > 1 else ""
    ratio = pays = ""
    judgement = entry.against(race.default)
    if not is_default and judgement is not None:
        bounds = f" ({judgement.low:.2f}-{judgement.high:.2f})" if judgement.rounds > 1 else ""
        ratio = f"{judgement.ratio:.2f}{bounds}"
        steps = find_break_even(race.default, entry)
        pays = "never" if steps is None else f"{steps} {_PLURALS[name_step(race.phase)]}"
    memory = f"{max(run.memory for run in entry.runs) / 1e6:.0f}"
    step = f"{entry.step_s * 1e3:.3g}{spread}"
    return name, step, ratio, f"{entry.compile_s:.2f}", memory, pays, note
