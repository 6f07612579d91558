"""What autoxla may cost at most, and what was measured of it.

A limit is met where both the minima and the whole interval of the median say so, and missed where neither
does; else the machine was too noisy to tell. A count that repeats has no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured: by the minima, and the median with its interval; None is what there is not."""

    least: float | None
    median: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Target:
    """A limit, in `unit`, for what `read` finds in ``benchmarks/results/FILE.json``, or None."""

    what: str
    limit: float
    unit: str
    file: str
    read: Callable[[Data], Figure | None]

    @property
    def command(self) -> str:
        """What measures it."""
        return f"python -m benchmarks {self.file}"


def judge(target: Target, figure: Figure) -> str:
    """Return ``met``, ``missed`` or that this cannot be told."""
    if figure.low is None or figure.high is None:
        return "too few rounds to tell"
    least = figure.median if figure.least is None else figure.least
    if max(least, figure.high) <= target.limit:
        return "met"
    if min(least, figure.low) > target.limit:
        return "missed"
    return "too noisy to tell"


def _above_bare(variant: str) -> Callable[[Data], Figure]:
    def read(data: Data) -> Figure:
        row = data["summary"][variant]
        # A start is judged by the processor's time, which others on the machine disturb less.
        kind = "processor " if "processor low" in row else ""
        return Figure(*(row[f"{kind}{name}"] for name in ("added min", "added median", "low", "high")))

    return read


def _count(variant: str, name: str) -> Callable[[Data], Figure | None]:
    def read(data: Data) -> Figure | None:
        count = data["summary"][variant].get(name)  # no instructions without valgrind
        return None if count is None else Figure(count, count, count, count)

    return read


def _ratio(name: str, figure: str, least: str | None = None) -> Callable[[Data], Figure]:
    def read(data: Data) -> Figure:
        row = data["imports"][name]
        return Figure(None if least is None else row[least], **row[figure])

    return read


def _plan(variant: str) -> Callable[[Data], Figure]:
    def read(data: Data) -> Figure:
        from benchmarks.judging import estimate

        times = data["measured"][variant]
        return Figure(min(times), **estimate(times))

    return read


def _lookahead(data: Data) -> Figure:
    summary = data["summary"]
    least = summary["50 modules, new"]["min"] / summary["import tensorflow"]["min"]
    return Figure(least, **data["share"])


def _pinned(data: Data) -> Figure:
    least = min(data["measured"]["pinned"]) / min(data["measured"]["stock"])
    return Figure(least, **data["pinned/stock"])


TARGETS = (
    Target(
        "start of Python, autoxla installed and inactive", 0.3, "ms", "startup",
        _above_bare("autoxla.pth, inactive"),
    ),
    Target("start of Python, under the launcher", 0.5, "ms", "startup", _above_bare("autoxla.pth, active")),
    Target("start of Python, after `site enable`", 0.5, "ms", "startup", _above_bare("autoxla site hook")),
    Target("modules that an active start loads", 8, "", "startup", _count("autoxla.pth, active", "modules")),
    Target(
        "instructions of an inactive start, of a bare one", 1.08, "times", "startup",
        _count("autoxla.pth, inactive", "ratio Minstr"),
    ),
    Target(
        "instructions of an active start, of a bare one", 1.2, "times", "startup",
        _count("autoxla.pth, active", "ratio Minstr"),
    ),
    Target("launcher, `python -m autoxla`", 10, "ms", "launchers", _above_bare("python -m autoxla")),
    Target("launcher, `autoxla`", 10, "ms", "launchers", _above_bare("autoxla")),
    Target("search for a module that is not watched", 60, "ns", "imports", _above_bare("autoxla's finder")),
    Target(
        "`import tensorflow`, by the clock", 1.02, "times", "imports",
        _ratio("import autoxla, tensorflow", "ratio", "minima"),
    ),
    Target(
        "`import tensorflow`, by the processor", 1.02, "times", "imports",
        _ratio("import autoxla, tensorflow", "processor ratio", "processor minima"),
    ),
    Target("one plan, Keras 3", 100, "µs", "decide", _plan("plain Keras 3")),
    Target("one plan, mean of the product", 100, "µs", "decide", _plan("of the product")),
    Target("reading 50 modules of 100 lines, of `import tensorflow`", 0.02, "times", "lookahead", _lookahead),
    Target("a pinned step, of Keras' own, on a small model", 1.01, "times", "pinned", _pinned),
)  # fmt: skip
