"""A trial told: one sentence, its drawings, its figures."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from autoxla.page.chart import NAMES, NARROW, WIDE, draw_interval, draw_steps, last_drawn, number, swatch
from autoxla.page.markup import Row, table
from autoxla.page.reading import PATHS, Trial, typical


def tell(trial: Trial) -> str:
    """Return in one sentence what ``trial`` found."""
    speed = trial.speed_up
    if speed is None:
        return f"{trial.model}: {trial.outcome or 'the trial found nothing yet'}."
    graph, xla = (f"{number(trial.ms[path])} ms" for path in PATHS)
    factor = speed if speed >= 1 else 1 / speed
    step = f"a step of {trial.model} {factor:.2g} times as fast as"
    if trial.is_open or factor < 1.05:
        times = (
            f"Neither is faster by more than the noise for a step of {trial.model}: graph {graph}, XLA {xla}"
        )
    elif speed > 1:
        times = f"XLA runs {step} the graph: {xla} instead of {graph}"
    else:
        times = f"The graph runs {step} XLA: {graph} instead of {xla}"
    return f"{times}{_consequence(trial)}."


def _consequence(trial: Trial) -> str:
    if trial.switched is not None:
        return f"; switched to {NAMES[trial.challenger]} at step {trial.switched:,}"
    return f"; {trial.outcome}" if trial.outcome else ""


def render_trial(trial: Trial) -> str:
    """Return ``trial`` with its drawings and its figures."""
    summary = tell(trial)
    drawing = "".join(draw_steps(trial, width, summary) for width in (WIDE, NARROW)) if trial.samples else ""
    figure = f"<figure>{drawing}<figcaption>{_caption(trial)}</figcaption></figure>" if drawing else ""
    legend = _legend(trial) if drawing else ""
    ratio = _tell_ratio(trial)
    bars = "".join(draw_interval(trial, width, ratio) for width in (WIDE, NARROW))
    interval = f"<figure>{bars}<figcaption>{escape(ratio)}</figcaption></figure>" if bars else ""
    tables = f'<div class="scroll">{_figures(trial)}</div>{table((), _measures(trial), "facts")}'
    head = f'<h3>{escape(trial.model)}</h3><p class="lead">{escape(summary)}</p>'
    return f'<article class="card">{head}{legend}{figure}{interval}{tables}</article>'


def _legend(trial: Trial) -> str:
    paths = {sample.path for sample in trial.samples}
    entries: list[tuple[str, str]] = [(path, f"a step on {NAMES[path]}") for path in PATHS if path in paths]
    entries.append(("median", "median of the last race"))
    if trial.compiled is not None and trial.began is not None and trial.compiled > trial.began:
        entries.append(("compile", "XLA compiles beside training"))
    if trial.races:
        entries.append(("race", "the paths take turns on real batches"))
    items = "".join(f"<li>{swatch(kind)}{escape(text)}</li>" for kind, text in entries)
    return f'<ul class="legend">{items}</ul>'


def _caption(trial: Trial) -> str:
    last, steps = last_drawn(trial), trial.steps
    marks = "In the coloured parts each mark is one training step, elsewhere the median of 50."
    drawn = f" Drawn up to step {last:,} of {steps:,}." if steps and steps > last else ""
    return f"{marks} Every batch trained the model once.{drawn}"


def _tell_ratio(trial: Trial) -> str:
    if trial.ratio is None:
        return ""
    own, other = NAMES[trial.challenger], NAMES[trial.incumbent]
    bounds = trial.interval
    interval = f", with 99 % confidence {bounds[0]:.3g} to {bounds[1]:.3g} times" if bounds else ""
    pairs = f" ({trial.pairs} pairs of neighbouring steps)" if trial.pairs else ""
    return (
        f"A step on {own} takes {trial.ratio:.3g} times as long as its neighbour on {other}{interval}{pairs}."
    )


def _figures(trial: Trial) -> str:
    """Return the figures of the drawing as a table, for whoever cannot see it."""
    head = ("ms a step", "steps", "fastest", "median", "95 %", "slowest")
    rows = [_figures_of(NAMES[path], trial.times(path)) for path in PATHS if trial.times(path)]
    return table(head, rows, "figures") if rows else ""


def _figures_of(name: str, times: list[float]) -> Row:
    late = times[min(len(times) - 1, int(len(times) * 0.95))]
    return (name, f"{len(times):,}", *(number(ms) for ms in (times[0], typical(times), late, times[-1])))


def _measures(trial: Trial) -> list[Row]:
    medians = ", ".join(f"{NAMES[path]} {number(ms)} ms" for path, ms in trial.ms.items())
    expected = f", expected {number(trial.expected_s)} s" if trial.expected_s else ""
    compiled = f"{number(trial.compile_s)} s{expected}" if trial.compile_s else ""
    named = [
        ("median of the last race", medians),
        ("XLA's compile", compiled),
        ("operations in the step", f"{trial.nodes:,}" if trial.nodes else ""),
        ("steps", ", ".join(_steps(trial))),
        ("outcome", trial.outcome),
    ]
    return [(escape(name), escape(value)) for name, value in named if value]


def _steps(trial: Trial) -> Iterator[str]:
    named = (
        ("began", trial.began),
        ("compiled", trial.compiled),
        ("decided", trial.decided),
        ("switched", trial.switched),
        ("ended", trial.ended),
        ("last of the fit", trial.steps),
    )
    return (f"{name} {step:,}" for name, step in named if step is not None)
