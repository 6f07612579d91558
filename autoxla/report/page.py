"""A report as one page of HTML: the plan, the findings, and each trial in a sentence, a chart and figures.

The page needs nothing but itself: no script, no font, no image from anywhere; its own policy forbids
to load any. ``page.html`` is its template, for jinja2, which escapes every value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from autoxla.report.story import assignment

#: Of the drawing, in pixels.
WIDTH, HEIGHT = 960, 396
#: The paths, and what they are called in a sentence.
NAMES = {"graph": "graph", "xla": "XLA"}
_TOP, _BOTTOM, _LEFT, _RIGHT = 50.0, HEIGHT - 48.0, 50.0, WIDTH - 84.0
_CHARACTER = 7.6  # pixels of a character of a label, about
_NEIGHBOURS = 4  # steps between two samples of one race, at most
#: The steps of a trial that are drawn whether or not they were timed.
_MARKED = ("began_at", "compiled_at", "decided_at", "switched_at", "ended_at")
#: Times that differ by more than this factor are drawn on a logarithmic axis.
_FACTOR = 6.0
#: A mark of each path at a place. A line of no length has round ends; one with square ends is not printed.
_MARKS = {"graph": "M{0:.1f} {1:.1f}h0", "xla": "M{2:.1f} {3:.1f}h5v5h-5z"}


def render_page(data: Mapping[str, Any], written: str = "") -> str:
    """Return the page of a report: ``data`` as `autoxla.report.page_data` has it, ``written`` tells when."""
    environment = Environment(autoescape=True, finalize=_printable, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"default": str}
    environment.filters["number"] = number
    source = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    findings = data.get("findings", ())
    return environment.from_string(source).render(
        data=data,
        trials=[Trial(entry) for entry in data.get("trials", ())],
        left=[finding for finding in findings if not finding["applied"] and finding["level"] != "info"],
        # The story tells of settings, too, which have a table of their own.
        told={assignment(each["variable"], each["value"]) for each in data.get("settings", ())},
        found={finding["code"] for finding in findings},
        lay_out=lay_out,
        width=WIDTH,
        height=HEIGHT,
        names=NAMES,
        written=written,
    )


def _printable(value: object) -> object:
    """Return ``value`` with a sign in the place of what no page can hold: control characters, half pairs."""
    if value is None:
        return ""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in value)


# --- A trial


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
    def figures(self) -> dict[str, list[float]]:
        """By path: how many steps, the fastest, the median, the 95th of a hundred, and the slowest."""
        found = {}
        for path in NAMES:
            if times := self.times(path):
                late = times[min(len(times) - 1, int(len(times) * 0.95))]
                found[path] = [len(times), times[0], median(times), late, times[-1]]
        return found

    @property
    def summary(self) -> str:
        """What it found, in one sentence."""
        entry, outcome = self.entry, self.entry.get("outcome")
        if len(self.ms) < len(NAMES):
            return f"{self.model}: {outcome or 'the trial found nothing yet'}."
        speed, step = self.ms["graph"] / self.ms["xla"], f"a step of {self.model}"
        graph, xla = (f"{number(self.ms[path])} ms" for path in NAMES)
        low, high = entry.get("interval") or (1, 1)
        factor = max(speed, 1 / speed)
        if low < 1 < high or factor < 1.05:
            said = f"Neither is faster by more than the noise for {step}: graph {graph}, XLA {xla}"
        elif speed > 1:
            said = f"XLA runs {step} {factor:.2g} times as fast as the graph: {xla} instead of {graph}"
        else:
            said = f"The graph runs {step} {factor:.2g} times as fast as XLA: {graph} instead of {xla}"
        if entry.get("switched_at") is not None:
            outcome = f"switched to {NAMES[self.challenger]} at step {entry['switched_at']:,}"
        return f"{said}; {outcome}." if outcome else f"{said}."


def number(value: float) -> str:
    """Return ``value`` with three digits that count, and no power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


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


def lay_out(trial: Trial) -> dict[str, Any]:
    """Return what the template draws of ``trial``, which has samples."""
    entry, races = trial.entry, trial.races
    began, compiled, switched = (entry.get(mark) for mark in ("began_at", "compiled_at", "switched_at"))
    steps = [step for step, _, _ in trial.samples]
    steps += [entry[mark] for mark in _MARKED if entry.get(mark) is not None]
    x = scale_steps(steps, races[0][1] if races else None, _LEFT, _RIGHT)
    y = scale_times([*(ms for _, _, ms in trial.samples), *trial.ms.values()], _BOTTOM, _TOP)
    bands = [("race", begin, end) for begin, end in races]
    if began is not None and compiled is not None and compiled > began:
        bands.append(("compile", began, compiled))
    marks = dict.fromkeys((path for path in NAMES if trial.times(path)), "")
    for step, path, ms in trial.samples:
        if path in marks:
            marks[path] += _MARKS[path].format(x(step), y(ms), x(step) - 2.5, y(ms) - 2.5)
    # The labels of the lines, moved apart where they would lie on each other.
    upper_first = sorted(trial.ms, key=lambda path: y(trial.ms[path]))
    heights = [y(trial.ms[path]) for path in upper_first]
    missing = max(0.0, 34.5 - (heights[-1] - heights[0])) / 2 if len(heights) > 1 else 0.0
    labels = [
        (path, height + sign * missing)
        for path, height, sign in zip(upper_first, heights, (-1, 1), strict=False)
    ]
    # The switch, or the end of the trial without one: its place, and that of its words.
    event, end = None, switched or entry.get("decided_at") or entry.get("ended_at")
    if end is not None:
        kept, taken = f"{NAMES[trial.incumbent]} kept", f"switched to {NAMES[trial.challenger]}"
        words = f"{kept if switched is None else taken}, step {end:,}"
        half = len(words) * _CHARACTER / 2
        event = x(end), min(max(x(end), 4 + half), WIDTH - 4 - half), words
    return {
        "left": _LEFT,
        "right": _RIGHT,
        "top": _TOP,
        "bottom": _BOTTOM,
        "bands": [(kind, x(begin), x(end) - x(begin)) for kind, begin, end in bands],
        "times": [(y(tick), f"{tick:g}") for tick in y.ticks(7)],
        "steps": [(x(t), f"{int(t):,}") for t in x.ticks(8) if t == int(t)],
        "named": "training step" + (", logarithmic" if x.logarithmic else ""),
        "unit": "ms a step" + (", logarithmic" if y.logarithmic else ""),
        "medians": [(path, y(ms)) for path, ms in trial.ms.items()],
        "labels": labels,
        "points": marks,
        "event": event,
    }
