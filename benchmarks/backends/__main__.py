"""Train twelve models on each backend that Keras has here, and say what ``tune`` would have taken.

In each round every model trains on every path, one process after the other, in changing order: on TensorFlow
as a graph and under XLA, on JAX and on PyTorch. A process calls ``fit`` once: the time until the result of
step 300 is there, trace and compile included, is that of a training of 300 steps, and so on. A fit is stopped
``--seconds`` seconds after its first ten steps, and continued at its own pace after them; the tables mark it.

What a process measured is added to the file of ``--json`` at once. If that file is there, what it lacks is
measured: ``--minutes`` ends after so many, and the same command goes on. It also takes those again beside
which other work took more than a fifth of the processors. ``--anew`` begins again.

``--tune MODEL …`` measures nothing of this but really runs ``python -m autoxla tune`` on these models. It
wants a machine with nothing else on it, as all of this does.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from random import Random
from typing import Any

import autoxla
from benchmarks import architectures, make_header, run_apart
from benchmarks.backends import BACKENDS
from benchmarks.backends.choice import Run, find_results
from benchmarks.judging import is_comparable

HOME = Path(__file__).parents[2]
#: What a child must not inherit: PyTorch and JAX, too, run as they do if nothing is said.
_FOREIGN = (
    *("AUTOXLA", "ITEX_", "JAX_", "KERAS_", "KMP_", "MKL_", "OMP_", "PYTHON", "PYTORCH_", "TF_", "TORCH"),
    "XLA_",
)
_PACKAGES = ("keras", "tensorflow", "jax", "jaxlib", "torch")
#: Seconds of a process, of which more than this many are no measurement any more.
_LIMIT = 300.0
#: A run is taken again if others used more of the processors meanwhile.
NOISY = 0.2
#: Of a real run of ``tune``.
_BUDGET = "6m"
#: For ``tune``, which has to be able to read all of it.
_PROGRAM = """\
import sys

import keras
import numpy as np
from architectures import TASKS

task = TASKS[sys.argv[1]]
inputs, targets = task.draw(np.random.default_rng(1), 300 * task.batch)
model = task.make(keras)
model.compile(optimizer="adam", loss=task.loss)
model.fit(inputs, targets, batch_size=task.batch, epochs=10, verbose=0)
"""


def main() -> None:
    """Measure what is lacking, or tune, and print the tables."""
    arguments = read_arguments()
    before = read_file(arguments.against) if arguments.against is not None else {}
    data = begin(arguments)
    if arguments.tune:
        for model in arguments.tune:
            data.setdefault("tuned", {})[model] = tune(model)
            write(data, arguments.json)
    else:
        measure(data, arguments)
    from benchmarks import tables

    print(tables.format_backends(data))
    if before:
        show_changes(before, data)


def read_arguments() -> Namespace:
    """Return the command line."""
    parser = ArgumentParser("python -m benchmarks backends", description=__doc__, allow_abbrev=False)
    models = list(architectures.TASKS)
    parser.add_argument("--models", nargs="+", choices=models, default=models, metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each model and path (default 5)")
    parser.add_argument("--seconds", type=float, default=2.5, help="of a fit after its warm-up (default 2.5)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing after so many")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures to go on with, and to keep")
    parser.add_argument("--anew", action="store_true", help="forget what the file has")
    parser.add_argument("--tune", nargs="+", choices=models, metavar="MODEL", help="run tune on these")
    parser.add_argument("--against", type=Path, metavar="FILE", help="earlier figures to compare with")
    return parser.parse_args()


def begin(arguments: Namespace) -> dict[str, Any]:
    """Return the figures to go on with. Ends the program where they belong to something else."""
    about = {**make_header(find_versions()), "seconds": arguments.seconds, "rounds": arguments.rounds}
    if arguments.anew or arguments.json is None or not arguments.json.exists():
        return {**about, "runs": []}
    data = read_file(arguments.json)
    for name in ("versions", "seconds"):
        if data[name] != about[name]:
            sys.exit(f"{arguments.json} has {name} {data[name]}, here they are {about[name]}: pass --anew")
    if not is_comparable(data, about):
        sys.exit(f"{arguments.json} is of another machine: pass --anew")
    data["rounds"] = max(data["rounds"], arguments.rounds)
    return data


def find_versions() -> dict[str, str]:
    """Return the releases of what is measured, of those that are installed."""
    installed = {name: next(iter(metadata.distributions(name=name)), None) for name in _PACKAGES}
    found = {name: each.version for name, each in installed.items() if each is not None}
    return {"autoxla": autoxla.__version__, **found}


def measure(data: dict[str, Any], arguments: Namespace) -> None:
    """Add what is lacking to ``data``, process by process, until the minutes are over."""
    began = time.monotonic()
    wanted = list(find_lacking(data["runs"], arguments.models, arguments.rounds))
    for number, (round_, model, path) in enumerate(wanted):
        elapsed = time.monotonic() - began
        if elapsed > 60 * arguments.minutes:
            print(f"the minutes are over: {len(wanted) - number} processes are left for the same command")
            return
        if any("error" in run for run in data["runs"] if (run["model"], run["path"]) == (model, path)):
            continue
        about = {"round": round_, "model": model, "path": path}
        found = take_run(model, path, arguments.seconds)
        noisy = [run for run in data["runs"] if about.items() <= run.items()]
        data["runs"] = [*(run for run in data["runs"] if run not in noisy), {**about, **found}]
        write(data, arguments.json)
        rest = (time.monotonic() - began) / (number + 1) * (len(wanted) - number - 1) / 60
        print(f"{format_run(data['runs'][-1])}, {rest:.0f} minutes left", flush=True)


def find_lacking(runs: Sequence[Run], models: Sequence[str], rounds: int) -> Iterator[tuple[int, str, str]]:
    """Yield round, model and path of each process that is still to run, in the order in which they do."""
    quiet = (run for run in runs if run.get("others", 0.0) <= NOISY)
    done = {(run["round"], run["model"], run["path"]) for run in quiet}
    for round_ in range(1, rounds + 1):
        for model in models:
            order = Random(f"{round_} {model}")  # noqa: S311 - an order, not a secret
            for path in order.sample(list(BACKENDS), len(BACKENDS)):
                if (round_, model, path) not in done:
                    yield round_, model, path


def take_run(model: str, path: str, seconds: float) -> dict[str, Any]:
    """Return what one process measured, or an ``error``; see `run_child`."""
    words = ["benchmarks.backends.run", model, path, "--seconds", str(seconds)]
    return run_child(words, KERAS_BACKEND=BACKENDS[path], AUTOXLA="off")


def run_child(words: Sequence[str], **variables: str) -> dict[str, Any]:
    """Return what the module ``words`` with its arguments measured in a process of its own, or an ``error``.

    It gets ``--json FILE`` besides, and ``variables`` in its environment. `wall_s` is what it took in all,
    ``others`` the share of the processors that work of others took meanwhile.
    """
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "figures.json")
        busy, own, begin = read_busy(), spend_children(), time.perf_counter()
        try:
            words = ["-m", *words, "--json", str(figures)]
            done = run_apart(words, make_environment(folder, **variables), _LIMIT)
        except subprocess.TimeoutExpired:
            return {"error": f"longer than {_LIMIT:.0f} s"}
        wall = time.perf_counter() - begin
        if done.returncode or not figures.exists():
            return {"error": f"status {done.returncode}: {find_reason(done.stderr)}"}
        found: dict[str, Any] = read_file(figures)
    others = read_busy() - busy - (spend_children() - own)
    share = max(0.0, others / wall / (os.cpu_count() or 1))
    return {**found, "wall_s": round(wall, 2), "others": round(share, 3)}


def find_reason(text: str) -> str:
    """Return the last line that a failed process wrote, which names the exception."""
    return next((line.strip()[:200] for line in reversed(text.splitlines()) if line.strip()), "no word")


def read_busy() -> float:
    """Return the seconds that all processors have worked, or waited for their host; 0 if nobody tells."""
    try:
        _, *fields = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, *rest = map(int, fields[:8])
    return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK")


def spend_children() -> float:
    """Return the seconds of the processors that all children took which have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def make_environment(folder: str, **variables: str) -> dict[str, str]:
    """Return the environment of a process, with Keras' settings and autoxla's records in ``folder``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    own = {"PYTHONPATH": str(HOME), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**kept, **own, "KERAS_HOME": folder, "AUTOXLA_CACHE": f"{folder}/cache", **variables}


def tune(model: str) -> dict[str, Any]:
    """Run ``python -m autoxla tune`` on a program that trains ``model``; return what it came to."""
    with tempfile.TemporaryDirectory() as folder:
        lay_program(Path(folder))
        options = ["--json", "--budget", _BUDGET, "--paths", ",".join(BACKENDS)]
        done = subprocess.run(
            [sys.executable, "-m", "autoxla", "tune", *options, "train.py", model],
            cwd=folder,
            env=make_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            return {"error": f"status {done.returncode}"}
        found = json.loads(done.stdout)
    kept = ("name", "status", "reason", "step_ms", "rounds_ms", "compile_s", "ratio", "ratio_bounds")
    paths = [{name: row[name] for name in kept if name in row} for row in found["paths"]]
    return {**{name: found[name] for name in ("winner", "end", "rounds", "seconds")}, "paths": paths}


def lay_program(folder: Path) -> Path:
    """Put a program with its models into ``folder``, as its author would write it, and return that."""
    shutil.copy(architectures.__file__, folder)
    (folder / "train.py").write_text(_PROGRAM, encoding="utf-8")
    return folder


def read_file(file: Path) -> dict[str, Any]:
    """Return the figures in ``file``."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def write(data: Mapping[str, Any], file: Path | None) -> None:
    """Keep ``data``, whole or not at all, if there is a file; each run is a line of it."""
    if file is None:
        return
    runs = ",\n  ".join(json.dumps(run) for run in data["runs"])
    about = json.dumps({name: value for name, value in data.items() if name != "runs"}, indent=1)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(".tmp")
    temporary.write_text(f'{about[:-2]},\n "runs": [\n  {runs}\n ]\n}}\n', encoding="utf-8")
    temporary.replace(file)


def format_run(run: Run) -> str:
    """Return what a process measured as a line."""
    head = f"round {run['round']} {run['model']:12} {run['path']:6}"
    if "error" in run:
        return f"{head} {run['error']}"
    step = 1e3 * sorted(run["sample"])[len(run["sample"]) // 2]
    marks = ", ".join(f"{steps}: {seconds:.2f} s" for steps, seconds in run["marks"].items())
    return f"{head} {step:8.3f} ms a step; {marks}; others {run['others']:.0%}"


def show_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Print the seconds of each training, before and now."""
    print("\nseconds of a training, before and now")
    if not is_comparable(before, after):
        print("another machine: too different to tell")
        return
    earlier = {result.model: result for result in find_results(before["runs"])}
    for result in find_results(after["runs"]):
        for steps, times in result.times.items():
            old = earlier[result.model].times[steps] if result.model in earlier else {}
            for path in (path for path in times if path in old):
                was, now = old[path].seconds, times[path].seconds
                print(f"{result.model:12} {path:6} {steps:6} {was:9.2f} {now:9.2f}  {now / was:.2f} times")


if __name__ == "__main__":
    main()
