"""Measure what the choice of a path costs and gains: the ledgers, and whole processes beside each other.

**Ledgers.** For each model and each number of steps a process under autoxla with an empty cache (the first
run), and one with the cache that it left (the second run; not made where the first began no trial: it left
nothing). `benchmarks.paths.ledger` says how the regret comes about. A fit is planned for all the steps but
stopped after ``--budget`` seconds and continued by the ledger; where the trial was not over by then, both
runs are made again with three times the budget.

**Processes.** In each round every mode once, in turning order, a process each, for as many steps as take the
plain graph about ``--seconds``: the whole time to ``on_train_end``. ``default`` and ``again`` are the same;
where their medians or their single times are too far apart, the machine is too noisy to tell.

Both want a machine with nothing else on it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import autoxla
from autoxla.situation.hardware import identity
from benchmarks import interleave, run_apart, write_json
from benchmarks.paths import ledger

HOME = Path(__file__).parents[2]
#: About the milliseconds of a plain step on two cores, for how long a process is to be.
MODELS = {
    "mlp": 0.75, "cnn": 5.0, "lstm": 3.0, "tr": 15.0, "bnres": 47.0, "MobileNetV2": 59.0,
    "gru": 9.0, "text": 4.0, "unet": 11.0, "vit": 8.5, "autoencoder": 3.0, "recommender": 1.6,
}  # fmt: skip
MODES = ("default", "again", "jit", "graph", "first", "second", "tf_keras")
#: What a child must not inherit.
_FOREIGN = ("AUTOXLA", "ITEX_", "KERAS_", "TF_", "XLA_", "PYTHON")
#: So many budgets are tried, each three times the one before.
LONGER = 3
_LIMIT = 1800.0  # seconds of a process
#: With default and default so far apart, or so scattered, a comparison says nothing.
NOISY_RATIO, NOISY_SPREAD, FEWEST_ROUNDS = 0.05, 1.25, 3
#: A change of a share of regret below this is none.
NOTABLE = 0.01


def main() -> None:
    """Measure, print tables, keep the figures, compare them with earlier ones."""
    arguments = read_arguments()
    data: dict[str, Any] = {
        "machine": identity(),
        "load": round(os.getloadavg()[0], 2),
        "budget_s": arguments.budget,
    }
    versions: dict[str, str] = {}
    if "ledgers" in arguments.parts:
        data["ledgers"] = take_ledgers(arguments, versions)
    if "processes" in arguments.parts:
        data["rounds"] = arguments.rounds
        data["processes"] = [compare_processes(name, arguments, versions) for name in arguments.models]
    write_json(arguments.json, data, {"autoxla": autoxla.__version__, **versions})
    if arguments.against is not None:
        show_changes(json.loads(arguments.against.read_text(encoding="utf-8")), data)


def read_arguments() -> Namespace:
    """Return the command line."""
    parser = ArgumentParser("python -m benchmarks.paths", description=__doc__, allow_abbrev=False)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--steps", nargs="+", type=int, default=[100, 1000, 10_000], metavar="N")
    parser.add_argument("--parts", nargs="+", choices=("ledgers", "processes"), default=["ledgers"])
    parser.add_argument(
        "--pairs", type=int, default=40, help="steps of each path after training (default 40)"
    )
    parser.add_argument(
        "--budget", type=float, default=12.0, help="seconds of a fit in a ledger (default 12)"
    )
    parser.add_argument("--repeat", type=int, default=1, help="ledgers of each kind (default 1)")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each mode (default 5)")
    parser.add_argument(
        "--seconds", type=float, default=12.0, help="plain training in a process (default 12)"
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES[:-1]), metavar="MODE")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the figures")
    parser.add_argument("--against", type=Path, metavar="FILE", help="earlier figures to compare with")
    return parser.parse_args()


def take_ledgers(arguments: Namespace, versions: dict[str, str]) -> list[dict[str, Any]]:
    """Return the ledger of each model, number of steps and run; one that failed has an ``error``."""
    print(LEDGER_HEAD)
    found = []
    for name in arguments.models:
        for steps in arguments.steps:
            for _ in range(arguments.repeat):
                for entry in take_both_runs(name, steps, arguments, versions):
                    print(ledger_line(entry), flush=True)
                    found.append(entry)
    return found


def take_both_runs(
    name: str, steps: int, arguments: Namespace, versions: dict[str, str]
) -> list[dict[str, Any]]:
    """Return the ledgers of a first run and, if it left anything, of a second."""
    budget = float(arguments.budget)
    for _ in range(LONGER):
        with tempfile.TemporaryDirectory() as folder:
            entries = [take_ledger(name, steps, "first", Path(folder), budget, arguments, versions)]
            if entries[0].get("began_at") and not entries[0]["unfinished"]:
                entries.append(take_ledger(name, steps, "second", Path(folder), budget, arguments, versions))
        if not any(entry.get("unfinished") for entry in entries):
            break
        budget *= 3
    return entries


def take_ledger(
    name: str,
    steps: int,
    run: str,
    cache: Path,
    budget: float,
    arguments: Namespace,
    versions: dict[str, str],
) -> dict[str, Any]:
    """Return the ledger of one process under autoxla."""
    about = {"model": name, "run": run, "steps": steps}
    words = [
        "--budget",
        str(budget),
        "--after",
        "benchmarks.paths.pairs",
        "--pairs",
        str(arguments.pairs),
    ]
    try:
        figures = run_child(name, steps, "autoxla", cache, words)
    except ChildError as error:
        return {**about, "error": str(error)}
    versions |= figures["versions"]
    generator = Random(1)  # noqa: S311 - draws for an interval
    entry = ledger.make_ledger(read_run(figures), read_pairs(figures["after"]), steps, generator)
    outcome = [trial.get("outcome") for trial in figures["report"]["trials"]]
    return {**about, **entry, "outcome": outcome, "errors": figures["report"]["errors"]}


def read_run(figures: Mapping[str, Any]) -> ledger.Run:
    """Return what a process under autoxla did. The report has one trial, or none."""
    trials = figures["report"]["trials"]
    trial = ledger.read_trial(trials[0]) if trials else None
    return ledger.Run(figures["steps"], figures["planned"], trial)


def read_pairs(after: Mapping[str, Any]) -> ledger.Pairs:
    """Return what was measured after training."""
    return ledger.Pairs(after["stock"], after["graph"], after.get("xla", []), after.get("compile_s", 0.0))


class ChildError(Exception):
    """A process that was to be measured failed."""


def run_child(
    name: str, steps: int, mode: str, cache: Path | None, words: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the figures of one process, with its ``report`` where ``mode`` is autoxla. Raises ChildError."""
    with tempfile.TemporaryDirectory() as folder:
        figures, report = Path(folder, "figures.json"), Path(folder, "report.json")
        launcher = ["-m", "autoxla"] if mode == "autoxla" else []
        program = ["-m", "benchmarks.paths.run", name, str(steps), mode, "--json", str(figures), *words]
        done = run_apart([*launcher, *program], make_environment(mode, cache, report), _LIMIT)
        if done.returncode or not figures.exists():
            raise ChildError(f"status {done.returncode}: {' '.join(done.stderr.split())[-300:]}")
        found: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
        if mode == "autoxla":
            found["report"] = json.loads(report.read_text(encoding="utf-8"))
        return found


def make_environment(mode: str, cache: Path | None, report: Path) -> dict[str, str]:
    """Return the environment of a process in ``mode``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    own = {"PYTHONPATH": str(HOME), "TF_CPP_MIN_LOG_LEVEL": "3"}
    if mode == "autoxla":
        own |= {"AUTOXLA_CACHE": os.devnull if cache is None else str(cache), "AUTOXLA_REPORT": str(report)}
    else:
        own |= {"AUTOXLA": "off"}
    if mode == "tf_keras":
        own |= {"TF_USE_LEGACY_KERAS": "1"}
    return {**kept, **own}


def compare_processes(name: str, arguments: Namespace, versions: dict[str, str]) -> dict[str, Any]:
    """Return and print the seconds of whole processes in each mode, in rounds."""
    steps = 10 * max(5, round(arguments.seconds * 100 / MODELS[name]))
    with tempfile.TemporaryDirectory() as folder:
        learned = Path(folder, "learned")
        if "second" in arguments.modes:
            time_process(name, steps, "second", learned, versions)
        runs: dict[str, Callable[[], float]] = {
            mode: partial(time_process, name, steps, mode, learned, versions) for mode in arguments.modes
        }
        measured = interleave(runs, arguments.rounds)
    entry = {"model": name, "steps": steps, "seconds": measured, **judge_processes(measured)}
    print(processes_text(entry), flush=True)
    return entry


def time_process(name: str, steps: int, mode: str, learned: Path, versions: dict[str, str]) -> float:
    """Return the seconds from the call of ``fit`` to ``on_train_end``, NaN where the process failed."""
    real = {"again": "default", "first": "autoxla", "second": "autoxla"}.get(mode, mode)
    with tempfile.TemporaryDirectory() as empty:
        try:
            figures = run_child(name, steps, real, learned if mode == "second" else Path(empty))
        except ChildError as error:
            print(f"{name} {mode}: {error}", file=sys.stderr)
            return float("nan")
    versions |= figures["versions"]
    return float(figures["total_s"])


def judge_processes(measured: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Return medians, ratios to the better of default and jit, and whether they say anything.

    A mode that failed in a round has no median.
    """
    whole = {mode: times for mode, times in measured.items() if all(time == time for time in times)}
    medians = {mode: median(times) for mode, times in whole.items()}
    best = min((medians[mode] for mode in ("default", "jit") if mode in medians), default=None)
    ratios = {mode: round(time / best, 4) for mode, time in medians.items()} if best else {}
    return {
        "median_s": {mode: round(time, 3) for mode, time in medians.items()},
        "ratios": ratios,
        **_noise(whole),
    }


def _noise(measured: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    if len(measured.get("default", ())) < FEWEST_ROUNDS or len(measured.get("again", ())) < FEWEST_ROUNDS:
        return {"against_itself": None, "spread": None, "noisy": None}
    default, again = measured["default"], measured["again"]
    ratio = median(again) / median(default)
    both = [*default, *again]
    spread = max(both) / min(both)
    noisy = abs(ratio - 1) > NOISY_RATIO or spread > NOISY_SPREAD
    return {"against_itself": round(ratio, 4), "spread": round(spread, 4), "noisy": noisy}


LEDGER_HEAD = (
    f"{'model':12} {'steps':>6} {'run':6} {'better':6} {'plain':>8} {'xla':>8} {'ratio':>6} {'compile':>8}"
    f" {'regret':>22} | seconds: " + " ".join(f"{name:>8}" for name in ledger.LINES) + "   switched"
)


def ledger_line(entry: Mapping[str, Any]) -> str:
    """Return a ledger as a line of the table under `LEDGER_HEAD`."""
    head = f"{entry['model']:12} {entry['steps']:6} {entry['run']:6}"
    if "error" in entry:
        return f"{head} failed: {entry['error']}"
    estimate, low, high = entry["share"]
    share = f"{estimate:7.1%} ({low:.1%} to {high:.1%})"
    xla, ratio = (
        f"{value:.3g}" if value is not None else "-" for value in (entry["xla_ms"], entry["ratio"][0])
    )
    lines = " ".join(f"{entry['lines'][name][0]:8.2f}" for name in ledger.LINES)
    end = "unfinished" if entry["unfinished"] else entry["switched_at"] or "no"
    end = f"{end}, noisy: drift {entry['drift']:.2f}" if entry["noisy"] else end
    return (
        f"{head} {entry['better']:6} {entry['plain_ms']:8.3g} {xla:>8} {ratio:>6} {entry['compile_s']:8.2f}"
        f" {share:>22} |          {lines}   {end}"
    )


def processes_text(entry: Mapping[str, Any]) -> str:
    """Return what was measured of one model's processes as text."""
    parts = (
        f"{mode} {time:.2f} s ({entry['ratios'].get(mode, 0):.3f})"
        for mode, time in entry["median_s"].items()
    )
    text = f"{entry['model']}, {entry['steps']} steps: " + ", ".join(parts)
    if entry["noisy"]:
        return (
            f"{text}; too noisy to tell: again/default {entry['against_itself']}, max/min {entry['spread']}"
        )
    return text


def show_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Print the share of regret of each ledger, before and now."""
    print("\nregret, before and now")
    earlier = {_key(entry): entry for entry in before.get("ledgers", ()) if "share" in entry}
    for entry in after.get("ledgers", ()):
        old = earlier.get(_key(entry))
        if old is not None and "share" in entry:
            print(change_line(old, entry))


def change_line(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what became of a share of regret; only intervals apart, by `NOTABLE` or more, are a change."""
    (before, low, high), (now, new_low, new_high) = old["share"], new["share"]
    verdict = "no difference"
    if abs(now - before) >= NOTABLE and (new_high < low or new_low > high):
        verdict = "better" if now < before else "worse"
    return f"{new['model']:12} {new['steps']:6} {new['run']:6} {before:7.1%} {now:7.1%}  {verdict}"


def _key(entry: Mapping[str, Any]) -> tuple[str, int, str]:
    return entry["model"], entry["steps"], entry["run"]


if __name__ == "__main__":
    main()
