"""Measure on a machine with one GPU what a choice between eager and compiled steps would gain.

``python benchmarks/gpu.py --json FILE`` trains twelve models with Keras 3 on JAX and on PyTorch; it needs
neither TensorFlow nor autoxla. Each model, backend and mode has a process of its own: ``default`` and
``again`` are what Keras does if it is told nothing, and the third is ``jit`` (XLA, torch.compile) or
``eager``, whichever the default is not. All processes of one model live at the same time, and only one of
them works at a time: in each round every one trains a block of steps, in changing order.

A step is one of ``fit`` (verbose=0) on batches that are in the device's memory already. A block is timed from
the beginning of its first step to the point where the device has done the last one. The warm-up is timed from
the call of ``fit``; what it takes above so many steps is the compile time. FILE is written anew after every
figure; ``--continue FILE`` measures the models that it lacks.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import resource
import select
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module, metadata
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any

HOME = Path(__file__).resolve().parents[1]
RESULTS = HOME / "benchmarks" / "results"
DOCUMENT = HOME / "docs" / "gpu.md"
MODELS = (
    "mlp", "cnn", "lstm", "tr", "bnres", "MobileNetV2",
    "gru", "text", "unet", "vit", "autoencoder", "recommender",
)  # fmt: skip
#: The backends, and what Keras makes of them if it is told nothing.
BACKENDS = {"jax": "jit", "torch": "eager"}
#: What each mode tells ``compile``.
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "again": {},
    "jit": {"jit_compile": True},
    "eager": {"jit_compile": False},
}
STEPS = (100, 1000, 10_000)
WARM_UP = 8  # steps
BATCHES = 20  # different ones in memory
#: Of the batch, and of the seconds of a block, where the device is a CPU.
SMALL_SCALE, SMALL_BLOCK = 0.25, 0.2
#: Of the device's memory, all processes together.
MEMORY_SHARE = 0.85
NOTHING = "Not measured yet."
_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
#: Variables that change what is measured.
_SETTINGS = ("CUDA_", "JAX_", "MKL_", "OMP_", "PYTORCH_", "TORCH", "XLA_")
_PACKAGES = ("keras", "jax", "jaxlib", "torch", "triton", "numpy")

Row = dict[str, Any]
Figures = Mapping[str, Any]


def main() -> None:
    """Measure and print, or renew the document, or be one of the processes that are measured."""
    arguments = read_arguments()
    if arguments.child:
        train(arguments)
    elif arguments.document:
        DOCUMENT.write_text(renew(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        measure(arguments)


def read_arguments(words: Sequence[str] | None = None) -> Namespace:
    """Return the command line. ``words`` are for a test; ends the program where they are wrong."""
    parser = ArgumentParser("python benchmarks/gpu.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to keep the figures")
    parser.add_argument(
        "--continue", dest="earlier", type=Path, metavar="FILE", help="figures to go on with; also --json"
    )
    parser.add_argument("--document", action="store_true", help="write the tables of docs/gpu.md, and end")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS), metavar="MODEL")
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=list(BACKENDS), metavar="BACKEND")
    parser.add_argument("--rounds", type=int, default=5, help="blocks of each process (default 5)")
    parser.add_argument("--block", type=float, metavar="S", help="seconds of a block (default 0.5)")
    parser.add_argument("--scale", type=float, metavar="X", help="factor of the batch (default 1)")
    parser.add_argument(
        "--small", "--cpu-sizes", action="store_true",
        help=f"for a CPU: --scale {SMALL_SCALE} --block {SMALL_BLOCK}",
    )  # fmt: skip
    parser.add_argument(
        "--budget", type=float, default=540.0, metavar="S", help="seconds in all (default 540)"
    )
    parser.add_argument(
        "--limit", type=float, default=180.0, metavar="S",
        help="seconds of a start, of a warm-up and of a block (default 180)",
    )  # fmt: skip
    parser.add_argument("--memory", type=float, default=8.0, metavar="GIB", help="of a process (default 8)")
    parser.add_argument(
        "--starts", type=int, default=max(1, (os.cpu_count() or 1) // 4), metavar="N",
        help="processes that start at the same time (default: a fourth of the processors)",
    )  # fmt: skip
    parser.add_argument("--child", nargs=3, metavar=("MODEL", "BACKEND", "MODE"), help="for own use")
    return complete(parser, parser.parse_args(words))


def complete(parser: ArgumentParser, arguments: Namespace) -> Namespace:
    """Return ``arguments`` with what follows from others; ends the program where something is missing."""
    scale, block = (SMALL_SCALE, SMALL_BLOCK) if arguments.small else (1.0, 0.5)
    arguments.scale = scale if arguments.scale is None else arguments.scale
    arguments.block = block if arguments.block is None else arguments.block
    arguments.json = arguments.json or arguments.earlier
    if arguments.json is None and not arguments.document and not arguments.child:
        parser.error("--json FILE or --continue FILE is needed")
    if min(arguments.rounds, arguments.starts) < 1 or min(arguments.scale, arguments.block) <= 0:
        parser.error("--rounds, --starts, --scale and --block are to be above zero")
    return arguments


# The process that is measured


def train(arguments: Namespace) -> None:
    """Train one model, a block of steps for each order on standard input, figures on standard output."""
    exchange = open_exchange()
    name, backend, mode = arguments.child
    sys.path.append(sys.path.pop(0))  # what others import is not meant to be a benchmark of that name
    keras = import_module("keras")
    task = import_module("architectures").TASKS[name]
    limit_memory(backend, len(arguments.backends))
    model = task.make(keras)
    model.compile(optimizer="adam", loss=task.loss, **OPTIONS[mode])
    batches = make_batches(keras, task, max(1, round(task.batch * arguments.scale)))
    exchange({"jit_compile": bool(model.jit_compile), "device": name_device(backend)})
    clock = keep_time(make_synchroniser(backend, model), exchange, arguments.block)
    fit(keras, model, batches, clock)
    exchange({**measure_memory(backend), **count_graphs(backend)})


def open_exchange() -> Callable[[Figures], str]:
    """Return what sends figures as a line of JSON and returns the next order, empty at the end of them.

    What others print goes to standard error from now on.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def exchange(figures: Figures) -> str:
        answers.write(json.dumps(figures) + "\n")
        return sys.stdin.readline().strip()

    return exchange


def limit_memory(backend: str, backends: int) -> None:
    """Leave the other processes of the model their share of the GPU. JAX has it from its environment."""
    if backend == "torch" and import_module("torch").cuda.is_available():
        import_module("torch").cuda.set_per_process_memory_fraction(share_memory(backends))


def share_memory(backends: int) -> float:
    """Return the part of the device's memory that is for one of the processes, three for each backend."""
    return round(MEMORY_SHARE / (3 * backends), 3)


def make_batches(keras: Any, task: Any, batch: int) -> list[Any]:
    """Return batches of so many examples in the memory of the device."""
    import numpy as np

    drawn = (task.draw(np.random.default_rng(seed), batch) for seed in range(BATCHES))
    return [keras.tree.map_structure(keras.ops.convert_to_tensor, pair) for pair in drawn]


def name_device(backend: str) -> str:
    """Return what the backend calls its first device."""
    if backend == "jax":
        return str(import_module("jax").devices()[0].device_kind)
    torch = import_module("torch")
    return str(torch.cuda.get_device_name(0)) if torch.cuda.is_available() else "cpu"


def make_synchroniser(backend: str, model: Any) -> Callable[[], Any]:
    """Return what waits until the device has done all steps.

    On JAX the new state of the last step is waited for. It is read where ``fit`` leaves it for callbacks:
    ``model`` as a callback has it would write it back into the variables.
    """
    if backend == "jax":
        jax = import_module("jax")
        return lambda: jax.block_until_ready(model._jax_state)
    torch = import_module("torch")
    return torch.cuda.synchronize if torch.cuda.is_available() else lambda: None


def keep_time(
    synchronise: Callable[[], Any], exchange: Callable[[Figures], str], block_s: float
) -> Generator[None, None, None]:
    """Yield at the beginning of each step; send what the warm-up took, and each block that is ordered.

    To be made at the call of ``fit``: the time begins with the generator.
    """
    marks = [time.perf_counter()]

    def run() -> Generator[None, None, None]:
        for _ in range(WARM_UP):
            yield
            synchronise()
            marks.append(time.perf_counter())
        steps = count_steps(marks, block_s)
        warm_s, first_s = marks[-1] - marks[0], marks[1] - marks[0]
        order = exchange({"warm_s": warm_s, "first_s": first_s, "block_steps": steps})
        while order == "block":
            began = time.perf_counter()
            for _ in range(steps):
                yield
            synchronise()
            order = exchange({"ms": (time.perf_counter() - began) * 1e3 / steps})

    return run()


def count_steps(marks: Sequence[float], block_s: float) -> int:
    """Return how many steps take about ``block_s``, by the later half of those that end at ``marks``."""
    late = marks[len(marks) // 2 :]
    step = statistics.median(after - before for before, after in pairwise(late))
    return max(1, min(5000, round(block_s / max(step, 1e-6))))


def fit(keras: Any, model: Any, batches: Sequence[Any], clock: Generator[None, None, None]) -> None:
    """Train in one endless epoch until ``clock`` is over.

    The clock hangs on the beginning of a batch: with a callback at the end of one, Keras would fetch the
    logs from the device after every step, which it otherwise leaves to another thread.
    """

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        num_batches = None

        def __getitem__(self, index: int) -> Any:
            return batches[index % len(batches)]

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
            if next(clock, clock) is clock:
                model.stop_training = True

    model.fit(Batches(), shuffle=False, verbose=0, callbacks=[Watch()])


def measure_memory(backend: str) -> Row:
    """Return the most memory that was in use, in MiB: the device's, or on a CPU that of the process."""
    if backend == "jax":
        peak = (import_module("jax").devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0)
    else:
        torch = import_module("torch")
        peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    if peak:
        return {"memory_mib": round(peak / 2**20, 1), "memory_of": "device"}
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"memory_mib": round(resident / 2**10, 1), "memory_of": "process"}


def count_graphs(backend: str) -> Row:
    """Return how many graphs torch.compile made of the step, and how often it broke one off."""
    dynamo = sys.modules.get("torch._dynamo.utils")
    if backend != "torch" or dynamo is None:
        return {}
    counters = dynamo.counters
    return {"graphs": counters["stats"]["unique_graphs"], "breaks": sum(counters["graph_break"].values())}


# The process that measures


class ChildError(Exception):
    """A process that is measured failed, or took too long or too much."""


class BudgetError(Exception):
    """The seconds of the whole run are over."""


class Child:
    """A process that trains when it is told to."""

    def __init__(self, row: Figures, arguments: Namespace, folder: Path) -> None:
        self._limit_s, self._memory = arguments.limit, arguments.memory * 2**30
        self._began, self._rest = time.monotonic(), b""
        self._errors = folder / "errors"
        words = [row["model"], row["backend"], row["mode"], "--scale", str(arguments.scale)]
        words += ["--block", str(arguments.block), "--backends", *arguments.backends]
        with self._errors.open("wb") as errors:
            self._process: Any = subprocess.Popen(
                [sys.executable, str(Path(__file__).resolve()), "--child", *words],
                env=make_environment(os.environ, row["backend"], len(arguments.backends), folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
                start_new_session=True,
            )

    def order(self, word: str) -> None:
        """Have it do something. Raises ChildError where it is gone."""
        self._began = time.monotonic()
        try:
            self._process.stdin.write(f"{word}\n".encode())
        except OSError as error:
            raise ChildError(self._explain()) from error

    def answer(self, deadline: float) -> Row:
        """Return its next figures. Raises ChildError, or BudgetError at ``deadline``."""
        while b"\n" not in self._rest:
            self._check(deadline)
            if select.select([self._process.stdout], [], [], 0.2)[0]:
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise ChildError(self._explain())
                self._rest += piece
        line, self._rest = self._rest.split(b"\n", 1)
        found: Row = json.loads(line)
        return found

    def close(self) -> None:
        """End it and whatever it started."""
        with self._process, suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _check(self, deadline: float) -> None:
        now = time.monotonic()
        if now > deadline:
            raise BudgetError
        if now - self._began > self._limit_s:
            raise ChildError(f"took longer than {self._limit_s:g} s")
        if read_resident(self._process.pid) > self._memory:
            raise ChildError(f"took more than {self._memory / 2**30:g} GiB of memory")

    def _explain(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        lines = self._errors.read_text(encoding="utf-8", errors="replace").splitlines()
        return f"status {self._process.returncode}: {find_reason(lines)}"


def find_reason(lines: Sequence[str]) -> str:
    """Return the line of a traceback that says what was wrong, else the last one that is not blank."""
    said = [line.strip() for line in lines if line.strip()]
    errors = [line for line in said if re.match(r"[\w.]*(Error|Exception|Unsupported|Interrupt)\b", line)]
    return (errors or said or ["no word"])[-1][:300]


def make_environment(
    inherited: Mapping[str, str], backend: str, backends: int, folder: Path
) -> dict[str, str]:
    """Return the environment of a child: settings of Keras from nowhere, caches of compilers empty."""
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(("KERAS_", "AUTOXLA", "PYTHONSAFEPATH"))
    }
    own = {
        "AUTOXLA": "off",
        "KERAS_BACKEND": backend,
        "KERAS_HOME": str(folder),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
        "XLA_PYTHON_CLIENT_MEM_FRACTION": str(share_memory(backends)),
    }
    return {**kept, **own}


def read_resident(pid: int) -> int:
    """Return the bytes of memory that a process holds, 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(arguments: Namespace) -> None:
    """Measure what is lacking, within the budget, and print the tables."""
    about = describe(arguments)
    data = {**about, "rows": []}
    if arguments.earlier is not None:
        data = go_on(json.loads(arguments.earlier.read_text(encoding="utf-8")), about)
    run = Run(data, arguments)
    try:
        for model in arguments.models:
            run.measure_model(model)
    except BudgetError:
        print(f"the budget of {arguments.budget:g} s is over: go on with --continue {arguments.json}")
    show(data)


def describe(arguments: Namespace) -> Row:
    """Return what the figures belong to."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": read_processor(),
        "cores": os.cpu_count(),
        "devices": {},
        "versions": dict(find_versions()),
        "environment": {name: os.environ[name] for name in sorted(os.environ) if name.startswith(_SETTINGS)},
        "scale": arguments.scale,
        "block_s": arguments.block,
        "rounds": arguments.rounds,
    }


def find_versions() -> Iterable[tuple[str, str]]:
    """Yield the packages that matter and are installed."""
    for name in _PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            yield name, metadata.version(name)


def read_processor() -> str:
    """Return the model of the processor, its architecture where the system does not tell."""
    with suppress(OSError):
        found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        if found:
            return found[1]
    return platform.machine()


def go_on(earlier: Row, about: Figures) -> Row:
    """Return earlier figures without models that were cut off. Ends the program where they do not fit."""
    different = [name for name in about if name not in ("date", "devices") and earlier[name] != about[name]]
    if different:
        sys.exit(f"these are not the figures to go on with: other {', '.join(different)}")
    cut = {row["model"] for row in earlier["rows"] if "cut" in row}
    return {**earlier, "rows": [row for row in earlier["rows"] if row["model"] not in cut]}


class Run:
    """The figures so far, and what adds to them."""

    def __init__(self, data: Row, arguments: Namespace) -> None:
        self._data, self._arguments = data, arguments
        self._deadline = time.monotonic() + arguments.budget
        self._order = Random(0)  # noqa: S311 - an order, not a secret

    def measure_model(self, model: str) -> None:
        """Add the rows of ``model`` that are lacking. Raises BudgetError; the rows say that they are cut."""
        done = {row["backend"] for row in self._data["rows"] if row["model"] == model}
        backends = [name for name in self._arguments.backends if name not in done]
        children: list[tuple[Row, Child]] = []
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            try:
                self._start_all(model, backends, children, Path(folder))
                self._time_all([pair for pair in children if "error" not in pair[0]])
            finally:
                self._end_all(children)

    def _start_all(
        self, model: str, backends: list[str], children: list[tuple[Row, Child]], folder: Path
    ) -> None:
        first = [make_row(model, name, mode) for name in backends for mode in ("default", "again")]
        self._start(first, children, folder)
        other = [make_row(model, name, find_other(first, name)) for name in backends]
        self._start(other, children, folder)

    def _time_all(self, children: list[tuple[Row, Child]]) -> None:
        for row, child in children:
            self._ask(row, child, "warm")
        for _ in range(self._arguments.rounds):
            for row, child in self._order.sample(children, len(children)):
                self._ask(row, child, "block")
        for row, child in children:
            self._ask(row, child, "stop")

    def _end_all(self, children: list[tuple[Row, Child]]) -> None:
        for row, child in children:
            child.close()
            if "memory_mib" not in row and "error" not in row:
                row["cut"] = True
        self._save()

    def _start(self, rows: list[Row], children: list[tuple[Row, Child]], folder: Path) -> None:
        waiting = iter(rows)
        while some := list(islice(waiting, self._arguments.starts)):
            self._data["rows"] += some
            begun = [(row, Child(row, self._arguments, self._make_folder(row, folder))) for row in some]
            children += begun
            for row, child in begun:
                self._attend(row, child)

    def _make_folder(self, row: Row, folder: Path) -> Path:
        own = folder / f"{row['backend']}-{row['mode']}"
        own.mkdir()
        return own

    def _ask(self, row: Row, child: Child, word: str) -> None:
        if "error" in row:
            return
        try:
            child.order(word)
        except ChildError as error:
            row["error"] = str(error)
            return
        self._attend(row, child)

    def _attend(self, row: Row, child: Child) -> None:
        """Put the next figures of ``child``, or why there are none, into ``row``."""
        try:
            figures = child.answer(self._deadline)
        except ChildError as error:
            row["error"] = str(error)
            child.close()
        else:
            self._check_device(row, figures.pop("device", None))
            take_figures(row, figures)
        self._save()
        print(tell(row), flush=True)

    def _check_device(self, row: Row, device: str | None) -> None:
        known = self._data["devices"].setdefault(row["backend"], device) if device else None
        if known != device:
            sys.exit(f"{row['backend']} is on {device} now, and was on {known}")

    def _save(self) -> None:
        """Replace the file as a whole: it is complete at any moment."""
        file: Path = self._arguments.json
        file.parent.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f"{file.name}.{os.getpid()}")
        new.write_text(json.dumps({**self._data, "summary": summarise(self._data["rows"])}, indent=1) + "\n")
        new.replace(file)


def make_row(model: str, backend: str, mode: str) -> Row:
    """Return a row without figures."""
    return {"model": model, "backend": backend, "mode": mode, "rounds_ms": []}


def find_other(rows: Iterable[Figures], backend: str) -> str:
    """Return the mode that the default of ``backend`` is not, as far as known from ``rows``."""
    known = [row["jit_compile"] for row in rows if row["backend"] == backend and "jit_compile" in row]
    is_jit = known[0] if known else BACKENDS[backend] == "jit"
    return "eager" if is_jit else "jit"


def take_figures(row: Row, figures: Row) -> None:
    """Add what a child sent to its row, with what follows from it: milliseconds, seconds, MiB."""
    if "ms" in figures:
        row["rounds_ms"].append(round(figures.pop("ms"), 4))
    row |= {name: round(value, 4) if isinstance(value, float) else value for name, value in figures.items()}
    if row["mode"] == "jit" and not row["jit_compile"]:
        row["error"] = "Keras does not compile this model"
    if row["rounds_ms"]:
        row["step_ms"] = round(statistics.median(row["rounds_ms"]), 4)
        row["spread"] = round(max(row["rounds_ms"]) / min(row["rounds_ms"]), 3)
        row["compile_s"] = round(max(0.0, row["warm_s"] - WARM_UP * row["step_ms"] / 1e3), 3)


def tell(row: Figures) -> str:
    """Return how far a row is, as a line."""
    head = f"{row['model']:12} {row['backend']:6} {row['mode']:8}"
    if "error" in row:
        return f"{head} failed: {row['error']}"
    if "memory_mib" in row:
        return f"{head} {row['step_ms']:9.3f} ms, {row['memory_mib']:.0f} MiB"
    if row["rounds_ms"]:
        return f"{head} {row['rounds_ms'][-1]:9.3f} ms, round {len(row['rounds_ms'])}"
    if "warm_s" in row:
        return f"{head} {row['warm_s']:9.2f} s warm-up"
    return f"{head} started, {'jit' if row['jit_compile'] else 'eager'}"


# What the figures say


def total_s(row: Figures, steps: int) -> float:
    """Return the seconds that so many steps take, compile time included."""
    return float(row["compile_s"] + steps * row["step_ms"] / 1e3)


def find_paths(rows: Iterable[Figures]) -> dict[tuple[str, str], dict[str, Figures]]:
    """Return what was measured of each model and backend, by mode; ``jit`` or ``eager`` is the default's row.

    Rows with an error and without a round are not in it.
    """
    found: dict[tuple[str, str], dict[str, Figures]] = {}
    for row in rows:
        if "error" in row or "step_ms" not in row:
            continue
        paths = found.setdefault((row["model"], row["backend"]), {})
        paths[row["mode"]] = row
        if row["mode"] == "default":
            paths["jit" if row["jit_compile"] else "eager"] = row
    return found


def lost(row: Figures, others: Iterable[Figures], steps: int) -> float:
    """Return the share of time that ``row`` takes above the best of itself and ``others``; 0.1 is a tenth."""
    own = total_s(row, steps)
    return own / min([own, *(total_s(other, steps) for other in others)]) - 1


def summarise(rows: Sequence[Figures]) -> list[Row]:
    """Return, for each backend and number of steps, what each strategy loses: mean, worst and where.

    ``default``, ``jit`` and ``eager`` against the better of jit and eager on the same backend; ``any
    backend`` is the default against the best of them on all backends; ``again`` is the default against its
    own repetition, which would be 0 without noise. Only ``models`` of which both were measured count.
    """
    every = find_paths(rows).items()
    paths = {key: modes for key, modes in every if {"default", "jit", "eager"} <= set(modes)}
    backends = sorted({backend for _, backend in paths})
    return [
        {"backend": backend, "steps": steps, **_summarise_backend(paths, backend, steps)}
        for backend in backends
        for steps in STEPS
    ]


def _summarise_backend(
    paths: Mapping[tuple[str, str], Mapping[str, Figures]], backend: str, steps: int
) -> dict[str, Any]:
    own = {model: modes for (model, name), modes in paths.items() if name == backend}
    shares: dict[str, dict[str, float]] = {}
    for model, modes in own.items():
        both = [modes["jit"], modes["eager"]]
        every = [
            others[name] for key, others in paths.items() if key[0] == model for name in ("jit", "eager")
        ]
        found = {name: lost(modes[name], both, steps) for name in ("default", "jit", "eager")}
        found["any backend"] = lost(modes["default"], every, steps)
        if "again" in modes:
            found["again"] = lost(modes["default"], [modes["again"]], steps)
        for name, share in found.items():
            shares.setdefault(name, {})[model] = share
    return {"models": len(own), **{name: _digest(found) for name, found in shares.items()}}


def _digest(shares: Mapping[str, float]) -> Row:
    worst = max(shares, key=lambda model: shares[model])
    mean = statistics.fmean(shares.values())
    return {"mean": round(mean, 4), "worst": round(shares[worst], 4), "where": worst}


# Tables

STRATEGIES = {
    "default": "Keras' default",
    "jit": "always jit",
    "eager": "always eager",
    "any backend": "default, against the best of all backends",
    "again": "default, against itself",
}


def make_gains(summary: Iterable[Figures]) -> list[list[str]]:
    """Return the table of what the strategies lose, the head first."""
    head = ["backend", "steps", "models", *STRATEGIES.values()]
    return [head, *([*_about(entry), *(_lost_text(entry, name) for name in STRATEGIES)] for entry in summary)]


def _about(entry: Figures) -> list[str]:
    return [entry["backend"], f"{entry['steps']:,}", str(entry["models"])]


def _lost_text(entry: Figures, name: str) -> str:
    if name not in entry:
        return ""
    share = entry[name]
    where = f", {share['where']}" if share["worst"] else ""
    return f"{_percent(share['mean'])} ({_percent(share['worst'])}{where})"


def _percent(share: float) -> str:
    return f"{share:,.0%}" if share >= 0.1 else f"{share:.1%}"


def make_steps(rows: Sequence[Figures]) -> list[list[str]]:
    """Return the table of the steps, the head first: a line for each model and backend."""
    found = find_paths(rows)
    head = ["model", "backend", "default", "jit, ms", "eager, ms", "again/default", "jit/eager"]
    head += ["jit: compile, s", "eager: first steps, s", "jit, MiB", "eager, MiB"]
    keys = dict.fromkeys((row["model"], row["backend"]) for row in rows)
    return [head, *([*key, *_step_cells(found.get(key, {}))] for key in keys)]


def _step_cells(modes: Mapping[str, Figures]) -> list[str]:
    jit, eager, default = (modes.get(name, {}) for name in ("jit", "eager", "default"))
    steps = [_number(jit, "step_ms", ".3g"), _number(eager, "step_ms", ".3g")]
    ratios = [_ratio(modes.get("again", {}), default), _ratio(jit, eager)]
    compiles = [_number(jit, "compile_s", ".1f"), _number(eager, "compile_s", ".1f")]
    memory = [_number(jit, "memory_mib", ".0f"), _number(eager, "memory_mib", ".0f")]
    kind = ("jit" if default["jit_compile"] else "eager") if default else ""
    return [kind, *steps, *ratios, *compiles, *memory]


def _number(row: Figures, name: str, form: str) -> str:
    return format(row[name], form) if name in row else "-"


def _ratio(row: Figures, base: Figures) -> str:
    if not row or not base:
        return "-"
    ratio = row["step_ms"] / base["step_ms"]
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def list_failures(rows: Iterable[Figures]) -> list[str]:
    """Return a line for each row that failed or was cut off."""
    failed = [row for row in rows if "error" in row or "cut" in row]
    return [
        f"{row['model']}, {row['backend']}, {row['mode']}: {row.get('error', 'the time was over')}"
        for row in failed
    ]


def tell_origin(data: Figures) -> str:
    """Return what the figures belong to, as a sentence."""
    devices = ", ".join(f"{backend} on {device}" for backend, device in data["devices"].items())
    named = {**data["versions"], **data["environment"]}
    return (
        f"{data['date']}, {devices}; {data['cores']} cores of {data['processor']}; batches times"
        f" {data['scale']:g}, {data['rounds']} rounds of {data['block_s']:g} s; Python {data['python']}, "
        + ", ".join(f"{name} {value}" for name, value in named.items())
        + "."
    )


def show(data: Figures) -> None:
    """Print the tables, what failed, and what the figures belong to."""
    for table in (make_steps(data["rows"]), make_gains(summarise(data["rows"]))):
        show_table(table)
    print(*list_failures(data["rows"]), tell_origin(data), sep="\n")


def show_table(lines: Sequence[Sequence[str]]) -> None:
    """Print one table, its head first: with rich on a terminal where it is installed, else as Markdown."""
    if sys.stdout.isatty() and find_spec("rich") is not None:
        _show_rich(lines)
    else:
        print(format_table(lines))


def _show_rich(lines: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(*lines[0])
    for line in lines[1:]:
        table.add_row(*line)
    Console().print(table)


def format_table(lines: Sequence[Sequence[str]]) -> str:
    """Return ``lines``, the head first, as a Markdown table."""
    rule = ["---", "---", *["--:"] * (len(lines[0]) - 2)]
    return "".join(f"| {' | '.join(line)} |\n" for line in (lines[0], rule, *lines[1:]))


def format_figures(data: Figures) -> str:
    """Return both tables, failures and origin as Markdown."""
    rows = data["rows"]
    failures = "".join(f"- {line.replace('|', '/')}\n" for line in list_failures(rows))
    gains, steps = format_table(make_gains(summarise(rows))), format_table(make_steps(rows))
    return "\n".join(part for part in (gains, steps, failures, f"{tell_origin(data)}\n") if part)


def format_file(file: Path) -> str:
    """Return the figures in ``file`` as Markdown, or that there are none."""
    if not file.exists():
        return f"{NOTHING}\n"
    return format_figures(json.loads(file.read_text(encoding="utf-8")))


def renew(text: str) -> str:
    """Return ``text`` with the tables of ``results/NAME.json`` below each ``<!-- table: NAME -->``."""
    return _PLACE.sub(lambda found: f"{found[1]}{format_file(RESULTS / f'{found[2]}.json')}{found[3]}", text)


if __name__ == "__main__":
    main()
