"""Drawings of a trial as SVG: the time of its steps, and the interval of the ratio.

Colours are those of the page (classes of `autoxla.page.style`); paths differ in shape, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape

from autoxla.page.reading import PATHS, PathName, Trial
from autoxla.page.scale import Scale, scale_steps, scale_times

#: Widths of the drawings, for a page and for a telephone, in pixels.
WIDE, NARROW = 960, 380
#: What the paths are called in a sentence.
NAMES: dict[PathName, str] = {"graph": "graph", "xla": "XLA"}
_HEIGHT = 396
_CHARACTER = 7.6  # pixels of a character of a label, about
_LINE = 15  # pixels between two labels
#: A fit that went on for more than this many times the trial is not drawn to its end.
_FAR = 1.5


def _disc(x: float, y: float) -> str:
    # A line of no length with round ends; one with square ends is not printed.
    return f"M{x:.1f} {y:.1f}h0"


def _square(x: float, y: float) -> str:
    return f"M{x - 2.5:.1f} {y - 2.5:.1f}h5v5h-5z"


_MARKS: dict[PathName, Callable[[float, float], str]] = {"graph": _disc, "xla": _square}


@dataclass(frozen=True, slots=True)
class _Frame:
    """The rectangle of the plot with its scales."""

    width: float
    left: float
    right: float
    top: float
    bottom: float
    x: Scale
    y: Scale


def draw_steps(trial: Trial, width: int, summary: str) -> str:
    """Return the steps of ``trial`` as a drawing ``width`` pixels wide; ``summary`` says it in words."""
    frame = _frame(trial, width)
    parts = [
        *_bands(trial, frame),
        *_grid(frame),
        *_medians(trial, frame),
        *_points(trial, frame),
        *_event(trial, frame),
    ]
    return _svg(width, _HEIGHT, f"Step times of {trial.model}", summary, parts)


def draw_interval(trial: Trial, width: int, summary: str) -> str:
    """Return the ratio of the paths with its interval as a drawing; empty where none was measured."""
    if trial.ratio is None:
        return ""
    low, high = trial.interval or (trial.ratio, trial.ratio)
    reach = max(2.0, high, 1 / low, trial.ratio, 1 / trial.ratio) * 1.2
    x = Scale(1 / reach, reach, 16.0, width - 16.0, logarithmic=True)
    kind = trial.challenger
    other, own = NAMES[trial.incumbent], NAMES[trial.challenger]
    ticks = [
        t for t in Scale(1 / reach, reach, 0, 1, logarithmic=True).ticks(9 if width > NARROW else 5) if t != 1
    ]
    parts = [
        _line(x.start, 34, x.end, 34, "axis"),
        *(_line(x(tick), 30, x(tick), 38, "axis") for tick in ticks),
        *(_text(x(tick), 55, f"{tick:g} times", "tick", "middle") for tick in ticks),
        _line(x(1), 20, x(1), 42, "event"),
        _text(x(1), 55, "equal", "tick", "middle"),
        _text(x.start, 14, f"← {own} faster", "tick", "start"),
        _text(x.end, 14, f"{other} faster →", "tick", "end"),
        f'<line x1="{x(low):.1f}" y1="34" x2="{x(high):.1f}" y2="34" class="bar {kind}"/>',
        f'<circle cx="{x(trial.ratio):.1f}" cy="34" r="6.5" class="dot {kind}"/>',
    ]
    return _svg(width, 62, "Ratio of the step times", summary, parts)


def swatch(kind: str) -> str:
    """Return the sign of a path, of a band or of the switch, for a legend."""
    inside = {
        "graph": '<path d="M9 8h0" class="points graph big"/>',
        "xla": '<path d="M5 4h8v8h-8z" class="points xla big"/>',
        "compile": '<rect x="1" y="1" width="16" height="14" class="band compile"/>',
        "race": '<rect x="1" y="1" width="16" height="14" class="band race"/>',
        "event": '<line x1="9" y1="0" x2="9" y2="16" class="event"/>',
        "median": '<line x1="0" y1="8" x2="18" y2="8" class="median"/>',
    }[kind]
    return f'<svg class="swatch" width="18" height="16" viewBox="0 0 18 16" aria-hidden="true">{inside}</svg>'


def last_drawn(trial: Trial) -> int:
    """Return the last step that is drawn: that of the fit, or where the trial ended if that is far before."""
    known = [
        step for step in (trial.compiled, trial.decided, trial.switched, trial.ended) if step is not None
    ]
    last = max([*known, *(sample.step for sample in trial.samples), trial.began or 0])
    first = min([sample.step for sample in trial.samples] or [0])
    steps = trial.steps or last
    return steps if last < steps <= first + (last - first) * _FAR else last


def _frame(trial: Trial, width: int) -> _Frame:
    left, right = 50.0, width - (84.0 if width > NARROW else 14.0)
    top, bottom = 50.0, _HEIGHT - 48.0
    steps = [sample.step for sample in trial.samples]
    steps += [step for step in (trial.began, last_drawn(trial)) if step is not None]
    x = scale_steps(steps, trial.races[0][1] if trial.races else None, left, right)
    times = [*(sample.ms for sample in trial.samples), *trial.ms.values()]
    return _Frame(width, left, right, top, bottom, x, scale_times(times, bottom, top))


def _grid(frame: _Frame) -> Iterator[str]:
    for tick in frame.y.ticks(7):
        at = frame.y(tick)
        yield _line(frame.left, at, frame.right, at, "grid")
        yield _text(frame.left - 8, at + 4, f"{tick:g}", "tick", "end")
    for tick in frame.x.ticks(8 if frame.width > NARROW else 4):
        if tick == int(tick):
            yield _line(frame.x(tick), frame.bottom, frame.x(tick), frame.bottom + 5, "axis")
            yield _text(frame.x(tick), frame.bottom + 20, f"{int(tick):,}", "tick", "middle")
    yield _line(frame.left, frame.bottom, frame.right, frame.bottom, "axis")
    named = "training step, logarithmic" if frame.x.logarithmic else "training step"
    yield _text((frame.left + frame.right) / 2, frame.bottom + 40, named, "label", "middle")
    unit = "ms a step, logarithmic" if frame.y.logarithmic else "ms a step"
    yield _text(4, 12, unit, "label", "start")


def _bands(trial: Trial, frame: _Frame) -> Iterator[str]:
    """Yield what went on: the compile beside training, and the race."""
    spans = [("race", *race) for race in trial.races]
    if trial.began is not None and trial.compiled is not None:
        spans.append(("compile", trial.began, trial.compiled))
    for kind, begin, end in spans:
        if end > begin:
            at, until = frame.x(begin), frame.x(end)
            yield (
                f'<rect x="{at:.1f}" y="{frame.top:g}" width="{until - at:.1f}" '
                f'height="{frame.bottom - frame.top:g}" class="band {kind}"/>'
            )


def _medians(trial: Trial, frame: _Frame) -> Iterator[str]:
    for path, ms in trial.ms.items():
        yield _line(frame.left, frame.y(ms), frame.right, frame.y(ms), f"median {path}")
    if frame.width > NARROW:
        places = _spread({path: frame.y(ms) for path, ms in trial.ms.items()})
        for path, at in places.items():
            yield _text(frame.right + 8, at - 2, NAMES[path], f"name {path}", "start")
            yield _text(frame.right + 8, at + 13, f"{number(trial.ms[path])} ms", f"value {path}", "start")


def _spread(places: dict[PathName, float]) -> dict[PathName, float]:
    """Move labels apart that would lie on each other."""
    if len(places) < len(PATHS):
        return places
    upper, lower = sorted(places, key=lambda path: places[path])
    missing = max(0.0, 2.3 * _LINE - (places[lower] - places[upper])) / 2
    return {upper: places[upper] - missing, lower: places[lower] + missing}


def _points(trial: Trial, frame: _Frame) -> Iterator[str]:
    for path in PATHS:
        marks = [_MARKS[path](frame.x(s.step), frame.y(s.ms)) for s in trial.samples if s.path == path]
        if marks:
            yield f'<path d="{"".join(marks)}" class="points {path}"/>'


def _event(trial: Trial, frame: _Frame) -> Iterator[str]:
    """Yield the switch, or the step at which the trial ended without one."""
    step = trial.switched if trial.switched is not None else trial.decided or trial.ended
    if step is None:
        return
    at = frame.x(step)
    is_switch = trial.switched is not None
    what = f"switched to {NAMES[trial.challenger]}" if is_switch else f"{NAMES[trial.incumbent]} kept"
    words = f"{what}, step {step:,}"
    yield _line(at, frame.top - 8, at, frame.bottom, "event")
    half = len(words) * _CHARACTER / 2
    middle = min(max(at, 4 + half), frame.width - 4 - half)
    yield _text(middle, frame.top - 13, words, "note", "middle")


def number(value: float) -> str:
    """Return ``value`` with three digits that count, and no power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _svg(width: float, height: float, title: str, summary: str, parts: list[str]) -> str:
    kind = "narrow" if width == NARROW else "wide"
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" class="{kind}"><title>{escape(title)}</title>'
        f"<desc>{escape(summary)}</desc>{''.join(parts)}</svg>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
