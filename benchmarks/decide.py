"""What one plan takes: ``decide`` on situations of every day, and on the whole product of the tests.

``python -m benchmarks decide`` times blocks of calls, in microseconds of the processor a plan. The product is
the one of ``tests/test_decide_exhaustive.py``, with every class of every input of the rules for Intel's
plug-in; each round decides its part, with ``--quick`` a hundredth. It needs what the tests need.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from autoxla import __version__
from autoxla.model import Hardware, Plugin, Settings, Situation, Usage
from autoxla.policies import decide
from benchmarks import conclude, interleave, read_arguments, show, summarise

TESTS = Path(__file__).parents[1] / "tests"
BLOCK = 200
BASE, AGAIN = "plain Keras 3", "plain Keras 3, again"
#: A share of a plan's time that can be told from noise.
RESOLUTION = 0.1
VERSIONS = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}
ITEX = (Plugin("itex", "libitex_gpu.so"),)
KERAS_2 = {"TF_USE_LEGACY_KERAS": "1"}
SITUATIONS = {
    BASE: Situation(versions=VERSIONS, usage=Usage(keras=3)),
    AGAIN: Situation(versions=VERSIONS, usage=Usage(keras=3)),
    "Keras 2, step = xla": Situation(
        settings=Settings(step="xla"), environment=KERAS_2, versions=VERSIONS, usage=Usage(keras=2)
    ),
    "ITEX, device present": Situation(
        versions=VERSIONS,
        plugins=ITEX,
        hardware=Hardware("present", frozenset({"xpu"})),
        usage=Usage(keras=3),
    ),
    "ITEX, no device, jit_compile=True": Situation(
        versions=VERSIONS, plugins=ITEX, hardware=Hardware("none"), usage=Usage(keras=3, jit_compile=True)
    ),
}


def main() -> None:
    """Measure, print a table, keep the raw figures."""
    arguments = read_arguments("Measure the time of one plan.")
    situations = list_product()
    times: list[float] = []
    share = max(BLOCK, -(-len(situations) // (100 if arguments.quick else 1) // arguments.rounds))
    parts = (situations[at : at + share] for at in range(0, share * arguments.rounds, share))
    runs: dict[str, Callable[[], float]] = {
        name: partial(time_block, situation) for name, situation in SITUATIONS.items()
    }
    runs["of the product"] = partial(time_part, parts, times)
    measured = interleave(runs, arguments.rounds)
    summary = summarise(measured)
    show(summary, "one plan, us", digits=1)
    product = summarise_product(times)
    print(
        f"the product: {product['situations']:,} situations in {product['seconds']:.1f} s, one in "
        f"{product['mean']:.0f} us, 99 of 100 in {product['99 of 100']:.0f} us at most"
    )
    data = {"unit": "us", "rounds": arguments.rounds, "block": BLOCK, "summary": summary}
    conclude(
        arguments,
        data | {"product": product, "measured": measured},
        {"autoxla": __version__},
        again=(BASE, AGAIN),
        resolution=RESOLUTION,
    )


def list_product() -> list[Situation]:
    """Return all situations of the exhaustive test, in an order that mixes them, the same in each run."""
    sys.path.append(str(TESTS))
    from test_decide_exhaustive import list_cases

    situations = [case.situation for case in list_cases()]
    step = 7919  # a prime that does not divide their number
    return [situations[at * step % len(situations)] for at in range(len(situations))]


def time_block(situation: Situation) -> float:
    """Return the microseconds of one plan, of `BLOCK` in a row."""
    begin = time.process_time()
    for _ in range(BLOCK):
        decide(situation)
    return (time.process_time() - begin) / BLOCK * 1e6


def time_part(parts: Iterator[Sequence[Situation]], times: list[float]) -> float:
    """Return the mean microseconds of a plan in the next part of the product; add each to ``times``."""
    found = list(map(_time_one, next(parts)))
    times += found
    return sum(found) / len(found)


def _time_one(situation: Situation) -> float:
    begin = time.process_time()
    decide(situation)
    return (time.process_time() - begin) * 1e6


def summarise_product(times: Sequence[float]) -> dict[str, float]:
    """Return how many situations there were, the seconds of all, and how long one took, in microseconds."""
    ordered = sorted(times)
    most = next(islice(ordered, len(ordered) * 99 // 100, None))
    return {
        "situations": len(ordered),
        "seconds": sum(ordered) / 1e6,
        "mean": sum(ordered) / len(ordered),
        "median": ordered[len(ordered) // 2],
        "99 of 100": most,
    }
