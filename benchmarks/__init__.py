"""What the benchmarks share: interleaved rounds, a table, raw figures with what they belong to."""

from __future__ import annotations

import datetime
import json
import platform
import random
import statistics
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def read_arguments(description: str) -> Namespace:
    """Return the command line as ``rounds`` and ``json`` (the file for the raw figures, or None)."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=25, help="times that each variant runs (default 25)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the raw figures")
    return parser.parse_args()


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


def summarise(measured: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """Return minimum and median of each variant, and what they are above those of the first one."""
    base, *_ = measured.values()
    return {
        name: {
            "min": min(times),
            "median": statistics.median(times),
            "added min": min(times) - min(base),
            "added median": statistics.median(times) - statistics.median(base),
        }
        for name, times in measured.items()
    }


def show(summary: Mapping[str, Mapping[str, float]], unit: str, digits: int = 2) -> None:
    """Print ``summary`` as a table, one variant a line."""
    columns = list(next(iter(summary.values())))
    width = max(map(len, summary))
    print(f"{unit:{width}}", *(f"{column:>12}" for column in columns))
    for name, row in summary.items():
        print(f"{name:{width}}", *(f"{value:12.{_digits(value, digits)}f}" for value in row.values()))


def write_json(file: Path | None, data: Mapping[str, object], versions: Mapping[str, str]) -> None:
    """Keep ``data`` in ``file``, if one is given, with the date and the ``versions`` it belongs to."""
    if file is None:
        return
    about = {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": dict(versions),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(about | dict(data), indent=1) + "\n", encoding="utf-8")


def _digits(value: float, digits: int) -> int:
    return 0 if isinstance(value, int) else digits
