"""The chart of a trial: where its marks, bands, lines and labels lie. The template draws them as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from statistics import median
from typing import Any

#: Widths of the chart, for a page and for a telephone, in pixels.
WIDE, NARROW = 960, 380
HEIGHT = 396
#: The paths, and what they are called in a sentence.
NAMES = {"graph": "graph", "xla": "XLA"}
_TOP, _BOTTOM, _LEFT = 50.0, HEIGHT - 48.0, 50.0
_CHARACTER = 7.6  # pixels of a character of a label, about
_NEIGHBOURS = 4  # steps between two samples of one race, at most
#: A fit that went on for more than this many times the trial is not drawn to its end.
_FAR = 1.5
#: Times that differ by more than this factor are drawn on a logarithmic axis.
_FACTOR = 6.0
#: A mark of each path at a place. A line of no length has round ends; one with square ends is not printed.
_MARKS = {"graph": "M{0:.1f} {1:.1f}h0", "xla": "M{2:.1f} {3:.1f}h5v5h-5z"}


class Trial:
    """What a report has of a trial. Steps are counted in the fit."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.entry = entry
        self.model = entry.get("model") or "model"
        self.challenger = "graph" if entry.get("challenger") == "graph" else "xla"
        self.incumbent = "xla" if self.challenger == "graph" else "graph"
        self.samples: list[tuple[int, str, float]] = []
        for step, path, ms in entry.get("samples") or ():
            if self.samples and step < self.samples[-1][0]:
                break  # another fit, which counts its steps anew
            self.samples.append((step, path, ms))
        #: The median of each path in the last race, for a path without one that of its steps.
        self.ms: dict[str, float] = {}
        for path in NAMES:
            ms = entry.get(f"{path}_ms") or median(self.times(path) or [0])
            if ms:
                self.ms[path] = ms

    def times(self, path: str) -> list[float]:
        """Return the milliseconds of the steps on ``path``, in order of size."""
        return sorted(ms for _, name, ms in self.samples if name == path)

    @property
    def races(self) -> list[tuple[int, int]]:
        """First and last step of each stretch in which the paths took turns."""
        stretches: list[list[tuple[int, str, float]]] = []
        for sample in self.samples:
            if sample[0] < (self.entry.get("compiled_at") or 0):
                continue
            if stretches and sample[0] - stretches[-1][-1][0] <= _NEIGHBOURS:
                stretches[-1].append(sample)
            else:
                stretches.append([sample])
        return [(each[0][0], each[-1][0]) for each in stretches if len({path for _, path, _ in each}) > 1]

    @property
    def last_drawn(self) -> int:
        """The last step of the fit, or where the trial ended if that is far before."""
        marks = ("began_at", "compiled_at", "decided_at", "switched_at", "ended_at")
        last = max([*(self.entry.get(mark) or 0 for mark in marks), *(step for step, _, _ in self.samples)])
        first = min((step for step, _, _ in self.samples), default=0)
        steps: int = self.entry.get("steps") or last
        return steps if last < steps <= first + (last - first) * _FAR else last


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
        low, high, value = self.low, self.high, min(max(value, self.low), self.high)
        if self.logarithmic:
            low, high, value = log10(low), log10(high), log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> list[float]:
        """Return at most about ``most`` round values within the scale."""
        if self.logarithmic:
            decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
            for factors in ((1, 2, 5), (1, 3), (1,)):
                found = [factor * 10.0**decade for decade in decades for factor in factors]
                found = [value for value in found if self.low <= value <= self.high]
                if len(found) <= most:
                    break
            return found[:: ceil(len(found) / most) or 1]
        rough = (self.high - self.low) / most
        size = 10.0 ** floor(log10(rough))
        step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= rough * 0.999)
        first, last = ceil(self.low / step - 1e-9), floor(self.high / step + 1e-9)
        return [round(step * number, 12) for number in range(first, last + 1)]


def scale_times(times: Sequence[float], start: float, end: float) -> Scale:
    """Return a scale for ``times``: from zero, or logarithmic where they differ by far."""
    low, high = min(times), max(times)
    if high / low > _FACTOR:
        return Scale(low / 1.25, high * 1.25, start, end, logarithmic=True)
    return Scale(0.0, high * 1.15, start, end)


def scale_steps(steps: Sequence[int], decided: int | None, start: float, end: float) -> Scale:
    """Return a scale for the numbers of ``steps``.

    It is logarithmic where most of them lie behind the first race, which ``decided``: before is more to see.
    """
    low, high = min(steps), max(steps)
    if decided is not None and low > 0 and high - decided > 2 * (decided - low):
        return Scale(low * 0.95, high * 1.05, start, end, logarithmic=True)
    room = max(1.0, (high - low) * 0.02)
    return Scale(max(0.0, low - room), high + room, start, end)


def lay_out(trial: Trial, width: int) -> dict[str, Any]:
    """Return what the template draws of ``trial``, which has samples, in a chart ``width`` pixels wide."""
    entry, races, is_wide = trial.entry, trial.races, width > NARROW
    right = width - (84.0 if is_wide else 14.0)
    steps = [step for step, _, _ in trial.samples] + [trial.last_drawn]
    steps += [entry["began_at"]] if entry.get("began_at") is not None else []
    x = scale_steps(steps, races[0][1] if races else None, _LEFT, right)
    y = scale_times([*(ms for _, _, ms in trial.samples), *trial.ms.values()], _BOTTOM, _TOP)
    bands = [("race", begin, end) for begin, end in races]
    began, compiled = entry.get("began_at"), entry.get("compiled_at")
    if began is not None and compiled is not None and compiled > began:
        bands.append(("compile", began, compiled))
    marks = dict.fromkeys((path for path in NAMES if trial.times(path)), "")
    for step, path, ms in trial.samples:
        if path in marks:
            marks[path] += _MARKS[path].format(x(step), y(ms), x(step) - 2.5, y(ms) - 2.5)
    # The labels of the lines, moved apart where they would lie on each other.
    labels = []
    if is_wide:
        upper_first = sorted(trial.ms, key=lambda path: y(trial.ms[path]))
        heights = [y(trial.ms[path]) for path in upper_first]
        missing = max(0.0, 34.5 - (heights[-1] - heights[0])) / 2 if len(heights) > 1 else 0.0
        for path, height, sign in zip(upper_first, heights, (-1, 1), strict=False):
            labels.append((path, height + sign * missing))
    return {
        "width": width,
        "kind": "wide" if is_wide else "narrow",
        "left": _LEFT,
        "right": right,
        "top": _TOP,
        "bottom": _BOTTOM,
        "bands": [(kind, x(begin), x(end) - x(begin)) for kind, begin, end in bands],
        "times": [(y(tick), f"{tick:g}") for tick in y.ticks(7)],
        "steps": [(x(t), f"{int(t):,}") for t in x.ticks(8 if is_wide else 4) if t == int(t)],
        "named": "training step" + (", logarithmic" if x.logarithmic else ""),
        "unit": "ms a step" + (", logarithmic" if y.logarithmic else ""),
        "medians": [(path, y(ms)) for path, ms in trial.ms.items()],
        "labels": labels,
        "points": marks,
        "event": _event(trial, x, width),
    }


def _event(trial: Trial, x: Scale, width: int) -> tuple[float, float, str] | None:
    """Return place, place of the words, and words of the switch, or of the end of the trial without one."""
    switched = trial.entry.get("switched_at")
    step = trial.entry.get("decided_at") or trial.entry.get("ended_at") if switched is None else switched
    if step is None:
        return None
    kept = f"{NAMES[trial.incumbent]} kept"
    words = f"{kept if switched is None else f'switched to {NAMES[trial.challenger]}'}, step {step:,}"
    half = len(words) * _CHARACTER / 2
    return x(step), min(max(x(step), 4 + half), width - 4 - half), words
