"""The entry of a trial, as a report has it, checked part by part for being drawn.

A report may come from a file; a part that is not what a trial writes is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

PathName = Literal["graph", "xla"]
PATHS: tuple[PathName, ...] = ("graph", "xla")
_NEIGHBOURS = 4  # steps between two samples of one race, at most
_LARGEST = 1e12  # steps, milliseconds: beyond that it is no measure


@dataclass(frozen=True, slots=True)
class Sample:
    """One training step: its number, the path that ran it, milliseconds."""

    step: int
    path: PathName
    ms: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What is drawn of a trial. Steps are counted in the fit; None where the trial did not come to it.

    `ms` holds the median of each path in the race, `interval` the bounds of `ratio`, which is
    challenger over incumbent.
    """

    model: str
    outcome: str
    incumbent: PathName
    challenger: PathName
    winner: PathName | None
    samples: tuple[Sample, ...]
    ms: Mapping[PathName, float]
    began: int | None
    compiled: int | None
    decided: int | None
    switched: int | None
    ended: int | None
    steps: int | None
    compile_s: float | None
    expected_s: float | None
    nodes: int | None
    ratio: float | None
    interval: tuple[float, float] | None
    pairs: int | None

    @property
    def speed_up(self) -> float | None:
        """Return how many times as fast as the graph XLA is, None where one was not measured."""
        return self.ms["graph"] / self.ms["xla"] if len(self.ms) == len(PATHS) else None

    @property
    def is_open(self) -> bool:
        """Return whether the measures leave open which path is faster."""
        return self.interval is not None and self.interval[0] < 1 < self.interval[1]

    @property
    def races(self) -> list[tuple[int, int]]:
        """Return first and last step of each stretch in which the paths took turns."""
        start = -1 if self.compiled is None else self.compiled
        stretches: list[list[Sample]] = []
        for sample in self.samples:
            if sample.step < start:
                continue
            if stretches and sample.step - stretches[-1][-1].step <= _NEIGHBOURS:
                stretches[-1].append(sample)
            else:
                stretches.append([sample])
        races = (stretch for stretch in stretches if len({sample.path for sample in stretch}) > 1)
        return [(race[0].step, race[-1].step) for race in races]

    def times(self, path: PathName) -> list[float]:
        """Return the milliseconds of the steps on ``path``, in order of size."""
        return sorted(sample.ms for sample in self.samples if sample.path == path)


def read_trial(entry: Mapping[str, object]) -> Trial:
    """Return what ``entry`` says; never raises."""
    challenger: PathName = "graph" if entry.get("challenger") == "graph" else "xla"
    samples = _samples(entry.get("samples"))
    return Trial(
        model=_text(entry.get("model")) or "model",
        outcome=_text(entry.get("outcome")),
        incumbent="xla" if challenger == "graph" else "graph",
        challenger=challenger,
        winner=_path(entry.get("winner")),
        samples=samples,
        ms=_medians(entry, samples),
        began=_count(entry.get("began_at")),
        compiled=_count(entry.get("compiled_at")),
        decided=_count(entry.get("decided_at")),
        switched=_count(entry.get("switched_at")),
        ended=_count(entry.get("ended_at")),
        steps=_count(entry.get("steps")),
        compile_s=_measure(entry.get("compile_s")),
        expected_s=_measure(entry.get("expected_compile_s")),
        nodes=_count(entry.get("nodes")),
        ratio=_measure(entry.get("ratio")),
        interval=_interval(entry.get("interval")),
        pairs=_count(entry.get("pairs")),
    )


def clean(text: str) -> str:
    """Return ``text`` with a sign in the place of what no page can hold: control characters, half pairs."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def typical(times: list[float]) -> float:
    """Return the median of ``times``, which must not be empty."""
    return median(times)


def _medians(entry: Mapping[str, object], samples: tuple[Sample, ...]) -> dict[PathName, float]:
    """Return the medians that the race gave, for a path without one that of its steps."""
    found: dict[PathName, float] = {}
    for path in PATHS:
        times = [sample.ms for sample in samples if sample.path == path]
        ms = _measure(entry.get(f"{path}_ms")) or (median(times) if times else None)
        if ms is not None:
            found[path] = ms
    return found


def _samples(value: object) -> tuple[Sample, ...]:
    rows = value if isinstance(value, list) else []
    found: list[Sample] = []
    for sample in filter(None, map(_sample, rows)):
        if found and sample.step < found[-1].step:
            break  # another fit, which counts its steps anew
        found.append(sample)
    return tuple(found)


def _sample(row: object) -> Sample | None:
    if not isinstance(row, list | tuple) or len(row) != 3:
        return None
    step, path, ms = _count(row[0]), _path(row[1]), _measure(row[2])
    return None if step is None or path is None or ms is None else Sample(step, path, ms)


def _interval(value: object) -> tuple[float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = _measure(value[0]), _measure(value[1])
    return (low, high) if low and high and low <= high else None


def _path(value: object) -> PathName | None:
    return next((path for path in PATHS if path == value), None)


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST
    return value if is_count and isinstance(value, int) else None


def _measure(value: object) -> float | None:
    is_measure = isinstance(value, int | float) and not isinstance(value, bool)
    # A comparison with NaN is false.
    return float(value) if is_measure and 1e-9 < value < _LARGEST else None  # type: ignore[operator, arg-type]


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""
