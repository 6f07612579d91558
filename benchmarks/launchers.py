"""What ``python -m autoxla`` adds to the run of a program, beside other tools that start programs.

``python -m benchmarks.launchers [--rounds 27] [--json FILE]`` runs an empty script under each, in
environments that it makes in a temporary folder from the public index. Where valgrind is found it
also counts instructions in user space: these repeat to the last digit on a busy machine, but know
nothing of the kernel, which does much of the work of starting a process.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import interleave, read_arguments, show, summarise, write_json
from benchmarks.startup import HOOKS, Start, build_wheel, make_environment

_OTEL, _DATADOG = (HOOKS[f"{tool} sitecustomize"][2] for tool in ("OpenTelemetry", "ddtrace"))
#: Distribution, words (the first is in the environment's folder of programs), variables.
TOOLS: dict[str, tuple[str, tuple[str, ...], Mapping[str, str]]] = {
    "coverage run": ("coverage", ("coverage", "run"), {}),
    "viztracer": ("viztracer", ("viztracer", "--quiet", "-o", "trace.json"), {}),
    "opentelemetry-instrument": ("opentelemetry-distro", ("opentelemetry-instrument", "python"), _OTEL),
    "ddtrace-run": ("ddtrace", ("ddtrace-run", "python"), _DATADOG),
}


@dataclass(frozen=True)
class Launch:
    """One way to run a program: which command of which environment, with which variables."""

    python: Path
    words: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *before: str) -> None:
        """Run the empty script, below the command ``before``; `CalledProcessError` if it fails."""
        programs = self.python.parent
        environment = {"PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}", **self.variables}
        command = [*before, str(programs / self.words[0]), *self.words[1:], "empty.py"]
        subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True)

    def time(self) -> float:
        """Return the milliseconds from the start of the process to its end."""
        begin = time.perf_counter()
        self.run()
        return (time.perf_counter() - begin) * 1000

    def count(self) -> int:
        """Return the instructions in user space, those before the process replaces itself included."""
        with tempfile.TemporaryDirectory() as folder:
            callgrind = "valgrind", "--tool=callgrind", "--trace-children=yes", "--dump-before=execve"
            seeded = Launch(self.python, self.words, self.folder, {**self.variables, "PYTHONHASHSEED": "0"})
            seeded.run(*callgrind, f"--callgrind-out-file={folder}/out.%p")
            return sum(map(_read_total, Path(folder).iterdir()))


def main() -> None:
    """Build the environments, measure, print tables, keep the raw figures."""
    arguments = read_arguments("Measure launchers on an empty script.")
    with tempfile.TemporaryDirectory() as folder:
        launches = make_launches(Path(folder))
        counts = count_instructions(launches)
        measured = interleave({name: launch.time for name, launch in launches.items()}, arguments.rounds)
        versions = find_versions(launches)
    summary = {name: row | counts.get(name, {}) for name, row in summarise(measured).items()}
    show(summary, "ms")
    data = {"unit": "ms", "rounds": arguments.rounds, "summary": summary, "measured": measured}
    write_json(arguments.json, data, versions)


def make_launches(folder: Path) -> dict[str, Launch]:
    """Return the ways to run the script that are compared, the plain one first."""
    (folder / "empty.py").touch()
    bare, own = (
        make_environment(folder, "bare"),
        make_environment(folder, "autoxla", build_wheel(folder)),
    )
    make = partial(Launch, folder=folder)
    launches = {
        "python": make(bare, ("python",)),
        "python -m autoxla": make(own, ("python", "-m", "autoxla")),
        "autoxla": make(own, ("autoxla",)),
        "python -m cProfile": make(bare, ("python", "-m", "cProfile", "-o", "profile")),
    }
    for name, (tool, words, variables) in TOOLS.items():
        launches[name] = make(make_environment(folder, tool, tool), words, variables=variables)
    return launches


def count_instructions(launches: Mapping[str, Launch]) -> dict[str, dict[str, float]]:
    """Return millions of instructions of each, and what they are above the first; empty without valgrind."""
    if shutil.which("valgrind") is None:
        return {}
    counts = {name: launch.count() / 1e6 for name, launch in launches.items()}
    base = next(iter(counts.values()))
    return {name: {"Minstr": count, "added Minstr": count - base} for name, count in counts.items()}


def find_versions(launches: Mapping[str, Launch]) -> dict[str, str]:
    """Return the versions of what was measured."""
    tools = {tool: Start(launches[name].python).version(tool) for name, (tool, _, _) in TOOLS.items()}
    return {"autoxla-runtime": Start(launches["autoxla"].python).version("autoxla-runtime"), **tools}


def _read_total(file: Path) -> int:
    match = re.search(r"^totals: (\d+)", file.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    return int(match[1]) if match else 0


if __name__ == "__main__":
    main()
