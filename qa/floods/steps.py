"""A ``fit`` of 200,000 tiny steps, thousands of predictions and of models, beside plain Keras in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from floods.turns import CHILDREN, LAUNCHERS, OURS, PLAIN, Series, compare, compare_growth, take_turns

FIT, MODELS = CHILDREN / "flood_steps.py", CHILDREN / "flood_models.py"
STEPS, EPOCHS, BLOCK = 200_000, 4, 10_000
#: The programs of a fit: who runs it, and what it says of ``jit_compile``.
FITS: Mapping[str, tuple[str, str]] = {
    PLAIN: (PLAIN, "open"),
    "autoxla, pinned to XLA": (OURS, "open"),
    "autoxla, jit_compile=False": (OURS, "false"),
}
#: What is done to models, how often in all, and how often in a block.
CALLS: Mapping[str, tuple[int, int]] = {
    "predict": (5_000, 250),
    "compile": (2_000, 100),
    "train": (60, 3),
    "xla": (60, 3),
}


def measure() -> dict[str, Any]:
    """Return ratios of times, their drifts, and what memory grew by."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        return {
            "fit": measure_fit(place, STEPS, EPOCHS, BLOCK),
            "models": {kind: measure_models(place, kind, *count) for kind, count in CALLS.items()},
        }


def measure_fit(folder: Path, steps: int, epochs: int, block: int) -> dict[str, Any]:
    """Return what each kind of fit is to plain Keras."""
    words = [str(epochs), str(steps // epochs), str(block)]
    variants = {name: [*LAUNCHERS[who], str(FIT), choice, *words] for name, (who, choice) in FITS.items()}
    # The last word is not waited for: the programs end by themselves.
    series = take_turns(variants, steps // block, folder)
    plain = series[PLAIN]
    rows = {name: describe_fit(one, plain, block) for name, one in series.items() if name != PLAIN}
    times = [seconds / block * 1e3 for seconds in plain.of("seconds")]
    return {
        "steps": steps,
        "epochs": epochs,
        "block": block,
        "plain, ms a step": round(sorted(times)[len(times) // 2], 4),
        "plain, second half over first": compare(plain.of("processor"), [1.0] * len(times))["drift"],
        "rows": rows,
    }


def describe_fit(ours: Series, plain: Series, block: int) -> dict[str, Any]:
    """Return ratio, drift and growth of one fit, by the clock and by the processor."""
    return {
        "clock": compare(ours.of("seconds"), plain.of("seconds")),
        "processor": compare(ours.of("processor"), plain.of("processor")),
        "growth": compare_growth(ours, plain, len(ours.of("KiB")) / 2 * block / 10_000),
        "last": ours.last,
    }


def measure_models(folder: Path, kind: str, count: int, block: int) -> dict[str, Any]:
    """Return what so many models, or calls of one, do to the time and to the memory."""
    words = [str(MODELS), kind, str(block)]
    variants = {name: [*first, *words] for name, first in LAUNCHERS.items()}
    series = take_turns(variants, count // block, folder)
    ours, plain = series[OURS], series[PLAIN]
    return {
        "count": count,
        "processor": compare(ours.of("processor"), plain.of("processor")),
        "growth": compare_growth(ours, plain, len(ours.of("KiB")) / 2 * block),
        "alive": {name: one.blocks[-1]["alive"] for name, one in series.items()},
        "switched": ours.blocks[-1]["switched"],
        "faults": ours.blocks[-1]["faults"],
    }
