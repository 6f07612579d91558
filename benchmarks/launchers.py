"""What ``python -m autoxla`` adds to the run of a program, beside other tools that start programs.

``python -m benchmarks.launchers [--rounds 27] [--json FILE]`` runs an empty script under each, in
environments that it makes in a temporary folder from the public index. Where valgrind is found it
also counts instructions in user space: these repeat to the last digit on a busy machine, but know
nothing of the kernel, which does much of the work of starting a process.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import interleave, read_arguments, show, summarise, write_json
from benchmarks.instructions import count_all
from benchmarks.startup import HOOKS, Start, build_wheel, make_environment

_OTEL, _DATADOG = (HOOKS[f"{tool} sitecustomize"].variables for tool in ("OpenTelemetry", "ddtrace"))
#: Distribution, words (the first is in the environment's folder of programs), variables.
TOOLS: dict[str, tuple[str, tuple[str, ...], Mapping[str, str]]] = {
    "coverage run": ("coverage", ("coverage", "run"), {}),
    "viztracer": ("viztracer", ("viztracer", "--quiet", "-o", "trace.json"), {}),
    "opentelemetry-instrument": ("opentelemetry-distro", ("opentelemetry-instrument", "python"), _OTEL),
    "ddtrace-run": ("ddtrace", ("ddtrace-run", "python"), _DATADOG),
}


@dataclass(frozen=True)
class Launch:
    """One way to run the empty script: which command of which environment, with which variables."""

    python: Path
    words: tuple[str, ...]
    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        """The words of the command; its file is in the environment."""
        return [str(self.python.with_name(self.words[0])), *self.words[1:], "empty.py"]

    @property
    def environment(self) -> dict[str, str]:
        """All variables; the environment's programs come first on ``PATH``."""
        path = f"{self.python.parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return {"PATH": path, **self.variables}

    def time(self) -> float:
        """Return the milliseconds from start to end of the process; `CalledProcessError` if it fails."""
        command, environment = self.command, self.environment
        begin = time.perf_counter()
        subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True)
        return (time.perf_counter() - begin) * 1000


def main() -> None:
    """Build the environments, measure, print tables, keep the raw figures."""
    arguments = read_arguments("Measure launchers on an empty script.")
    with tempfile.TemporaryDirectory() as folder:
        launches = make_launches(Path(folder))
        counts = count_all(launches)
        measured = interleave({name: launch.time for name, launch in launches.items()}, arguments.rounds)
        versions = find_versions(launches)
    summary = {name: row | counts[name] for name, row in summarise(measured).items()}
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


def find_versions(launches: Mapping[str, Launch]) -> dict[str, str]:
    """Return the versions of what was measured."""
    tools = {tool: Start(launches[name].python).version(tool) for name, (tool, _, _) in TOOLS.items()}
    return {"autoxla-runtime": Start(launches["autoxla"].python).version("autoxla-runtime"), **tools}


if __name__ == "__main__":
    main()
