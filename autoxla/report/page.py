"""A report as one page of HTML: the plan, the findings, and each trial drawn.

The page needs nothing but itself: no script, no font, no image from anywhere; its own policy forbids
to load any. ``page.html`` is its template, for jinja2, which escapes every value.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    entry, steps, last = trial.entry, trial.entry.get("steps") or 0, trial.last_drawn
    figures = {}
    for path in NAMES:
        if times := trial.times(path):
            late = times[min(len(times) - 1, int(len(times) * 0.95))]
            figures[path] = [len(times), times[0], median(times), late, times[-1]]
    # In one sentence what it found.
    outcome = entry.get("outcome")
    if len(trial.ms) < len(NAMES):
        said, outcome = f"{trial.model}: {outcome or 'the trial found nothing yet'}", ""
    else:
        speed = trial.ms["graph"] / trial.ms["xla"]
        graph, xla = (f"{number(trial.ms[path])} ms" for path in NAMES)
        low, high = entry.get("interval") or (1, 1)
        factor = max(speed, 1 / speed)
        step = f"a step of {trial.model}"
        if low < 1 < high or factor < 1.05:
            said = f"Neither is faster by more than the noise for {step}: graph {graph}, XLA {xla}"
        elif speed > 1:
            said = f"XLA runs {step} {factor:.2g} times as fast as the graph: {xla} instead of {graph}"
        else:
            said = f"The graph runs {step} {factor:.2g} times as fast as XLA: {graph} instead of {xla}"
        if entry.get("switched_at") is not None:
            outcome = f"switched to {NAMES[trial.challenger]} at step {entry['switched_at']:,}"
    return {
        "entry": entry,
        "model": trial.model,
        "ms": trial.ms,
        "paths": (trial.challenger, trial.incumbent),
        "summary": f"{said}; {outcome}." if outcome else f"{said}.",
        "cut": (last, steps) if steps > last else None,
        "charts": [lay_out(trial, width) for width in (WIDE, NARROW)] if trial.samples else [],
        "figures": figures,
    }
