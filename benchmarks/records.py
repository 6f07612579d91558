"""A hundred processes on one cache: whether any record is lost or damaged, and how long they take.

``python -m benchmarks records`` starts processes that wait for a word, and then write and read records, all
at once: each one record under a key of its own and one under a key that all share, in turn. Afterwards
every record is read again. The seconds are those from the word to the end of the last one; beside them stands
one process that does as much alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from autoxla import __version__
from autoxla.store import Store
from benchmarks import conclude, interleave, read_arguments, show, summarise
from benchmarks.judging import estimate, pair_ratios

HOME = Path(__file__).parents[1]
PROCESSES, QUICK = 100, 10
#: Records that each process writes under its own key, and as many under the shared one.
WRITES = 5
SHARED = "f" * 16
BASE, AGAIN = "one process", "one process, again"
#: A share of the one process's time that can be told from noise.
RESOLUTION = 0.2
#: Writes and reads as many times as it is told, for each of the numbers that it is told.
CHILD = """\
import json, sys, time
from pathlib import Path
from autoxla.store import Store
folder, shared, writes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
numbers = range(*map(int, sys.argv[4:]))
store, lost = Store(folder), 0
print("ready", flush=True)
sys.stdin.readline()
for number in numbers:
    for turn in range(writes):
        data = {"number": number, "turn": turn, "text": f"{number}-{turn} " * 50}
        store.write(f"{number:016x}", data)
        store.write(shared, data)
        lost += (store.read(f"{number:016x}") or {}).get("turn") != turn
        lost += store.read(shared) is None
print(json.dumps({"lost": lost, "ignored": len(store.ignored)}))
"""


def main() -> None:
    """Measure, print a table, keep the raw figures; exit with 1 where a record was lost or damaged."""
    arguments = read_arguments("Measure many processes on one cache.")
    count = QUICK if arguments.quick else PROCESSES
    faults: list[str] = []
    many = f"{count} processes"
    runs = {
        BASE: partial(time_processes, [range(count)], faults),
        AGAIN: partial(time_processes, [range(count)], faults),
        many: partial(time_processes, [range(n, n + 1) for n in range(count)], faults),
    }
    measured = interleave(runs, arguments.rounds)
    summary = summarise(measured)
    writes = 2 * WRITES * count
    rates = {name: {"records a second": writes / row["median"]} for name, row in summary.items()}
    show({name: row | rates[name] for name, row in summary.items()}, f"{writes:,} records, s", digits=3)
    ratio = estimate(pair_ratios(measured[many], measured[BASE]))
    print(f"{many} over one: {ratio['median']:.2f}; {len(faults)} records lost or damaged")
    data = {
        "unit": "s",
        "rounds": arguments.rounds,
        "processes": count,
        "writes": writes,
        "faults": faults,
        "ratio": ratio,
        "summary": summary,
        "measured": measured,
    }
    conclude(arguments, data, {"autoxla": __version__}, again=(BASE, AGAIN), resolution=RESOLUTION)
    if faults:
        sys.exit(1)


def time_processes(shares: Sequence[range], faults: list[str]) -> float:
    """Return the seconds of one process for each of `shares` together; add what went wrong to `faults`."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "cache", "learned")
        children = [start(store, share) for share in shares]
        for child in children:
            if child.stdout is not None:
                child.stdout.readline()
        begin = time.perf_counter()
        for child in children:
            if child.stdin is not None:
                child.stdin.write("\n")
                child.stdin.flush()
        outputs = [child.communicate() for child in children]
        seconds = time.perf_counter() - begin
        faults += [fault for each in zip(children, outputs, strict=True) for fault in _check_child(*each)]
        faults += check_store(store, sum(map(len, shares)))
        return seconds


def start(store: Path, share: range) -> subprocess.Popen[str]:
    """Start a process that waits for a line and then writes the records of ``share``."""
    words = [str(store), SHARED, str(WRITES), str(share.start), str(share.stop)]
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(HOME), "AUTOXLA": "off"}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *words],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _check_child(child: subprocess.Popen[str], outputs: tuple[str, str]) -> list[str]:
    if child.returncode:
        return [f"a process failed: {' '.join(outputs[1].split())[-200:]}"]
    found = json.loads(outputs[0].splitlines()[-1])
    return [f"{number} {word}" for word, number in found.items() if number]


def check_store(folder: Path, count: int) -> list[str]:
    """Return what is wrong with the records that ``count`` writers left: each has its last one, whole."""
    store = Store(folder)
    faults = [
        f"record {number} is lost or not the last one"
        for number in range(count)
        if (store.read(f"{number:016x}") or {}).get("turn") != WRITES - 1
    ]
    shared = store.read(SHARED) or {}
    if shared.get("text") != f"{shared.get('number')}-{shared.get('turn')} " * 50:
        faults.append("the shared record is damaged")
    left = {file.name for file in folder.iterdir()} - {f"{n:016x}.json" for n in range(count)}
    faults += [f"left over: {name}" for name in left - {f"{SHARED}.json"}]
    return faults + [f"not read: {file.name}, {reason}" for file, reason in store.ignored]
