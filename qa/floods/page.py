"""The tables of ``qa/floods.md``, made from ``qa/floods/results.json``, between their marks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.paths.table import fill
from benchmarks.tables import format_table
from floods.threads import RIGHT
from floods.turns import OURS, PLAIN

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[1] / "floods.md"
NOTHING = "Not run yet."
STATES = {
    "dormant": "no watched module was searched for",
    "woken": "watched modules are searched for, none is imported",
    "loaded": "tensorflow is imported",
}
CALLS = {
    "predict": "`predict`",
    "compile": "models made and compiled",
    "train": "models fitted, each with a trial",
    "xla": "models fitted, `jit_compile=True`",
}


def main() -> None:
    """Renew the tables in the page."""
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8"), load()), encoding="utf-8")


def load() -> dict[str, Any]:
    """Return the results by the names of the floods, empty where nothing was run."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return found


def renew(text: str, results: Mapping[str, Any]) -> str:
    """Return ``text`` with the tables of all floods in their places. Raises ValueError where one lacks."""
    return fill(text, {name: make(name, results) for name in TABLES})


def make(name: str, results: Mapping[str, Any]) -> str:
    """Return the tables of one flood, with what they belong to below."""
    render = TABLES[name]
    if name not in results:
        return NOTHING
    data = results[name]
    versions = ", ".join(f"{each} {version}" for each, version in sorted(data["versions"].items()))
    origin = (
        f"{data['minutes']:.0f} minutes, {data['date']}, CPython {data['python']}, {data['system']}, "
        f"{data['machine']['cores']} cores; {versions}."
    )
    return f"{render(data)}\n\n{origin}"


def format_records(data: Mapping[str, Any]) -> str:
    """Return what a hundred processes on one cache did and lost."""
    store = data["store"]
    outcomes = ", ".join(f"{count} {words}" for words, count in data["outcomes"].items())
    trainings = [
        f"{data['processes']} trainings, {data['at once']} at once", f"{data['steps']}",
        outcomes, str(len(data["faults"])),
    ]  # fmt: skip
    writers = [
        f"{store['processes']} processes at once, nothing but the store, {store['rounds']} times",
        f"{store['processes'] + 1}", f"{store['writes']:,} written each time", str(len(store["faults"])),
    ]  # fmt: skip
    head = ["", "different records", "", "lost, damaged, left over, or another output"]
    return format_table(head, [trainings, writers])


def format_imports(data: Mapping[str, Any]) -> str:
    """Return what imports take over plain Python, and what memory grows by."""
    head = ["", "time", "drift", "KiB, plain", "KiB, autoxla", "blocks, plain", "blocks, autoxla"]
    rows = ([STATES[name], *_cells(row["all"], row["growth"])] for name, row in data["states"].items())
    kinds = list(next(iter(data["states"].values()))["kinds"])
    kinds += [kind for row in data["states"].values() for kind in row["kinds"] if kind not in kinds]
    by_kind = ([kind, *_ratios(data["states"], kind)] for kind in dict.fromkeys(kinds))
    return (
        f"{data['imports']:,} in each state; growth is by a thousand imports, over the second half.\n\n"
        f"{format_table(head, rows)}\n\nTime over plain, by kind:\n\n"
        f"{format_table(['', *data['states']], by_kind)}"
    )


def _cells(times: Mapping[str, float], growth: Mapping[str, Mapping[str, float]]) -> list[str]:
    grown = [
        f"{round(growth[name][who], 2) + 0.0:.2f}" for name in ("KiB", "blocks") for who in (PLAIN, OURS)
    ]
    return [f"{times['ratio']:.3f}", f"{times['drift']:.3f}", *grown]


def _ratios(states: Mapping[str, Any], kind: str) -> Iterator[str]:
    for row in states.values():
        yield f"{row['kinds'][kind]['ratio']:.2f}" if kind in row["kinds"] else ""


def format_steps(data: Mapping[str, Any]) -> str:
    """Return how steps, calls and models of a long run compare."""
    fit = data["fit"]
    head = ["", "time", "drift", "KiB, plain", "KiB, autoxla", "blocks, plain", "blocks, autoxla"]
    rows = ([name, *_cells(row["clock"], row["growth"])] for name, row in fit["rows"].items())
    called = (
        [
            f"{row['count']:,} {CALLS[name]}",
            *_cells(row["processor"], row["growth"]),
            *(str(row["alive"][who]) for who in (PLAIN, OURS)),
        ]
        for name, row in data["models"].items()
    )
    outcomes = "; ".join(
        f"{name}: {row['last']['outcome'] or 'no trial'}" for name, row in fit["rows"].items()
    )
    return "\n\n".join(
        [
            f"{fit['steps']:,} steps in {fit['epochs']} epochs, {fit['plain, ms a step']:.2f} ms each in "
            f"plain Keras, whose own drift was {fit['plain, second half over first']:.3f}; growth is by "
            f"10,000 steps. {outcomes}.",
            format_table(head, rows),
            "Growth is by one model or call; *alive* are models that were let go. TensorFlow keeps what XLA "
            "compiled until the process ends, for a trial as for `jit_compile=True`.",
            format_table([*head, "alive, plain", "alive, autoxla"], called),
        ]
    )


def format_threads(data: Mapping[str, Any]) -> str:
    """Return how many processes ended as they should, and how the others did."""
    head = ["", "threads", "processes", "right, plain", "right, autoxla"]
    groups = {
        **data["imports"],
        "models fitted, a trial in each thread": data["fits"],
        f"threads that import, and {data['forks']['children']} forks": {"threads": 4, **data["forks"]},
    }
    rows = [[name, *_count_right(row)] for name, row in groups.items()]
    wrong = [f"* {line}" for name, row in groups.items() for line in _list_wrong(name, row)]
    orders = ([name, end] for name, end in data["orders"].items())
    return "\n\n".join(
        [
            format_table(head, rows),
            "How the others ended:",
            "\n".join(wrong) or "* There are none.",
            "Two threads in the worst order, one of which pauses while it holds what the other needs:",
            format_table(["", ""], orders),
        ]
    )


def _count_right(row: Mapping[str, Any]) -> list[str]:
    return [str(row["threads"]), str(row["times"]), *(str(row[who].get(RIGHT, 0)) for who in (PLAIN, OURS))]


def _list_wrong(name: str, row: Mapping[str, Any]) -> Iterator[str]:
    for who in (PLAIN, OURS):
        for end, number in row[who].items():
            if end != RIGHT:
                yield f"{name}, {who}, {number} of {row['times']}: `{end.replace('`', '')}`"


TABLES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "records": format_records,
    "imports": format_imports,
    "steps": format_steps,
    "threads": format_threads,
}
