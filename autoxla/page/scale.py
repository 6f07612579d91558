"""From measures to places on paper, and the round numbers that an axis names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

#: Times that differ by more than this factor are drawn on a logarithmic axis.
WIDE = 6.0
_ROUND = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` laid from `start` to `end`, in units of the drawing."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of ``value``; what lies outside is put on the edge."""
        value = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Return at most about ``most`` round values within the scale."""
        return (
            _log_ticks(self.low, self.high, most) if self.logarithmic else _ticks(self.low, self.high, most)
        )


def scale_times(times: Sequence[float], start: float, end: float) -> Scale:
    """Return a scale for ``times``: from zero, or logarithmic where they differ by far."""
    low, high = (min(times), max(times)) if times else (1.0, 1.0)
    if high / low > WIDE:
        return Scale(low / 1.25, high * 1.25, start, end, logarithmic=True)
    return Scale(0.0, high * 1.15, start, end)


def scale_steps(steps: Sequence[int], decided: int | None, start: float, end: float) -> Scale:
    """Return a scale for the numbers of ``steps``.

    It is logarithmic where most of them lie behind the first race, which ``decided``: before is more to see.
    """
    low, high = (min(steps), max(steps)) if steps else (0, 1)
    if decided is not None and low > 0 and high - decided > 2 * (decided - low):
        return Scale(low * 0.95, high * 1.05, start, end, logarithmic=True)
    room = max(1.0, (high - low) * 0.02)
    return Scale(max(0.0, low - room), high + room, start, end)


def _ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    size = 10.0 ** floor(log10(rough))
    step = next(size * factor for factor in _ROUND if size * factor >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(step * number, 12) for number in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    decades = range(floor(log10(low)), ceil(log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [factor * 10.0**decade for decade in decades for factor in factors]
        inside = [value for value in found if low <= value <= high]
        if len(inside) <= most:
            return inside
    return inside[:: ceil(len(inside) / most)]
