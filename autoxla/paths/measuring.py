"""What a run on one path measured, as the probe in the child left it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from statistics import median

from autoxla.paths.children import Run, read_facts
from autoxla.paths.judging import Sample

#: What the probe leaves.
_FACTS = frozenset({"times", "losses", "memory", "jit", "dtype"})


@dataclass(frozen=True, slots=True)
class Request:
    """What one run is to measure: `steps` and `least` seconds of them, but no more than `most` seconds.

    `perturb`: each weight is moved by one unit in its last place before the first step. `redraw`: where it
    is not 0, Keras draws the random numbers of other seeds, for each number others.
    """

    steps: int
    least: float
    most: float
    perturb: bool = False
    redraw: int = 0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run measured. Times are in seconds, `memory` (the peak) in bytes, `wall` is the whole run's.

    `compile_s` is what the first step took beyond a typical one: trace and compile.
    """

    sample: Sample
    compile_s: float
    memory: int
    losses: tuple[float | None, ...]
    jit: bool
    dtype: str
    steps: int
    wall: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A run without a measurement, for `reason`; `tail` is the end of what it wrote."""

    reason: str
    tail: tuple[str, ...] = ()


def measure(run: Run) -> Measurement | Failure:
    """Return what ``run`` measured, or why it did not."""
    facts = read_facts(run.name.with_suffix(".done"))
    found = facts.get("times")
    # A clock that stood still would make ratios infinite.
    times = [max(float(time), 1e-9) for time in found if isfinite(time)] if isinstance(found, list) else []
    fault = run.fault
    if fault is None and not times:
        fault = "it ended without a training step of Keras"
    elif fault is None and len(times) == 1:
        fault = "it ended after only one training step"
    elif fault is None and (missing := sorted(_FACTS - facts.keys())):
        fault = f"its result lacks {', '.join(missing)}"
    if fault is not None:
        return Failure(fault, run.tail)
    typical, losses = median(times[1:]), facts["losses"]
    return Measurement(
        Sample(typical, min(times[1:])),
        max(0.0, times[0] - typical),
        int(str(facts["memory"])),
        tuple(losses) if isinstance(losses, list) else (),
        facts["jit"] is True,
        str(facts["dtype"]),
        len(times) - 1,
        run.wall,
    )
