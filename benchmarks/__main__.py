"""``python -m benchmarks NAME [--rounds N] [--quick] [--json FILE] [--against FILE]``, or ``all`` for NAME.

``all`` runs each in a process of its own, keeps its figures in ``benchmarks/results`` (with ``--quick`` in
a temporary folder, since they say nothing), says what became of those that were there, and renews the tables
in the documentation. It needs valgrind, an index for pip, and what ``benchmarks/README.md`` names.
``paths`` and ``backends`` take most of the time; ``--but NAME …`` leaves benchmarks out. ``population`` takes
hours, and is none of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import read_arguments
from benchmarks.targets import TARGETS, judge

HOME = Path(__file__).parents[1]
RESULTS = HOME / "benchmarks" / "results"
#: The benchmarks in the order in which ``all`` runs them, each with the words of its quick run.
BENCHMARKS: dict[str, tuple[str, ...]] = {
    "startup": ("--quick",),
    "launchers": ("--quick",),
    "imports": ("--quick",),
    "lookahead": ("--quick",),
    "decide": ("--quick",),
    "records": ("--quick",),
    "pinned": ("--quick",),
    "guards": ("--quick",),
    "paths": ("--models", "mlp", "--steps", "100", "--budget", "2"),
    "backends": ("--models", "mlp", "--rounds", "1", "--seconds", "0.2"),
}
#: Those that ``all`` leaves out: they take hours.
LONG = ("population",)
#: Those that are packages, with arguments of their own and no limits.
PACKAGES = ("paths", "backends", *LONG)


def main(words: Sequence[str]) -> int:
    """Run what ``words`` name; return the exit status."""
    name, *rest = words or ["--help"]
    if name == "all":
        return run_all(rest)
    if name == "tables":
        import_module("benchmarks.tables").main()
        return 0
    if name not in (*BENCHMARKS, *LONG):
        names = ", ".join((*BENCHMARKS, *LONG))
        print(f"{__doc__}\nbenchmarks: {names}; tables renews those in the documentation")
        return 0 if name in ("-h", "--help") else 2
    run(name, rest)
    return 0


def run(name: str, words: Sequence[str]) -> None:
    """Run one benchmark in this process. It reads its arguments itself, `SystemExit` if they are bad."""
    sys.argv = [f"python -m benchmarks {name}", *words]
    module = f"benchmarks.{name}.__main__" if name in PACKAGES else f"benchmarks.{name}"
    import_module(module).main()
    if name not in PACKAGES:
        judge_limits(name)


def judge_limits(name: str) -> None:
    """Print each limit beside the figures that were kept."""
    arguments = read_arguments(name)
    if arguments.json is None:
        return
    figures = json.loads(arguments.json.read_text(encoding="utf-8"))
    for target in (target for target in TARGETS if target.file == name):
        figure = target.read(figures)
        if figure is None:
            continue
        limit = f"{target.limit:g} {target.unit}".strip()
        print(f"{target.what}: {figure.median:.4g}, at most {limit}: {judge(target, figure)}")


def run_all(words: Sequence[str]) -> int:
    """Run the benchmarks one after the other; return 1 if any failed."""
    parser = ArgumentParser("python -m benchmarks all", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="few rounds, small sizes, nothing is kept")
    parser.add_argument("--rounds", type=int, help="times that each variant runs")
    parser.add_argument("--but", nargs="+", choices=BENCHMARKS, default=[], help="benchmarks to leave out")
    arguments = parser.parse_args(words)
    chosen = [name for name in BENCHMARKS if name not in arguments.but]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) if arguments.quick else RESULTS
        failed = [name for name in chosen if not run_child(name, place, arguments.rounds, arguments.quick)]
    if not arguments.quick:
        import_module("benchmarks.tables").main()
    print(f"failed: {', '.join(failed)}" if failed else f"{len(chosen)} benchmarks ran")
    return 1 if failed else 0


def run_child(name: str, folder: Path, rounds: int | None, quick: bool) -> bool:
    """Run a benchmark in a process of its own and return whether it succeeded; keep figures in ``folder``."""
    print(f"\n{name}", flush=True)
    file, before = folder / f"{name}.json", RESULTS / f"{name}.json"
    words = [*(BENCHMARKS[name] if quick else ()), "--json", str(file)]
    if before.exists():
        words += ["--against", str(before)]
    if rounds is not None and name != "paths":
        words += ["--rounds", str(rounds)]
    if name == "backends":
        # It would go on with what is there.
        words.append("--anew")
    done = subprocess.run([sys.executable, "-m", "benchmarks", name, *words], cwd=HOME, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
