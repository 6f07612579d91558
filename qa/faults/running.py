"""Running a program with a fault in autoxla, and judging whether anybody could tell.

A program with a fault has to leave behind what it leaves behind without autoxla, or what it does with an
autoxla that works: status, standard output, files, and standard error up to autoxla's own lines. Both are
allowed, since a fault may come after autoxla has rightly changed something (a misspelt variable is corrected,
and what fails is the line that tells of it) or before. What is neither of the two is a leak.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from faults.scenarios import FOLDER, PROGRAMS, SCENARIOS, Scenario
from faults.switch import VARIABLE
from programs import HOME, clean_environment

CHECKOUT = FOLDER.parents[1]
#: Seconds until a program is said to hang.
LIMIT = 180.0
#: Processes at once.
WORKERS = 2
_SETTINGS = "[tool.autoxla]\nxla_cache = true\n"
_IMPORTS = "the import system calls it, and what it raises is what the finders behind it raised"
_METHOD = "it stands in the place of Keras' method, and calls it"
_HANDED = "it hands out what stands in the place of Keras' method"
#: Functions in which a fault shows, each with the reason: nothing of autoxla stands around them.
OUTERMOST = {
    "autoxla.hooks.compile:Calls.compile": _METHOD,
    "autoxla.hooks.compile:Calls.compile_from_config": _METHOD,
    "autoxla.hooks.compile:Calls.predict": _METHOD,
    "autoxla.hooks.compile:find_wrapper": _HANDED,
    "autoxla.hooks.finder:AutoxlaFinder.find_spec": _IMPORTS,
    "autoxla.hooks.finder:attempt": "it is what stands around the others",
    "autoxla.hooks.finder:ExecShadow.__call__": "the import system calls it to execute the module",
    "autoxla.hooks.wrapping:leave_no_frame": (
        "it takes the frame of autoxla's wrapper out of a traceback; without it, that frame is shown"
    ),
    "autoxla.launch.launcher:launch": "the launcher's command is nothing but this",
    "autoxla.trial.driver:Driver.__call__": "it stands in the place of Keras' training step, and runs it",
    "autoxla.trial.executables:Executable.__call__": "it runs the program's own training step",
    "autoxla.trial.hooks:find_wrapper": _HANDED,
    "autoxla.trial.guards:replay": "it runs the program's own training step",
    **{
        f"autoxla.trial.driver:{name}": "it runs the program's own training step"
        for name in (
            "State.run",
            "Watching.run",
            "Surveying.run",
            "Fetching.run",
            "Compiling.run",
            "ByHand.run",
            "Driver.run_stock",
            "Driver.replay",
            "Driver.fetch",
        )
    },
}

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Left:
    """What a program left behind. `files`: names and contents, a model's archive by its name only."""

    status: int | None
    out: str
    err: str
    files: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Run:
    """A run with a fault: what it left behind, what autoxla said, and whether the fault took place."""

    left: Left
    said: tuple[str, ...]
    fired: bool


@dataclass(frozen=True)
class Verdict:
    """What came of one fault in one scenario.

    `same`: ``without`` or ``with`` autoxla the program leaves this behind, or ``both``; empty for a leak,
    which `leak` tells of. `said`: the first line that autoxla said of its fault.
    """

    scenario: str
    site: str
    kind: str
    fired: bool
    same: str
    said: str
    leak: str = ""


def run(scenario: Scenario, asked: dict[str, Any] | None, *, plain: bool = False) -> Run:
    """Run ``scenario`` with what ``asked`` says in the variable of the switch; ``plain``: without autoxla."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        root = Path(name).resolve()
        program, fired = root / "program", root / "fired"
        shutil.copytree(PROGRAMS, program, ignore=shutil.ignore_patterns("__pycache__"))
        (program / "pyproject.toml").write_text(_SETTINGS, encoding="utf-8")
        environment = _environment(scenario, root, plain=plain)
        if asked is not None:
            environment[VARIABLE] = json.dumps({**asked, "fired": str(fired)})
        words = [scenario.program, *scenario.words, *(["plain"] if plain else [])]
        launcher = ["-m", "autoxla"] if scenario.way == "launcher" and not plain else []
        status, out, err = _start([*launcher, *words], program, environment)
        left = Left(status, _tidy(out, root), _tidy(_own(err, scenario), root), tuple(_list_files(program)))
        return Run(
            left, tuple(line for line in err.splitlines() if line.startswith("autoxla:")), fired.exists()
        )


def _environment(scenario: Scenario, root: Path, *, plain: bool) -> dict[str, str]:
    site = root / "site"
    site.mkdir()
    path = [FOLDER / "site", HOME]
    if scenario.way == "site" and not plain:
        shutil.copy(CHECKOUT / "sitecustomize_example.py", site / "sitecustomize.py")
        path.insert(1, site)
    if scenario.stubs:
        path.insert(1, FOLDER / "stubs")
    own = {
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AUTOXLA_CACHE": str(root / "cache"),
        "AUTOXLA_REPORT": str(root / "report.html"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
    }
    return clean_environment(**{**own, **scenario.variables})


def _start(words: Sequence[str], folder: Path, environment: dict[str, str]) -> tuple[int | None, str, str]:
    try:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, "", ""
    return done.returncode, done.stdout, done.stderr


def _own(err: str, scenario: Scenario) -> str:
    """Return what of standard error is the program's: of TensorFlow's, the traceback."""
    lines = [line for line in err.splitlines() if not line.startswith("autoxla:")]
    begin = next((at for at, line in enumerate(lines) if line.startswith("Traceback")), len(lines))
    return "\n".join(lines if scenario.stubs else lines[begin:])


def _tidy(text: str, root: Path) -> str:
    return text.replace(str(root), "ROOT")


def _list_files(folder: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            # An archive has dates in it; the program reads it again and prints what is in it.
            content = "" if file.suffix == ".keras" else file.read_text(encoding="utf-8")
            yield str(file.relative_to(folder)), content


@cache
def allowed(name: str) -> dict[str, Left]:
    """Return what the program of a scenario leaves behind without autoxla, and with one that works.

    Raises RuntimeError where autoxla has a fault of its own.
    """
    scenario = SCENARIOS[name]
    healthy = run(scenario, None)
    if any("AX901" in line for line in healthy.said):
        raise RuntimeError(f"{name}: {healthy.said}")
    return {"without": run(scenario, None, plain=True).left, "with": healthy.left}


def list_reached(name: str) -> list[str]:
    """Return the functions of autoxla that are called in a scenario, in the order of their first calls."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        file = Path(folder) / "reached"
        run(SCENARIOS[name], {"record": str(file)})
        # A child process notes them anew.
        return list(dict.fromkeys(file.read_text(encoding="utf-8").split()))


def inject(scenario: str, site: str, kind: str) -> Verdict:
    """Run a scenario with one fault, and judge it."""
    outcome = run(SCENARIOS[scenario], {"site": site, "kind": kind})
    same = [name for name, left in allowed(scenario).items() if left == outcome.left]
    said = next((line for line in outcome.said if " AX9" in line), "").partition("; the program runs on")[0]
    word = "both" if len(same) == 2 else "".join(same)
    leak = "" if same else describe(outcome.left, allowed(scenario)["without"])
    return Verdict(scenario, site, kind, outcome.fired, word, said, leak)


def describe(left: Left, expected: Left) -> str:
    """Return in what ``left`` differs, in a line."""
    if left.status is None:
        return "hangs"
    names = [name for name in asdict(left) if getattr(left, name) != getattr(expected, name)]
    last = left.err.strip().splitlines()[-1:] if left.status != expected.status else []
    return f"differs in {', '.join(names)}: status {left.status}, {' '.join(last)[:200]}"


def each(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return the results of ``function``, some at once."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(function, items))


def inject_all(cases: Sequence[tuple[str, str, str]]) -> list[Verdict]:
    """Return the verdicts of cases: scenario, site, kind."""
    each(allowed, dict.fromkeys(scenario for scenario, _, _ in cases))
    return each(lambda case: inject(*case), cases)


# Training with a trial: many faults in one process


def train(generation: str, mode: str, sites: Sequence[str], kinds: Sequence[str]) -> list[Verdict]:
    """Return the verdicts of faults within training, see `programs/trained.py`."""
    parts = [sites[start::WORKERS] for start in range(WORKERS)]
    found = each(lambda part: _train_with(generation, mode, part, kinds), filter(None, parts))
    return [verdict for verdicts in found for verdict in verdicts]


def _train_with(generation: str, mode: str, sites: Sequence[str], kinds: Sequence[str]) -> list[Verdict]:
    cases = [(site, kind) for site in sites for kind in kinds]
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        file = Path(name) / "cases"
        file.write_text(json.dumps(cases), encoding="utf-8")
        lines = _train(
            Path(name), [generation, mode, str(file)], {"sites": list(sites), "fired": f"{name}/fired"}
        )
    facts = [json.loads(line) for line in lines]
    plain, healthy, results = facts[0], facts[1], facts[2:]
    if not agree(plain, healthy) or healthy["said"] or len(results) != len(cases):
        raise RuntimeError(f"the training itself is not what it should be: {healthy}")
    scenario = f"{generation}, {mode}"
    return [judge_training(scenario, plain, result) for result in results]


def list_reached_in_training(generation: str, mode: str) -> list[str]:
    """Return the functions of autoxla that are called while a model trains in such a program."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        cases, reached = Path(name) / "cases", Path(name) / "reached"
        cases.write_text("[]", encoding="utf-8")
        _train(Path(name), [generation, mode, str(cases)], {"record": str(reached)})
        return list(dict.fromkeys(reached.read_text(encoding="utf-8").split()))


def _train(folder: Path, words: Sequence[str], asked: dict[str, Any]) -> list[str]:
    shutil.copy(CHECKOUT / "sitecustomize_example.py", folder / "sitecustomize.py")
    path = [FOLDER / "site", folder, HOME, FOLDER.parent, CHECKOUT / "tests"]
    environment = clean_environment(
        PYTHONPATH=os.pathsep.join(map(str, path)),
        AUTOXLA="auto",  # there are no trials in the site hook's own mode
        AUTOXLA_CACHE=str(folder / "cache"),
        TF_CPP_MIN_LOG_LEVEL="3",
        CUDA_VISIBLE_DEVICES="-1",
    )
    environment[VARIABLE] = json.dumps(asked)
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "trained.py"), *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return [line for line in done.stdout.splitlines() if line.startswith("{")]


def judge_training(scenario: str, plain: dict[str, Any], result: dict[str, Any]) -> Verdict:
    """Return the verdict of one training with a fault."""
    site, kind = result["case"]
    leak = result.get("error") or ("" if agree(plain, result) else _differing(plain, result))
    said = next(iter(result["said"]), "")
    return Verdict(scenario, site, kind, result["fired"], "" if leak else "both", said, leak)


def agree(plain: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether two trainings left the same behind, up to rounding."""
    return "error" not in other and not _differing(plain, other)


def _differing(plain: dict[str, Any], other: dict[str, Any]) -> str:
    names = [name for name in ("iterations", "calls", "own") if plain[name] != other[name]]
    for name in ("weights", "results"):
        pairs = zip(_flat(plain[name]), _flat(other[name]), strict=True)
        if not all(abs(a - b) <= 1e-4 + 1e-4 * abs(a) for a, b in pairs):
            names.append(name)
    return f"differs in {', '.join(names)}" if names else ""


def _flat(lists: Sequence[Sequence[float]]) -> list[float]:
    return [value for values in lists for value in values]
