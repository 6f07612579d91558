"""The paths on which a program may run, and which of them its usage, the user and the rules leave open."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autoxla.model import Plan, Situation, Step
from autoxla.paths.sources import find_looks_at_batches, find_tie
from autoxla.policies import decide
from autoxla.policies.draft import SWITCH
from autoxla.settings import VARIABLES
from autoxla.situation.environment import is_watched

_STEPS: tuple[Step, ...] = ("graph", "xla", "autocluster-1", "autocluster-2")
_X86 = ("x86_64", "amd64", "AMD64", "i686")
STEP, KERAS, BACKEND = "AUTOXLA_STEP", "AUTOXLA_KERAS", "KERAS_BACKEND"
#: The backends on which Keras trains.
BACKENDS = ("tensorflow", "jax", "torch")
_PER_CALL = "AUTOXLA_STEPS_PER_EXECUTION"


@dataclass(frozen=True, slots=True)
class Path:
    """One path: `variables` are what a child process gets for it, None for those that it is not to have.

    `signs` are words by which an error, or a hint on it, names this path. `is_below`: it changes how
    operations run, which no error of Python's depends on. `draws`: with the same seed it draws other random
    numbers than the default.
    """

    name: str
    step: Step | None = None
    variables: Mapping[str, str | None] = field(default_factory=dict)
    signs: tuple[str, ...] = ()
    is_below: bool = False
    draws: bool = False

    @property
    def settings(self) -> dict[str, str]:
        """What a record of tuning keeps of the variables; it has the step beside them."""
        if KERAS in self.variables:
            return {SWITCH: "1"}
        return {name: value for name, value in self.variables.items() if value is not None and name != STEP}

    def command(self, words: Sequence[str]) -> str:
        """Return the line for a shell that runs the program on this path."""
        unset = [f"-u {name}" for name, value in self.variables.items() if value is None]
        values = ((name, value) for name, value in self.variables.items() if value is not None)
        assigned = [f"{name}={shlex.quote(value)}" for name, value in values]
        env = ["env", *unset] if unset else []
        return " ".join([*env, *assigned, "python -m autoxla", *map(shlex.quote, words)])


#: What the program does where nothing is chosen for it.
DEFAULT = Path("default")
_NO_XLA = {"ITEX_DISABLE_XLA": "1"}
_STREAM = {**_NO_XLA, "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"}
#: The paths that may be faster, and may be a cure, by name.
SHARED = {
    path.name: path
    for path in (
        Path("itex-no-xla", variables=_NO_XLA, signs=tuple(_NO_XLA)),
        Path("itex-stream", variables=_STREAM, signs=tuple(_STREAM)),
        Path("onednn-off", variables={"TF_ENABLE_ONEDNN_OPTS": "0"}, is_below=True),
        *(
            Path(backend, variables={BACKEND: backend}, signs=(f"{BACKEND}={backend}",), draws=True)
            for backend in BACKENDS
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths that can be tried, and the others by name, each with the reason."""

    possible: tuple[Path, ...]
    impossible: Mapping[str, str]

    def choose(self, names: Sequence[str]) -> Paths:
        """Return those with these names."""
        impossible = {name: reason for name, reason in self.impossible.items() if name in names}
        return Paths(tuple(path for path in self.possible if path.name in names), impossible)


def find_paths(situation: Situation, environ: Mapping[str, str], machine: str, cores: int) -> Paths:
    """Return the paths besides the default. ``machine`` is the processor's kind as ``uname -m`` has it."""
    paths = [Path(step, step, {STEP: step}) for step in _STEPS]
    usage = situation.usage
    if usage.tf_keras_api and usage.keras is None and "tf-keras" in situation.versions:
        paths.append(Path("tf-keras", variables={KERAS: "2"}))
    if has_itex(situation):
        paths += [SHARED["itex-no-xla"], SHARED["itex-stream"]]
    if has_onednn(situation, machine):
        paths.append(SHARED["onednn-off"])
    if situation.hardware.accelerator != "present" and cores > 2:
        half = str(cores // 2)
        threads = {"TF_NUM_INTRAOP_THREADS": half, "OMP_NUM_THREADS": half}
        paths.append(Path(f"threads-{half}", variables=threads))
    usual = decide(situation)
    if usual.path.keras == 3:
        paths += [SHARED["jax"], SHARED["torch"], Path("steps-16", variables={_PER_CALL: "16"})]
    obstacles = [
        (path, _find_choice(path, situation, environ) or _find_obstacle(path, situation, usual))
        for path in paths
    ]
    possible = tuple(path for path, obstacle in obstacles if obstacle is None)
    return Paths(possible, {path.name: obstacle for path, obstacle in obstacles if obstacle is not None})


def has_itex(situation: Situation) -> bool:
    """Return whether ITEX comes with TensorFlow."""
    return any(plugin.kind == "itex" for plugin in situation.plugins)


def has_onednn(situation: Situation, machine: str) -> bool:
    """Return whether TensorFlow computes with oneDNN."""
    return machine in _X86 and situation.hardware.accelerator != "present"


def _find_choice(path: Path, situation: Situation, environ: Mapping[str, str]) -> str | None:
    """Return what the user or the program chose already, which stands."""
    if path.step is not None and situation.usage.jit_compile is not None:
        return f"the program passes jit_compile={situation.usage.jit_compile}, which stands"
    if path.step is not None and situation.settings.step is not None:
        return f"step = {situation.settings.step!r} in the settings stands"
    if KERAS in path.variables and situation.settings.keras is not None:
        return f"keras = {situation.settings.keras!r} in the settings stands"
    if _PER_CALL in path.variables and situation.settings.steps_per_execution is not None:
        return "steps_per_execution in the settings stands"
    for name in path.settings:
        if name in environ:
            return f"{name}={environ[name]} in the environment stands"
        if any(e.kind == "variable" and e.name == name for e in situation.reading.evidence):
            return f"the program sets {name}, which stands"
    return None


def _find_obstacle(path: Path, situation: Situation, usual: Plan) -> str | None:
    """Return why the rules do not let the program run on ``path``."""
    if BACKEND in path.variables:
        if tie := find_tie(situation):
            return f"not possible: {tie}"
        if path.variables[BACKEND] not in situation.backends:
            return f"not installed, and it may pay: pip install {path.name}"
    if _PER_CALL in path.variables and (reason := find_looks_at_batches(situation)):
        return f"not possible: {reason}"
    plan = decide(move(situation, path))
    if reason := find_new_errors(plan, usual):
        return reason
    if path.step is not None and plan.path.step != path.step:
        codes = [finding.code for finding in plan.findings if finding.level == "warning"]
        return f"not possible: {', '.join(dict.fromkeys(codes)) or 'the plan keeps another step'}"
    if KERAS in path.variables and plan.path.keras != 2:
        return "not possible: tf.keras stays Keras 3"
    return None


def move(situation: Situation, path: Path) -> Situation:
    """Return ``situation`` as it is on ``path``."""
    variables = path.variables
    asked: dict[str, Any] = {name: variables[of] for name, of in VARIABLES.items() if of in variables}
    settings = replace(situation.settings, **asked)
    changed = {**situation.environment, **{n: v for n, v in variables.items() if is_watched(n)}}
    environment = {name: value for name, value in changed.items() if value is not None}
    flag_names = {n: flags for n, flags in situation.flag_names.items() if n not in variables}
    return replace(situation, settings=settings, environment=environment, flag_names=flag_names)


def find_new_errors(plan: Plan, usual: Plan) -> str | None:
    """Return the codes of the errors that are in ``plan`` and not in the ``usual`` one."""
    known = {finding.code for finding in usual.findings if finding.level == "error"}
    codes = [f.code for f in plan.findings if f.level == "error" and f.code not in known]
    return f"not possible: {', '.join(dict.fromkeys(codes))}" if codes else None
