"""What autoxla adds to imports: to all, and to those of tensorflow, keras and tf_keras.

``python -m benchmarks imports`` times ``find_spec`` for a name that nobody watches, in nanoseconds of the
processor, beside a finder that returns None and wrapt's. Then it starts a process for each import, with and
without ``import autoxla`` in front of it, and takes the milliseconds by the clock and by the processor, and
the memory (the peak, MiB). The cache of autoxla is warm, as in the second run of a program.

On a busy machine the ratio of two such imports is lost in the noise. So the processor time of autoxla's own
calls is taken in the same process, too: what they are of the rest is an upper bound of that ratio, since
they load modules of the standard library that TensorFlow would load later anyway.

One program more has a cure that is kept for it, and another one has the same setting in its environment.

It needs autoxla, wrapt, tensorflow and tf_keras where it runs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from timeit import Timer
from typing import Any, Protocol

from benchmarks import conclude, interleave, read_arguments, show, summarise
from benchmarks.judging import estimate, pair_differences, pair_ratios

HOME = Path(__file__).parents[1]
CALLS = 20_000
MODULES = ("tensorflow", "keras", "tf_keras")
BASE, BASE_AGAIN = "finder of None", "finder of None, again"
OURS = "autoxla's finder"
#: The same process twice, to see what the machine makes of it.
AGAIN = "import tensorflow, again"
#: With autoxla: a program with a setting of the user's, and one for which it is kept as a cure.
BY_HAND, CURED = "import autoxla, tensorflow, set by hand", "import autoxla, tensorflow, cured"
SETTING = {"AUTOXLA_KERAS": "2"}
#: What an import is compared with, where that is not the same one without autoxla.
BASES = {AGAIN: "import tensorflow", CURED: BY_HAND}
#: A share of ``import tensorflow`` that can be told from noise.
RESOLUTION = 0.01
#: What a child must not inherit.
_FOREIGN = ("AUTOXLA", "ITEX_", "KERAS_", "TF_", "XLA_", "PYTHON")
#: Begins the clocks; the import follows, and `END`.
BEGIN = """\
import json, resource, sys, time
clock, processor = time.perf_counter(), time.process_time()
own = 0.0
"""
#: In front of the import: autoxla, each of whose calls is timed, but none within another.
WITH = """\
import autoxla
own, depth = time.process_time() - processor, 0
def timed(function):
    def run(*arguments):
        global own, depth
        begin, depth = time.process_time(), depth + 1
        try:
            return function(*arguments)
        finally:
            depth -= 1
            own += 0.0 if depth else time.process_time() - begin
    return run
from autoxla.hooks import finder
finder._call = timed(finder._call)
"""
END = """\
times = time.perf_counter() - clock, time.process_time() - processor
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
print(json.dumps({"ms": times[0] * 1e3, "processor ms": times[1] * 1e3, "own ms": own * 1e3, "MiB": peak}))
"""
FIGURES = ("ms", "processor ms", "own ms", "MiB")


class Finder(Protocol):
    """Whatever can stand on ``sys.meta_path``."""

    @property
    def find_spec(self) -> Callable[..., object]:
        """Return a spec or None."""


class TrivialFinder:
    """The least that a finder in Python can do."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Find nothing."""


def main() -> None:
    """Measure, print tables, keep the raw figures."""
    arguments = read_arguments("Measure what autoxla adds to imports.")
    misses = measure_misses(arguments.rounds)
    summary = summarise(misses)
    show(summary, "one miss, ns", digits=1)
    whole = measure_imports(arguments.rounds, MODULES[:1] if arguments.quick else MODULES)
    compared = compare_imports(whole)
    show_imports(compared)
    data = {
        "unit": "ns; ms for whole imports",
        "rounds": arguments.rounds,
        "calls": CALLS,
        "summary": summary,
        "imports": compared,
        "measured": whole["processor ms"],
        "also measured": misses,
        "by the clock": whole["ms"],
        **{figure: whole[figure] for figure in ("own ms", "MiB")},
    }
    versions = {name: version(name) for name in ("wrapt", "tensorflow", "keras", "tf_keras")}
    conclude(
        arguments,
        data,
        {"autoxla": _own_version(), **versions},
        again=("import tensorflow", AGAIN),
        resolution=RESOLUTION,
    )


def measure_misses(rounds: int) -> dict[str, list[float]]:
    """Return the nanoseconds of one search in vain of each finder, by rounds."""
    finders = {
        BASE: TrivialFinder(),
        BASE_AGAIN: TrivialFinder(),
        OURS: make_ours(),
        "wrapt's finder": make_wrapt(),
    }
    return interleave({name: partial(time_miss, finder) for name, finder in finders.items()}, rounds)


def make_ours() -> Finder:
    """Return a finder that watches what autoxla watches."""
    from autoxla import WATCHED
    from autoxla.hooks import AutoxlaFinder

    finder = AutoxlaFinder()
    for name in WATCHED:
        finder.watch(name)
    return finder


def make_wrapt() -> Finder:
    """Return wrapt's finder, waiting for as many modules as ours."""
    from wrapt.importer import ImportHookFinder, register_post_import_hook

    from autoxla import WATCHED

    for name in WATCHED:
        register_post_import_hook(print, name)
    finder: Finder = ImportHookFinder()
    return finder


def time_miss(finder: Finder) -> float:
    """Return the nanoseconds of one search for a name that ``finder`` does not watch."""
    timer = Timer(
        "find_spec('numpy.linalg', None, None)", time.process_time, globals={"find_spec": finder.find_spec}
    )
    return timer.timeit(CALLS) / CALLS * 1e9


def measure_imports(rounds: int, modules: Sequence[str]) -> dict[str, dict[str, list[float]]]:
    """Return milliseconds and MiB of each import, with autoxla and without, by rounds."""
    kept: dict[str, dict[str, list[float]]] = {figure: {} for figure in FIGURES}
    with tempfile.TemporaryDirectory() as folder:
        variants = {
            name: partial(_take, kept, name, write_program(Path(folder), name, first, module), Path(folder))
            for name, (first, module) in list_imports(modules).items()
        }
        keep_cure(Path(folder))
        for run in variants.values():
            run()  # what the caches of the system and of autoxla lack
        for figures in kept.values():
            figures.clear()
        interleave(variants, rounds)
    return {figure: {name: kept[figure][name] for name in variants} for figure in FIGURES}


def list_imports(modules: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return what comes first, and the module, of each kind of process."""
    found = {}
    for module in modules:
        found[f"import {module}"] = "", module
        if module == "tensorflow":
            found |= {AGAIN: ("", module), BY_HAND: (WITH, module), CURED: (WITH, module)}
        found[f"import autoxla, {module}"] = WITH, module
    return found


def name_program(folder: Path, name: str) -> Path:
    """Return the file of the program of a process."""
    return folder / f"{name.replace(', ', '_').replace(' ', '_')}.py"


def keep_cure(folder: Path) -> None:
    """Keep `SETTING` for the program of `CURED`, as ``heal`` does."""
    from autoxla.cures import keep
    from autoxla.model import Cure
    from autoxla.planning import assemble
    from autoxla.running import subject_from

    subject = subject_from([str(name_program(folder, CURED))])
    environ = make_environment(folder)
    keep(
        subject, assemble(subject, environ).situation, Cure(SETTING, "ValueError: bad shape", "heal"), environ
    )


def make_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a process."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    own = {"PYTHONPATH": str(HOME), "AUTOXLA_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return environment | own


def write_program(folder: Path, name: str, first: str, module: str) -> Path:
    """Write the program of a process and return its file."""
    file = name_program(folder, name)
    file.write_text(f"{BEGIN}{first}import {module}\n{END}", encoding="utf-8")
    return file


def _take(kept: Mapping[str, dict[str, list[float]]], name: str, program: Path, folder: Path) -> float:
    """Run a process, keep all its figures and return its milliseconds; `CalledProcessError` if it fails."""
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=folder,
        env=make_environment(folder) | (SETTING if name == BY_HAND else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    figures = json.loads(done.stdout)
    for figure in FIGURES:
        kept[figure].setdefault(name, []).append(figures[figure])
    return float(figures["ms"])


def compare_imports(whole: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, dict[str, Any]]:
    """Return what each import with autoxla is to the one without, and the others of `BASES` to their own."""
    found = {}
    for name in whole["ms"]:
        base = BASES.get(name, name.replace("autoxla, ", ""))
        if name in (base, BY_HAND):
            continue
        found[name] = {
            "without, ms": estimate(whole["ms"][base]),
            "ratio": estimate(pair_ratios(whole["ms"][name], whole["ms"][base])),
            "minima": min(whole["ms"][name]) / min(whole["ms"][base]),
            "processor ratio": estimate(
                pair_ratios(whole["processor ms"][name], whole["processor ms"][base])
            ),
            "own share": estimate(
                [
                    1 + own / (all_ - own)
                    for own, all_ in zip(whole["own ms"][name], whole["processor ms"][name], strict=True)
                ]
            ),
            "processor minima": min(whole["processor ms"][name]) / min(whole["processor ms"][base]),
            "added MiB": estimate(pair_differences(whole["MiB"][name], whole["MiB"][base])),
        }
    return found


def show_imports(compared: Mapping[str, Mapping[str, Any]]) -> None:
    """Print medians of the ratios, and the interval of that by the clock."""
    rows = {
        name: {
            "without, ms": row["without, ms"]["median"],
            "ratio": row["ratio"]["median"],
            "low": row["ratio"]["low"],
            "high": row["ratio"]["high"],
            "of minima": row["minima"],
            "of processor time": row["processor ratio"]["median"],
            "at most": row["own share"]["median"],
            "added MiB": row["added MiB"]["median"],
        }
        for name, row in compared.items()
    }
    show(rows, "with over without", digits=3)


def _own_version() -> str:
    import autoxla

    return autoxla.__version__
