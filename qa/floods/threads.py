"""Imports from many threads, models in threads, forks beside threads: fresh processes, again and again.

Plain Python fails there now and then: threads that import two packages which import each other see half of
one. Both are counted. A process is as it should be if every thread imported its part, what was imported is
whole, and, with autoxla, it is hooked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import plugin_double
from floods import double
from floods.turns import CHILDREN, LAUNCHERS, OURS, PLAIN, SOURCES, child_environment
from programs import HOME

#: Processes at the same time.
AT_ONCE = 2
#: Seconds after which a process counts as one that waits for itself; it gives itself up before.
LIMIT = 400
RIGHT, WAITS = "right", "its threads wait for each other"
BOTH = ("import keras", "import tensorflow")
MANY = (
    *BOTH, "import tf_keras", "import keras.src.models", "from tensorflow import keras",
    "import keras.layers", "from keras import src", "import tensorflow.python",
)  # fmt: skip


@dataclass(frozen=True)
class Arrangement:
    """What threads import, how many there are, where autoxla is imported, and how often it is tried.

    `kind` is ``keras`` for the real packages, ``double`` for `floods.double`; `itex`: with the double of its
    plug-in.
    """

    title: str
    kind: str
    statements: tuple[str, ...]
    threads: int
    way: str = "main"
    times: int = 20
    itex: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    def words(self, who: str, seed: int) -> list[str]:
        """Return the words after ``python``."""
        way = "none" if who == PLAIN else self.way
        program = str(CHILDREN / "flood_threads.py")
        return [program, self.kind, way, str(self.threads), str(seed), *self.statements]


LEGACY = {"TF_USE_LEGACY_KERAS": "1"}
ALIAS = {"AUTOXLA_KERAS": "legacy"}
ARRANGEMENTS = (
    Arrangement("keras and tensorflow", "keras", BOTH, 2),
    Arrangement("both generations and their parts", "keras", MANY, 16),
    Arrangement("both generations, TF_USE_LEGACY_KERAS=1", "keras", MANY[:5], 4, variables=LEGACY),
    Arrangement("autoxla imported in a thread of them", "keras", (*BOTH, *BOTH), 4, "thread"),
    Arrangement("keras and tensorflow, ITEX's plug-in", "keras", BOTH, 2, itex=True),
    Arrangement("stand-ins: keras and tensorflow", "double", BOTH, 2, times=30),
    Arrangement("stand-ins: many parts, 4 threads", "double", MANY, 4, times=30),
    Arrangement("stand-ins: many parts, 16 threads", "double", MANY, 16, times=30),
    Arrangement("stand-ins: autoxla imported in a thread of them", "double", MANY, 16, "thread", times=30),
    Arrangement("stand-ins: with a plug-in", "double", BOTH, 2, times=30, itex=True),
    Arrangement("stand-ins: with a plug-in, 16 threads", "double", MANY, 16, times=30, itex=True),
    Arrangement("stand-ins: keras is tf_keras", "double", MANY[:3], 16, times=30, variables=ALIAS),
)
#: What forks and lets the child import; seconds after which a child that waits is ended.
FORK = """\
import os, signal
if os.fork() == 0:
    signal.alarm(10)
    try:
        import keras_core
    except ImportError:
        pass
    os._exit(0)
if os.wait()[1]:
    raise SystemExit("the child waited for a lock")
"""
#: Two threads in the worst order: the file that one executes, what it imports, what the other one imports.
ORDERS: Mapping[str, tuple[str, str, str]] = {
    "json, tf_keras": ("json/__init__.py", "import json", "import tf_keras"),
    "autoxla, tensorflow": ("hooks/finder.py", "import autoxla", "import tensorflow"),
    "tensorflow and autoxla, keras": ("lookahead/__init__.py", "import tensorflow, autoxla", "import keras"),
    "autoxla.plan, tensorflow": ("autoxla/runtime.py", "from autoxla import plan", "import tensorflow"),
    "autoxla.hooks.boundary, keras": (
        "hooks/boundary.py",
        "from autoxla.hooks import boundary",
        "import keras",
    ),
    "keras, tensorflow": ("lookahead/__init__.py", "import keras", "import tensorflow"),
    "tensorflow, a fork": ("lookahead/__init__.py", "import tensorflow", FORK),
}
#: Models in so many threads, and how often; children of a fork beside threads, and how often.
FITS, FIT_TIMES = 4, 5
FORKS, FORK_TIMES = 3, 5


def measure() -> dict[str, Any]:
    """Return how processes ended, plain and with autoxla, by arrangement."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        return {
            "imports": {one.title: measure_arrangement(one, place) for one in ARRANGEMENTS},
            "orders": {name: run_order(name, place) for name in ORDERS},
            "fits": measure_fits(place, FITS, FIT_TIMES),
            "forks": measure_forks(place, FORKS, FORK_TIMES),
        }


def measure_arrangement(arrangement: Arrangement, folder: Path) -> dict[str, Any]:
    """Return how its processes ended; plain and ours in turn, each with the same schedules."""
    path = make_path(arrangement, folder)
    judges = {
        PLAIN: partial(judge_import, arrangement, PLAIN),
        OURS: partial(judge_import, arrangement, OURS),
    }
    runs = [
        (who, partial(start, arrangement.words(who, seed), folder, PYTHONPATH=path, **arrangement.variables))
        for seed in range(arrangement.times)
        for who in LAUNCHERS
    ]
    counts = count(runs, judges)
    return {"threads": arrangement.threads, "times": arrangement.times, **counts}


def make_path(arrangement: Arrangement, folder: Path) -> str:
    """Return the path of modules for an arrangement, and write what is to be there."""
    own = [HOME, *SOURCES]
    place = folder / re.sub(r"\W+", "_", arrangement.title)
    place.mkdir(exist_ok=True)
    if arrangement.kind == "double":
        own.insert(0, double.write(place, plugin=arrangement.itex))  # the real ones may be beside autoxla
    elif arrangement.itex:
        plugin_double.build(place)
        own.append(plugin_double.site_packages(place))
    return ":".join(map(str, own))


Run = tuple[str, Callable[[], subprocess.CompletedProcess[str] | None]]
Judge = Callable[[subprocess.CompletedProcess[str]], str]


def count(runs: Sequence[Run], judges: Mapping[str, Judge]) -> dict[str, dict[str, int]]:
    """Return how often processes ended in which way, by who they were; some at the same time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = list(pool.map(lambda run: judge(run[1](), judges[run[0]]), runs))
    of = {who: Counter[str]() for who in LAUNCHERS}
    for (who, _), end in zip(runs, ends, strict=True):
        of[who][end] += 1
    return {who: dict(ends.most_common()) for who, ends in of.items()}


def judge(done: subprocess.CompletedProcess[str] | None, judge_facts: Judge) -> str:
    """Return how a process ended, in words that are the same for the same end."""
    if done is None or "Timeout (" in done.stderr:
        return WAITS
    if done.returncode:
        return f"status {done.returncode}: {last_line(done.stderr)}"
    if not done.stdout.strip().endswith("}"):
        return f"ended without a word: {last_line(done.stdout + done.stderr)}"
    return judge_facts(done)


def last_line(text: str) -> str:
    """Return the last line of ``text``, short."""
    return next((line.strip()[:160] for line in reversed(text.splitlines()) if line.strip()), "")


def start(words: Sequence[str], folder: Path, **variables: str) -> subprocess.CompletedProcess[str] | None:
    """Run ``python *words``; return None where it does not end."""
    try:
        return subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env=child_environment(folder, **variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None


def judge_import(arrangement: Arrangement, who: str, done: subprocess.CompletedProcess[str]) -> str:
    """Return what is wrong with what the threads of a process imported, first things first."""
    facts = json.loads(done.stdout.splitlines()[-1])
    return next(find_import_faults(arrangement, who, facts), RIGHT)


def find_import_faults(arrangement: Arrangement, who: str, facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong, in words that leave out what varies from run to run."""
    yield from (f"autoxla failed: {fault[:160]}" for fault in facts["faults"])
    failed = [outcome for outcome in facts["outcomes"] if outcome != "imported"]
    # Neither addresses nor paths.
    yield from (f"a thread failed: {re.sub(r' at [0-9]+$|/[^ ]*/', '', outcome)[:120]}" for outcome in failed)
    if arrangement.kind == "double":
        yield from (f"run twice: {name}" for name in facts["twice"])
        yield from (f"not whole: {name}" for name in facts["partly"])
        return
    if facts["tf.keras"] != ("tf_keras" if arrangement.variables == LEGACY else "keras"):
        yield f"tf.keras is {facts['tf.keras']}"
    if who == OURS and facts["compiles"] != 1:
        yield f"{facts['compiles']} of 1 compile() seen"


def run_order(name: str, folder: Path) -> str:
    """Return how a process ended whose two threads import in the worst order."""
    place = folder / "orders"
    if not place.exists():
        double.write(place, plugin=False)
    path = ":".join(map(str, [place / "site-packages", HOME, *SOURCES]))
    done = start([str(CHILDREN / "flood_locks.py"), *ORDERS[name]], folder, PYTHONPATH=path)
    if done is None or "Timeout (" in done.stderr:
        return WAITS
    is_right = done.stdout.endswith("both ended\n")
    return RIGHT if is_right else f"status {done.returncode}: {last_line(done.stderr)}"


def measure_fits(folder: Path, threads: int, times: int) -> dict[str, Any]:
    """Return how processes ended whose threads fit a model each, and what their trials came to."""
    program = str(CHILDREN / "flood_fits.py")
    trials: Counter[str] = Counter()
    expected = json.loads(run_alone(program, threads, folder))
    judges = {who: partial(judge_fits, expected, trials) for who in LAUNCHERS}
    # A cache for each time: a record would end the next trial at once.
    caches = [str(folder / f"fits{number}") for number in range(times)]
    runs = [
        (who, partial(start, [*first, program, str(threads)], folder, AUTOXLA_CACHE=cache))
        for cache in caches
        for who, first in LAUNCHERS.items()
    ]
    return {"threads": threads, "times": times, **count(runs, judges), "trials": dict(trials)}


def run_alone(program: str, threads: int, folder: Path) -> str:
    """Return what plain Keras makes of the models. Raises RuntimeError where it fails."""
    done = start([program, str(threads)], folder)
    if done is None or done.returncode:
        raise RuntimeError(f"plain Keras fails: {'' if done is None else done.stderr[-2000:]}")
    return done.stdout.splitlines()[-1]


def judge_fits(
    expected: Mapping[str, Any], trials: Counter[str], done: subprocess.CompletedProcess[str]
) -> str:
    """Return what is wrong with the models of a process; count in ``trials`` what trials came to."""
    facts = json.loads(done.stdout.splitlines()[-1])
    for model, other in zip(facts["models"], expected["models"], strict=True):
        if "error" in model:
            return f"a thread failed: {model['error'][:160]}"
        if model["steps"] != other["steps"] or abs(model["loss"] - other["loss"]) > 1e-3:
            return f"another result: {model} instead of {other}"
        if facts["faults"] is not None:
            trials[str(model["trial"])] += 1
    return RIGHT if not facts["faults"] else f"autoxla failed {facts['faults']} times"


def measure_forks(folder: Path, children: int, times: int) -> dict[str, Any]:
    """Return how processes ended that fork beside threads."""
    program = str(CHILDREN / "flood_forks.py")
    ways = {PLAIN: "none", OURS: "main"}
    judges = {who: partial(judge_fork, who, children) for who in LAUNCHERS}
    runs = [
        (who, partial(start, [program, way, str(children)], folder))
        for _ in range(times)
        for who, way in ways.items()
    ]
    return {"children": children, "times": times, **count(runs, judges)}


def judge_fork(who: str, children: int, done: subprocess.CompletedProcess[str]) -> str:
    """Return what is wrong with the children of a process."""
    facts = json.loads(done.stdout.splitlines()[-1])
    if any(facts["statuses"]):
        return f"children ended with {sorted(set(facts['statuses']))}"
    wanted = [1 if who == OURS else None] * children
    return RIGHT if facts["compiles"] == wanted else f"compile() seen: {facts['compiles']}"
