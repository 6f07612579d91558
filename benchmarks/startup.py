"""What autoxla adds to the start of an interpreter, beside other tools that begin there.

``python -m benchmarks startup`` makes environments of its own in a temporary folder, one for each tool
from the public index, so that nobody's ``.pth`` file is read by the rest; with ``--quick`` those of
autoxla only. The bare start is an environment with nothing in it. OpenTelemetry runs without exporters
and instrumentors, ddtrace without telemetry and remote configuration: both do more in real use. Where
valgrind is found, instructions are counted, too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import conclude, read_arguments, show, time_starts
from benchmarks.instructions import count_all

CHECKOUT = Path(__file__).parents[1]
SITECUSTOMIZE = CHECKOUT / "sitecustomize_example.py"
#: The same start twice, to see what the machine makes of it.
BARE, AGAIN = "bare", "bare, again"
#: A share of a bare start that can be told from noise: about a tenth of a millisecond.
RESOLUTION = 0.015


@dataclass(frozen=True)
class Hook:
    """What another tool does at the start of an interpreter."""

    tool: str
    code: str = "pass"
    variables: Mapping[str, str] = field(default_factory=dict)
    #: The folder with its ``sitecustomize.py`` below ``site-packages``, for ``PYTHONPATH``.
    below: str | None = None


HOOKS = {
    "import wrapt": Hook("wrapt", "import wrapt"),
    "wrapt post-import hook": Hook(
        "wrapt", "import wrapt; wrapt.register_post_import_hook(print, 'no_such')"
    ),
    "typeguard hook": Hook("typeguard", "import typeguard; typeguard.install_import_hook('no_such')"),
    "beartype.claw hook": Hook(
        "beartype", "from beartype.claw import beartype_package; beartype_package('no_such')"
    ),
    "coverage .pth, inactive": Hook("coverage"),
    "coverage .pth, active": Hook("coverage", variables={"COVERAGE_PROCESS_START": "coveragerc"}),
    "OpenTelemetry sitecustomize": Hook(
        "opentelemetry-distro",
        variables={f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")},
        below="opentelemetry/instrumentation/auto_instrumentation",
    ),
    "ddtrace sitecustomize": Hook(
        "ddtrace",
        variables={
            "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
            "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        },
        below="ddtrace/bootstrap",
    ),
}


@dataclass(frozen=True)
class Start:
    """One way to start an interpreter: of which environment, with what to run, with which variables."""

    python: Path
    code: str = "pass"
    variables: Mapping[str, str] = field(default_factory=dict)
    #: What stands between the interpreter and ``-c``.
    words: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """The words of the command."""
        return [str(self.python), *self.words, "-c", self.code]

    @property
    def environment(self) -> dict[str, str]:
        """All variables."""
        return {"PATH": os.environ.get("PATH", ""), **self.variables}

    @property
    def folder(self) -> Path:
        """The folder to start in: ``-c`` puts it first on the path, so it must not be the checkout."""
        return self.python.parent

    def run(self, code: str) -> str:
        """Run ``code`` and return what it prints; `CalledProcessError` if it fails."""
        command, environment = [*self.command[:-1], code], self.environment
        done = subprocess.run(
            command, cwd=self.folder, env=environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    def start(self) -> None:
        """Run the process to its end."""
        self.run(self.code)

    def modules(self) -> set[str]:
        """Return the names of the modules that are loaded afterwards."""
        return set(self.run(f"{self.code}\nimport sys; print(*sys.modules)").split())

    def version(self, distribution: str) -> str:
        """Return the version of a distribution in this environment."""
        code = f"from importlib.metadata import version; print(version({distribution!r}))"
        return self.run(code).strip()


def main() -> None:
    """Build the environments, measure, print a table, keep the raw figures."""
    arguments = read_arguments("Measure interpreter start with autoxla and beside it.")
    with tempfile.TemporaryDirectory() as folder:
        starts = make_starts(Path(folder))
        hooks = {} if arguments.quick else make_hooks(Path(folder))
        runs, others = ({name: start.start for name, start in kind.items()} for kind in (starts, hooks))
        starts |= hooks
        added = {name: len(start.modules() - starts[BARE].modules()) for name, start in starts.items()}
        counts = count_all(starts)
        times, figures = time_starts(runs, others, arguments.rounds)
        versions = find_versions(starts)
    summary = {name: row | {"modules": added[name]} | counts[name] for name, row in times.items()}
    show(summary, "ms")
    data = {"unit": "ms", "summary": summary, **figures}
    conclude(arguments, data, versions, again=(BARE, AGAIN), resolution=RESOLUTION)


def make_starts(folder: Path) -> dict[str, Start]:
    """Return the ways to start with autoxla, the bare one first."""
    wheel = build_wheel(folder)
    bare, shim = make_environment(folder, "bare"), make_environment(folder, "shim", wheel)
    starts = {
        BARE: Start(bare),
        AGAIN: Start(bare),
        "import autoxla": Start(shim, "import autoxla"),
        "autoxla.pth, active": Start(shim, variables={"AUTOXLA_ACTIVE": "1"}),
        "autoxla.pth, inactive": Start(shim),
        "autoxla.pth, AUTOXLA=off": Start(shim, variables={"AUTOXLA": "off", "AUTOXLA_ACTIVE": "1"}),
        "import autoxla, AUTOXLA=off": Start(shim, "import autoxla", {"AUTOXLA": "off"}),
        "autoxla site hook": Start(make_enabled(folder, wheel)),
        "launcher, python -m autoxla": Start(shim, words=("-m", "autoxla")),
        "launcher, autoxla": Start(shim.with_name("autoxla")),
    }
    if SITECUSTOMIZE.exists():
        starts["sitecustomize_example.py"] = Start(make_customized(folder, wheel))
    return starts


def make_hooks(folder: Path) -> dict[str, Start]:
    """Return the starts with other tools, one environment for each distribution."""
    (folder / "coveragerc").write_text(f"[run]\ndata_file = {folder / 'data'}\n", encoding="utf-8")
    pythons = {tool: make_environment(folder, tool, tool) for tool in {hook.tool for hook in HOOKS.values()}}
    return {name: make_hook(hook, pythons[hook.tool], folder) for name, hook in HOOKS.items()}


def make_hook(hook: Hook, python: Path, folder: Path) -> Start:
    """Return the start with ``hook``; its configuration is in ``folder``."""
    variables = dict(hook.variables)
    if "COVERAGE_PROCESS_START" in variables:
        variables["COVERAGE_PROCESS_START"] = str(folder / "coveragerc")
    if hook.below is not None:
        variables["PYTHONPATH"] = str(find_packages(python) / hook.below)
    return Start(python, hook.code, variables)


def find_versions(starts: Mapping[str, Start]) -> dict[str, str]:
    """Return the versions of what was measured."""
    hooks = {name: hook for name, hook in HOOKS.items() if name in starts}
    tools = {hook.tool: starts[name].version(hook.tool) for name, hook in hooks.items()}
    return {"autoxla-runtime": starts["import autoxla"].version("autoxla-runtime"), **tools}


def build_wheel(folder: Path) -> str:
    """Build the wheel of this checkout in ``folder`` and return its file."""
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(CHECKOUT))
    return str(next(folder.glob("*.whl")))


def make_environment(folder: Path, name: str, *requirements: str) -> Path:
    """Return the Python of a new environment that has ``requirements`` and what they need."""
    venv.create(folder / name, symlinks=os.name != "nt")
    binaries = "Scripts" if os.name == "nt" else "bin"
    python = folder / name / binaries / Path(sys.executable).name
    if requirements:
        pip("--python", str(python), "install", *requirements)
    return python


def make_customized(folder: Path, wheel: str) -> Path:
    """Return the Python of an environment with the example as its ``sitecustomize.py``."""
    python = make_environment(folder, "customized", wheel)
    shutil.copy(SITECUSTOMIZE, find_packages(python) / "sitecustomize.py")
    return python


def make_enabled(folder: Path, wheel: str) -> Path:
    """Return the Python of an environment where autoxla is enabled in every process."""
    python = make_environment(folder, "enabled", wheel)
    subprocess.run(
        [str(python), "-m", "autoxla", "site", "enable"], cwd=folder, check=True, capture_output=True
    )
    return python


def find_packages(python: Path) -> Path:
    """Return the ``site-packages`` of an environment."""
    return Path(Start(python).run("import sysconfig; print(sysconfig.get_path('purelib'))").strip())


def pip(*words: str) -> None:
    """Run pip of this interpreter quietly; `CalledProcessError` if it fails."""
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *words], check=True)
