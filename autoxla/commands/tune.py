"""``python -m autoxla tune [--budget 10m] [--steps N] [--paths NAMES] [--json] [-q] PROGRAM [ARGUMENTS]``.

Runs PROGRAM (a script, -m MODULE or -c CODE) with its ARGUMENTS in child processes, once on each execution
path that its usage, your settings and the rules leave open, in rounds with more and more steps, until one
path is clear of the noise or the budget is used up. Prints what was measured, and keeps the fastest path: the
next run of the same program with the same arguments takes it by itself, in mode auto. Give the very arguments
of the real run.

Each child ends after the training steps that are timed, at once: nothing behind them runs. But all that
the program does before and during these steps does happen, once in each child: files that it or its
callbacks write, data that it downloads, runs that it registers with a tracker. A program that trains for
fewer steps runs to its end.

A path whose losses leave the default's by more than rounding explains is rejected. Exit status: 0; 1 where
the program fails on its default path; 2 on bad usage; 130 after Ctrl-C, SIGTERM or SIGHUP, which keep
what is known.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoxla.commands.arguments import BadArgumentsError, HelpFormatter, Parser, add_quiet, parse
from autoxla.commands.tuning.budget import parse_budget
from autoxla.commands.tuning.child import Children
from autoxla.commands.tuning.interrupts import raising_interrupts
from autoxla.commands.tuning.paths import Paths, find_paths
from autoxla.commands.tuning.printing import as_data, print_table, telling
from autoxla.commands.tuning.race import Entry, Race
from autoxla.facts import Situation
from autoxla.notice import say
from autoxla.planning import PROBE, Subject, assemble, subject_from
from autoxla.policies import decide
from autoxla.settings import BadSettingError
from autoxla.situation.environment import read_environ
from autoxla.situation.machine import count_cores
from autoxla.tuned import keep

USAGE = (
    "usage: python -m autoxla tune [--budget 10m] [--steps N] [--paths NAMES] [--json] [--quiet] "
    "PROGRAM [ARGUMENTS]"
)
_STEPS = 20
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """What tuning came to: the race, what could not be tried, and the record's key if one was written."""

    race: Race
    impossible: Mapping[str, str]
    kept: str | None
    log: Path | None
    is_interrupted: bool


def main(argv: list[str]) -> int:
    """Tune the program that ``argv`` names; return the exit status."""
    try:
        options, words = parse(_parser(), argv, only_in_front=True)
        subject = subject_from(words)
        situation = _look_at(subject)
        paths = _choose(
            find_paths(situation, read_environ(), os.uname().machine, count_cores()), options.paths
        )
    except BadArgumentsError as error:
        say(f"AX902 error arguments: {error}; {USAGE}")
        return 2
    except BadSettingError as error:
        say(str(error))
        return 2
    outcome = _tune(options, words, subject, situation, paths)
    _print(outcome, options, words)
    if outcome.is_interrupted:
        return _INTERRUPTED
    return 0 if outcome.race.default.runs else 1


def _parser() -> Parser:
    parser = Parser(
        prog="python -m autoxla tune",
        usage="%(prog)s [OPTIONS] PROGRAM [ARGUMENTS]",
        description=__doc__,
        formatter_class=HelpFormatter,
        epilog="example: python -m autoxla tune --budget 5m train.py --batch 64",
        allow_abbrev=False,
    )
    parser.add_argument("--budget", type=_seconds, default=600.0, metavar="TIME", help="90s, 10m, 1h; 10m")
    parser.add_argument("--steps", type=_count, default=_STEPS, metavar="N", help="in the first round; 20")
    parser.add_argument("--paths", metavar="NAMES", help="try only these, separated by commas")
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_quiet(parser, "no progress and no table; why the program failed, and what it wrote")
    return parser


def _seconds(text: str) -> float:
    try:
        return parse_budget(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _count(text: str) -> int:
    if not text.isdecimal() or not 3 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r}: use a number from 3 to 100000")
    return int(text)


def _look_at(subject: Subject) -> Situation:
    """Return the situation of the program. Raises `BadArgumentsError` where it is none that can be tuned."""
    if subject.program is None:
        raise BadArgumentsError("name the program to tune")
    # As the child on the default path finds it: tuning was asked for, whatever the mode of other runs is.
    situation = assemble(subject, {**read_environ(), "AUTOXLA": "auto", PROBE: ""}).situation
    backend = decide(situation).path.backend
    if backend != "tensorflow":
        raise BadArgumentsError(f"Keras runs on {backend}; only TensorFlow has several paths")
    return situation


def _choose(paths: Paths, names: str | None) -> Paths:
    """Return those of ``paths`` that are named, all where none is. Raises `BadArgumentsError`."""
    if names is None:
        return paths
    wanted = set(names.split(","))
    known = {path.name for path in paths.possible} | set(paths.impossible)
    if wanted - known:
        raise BadArgumentsError(
            f"{', '.join(sorted(wanted - known))}: here the paths are {', '.join(sorted(known))}"
        )
    impossible = {name: reason for name, reason in paths.impossible.items() if name in wanted}
    return Paths(tuple(path for path in paths.possible if path.name in wanted), impossible)


def _tune(
    options: argparse.Namespace, words: Sequence[str], subject: Subject, situation: Situation, paths: Paths
) -> Outcome:
    with (
        raising_interrupts(),
        tempfile.TemporaryDirectory(prefix="autoxla-tune-", ignore_cleanup_errors=True) as folder,
    ):
        children = Children(words, Path(folder))
        race, is_interrupted = _run(options, paths, children)
        kept = _keep(race, situation, subject.arguments)
        is_failed = any(entry.status == "failed" for entry in race.entries)
        log = _save(children.log) if is_failed else None
    return Outcome(race, paths.impossible, kept, log, is_interrupted)


def _run(options: argparse.Namespace, paths: Paths, children: Children) -> tuple[Race, bool]:
    """Return the race, and whether it was interrupted."""
    with telling(options.budget, quiet=options.quiet) as tell:
        race = Race(
            paths.possible,
            children.run,
            steps=options.steps,
            budget=options.budget,
            clock=time.monotonic,
            tell=tell,
        )
        try:
            race.run()
        except KeyboardInterrupt:
            race.end = "interrupted"
            return race, True
    return race, False


def _save(log: Path) -> Path | None:
    """Return a copy of ``log`` that outlives its folder; None, with a line, where there is no room for it."""
    try:
        handle, name = tempfile.mkstemp(prefix="autoxla-tune-", suffix=".log")
        os.close(handle)
        return Path(shutil.copyfile(log, name))
    except OSError as error:
        say(f"AX902 error records: the runs' log is not kept: {error}")
        return None


def _keep(race: Race, situation: Situation, arguments: Sequence[str]) -> str | None:
    winner = race.winner()
    if winner is None:
        return None
    try:
        return keep(situation, arguments, read_environ(), _facts(race, winner, situation))
    except OSError as error:
        say(f"AX902 error records: nothing is kept: {error}")
        return None


def _facts(race: Race, winner: Entry, situation: Situation) -> dict[str, object]:
    """Return the record: what the next run needs, and what was measured."""
    default, is_default = race.default, winner is race.default
    judgement = race.judgement(winner)
    ratio = 1.0 if judgement is None or is_default else judgement.ratio
    usual = "xla" if default.runs[0].jit else "graph"
    # What Keras resolves to XLA model by model is left to it.
    is_graph = usual == "graph" and situation.usage.jit_compile is None
    step = winner.path.step or ("graph" if is_graph and is_default else None)
    return {
        "winner": usual if is_default else winner.path.name,
        "step": step,
        "settings": dict(winner.path.settings),
        "speedup": round(max(1.0, 1 / ratio), 3),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "default_ms": round(default.step_s * 1e3, 4),
        "step_ms": round(winner.step_s * 1e3, 4),
        "compile_s": round(winner.compile_s, 3),
        "rounds": race.rounds,
    }


def _print(outcome: Outcome, options: argparse.Namespace, words: Sequence[str]) -> None:
    if options.json:
        print(json.dumps(_data(outcome, words), indent=2))
        return
    if options.quiet:
        _print_failure(outcome, [outcome.race.default])
        return
    _print_result(outcome, words)
    _print_failure(outcome, outcome.race.entries)


def _print_result(outcome: Outcome, words: Sequence[str]) -> None:
    race = outcome.race
    print_table(race, outcome.impossible)
    print()
    print(_conclude(outcome))
    if race.default.runs:
        print("\nto run one of them:")
        for entry in race.entries:
            if entry.runs:
                print(f"  {entry.path.command(words)}")


def _print_failure(outcome: Outcome, entries: Sequence[Entry]) -> None:
    failed = [entry for entry in entries if entry.status == "failed"]
    for entry in failed:
        for line in (entry.reason, *entry.tail):
            say(f"{entry.path.name}: {line}")
    if outcome.log is not None and failed:
        say(f"what the runs wrote: {outcome.log}")


def _data(outcome: Outcome, words: Sequence[str]) -> dict[str, object]:
    race, winner = outcome.race, outcome.race.winner()
    return {
        "program": words[0],
        "arguments": list(words[1:]),
        "paths": as_data(race, words),
        "impossible": dict(outcome.impossible),
        "winner": None if winner is None else winner.path.name,
        "end": race.end,
        "rounds": race.rounds,
        "repeatable": race.is_repeatable,
        "record": outcome.kept,
        "seconds": round(race.elapsed, 1),
        "log": None if outcome.log is None else str(outcome.log),
    }


def _conclude(outcome: Outcome) -> str:
    race, winner = outcome.race, outcome.race.winner()
    if winner is None:
        why = (
            race.end if race.default.runs else f"{race.end or 'nothing was measured'}: {race.default.reason}"
        )
        return f"no path is clear of the noise ({why.rstrip(': ')}); nothing is kept"
    kept = "kept for the next run" if outcome.kept is not None else "not kept"
    if winner is race.default:
        return f"no other path is faster and gives the same losses (rounds: {race.rounds}); {kept}"
    judgement = race.judgement(winner)
    if judgement is None:
        return f"{winner.path.name}; {kept}"
    return (
        f"{winner.path.name} is {1 / judgement.ratio:.2f} times faster than the default "
        f"({1 / judgement.high:.2f} to {1 / judgement.low:.2f} in {judgement.rounds} rounds); {kept}"
    )
