"""Both paths of a model's training step, timed in turn in the process that trained it.

The two run on copies of the variables. Keras' own step, timed with them, is what the steps of the
training are compared with; it has the model's variables, which train on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from autoxla.trial.executables import Copies, Executable, synchronise
from autoxla.trial.steps import find_step
from autoxla.trial.traces import for_xla
from benchmarks import interleave

#: Runs of each path before the first pair.
_WARM_UP = 3
#: Milliseconds below which cold caches are a good part of a step.
_SHORT = 30.0
#: Seconds that a compile of the trial's own, forgotten at the end of the fit, may still take.
_PATIENCE = 120.0


def measure(model: Any, make_batches: Callable[[int], Any], pairs: int) -> dict[str, Any]:
    """Return ``stock``, ``graph`` and ``xla``, milliseconds of neighbouring steps, and ``compile_s``.

    A step is fetched from a data set like that of the training, and run: by Keras' own function, and
    twice by hand, so that the two paths differ in nothing else. `compile_s`
    is the first run under XLA less a later one. ``error`` instead of `xla` where XLA cannot run the
    step. Raises RuntimeError where Keras keeps its step where it is not found.
    """
    _wait_for_trial()
    batches = make_batches(6 * pairs + 3 * _WARM_UP + 1)
    stock = getattr(model.train_function, "stock", model.train_function)
    step = find_step(stock, batches.element_spec)
    if step is None:
        raise RuntimeError("the training step is not found")
    iterator = iter(batches)
    found: dict[str, Any] = {}
    runs: dict[str, Callable[[], Any]] = {
        "stock": partial(stock, iterator),
        "graph": _on_batches(_on_copies(step), iterator),
    }
    try:
        xla, compile_s = _compile(step, _fetch(iterator))
    except Exception as error:  # noqa: BLE001 - whatever XLA cannot do, the plain graph can
        return {"error": " ".join(str(error).split())[:200], **_take_turns(runs, pairs)}
    runs["xla"] = _on_batches(xla, iterator)
    found |= _take_turns(runs, pairs)
    return {**found, "compile_s": round(max(0.0, compile_s - min(found["xla"]) / 1e3), 4)}


def _take_turns(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    for _ in range(_WARM_UP):
        for run in runs.values():
            synchronise(run())
    return interleave({name: partial(_time, run) for name, run in runs.items()}, rounds)


def _compile(step: Any, batch: Sequence[Any]) -> tuple[Executable, float]:
    """Return the step under XLA, and the seconds of its first run."""
    return _run_first(for_xla(step, batch), batch)


def _run_first(concrete: Any, batch: Sequence[Any]) -> tuple[Executable, float]:
    run = _on_copies(concrete)
    begin = perf_counter()
    synchronise(run(batch))
    return run, perf_counter() - begin


def _on_copies(concrete: Any) -> Executable:
    copies = Copies(concrete)
    run = Executable(concrete, copies.captured)
    # The handles alone do not keep the variables.
    vars(run)["copies"] = copies
    return run


def _on_batches(run: Executable, iterator: Any) -> Callable[[], Any]:
    return lambda: run(_fetch(iterator))


def _fetch(iterator: Any) -> Sequence[Any]:
    import tensorflow as tf

    batch: Sequence[Any] = tf.nest.flatten(iterator.get_next())
    return batch


def _time(run: Callable[[], Any]) -> float:
    """Return the milliseconds of a step with the fetch of its batch, a short one right after another.

    After a turn of another function the caches hold that one's variables, as they never do in training.
    """
    took = _time_once(run)
    return _time_once(run) if took < _SHORT else took


def _time_once(run: Callable[[], Any]) -> float:
    begin = perf_counter()
    synchronise(run())
    return round((perf_counter() - begin) * 1e3, 4)


def _wait_for_trial() -> None:
    for thread in threading.enumerate():
        if thread.name == "autoxla-trial":
            thread.join(_PATIENCE)
