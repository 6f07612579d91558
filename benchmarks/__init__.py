"""What the benchmarks share: arguments, interleaved rounds, a table, figures with what they belong to."""

from __future__ import annotations

import datetime
import json
import os
import platform
import random
import resource
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.judging import estimate, judge_noise, pair_differences, show_changes, show_noise

#: Rounds of a quick run, which shows that a benchmark works and nothing else.
QUICK = 3
#: How many times as many rounds starts get that differ by tenths of a millisecond.
FINER = 16
#: Digits of a millisecond that are kept of a process; the processor's time has no more.
_DIGITS = 3
#: Columns of a log.
_WIDEST = 200
#: The load average before anything was measured; nan where the system has none.
_LOAD = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


def read_arguments(description: str) -> Namespace:
    """Return the command line: ``rounds``, ``quick``, and the files ``json`` and ``against``, or None."""
    parser = ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=25, help="times that each variant runs (default 25)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rounds and small sizes, to try it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the raw figures")
    parser.add_argument("--against", type=Path, metavar="FILE", help="earlier figures to compare with")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = min(arguments.rounds, QUICK)
    return arguments


def interleave(variants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every variant once a round and return what each measured.

    Neighbours in time see the same machine; each round has another order, the same in every run, so
    that none always follows the same one: what comes after a heavy start finds the caches cold.
    """
    measured: dict[str, list[float]] = {name: [] for name in variants}
    order = random.Random(0)  # noqa: S311 - an order, not a secret
    for _ in range(rounds):
        for name in order.sample(list(variants), len(variants)):
            measured[name].append(variants[name]())
    return measured


def time_processes(
    runs: Mapping[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Run every variant, each of which starts a process and waits for it, once a round.

    Returns milliseconds by the clock and by the processor, of the process and those that it waited for. Where
    others use the machine, the second are those that the process would take alone, nearly.
    """
    processor: dict[str, list[float]] = {name: [] for name in runs}

    def take(name: str) -> float:
        before, begin = _spend_children(), time.perf_counter()
        runs[name]()
        elapsed = (time.perf_counter() - begin) * 1e3
        processor[name].append(round(_spend_children() - before, _DIGITS))
        return round(elapsed, _DIGITS)

    return interleave({name: partial(take, name) for name in runs}, rounds), processor


def time_starts(
    own: Mapping[str, Callable[[], object]], others: Mapping[str, Callable[[], object]], rounds: int
) -> tuple[dict[str, dict[str, float]], dict[str, object]]:
    """Run starts of `own`, whose differences are small, in `FINER` times as many rounds as `others`.

    Returns the summary of all, and the raw figures: what each took by the processor and by the clock. The
    others are beside the first of `own`, which runs in their rounds as well.
    """
    finer = rounds if rounds <= QUICK else rounds * FINER
    measured, processor = time_processes(own, finer)
    summary = summarise_processes(measured, processor)
    if others:
        base = next(iter(own))
        beside, spent = time_processes({base: own[base], **others}, rounds)
        rows = summarise_processes(beside, spent)
        for name in others:
            summary[name], measured[name], processor[name] = rows[name], beside[name], spent[name]
    return summary, {"rounds": rounds, "finer": finer, "measured": processor, "by the clock": measured}


def _spend_children() -> float:
    """Return the milliseconds of the processor that all children took which have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1e3


def summarise_processes(
    measured: Mapping[str, Sequence[float]], processor: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, float]]:
    """Return `summarise` of the clock, with minimum and median of what is added by the processor."""
    spent = summarise(processor)
    names = ("min", "median", "added min", "added median")
    added = ("added min", "added median", "low", "high")
    return {
        name: {key: row[key] for key in names} | {f"processor {key}": spent[name][key] for key in added}
        for name, row in summarise(measured).items()
    }


def summarise(measured: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Return minimum and median of each variant, and how far it is above the first one.

    ``added min`` is the difference of the minima; ``added median``, with the interval ``low`` to ``high``,
    is that of the differences within a round, of as many rounds as there are of both.
    """
    base, *_ = measured.values()
    summary = {}
    for name, times in measured.items():
        added = estimate(pair_differences(times, base))
        summary[name] = {
            "min": min(times),
            "median": estimate(times)["median"],
            "added min": min(times) - min(base),
            "added median": added["median"],
            "low": added["low"],
            "high": added["high"],
        }
    return summary


def show(summary: Mapping[str, Mapping[str, float | None]], unit: str, digits: int = 2) -> None:
    """Print ``summary`` as a table, one variant a line; what a variant lacks, or is None, is left blank."""
    from rich.console import Console
    from rich.table import Table

    columns = list(dict.fromkeys(name for row in summary.values() for name in row))
    table = Table(unit)
    table.columns[0].no_wrap = True
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for name, row in summary.items():
        table.add_row(name, *(_format(row.get(column), digits) for column in columns))
    # Never narrower than the table: a log has no width of its own.
    console = Console()
    console.width = max(console.width, _WIDEST if not console.is_terminal else 0)
    console.print(table)


def conclude(
    arguments: Namespace,
    data: Mapping[str, object],
    versions: Mapping[str, str],
    *,
    again: tuple[str, str],
    resolution: float,
) -> None:
    """Say how noisy the machine was, keep the figures, and compare them with those of ``--against``.

    `again` names two variants in ``data["measured"]`` that are the same; where they differ by more than
    `resolution`, as a share of them, the figures say too little.
    """
    measured = data["measured"]
    if not isinstance(measured, Mapping):
        raise TypeError("what was measured is a mapping of variants")
    noise = judge_noise(measured[again[0]], measured[again[1]], resolution)
    show_noise(again, noise)
    figures = make_header(versions) | dict(data) | {"noise": noise}
    _write(arguments.json, figures)
    if arguments.against is not None:
        show_changes(json.loads(arguments.against.read_text(encoding="utf-8")), figures)


def write_json(file: Path | None, data: Mapping[str, object], versions: Mapping[str, str]) -> None:
    """Keep ``data`` in ``file``, if one is given, with what it belongs to."""
    _write(file, make_header(versions) | dict(data))


def make_header(versions: Mapping[str, str]) -> dict[str, object]:
    """Return date, versions and machine; ``load`` is the load average before and after."""
    from autoxla.situation.hardware import identity

    after = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "machine": identity({}),
        "load": [round(_LOAD, 2), round(after, 2)],
        "versions": dict(versions),
    }


def _write(file: Path | None, figures: Mapping[str, object]) -> None:
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _format(value: float | None, digits: int) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else f"{value:,.{digits}f}"


def run_apart(
    words: Sequence[str], environ: Mapping[str, str], limit: float
) -> subprocess.CompletedProcess[str]:
    """Return what ``python WORDS`` in the project's folder ended with, its output kept and its input empty.

    Raises `subprocess.TimeoutExpired` after ``limit`` seconds.
    """
    return subprocess.run(
        [sys.executable, *words],
        cwd=Path(__file__).parents[1],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=limit,
        check=False,
    )
