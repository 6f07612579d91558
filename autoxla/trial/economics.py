"""Whether a challenger is worth its compile: what it may save over the steps left against what it costs.

All times are in seconds. The priors are fitted on the six models mlp, cnn, lstm, transformer, residual
network and MobileNetV2 on CPUs; the models that the project's figures are taken from are others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from autoxla.trial.comparison import GAIN

#: With less training than this ahead, nothing is started: a trial that XLA loses costs about a second.
SHORTEST = 5.0
#: What a compile must be expected to save, or none is started.
LEAST_SAVING = 0.5
#: How much more than its cost that must be.
MARGIN = 1.2
#: What a switch must save, besides `autoxla.trial.comparison.GAIN` of each step; its compile is paid by then.
SWITCH_SAVING = 0.3
#: Pairs that a race usually takes, and the steps of a pair.
RACE_STEPS = 20
#: XLA compiles a step in about ``BASE + PER_NODE x nodes`` where nothing is known of the machine.
BASE, PER_NODE = 0.3, 0.0008
#: That is multiplied by this: compiling beside training takes longer than alone.
SAFETY = 1.3
#: Operations of XLA's weak spot on CPUs: convolutions over two dimensions and their gradients.
CONVOLUTIONS = frozenset({
    "Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput", "DepthwiseConv2dNative",
    "DepthwiseConv2dNativeBackpropFilter", "DepthwiseConv2dNativeBackpropInput", "Conv3D",
    "Conv3DBackpropFilterV2", "Conv3DBackpropInputV2", "_FusedConv2D",
})  # fmt: skip
#: Loops of recurrent layers: XLA fuses the many small operations of each round.
LOOPS = frozenset({"While", "StatelessWhile"})
PRODUCTS = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "_FusedMatMul"})


@dataclass(frozen=True, slots=True)
class Prior:
    """What is expected of XLA: the `chance` that it wins, and the `ratio` of its steps if so."""

    chance: float
    ratio: float


def compile_seconds(nodes: int, compiles: Iterable[tuple[int, float]] = ()) -> float:
    """Return the seconds that a compile of a graph of ``nodes`` is expected to take beside training.

    ``compiles`` are those of this machine, pairs of nodes and seconds. They give one factor by the median: a
    machine is faster or slower as a whole, and single compiles are outliers where something else ran.
    """
    factors = [took / (BASE + PER_NODE * size) for size, took in compiles if size > 0 and took > 0]
    factor = min(25.0, max(0.05, median(factors))) if factors else SAFETY
    return factor * (BASE + PER_NODE * nodes)


def expect(operations: Mapping[str, int]) -> Prior:
    """Return the prior for a step on the CPU whose graph has ``operations``, names to counts.

    Convolutions over two dimensions lose, the more of the work they are; one patch embedding before
    many matrix products does not matter. ``operations`` counts one-dimensional ones apart, as Conv1D.
    Recurrent layers win, most of them by more than others.
    """
    convolutions = sum(operations.get(name, 0) for name in CONVOLUTIONS)
    products = sum(operations.get(name, 0) for name in PRODUCTS) + operations.get("Conv1D", 0)
    if 4 * convolutions > convolutions + products:
        return Prior(0.03, 0.8)
    return Prior(0.9, 0.6) if LOOPS & operations.keys() else Prior(0.8, 0.7)


def pays(step: float, steps_left: float, compile_s: float, prior: Prior, cores: int) -> bool:
    """Return whether a challenger should be compiled now, with steps of ``step`` seconds and so many left."""
    ahead = step * steps_left
    saving = (1 - prior.ratio) * max(0.0, ahead - compile_s)
    # Training is slowed while a compile runs beside it. The race costs only where XLA loses, and then its
    # steps are typically half as fast.
    slowdown = 0.6 if cores <= 2 else 1.2 / cores
    cost = slowdown * compile_s + (1 - prior.chance) * RACE_STEPS / 2 * step
    return ahead >= SHORTEST and saving >= LEAST_SAVING and prior.chance * saving > MARGIN * cost


def is_worth_switching(incumbent: float, challenger: float, steps_left: float) -> bool:
    """Return whether a step of ``challenger`` seconds instead of ``incumbent`` saves enough over the rest."""
    saving = (incumbent - challenger) * steps_left
    return challenger <= (1 - GAIN) * incumbent and saving >= SWITCH_SAVING


def steps_expected(done: int, planned: int | None, before: int = 0) -> int:
    """Return how many steps are still to come after ``done`` in this fit and ``before`` in earlier ones.

    ``planned`` is the number that ``fit`` was asked for, None where it is not known: then as many as have
    been, so that what is staked grows with the run and is never more than it. A model that was fitted
    before is expected to be fitted again: as long as until now, but not for more than ten such fits.
    """
    if planned is None:
        return done + before
    return max(0, planned - done) + min(before, 10 * planned)
