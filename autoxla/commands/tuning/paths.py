"""The paths on which a program may run, and which of them its usage, the user and the rules leave open."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from autoxla.facts import Finding, Plan, Situation, Step
from autoxla.policies import decide
from autoxla.situation.environment import is_watched

_STEPS: tuple[Step, ...] = ("graph", "xla", "autocluster-1", "autocluster-2")
_X86 = ("x86_64", "amd64", "AMD64", "i686")
_STEP, _KERAS, _SWITCH = "AUTOXLA_STEP", "AUTOXLA_KERAS", "TF_USE_LEGACY_KERAS"


@dataclass(frozen=True, slots=True)
class Path:
    """One path: `variables` are what a child process gets for it, `settings` what a record keeps of them."""

    name: str
    step: Step | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def command(self, words: Sequence[str]) -> str:
        """Return the line for a shell that runs the program on this path."""
        assigned = [f"{name}={shlex.quote(value)}" for name, value in self.variables.items()]
        return " ".join([*assigned, "python -m autoxla", *map(shlex.quote, words)])


#: What the program does where nothing is chosen for it.
DEFAULT = Path("default")


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths that can be tried, and the others by name, each with the reason."""

    possible: tuple[Path, ...]
    impossible: Mapping[str, str]


def find_paths(situation: Situation, environ: Mapping[str, str], machine: str, cores: int) -> Paths:
    """Return the paths besides the default. ``machine`` is the processor's kind as ``uname -m`` has it."""
    possible: list[Path] = []
    impossible: dict[str, str] = {}
    usual = decide(situation)
    for path in _list_paths(situation, machine, cores):
        obstacle = _find_choice(path, situation, environ) or _find_obstacle(path, situation, usual)
        if obstacle is None:
            possible.append(path)
        else:
            impossible[path.name] = obstacle
    return Paths(tuple(possible), impossible)


def _list_paths(situation: Situation, machine: str, cores: int) -> Iterator[Path]:
    for step in _STEPS:
        yield Path(step, step, {_STEP: step})
    usage = situation.usage
    if usage.tf_keras_api and usage.keras is None and "tf-keras" in situation.versions:
        yield Path("tf-keras", None, {_KERAS: "2"}, {_SWITCH: "1"})
    if any(plugin.kind == "itex" for plugin in situation.plugins):
        yield from _list_itex_paths()
    if situation.hardware.accelerator != "present":
        yield from _list_cpu_paths(machine, cores)


def _list_itex_paths() -> Iterator[Path]:
    without_xla = {"ITEX_DISABLE_XLA": "1"}
    yield _by_variables("itex-no-xla", without_xla)
    yield _by_variables("itex-stream", {**without_xla, "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"})


def _list_cpu_paths(machine: str, cores: int) -> Iterator[Path]:
    if machine in _X86:
        yield _by_variables("onednn-off", {"TF_ENABLE_ONEDNN_OPTS": "0"})
    if cores > 2:
        half = str(cores // 2)
        yield _by_variables(f"threads-{half}", {"TF_NUM_INTRAOP_THREADS": half, "OMP_NUM_THREADS": half})


def _by_variables(name: str, variables: Mapping[str, str]) -> Path:
    return Path(name, None, variables, variables)


def _find_choice(path: Path, situation: Situation, environ: Mapping[str, str]) -> str | None:
    """Return what the user or the program chose already, which stands."""
    if path.step is not None and situation.usage.jit_compile is not None:
        return f"the program passes jit_compile={situation.usage.jit_compile}, which stands"
    if path.step is not None and situation.settings.step is not None:
        return f"step = {situation.settings.step!r} in the settings stands"
    if _KERAS in path.variables and situation.settings.keras is not None:
        return f"keras = {situation.settings.keras!r} in the settings stands"
    for name in path.settings:
        if name in environ:
            return f"{name}={environ[name]} in the environment stands"
        if any(e.kind == "variable" and e.name == name for e in situation.reading.evidence):
            return f"the program sets {name}, which stands"
    return None


def _find_obstacle(path: Path, situation: Situation, usual: Plan) -> str | None:
    """Return why the rules do not let the program run on ``path``."""
    plan = decide(_on(path, situation))
    known = {finding.code for finding in _errors(usual)}
    new = [finding.code for finding in _errors(plan) if finding.code not in known]
    if new:
        return f"not possible: {', '.join(dict.fromkeys(new))}"
    if path.step is not None and plan.path.step != path.step:
        codes = [finding.code for finding in plan.findings if finding.level == "warning"]
        return f"not possible: {', '.join(dict.fromkeys(codes)) or 'the plan keeps another step'}"
    if _KERAS in path.variables and plan.path.keras != 2:
        return "not possible: tf.keras stays Keras 3"
    return None


def _errors(plan: Plan) -> list[Finding]:
    return [finding for finding in plan.findings if finding.level == "error"]


def _on(path: Path, situation: Situation) -> Situation:
    settings = replace(situation.settings, step=path.step or situation.settings.step)
    if _KERAS in path.variables:
        settings = replace(settings, keras="2")
    watched = {name: value for name, value in path.variables.items() if is_watched(name)}
    return replace(situation, settings=settings, environment={**situation.environment, **watched})


def child_environment(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process on ``path``."""
    # A report, or who speaks for the processes of a tree, is the user's own run's.
    left_out = ("AUTOXLA_REPORT", "AUTOXLA_ROOT")
    kept = {name: value for name, value in environ.items() if name not in left_out}
    return {**kept, "AUTOXLA": "auto", **path.variables}
