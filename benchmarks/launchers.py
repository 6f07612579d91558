"""What ``python -m autoxla`` adds to the run of a program, beside other tools that start programs.

``python -m benchmarks launchers`` runs an empty script under each, in environments that it makes in a
temporary folder from the public index, with ``--quick`` under those that need none. Where valgrind is
found it also counts instructions in user space: these repeat to the last digit on a busy machine, but
know nothing of the kernel, which does much of the work of starting a process.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import conclude, read_arguments, show, time_starts
from benchmarks.instructions import count_all
from benchmarks.startup import HOOKS, RESOLUTION, Start, build_wheel, make_environment

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

    def start(self) -> None:
        """Run the process to its end; `CalledProcessError` if it fails."""
        command, environment = self.command, self.environment
        subprocess.run(command, cwd=self.folder, env=environment, check=True, capture_output=True)


def main() -> None:
    """Build the environments, measure, print tables, keep the raw figures."""
    arguments = read_arguments("Measure launchers on an empty script.")
    with tempfile.TemporaryDirectory() as folder:
        launches = make_launches(Path(folder))
        tools = {} if arguments.quick else make_others(Path(folder))
        runs, others = ({name: launch.start for name, launch in kind.items()} for kind in (launches, tools))
        launches |= tools
        counts = count_all(launches)
        times, figures = time_starts(runs, others, arguments.rounds)
        versions = find_versions(launches)
    summary = {name: row | counts[name] for name, row in times.items()}
    show(summary, "ms")
    data = {"unit": "ms", "summary": summary, **figures}
    conclude(arguments, data, versions, again=("python", "python, again"), resolution=RESOLUTION)


def make_launches(folder: Path) -> dict[str, Launch]:
    """Return the ways to run the script that need nothing but autoxla, the plain one first."""
    (folder / "empty.py").touch()
    bare, own = (
        make_environment(folder, "bare"),
        make_environment(folder, "autoxla", build_wheel(folder)),
    )
    make = partial(Launch, folder=folder)
    return {
        "python": make(bare, ("python",)),
        "python, again": make(bare, ("python",)),
        "python -m autoxla": make(own, ("python", "-m", "autoxla")),
        "autoxla": make(own, ("autoxla",)),
        "python -m cProfile": make(bare, ("python", "-m", "cProfile", "-o", "profile")),
    }


def make_others(folder: Path) -> dict[str, Launch]:
    """Return the ways to run the script under other tools, one environment for each."""
    return {
        name: Launch(make_environment(folder, tool, tool), words, folder, variables)
        for name, (tool, words, variables) in TOOLS.items()
    }


def find_versions(launches: Mapping[str, Launch]) -> dict[str, str]:
    """Return the versions of what was measured."""
    others = {name: tool for name, (tool, _, _) in TOOLS.items() if name in launches}
    tools = {tool: Start(launches[name].python).version(tool) for name, tool in others.items()}
    return {"autoxla-runtime": Start(launches["autoxla"].python).version("autoxla-runtime"), **tools}
