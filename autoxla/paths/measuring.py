"""What a run on one path measured, as the probe in the child left it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from statistics import median
from typing import Any

from autoxla.paths.children import Run, read_facts
from autoxla.paths.judging import Sample

#: What the probe leaves of a phase.
_FACTS = frozenset({"times", "losses", "ran", "jit", "dtype"})
#: What one step of a phase is called, and what two paths are compared by; of a `tf.function`, the last row.
_WORDS = {"train": ("step", "loss"), "evaluate": ("batch", "loss"), "predict": ("batch", "output")}
_OF_FUNCTIONS = ("call", "result")


@dataclass(frozen=True, slots=True)
class Request:
    """What one run is to measure: `steps` and `least` seconds of them, but no more than `most` seconds.

    `perturb`: each weight is moved by one unit in its last place before the first step. `redraw`: where it
    is not 0, Keras draws the random numbers of other seeds, for each number others. `phase` is which steps
    are meant. Where that is empty, it is training; without any for `search` seconds, what takes most time.
    """

    steps: int
    least: float
    most: float
    perturb: bool = False
    redraw: int = 0
    phase: str = ""
    search: float = 0.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run measured. Times are in seconds, `memory` (the peak) in bytes, `wall` is the whole run's.

    `compile_s` is what the first step took beyond a typical one: trace and compile. `phase` is what was
    timed, `beside` what a step of the other phases took, `printed` the lines on standard output.
    """

    sample: Sample
    compile_s: float
    memory: int
    losses: tuple[float | None, ...]
    jit: bool
    dtype: str
    steps: int
    wall: float
    phase: str = "train"
    beside: Mapping[str, float] = field(default_factory=dict)
    printed: tuple[str, ...] = ()

    @property
    def has_numbers(self) -> bool:
        """Whether there is a number by which it can be compared."""
        return any(loss is not None for loss in self.losses)


def name_step(phase: str) -> str:
    """Return what one step of ``phase`` is called."""
    return _WORDS.get(phase, _OF_FUNCTIONS)[0]


def name_loss(phase: str) -> str:
    """Return what the numbers are called that two runs of ``phase`` are compared by."""
    return _WORDS.get(phase, _OF_FUNCTIONS)[1]


@dataclass(frozen=True, slots=True)
class Failure:
    """A run without a measurement, for `reason`; `tail` is the end of what it wrote."""

    reason: str
    tail: tuple[str, ...] = ()


def measure(run: Run, phase: str = "") -> Measurement | Failure:
    """Return what ``run`` measured of ``phase``, or why it did not; by default of what decides in it."""
    facts = read_facts(run.name.with_suffix(".done"))
    seen = facts.get("phases")
    phases: dict[str, Any] = seen if isinstance(seen, dict) else {}
    times = {
        # A clock that stood still would make ratios infinite.
        name: [max(float(time), 1e-9) for time in found["times"] if isfinite(time)]
        for name, found in phases.items()
        if isinstance(found, dict) and isinstance(found.get("times"), list)
    }
    if not phase:
        ran = {name: float(phases[name].get("ran", 0.0)) for name in times}
        phase = "train" if "train" in ran else max(ran, key=lambda name: ran[name], default="")
    fault, timed = run.fault, times.get(phase, [])
    if fault is None and not timed:
        fault = "it ended without a training step, a prediction or a call of a tf.function"
    elif fault is None and len(timed) == 1:
        fault = f"it ended after only one {name_step(phase)} of {phase}"
    elif fault is None and (missing := sorted(_FACTS - phases[phase].keys() | {"memory"} - facts.keys())):
        fault = f"its result lacks {', '.join(missing)}"
    if fault is not None:
        return Failure(fault, run.tail)
    found, typical = phases[phase], median(timed[1:])
    return Measurement(
        Sample(typical, min(timed[1:])),
        max(0.0, timed[0] - typical),
        int(str(facts["memory"])),
        tuple(found["losses"]) if isinstance(found["losses"], list) else (),
        found["jit"] is True,
        str(found["dtype"]),
        len(timed) - 1,
        run.wall,
        phase,
        {name: median(each[1:]) for name, each in times.items() if name != phase and each[1:]},
        tuple(run.out.splitlines()),
    )
