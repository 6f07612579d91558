"""A report as one page of HTML: the plan, the findings, and each trial drawn.

The page needs nothing but itself: no script, no font, no image from anywhere; its own policy forbids
to load any. ``page.html`` is its template, for jinja2, which escapes every value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from autoxla.report.chart import HEIGHT, NAMES, NARROW, WIDE, Trial, lay_out
from autoxla.report.story import assignment

Data = Mapping[str, Any]


def render_page(data: Data, written: str = "") -> str:
    """Return the page of a report: ``data`` as `autoxla.report.page_data` has it, ``written`` tells when."""
    environment = Environment(autoescape=True, finalize=_printable, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"default": str}
    environment.filters["number"] = number
    source = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    trials = [_trial(Trial(entry)) for entry in data.get("trials", ())]
    findings = data.get("findings", ())
    left = [finding for finding in findings if not finding["applied"] and finding["level"] != "info"]
    told = {assignment(each["variable"], each["value"]) for each in data.get("settings", ())}
    return environment.from_string(source).render(
        data=data,
        trials=trials,
        left=left,
        # The story tells of settings, too, which have a table of their own.
        told=told,
        found={finding["code"] for finding in findings},
        height=HEIGHT,
        names=NAMES,
        written=written,
    )


def number(value: float) -> str:
    """Return ``value`` with three digits that count, and no power of ten."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _printable(value: object) -> object:
    """Return ``value`` with a sign in the place of what no page can hold: control characters, half pairs."""
    if value is None:
        return ""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in value)


def _trial(trial: Trial) -> dict[str, object]:
    """Return what the template shows of a trial: sentences, charts, figures."""
    steps, last = trial.entry.get("steps") or 0, trial.last_drawn
    times = {path: _figures(found) for path in NAMES if (found := trial.times(path))}
    return {
        "model": trial.model,
        "ms": trial.ms,
        "summary": _summary(trial),
        "ratio": _ratio(trial),
        "cut": (last, steps) if steps > last else None,
        "charts": [lay_out(trial, width) for width in (WIDE, NARROW)] if trial.samples else [],
        "times": times,
        "measures": [(name, value) for name, value in _measures(trial) if value],
    }


def _figures(times: list[float]) -> list[str]:
    late = times[min(len(times) - 1, int(len(times) * 0.95))]
    return [f"{len(times):,}", *map(number, (times[0], median(times), late, times[-1]))]


def _summary(trial: Trial) -> str:
    """Return in one sentence what ``trial`` found."""
    outcome, model = trial.entry.get("outcome"), trial.model
    if len(trial.ms) < len(NAMES):
        return f"{model}: {outcome or 'the trial found nothing yet'}."
    speed = trial.ms["graph"] / trial.ms["xla"]
    graph, xla = (f"{number(trial.ms[path])} ms" for path in NAMES)
    low, high = trial.entry.get("interval") or (1, 1)
    factor = max(speed, 1 / speed)
    step = f"a step of {model} {factor:.2g} times as fast as"
    if low < 1 < high or factor < 1.05:
        said = f"Neither is faster by more than the noise for a step of {model}: graph {graph}, XLA {xla}"
    elif speed > 1:
        said = f"XLA runs {step} the graph: {xla} instead of {graph}"
    else:
        said = f"The graph runs {step} XLA: {graph} instead of {xla}"
    if trial.entry.get("switched_at") is not None:
        outcome = f"switched to {NAMES[trial.challenger]} at step {trial.entry['switched_at']:,}"
    return f"{said}; {outcome}." if outcome else f"{said}."


def _ratio(trial: Trial) -> str:
    ratio, bounds, pairs = (trial.entry.get(name) for name in ("ratio", "interval", "pairs"))
    if not ratio:
        return ""
    own, other = NAMES[trial.challenger], NAMES[trial.incumbent]
    interval = f", with 99 % confidence {bounds[0]:.3g} to {bounds[1]:.3g} times" if bounds else ""
    said = f"A step on {own} takes {ratio:.3g} times as long as its neighbour on {other}{interval}"
    return f"{said} ({pairs} pairs of neighbouring steps)." if pairs else f"{said}."


def _measures(trial: Trial) -> Iterator[tuple[str, str]]:
    entry = trial.entry
    yield (
        "median of the last race",
        ", ".join(f"{NAMES[path]} {number(ms)} ms" for path, ms in trial.ms.items()),
    )
    compiled, expected = entry.get("compile_s"), entry.get("expected_compile_s")
    if compiled:
        yield (
            "XLA's compile",
            f"{number(compiled)} s" + (f", expected {number(expected)} s" if expected else ""),
        )
    yield "operations in the step", f"{entry['nodes']:,}" if entry.get("nodes") else ""
    marks = [
        (name, entry.get(f"{name}_at")) for name in ("began", "compiled", "decided", "switched", "ended")
    ]
    marks.append(("last of the fit", entry.get("steps")))
    yield "steps", ", ".join(f"{name} {step:,}" for name, step in marks if step is not None)
    yield "outcome", entry.get("outcome") or ""
