"""A hundred trainings on one cache, and a hundred processes at once on its store.

Each training has a trial, which writes and reads records; several have the same step, so that they write the
same record. They wait for a word together. What they print and how they end is compared with plain Keras;
afterwards every record is read, and nothing else may lie in the cache.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autoxla.store import Store
from documents import drop_log
from floods.turns import CHILDREN, child_environment

PROGRAM = CHILDREN / "flood_training.py"
#: Trainings in all, how many of them at once, and how many different steps they have.
PROCESSES, AT_ONCE, STEPS = 100, 12, 25
#: Rounds of a hundred processes at once that use nothing but the store.
ROUNDS = 3
#: Seconds for one group of trainings: two cores import TensorFlow as often as there are processes.
LIMIT = 900


def measure(processes: int = PROCESSES, at_once: int = AT_ONCE, rounds: int = ROUNDS) -> dict[str, Any]:
    """Return what went wrong, as a list of sentences, and how much was done."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        trainings = measure_trainings(Path(folder), processes, at_once)
    store = measure_store(processes, rounds)
    return {**trainings, "store": store, "seconds": round(time.monotonic() - begin)}


def measure_trainings(folder: Path, processes: int, at_once: int) -> dict[str, Any]:
    """Train in groups of ``at_once`` until ``processes`` have."""
    widths = [4 + number % STEPS for number in range(processes)]
    plain = run_plain(folder, sorted(set(widths)))
    faults: list[str] = []
    for start in range(0, processes, at_once):
        group = range(start, min(processes, start + at_once))
        faults += run_group(folder, {number: widths[number] for number in group}, plain)
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("report*.json"))]
    kept, wrong = check_cache(folder / "cache", reports)
    outcomes = Counter(str(trial.get("outcome")) for report in reports for trial in report["trials"])
    return {
        "processes": processes,
        "at once": at_once,
        "steps": len(set(widths)),
        "records": kept,
        "outcomes": dict(outcomes),
        "faults": [*faults, *wrong],
    }


def run_plain(folder: Path, widths: Sequence[int]) -> dict[int, str]:
    """Return what plain Keras prints for each width."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, widths)],
        cwd=folder,
        env=child_environment(folder, AUTOXLA="off"),
        input="\n",
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    lines = done.stdout.splitlines()[1:]
    return dict(zip(widths, lines, strict=True))


def run_group(folder: Path, widths: Mapping[int, int], plain: Mapping[int, str]) -> list[str]:
    """Train one program for each number at once; return what went wrong."""
    children = {number: start(folder, number, width) for number, width in widths.items()}
    for child in children.values():
        if child.stdout is not None:
            child.stdout.readline()
    for child in children.values():
        if child.stdin is not None:
            child.stdin.write("\n")
            child.stdin.flush()
    faults: list[str] = []
    for number, child in children.items():
        out, err = child.communicate(timeout=LIMIT)
        faults += [f"process {number}: {fault}" for fault in judge(child, out, err, plain[widths[number]])]
    return faults


def start(folder: Path, number: int, width: int) -> subprocess.Popen[str]:
    """Start a training that waits for a line."""
    report = str(folder / f"report{number}.json")
    return subprocess.Popen(
        [sys.executable, "-m", "autoxla", str(PROGRAM), str(width)],
        cwd=folder,
        env=child_environment(folder, AUTOXLA_REPORT=report),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def judge(child: subprocess.Popen[str], out: str, err: str, plain: str) -> list[str]:
    """Return how a program differs from plain Keras: its status, its output, other words than a switch."""
    said = [line for line in drop_log(err) if not re.match(r"autoxla: AX70[14] info fit: ", line)]
    faults = [f"status {child.returncode}"] if child.returncode else []
    faults += [f"printed {out!r} instead of {plain!r}"] if out != f"{plain}\n" else []
    return faults + [f"said {line[:300]!r}" for line in said]


def check_cache(cache: Path, reports: Sequence[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """Return how many decisions there are, and what is wrong: lost, damaged, left over."""
    store = Store(cache / "decisions")
    keys = {str(trial["key"]) for report in reports for trial in report["trials"]}
    faults = [
        f"the record {key} is lost" for key in sorted(keys) if not (store.read(key) or {}).get("winner")
    ]
    faults += [f"not read: {file.name}, {reason}" for file, reason in store.ignored]
    faults += [f"a process had no trial: {report['trials']}" for report in reports if not report["trials"]]
    files = [file for file in cache.rglob("*") if file.is_file()]
    faults += [f"left over: {file.relative_to(cache)}" for file in files if file.suffix != ".json"]
    faults += [f"no JSON: {file.relative_to(cache)}" for file in files if not is_json(file)]
    return len(keys), faults


def is_json(file: Path) -> bool:
    """Return whether ``file`` is JSON as a whole."""
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def measure_store(processes: int, rounds: int) -> dict[str, Any]:
    """Return what a hundred processes that only write and read lost, all of them really at once."""
    from benchmarks import records

    faults: list[str] = []
    for _ in range(rounds):
        records.time_processes([range(n, n + 1) for n in range(processes)], faults)
    return {
        "processes": processes,
        "rounds": rounds,
        "writes": 2 * records.WRITES * processes,
        "faults": faults,
    }
