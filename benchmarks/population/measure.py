"""The program that measures one model: ``python -m benchmarks.population.measure DESCRIPTION --json FILE``.

DESCRIPTION is JSON. Without autoxla it trains for some steps, looks at the traced step as a trial does, lets
XLA compile the step while Keras trains on, and then times both paths in turn (`benchmarks.paths.pairs`).
It writes

* ``first_ms``, a step with its trace; ``alone_ms``, the steps behind it;
* ``survey_ms``, the look; ``nodes``, ``operations`` and ``weights`` of the step; ``refused``, why a trial
  would leave it alone, or null;
* ``beside``: ``ms``, from the moment at which a batch is there to the one at which XLA is done,
  ``compile_s``, what of that is XLA's, ``steps`` that were done meanwhile, ``steps_ms``, the time that they
  took, ``usual_ms``, a step just before, ``longest_ms``, the longest one, ``error`` where XLA failed;
* what `benchmarks.paths.pairs.measure` returns.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import tensorflow as tf

from autoxla.trial.background import begin_beside
from autoxla.trial.dataflow import Refused
from autoxla.trial.executables import Dispatch, find_scope, is_supported, synchronise
from autoxla.trial.guards import examine
from autoxla.trial.steps import find_step
from autoxla.trial.survey import count_operations, digest, list_nodes
from autoxla.trial.traces import for_xla
from benchmarks.paths import pairs
from benchmarks.paths.run import train
from benchmarks.population.build import build

#: Steps of the training, or the seconds after which it is stopped.
_STEPS, _SECONDS = 40, 8.0
#: Steps just before the compile that are compared with those beside it.
_USUAL = 12
#: Seconds between two looks at whether XLA is done, as in a trial.
_POLL = 0.02
#: Seconds of a compile that nobody waits for.
_LONGEST = 120.0
#: Pairs of steps, and the seconds that the plain ones of them may take.
_FEWEST, _MOST, _PAIR_SECONDS = 12, 40, 4.0


def main() -> None:
    """Measure, write the figures."""
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("description", type=json.loads)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.json.write_text(json.dumps(measure(arguments.description)), encoding="utf-8")


def measure(description: Any) -> dict[str, Any]:
    """Return the figures of one model. Raises RuntimeError where its training step is not found."""
    model, make_batches = build(description)
    first, *alone = train(model, make_batches, _STEPS, _SECONDS)["steps"]
    # As many as nobody uses up: a data set costs nothing before it is asked.
    batches = make_batches(1 << 40)
    step = find_step(model.train_function, batches.element_spec)
    if step is None:
        raise RuntimeError("the training step is not found")
    iterator = iter(batches)
    found = {
        "first_ms": first,
        "alone_ms": alone,
        "weights": int(sum(prod(each.shape) for each in model.weights)),
        **look_at(step),
        "beside": compile_beside(step, iterator, partial(model.train_function, iterator)),
    }
    usual = found["beside"]["usual_ms"]
    count = max(_FEWEST, min(_MOST, round(_PAIR_SECONDS * 1e3 / usual)))
    return {**found, **pairs.measure(model, make_batches, count)}


def look_at(step: Any) -> dict[str, Any]:
    """Return what a trial finds out about the traced ``step`` before anything is compiled."""
    begin = perf_counter()
    definition, refused = step.graph.as_graph_def(), None
    try:
        examine(step, definition)
    except Refused as error:
        refused = str(error)
    nodes = list_nodes(definition)
    operations = count_operations(step, nodes)
    digest(nodes)
    took = _since(begin)
    return {"survey_ms": took, "refused": refused, "nodes": len(nodes), "operations": dict(operations)}


def compile_beside(step: Any, iterator: Any, train_once: Callable[[], Any]) -> dict[str, Any]:
    """Let XLA compile ``step`` as a trial does, while ``train_once`` is called; return the figures."""
    usual = [_time(train_once) for _ in range(_USUAL)]
    batch = tf.nest.flatten(iterator.get_next())
    steps: list[float] = []
    begin, poll_at = perf_counter(), 0.0
    job = begin_beside(partial(_begin_compile, step, batch, find_scope()))
    found: dict[str, Any] = {"usual_ms": round(median(usual), 4)}
    while True:
        steps.append(_time(train_once))
        now = perf_counter()
        if now - begin > _LONGEST:
            found["error"] = f"longer than {_LONGEST:.0f} s"
            break
        if not job.done() or now < poll_at:
            continue
        poll_at = now + _POLL
        try:
            dispatches = job.result()
            is_done = all(dispatch.poll() for dispatch in dispatches)
        except (Refused, tf.errors.OpError, ValueError) as error:
            found["error"] = " ".join(str(error).split())[:200]
            break
        if is_done:
            found["compile_s"] = round(dispatches[0].seconds or 0.0, 4)
            break
    figures = {"ms": _since(begin), "steps": len(steps), "longest_ms": max(steps)}
    return {**found, **figures, "steps_ms": round(sum(steps), 4)}


def _begin_compile(step: Any, batch: Sequence[Any], scope: Any) -> list[Dispatch]:
    with scope:
        made = for_xla(step, batch)
        if not is_supported(made):
            raise Refused("XLA's function captures what cannot be copied")
        # A trial runs the incumbent by hand, too.
        return [Dispatch(each, batch) for each in (made, step)]


def _time(run: Callable[[], Any]) -> float:
    begin = perf_counter()
    synchronise(run())
    return _since(begin)


def _since(begin: float) -> float:
    return round((perf_counter() - begin) * 1e3, 4)


if __name__ == "__main__":
    main()
