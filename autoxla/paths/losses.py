"""Whether a path computes what the default does: its losses, step by step.

The default runs as it is in the first round and, in the second, with each weight moved by one unit in
its last place. Where these two begin with the same loss, the program repeats itself, and another path
must follow it: at step i its loss may be off by ten times the largest difference that the moved weights
made up to i, and by the rounding of its own arithmetic. Where they do not, each run draws other numbers,
and a loss must lie within the range of the default's runs, widened three times by its greatest width.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isnan

Losses = Sequence[float | None]

#: What rounding alone may do to one step, as a share of the loss, by the type that it computes in.
_ROUNDING = {"float16": 2e-3, "bfloat16": 1.6e-2}
_FLOAT32 = 1e-5
#: By how much another path may exceed what moved weights do, and a drawn loss the known range.
_GROWTH, _SPREAD = 10.0, 3.0


def repeats(first: Losses, moved: Losses, dtype: str) -> bool:
    """Return whether two runs of the default began with the same loss, to rounding."""
    if not first or not moved or first[0] is None or moved[0] is None:
        return False
    share = _ROUNDING.get(dtype, _FLOAT32)
    return abs(first[0] - moved[0]) <= share * abs(first[0]) or _are_same(first[0], moved[0])


def find_difference(references: Sequence[Losses], losses: Losses, dtype: str) -> str | None:
    """Return where ``losses`` leave those of the default, None where they do not or nothing is known.

    ``references`` are the default's runs; the second is the one with moved weights.
    """
    if len(references) < 2:
        return None
    if not repeats(references[0], references[1], dtype):
        return _leave_range(references, losses)
    grown = largest = 0.0
    for step, (here, moved, loss) in enumerate(zip(references[0], references[1], losses, strict=False), 1):
        if here is None or moved is None or loss is None or _are_same(here, loss):
            continue
        if not isfinite(here):
            return None  # the default itself diverged
        if not isfinite(loss):
            return f"its loss is {loss} at step {step}, the default's {here:.6g}"
        grown = max(grown, abs(here - moved)) if isfinite(moved) else grown
        largest = max(largest, abs(here))
        allowed = _GROWTH * grown + _ROUNDING.get(dtype, _FLOAT32) * largest
        if abs(loss - here) > allowed:
            there = f"its loss is {loss:.6g} at step {step}, the default's {here:.6g}"
            return f"{there}; rounding explains {allowed:.1g}"
    return None


def _leave_range(references: Sequence[Losses], losses: Losses) -> str | None:
    ranges = []
    for drawn in zip(*references, strict=False):
        known = [loss for loss in drawn if loss is not None and isfinite(loss)]
        ranges.append((min(known), max(known)) if known else None)
    room = _SPREAD * max((found[1] - found[0] for found in ranges if found), default=0.0)
    for step, (found, loss) in enumerate(zip(ranges, losses, strict=False), 1):
        if found is None or loss is None:
            continue
        low, high = found[0] - room, found[1] + room
        if not low <= loss <= high:
            return f"its loss is {loss:.6g} at step {step}, the default's runs lie in {low:.6g} to {high:.6g}"
    return None


def _are_same(one: float, other: float) -> bool:
    return one == other or (isnan(one) and isnan(other))
