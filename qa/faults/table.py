"""The tables of qa/faults.md, made from `results.json` between their markers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.paths.table import fill
from benchmarks.tables import format_table
from faults.running import CHECKOUT, OUTERMOST, Verdict
from faults.scenarios import SCENARIOS

RESULTS = Path(__file__).with_name("results.json")
PAGE = CHECKOUT / "qa" / "faults.md"
#: The stages of the whole run.
STAGES = ("errors", "other kinds", "trial", "TensorFlow")
#: The columns, and which kinds of fault are in them.
COLUMNS: dict[str, Callable[[str], bool]] = {
    "an error": lambda kind: kind == "raise RuntimeError",
    "other errors": lambda kind: kind.startswith("raise") and kind != "raise RuntimeError",
    "nonsense": lambda kind: kind.startswith("return"),
    "2 s late": lambda kind: kind == "slow",
    "a broken module": lambda kind: kind == "broken",
}


@dataclass(frozen=True)
class Results:
    """What a run of all faults left behind."""

    date: str
    python: str
    packages: dict[str, str]
    stages: dict[str, dict[str, Any]]
    not_reached: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def judged(self) -> list[Verdict]:
        """The faults that took place, in functions around which autoxla itself stands."""
        return [v for v in self.verdicts if v.fired and v.site not in OUTERMOST]

    @property
    def leaks(self) -> list[Verdict]:
        """Those of which the program knew."""
        return [verdict for verdict in self.judged if verdict.leak]


def load(file: Path = RESULTS) -> Results:
    """Return the results in ``file``."""
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    verdicts = tuple(Verdict(*row) for row in data.pop("verdicts"))
    return Results(
        **{name.replace(" ", "_"): _frozen(value) for name, value in data.items()}, verdicts=verdicts
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def write() -> None:
    """Write the tables into the page."""
    PAGE.write_text(renew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def renew(page: str) -> str:
    """Return ``page`` with the tables of the results that are kept."""
    return fill(page, make_sections(load()))


def make_sections(results: Results) -> dict[str, str]:
    """Return the text of each section of the page."""
    return {
        "faults by package": tabulate(results.judged, lambda verdict: f"`{package_of(verdict.site)}`", ""),
        "faults by program": tabulate(results.judged, lambda verdict: verdict.scenario, "program", title_of),
        "faults that leak": list_leaks(results),
        "faults: origin": describe(results),
        "faults: outermost": list_outermost(results),
        "faults: not reached": list_names(results.not_reached),
    }


def package_of(site: str) -> str:
    """Return the package of a function, or its module where that is in none."""
    return ".".join(site.partition(":")[0].split(".")[:2])


def stage_of(verdict: Verdict) -> str:
    """Return the stage of the whole run in which a fault is."""
    known = SCENARIOS.get(verdict.scenario)
    if known is None or not known.stubs:
        return "trial" if known is None else "TensorFlow"
    return "errors" if verdict.kind == "raise RuntimeError" else "other kinds"


def title_of(scenario: str) -> str:
    """Return what a scenario is."""
    known = SCENARIOS.get(scenario)
    if known is None:
        return f"trial: {scenario}"
    return f"{'stand-ins' if known.stubs else 'TensorFlow'}: {known.title}"


def tabulate(
    verdicts: Iterable[Verdict],
    name_of: Callable[[Verdict], str],
    title: str,
    show: Callable[[str], str] = str,
) -> str:
    """Return a line for each name, with a cell for each kind: how many of how many left no trace."""
    rows: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        rows.setdefault(name_of(verdict), []).append(verdict)
    lines = [[show(name), *_cells(row)] for name, row in rows.items()]
    if title == "":
        lines.sort()
    total = ["**all**", *_cells([verdict for row in rows.values() for verdict in row])]
    return format_table([title, *COLUMNS, "said"], [*lines, total])


def _cells(verdicts: Sequence[Verdict]) -> list[str]:
    cells = []
    for belongs in COLUMNS.values():
        chosen = [verdict for verdict in verdicts if belongs(verdict.kind)]
        same = sum(not verdict.leak for verdict in chosen)
        cells.append(f"{same} of {len(chosen)}" if chosen else "")
    return [*cells, f"{sum(bool(verdict.said) for verdict in verdicts)} of {len(verdicts)}"]


def list_leaks(results: Results) -> str:
    """Return the faults of which the program knew, a line each."""
    lines = [f"* `{v.site}`, {v.kind}, {title_of(v.scenario)}: {v.leak}" for v in results.leaks]
    return "\n".join(lines) or "None."


def list_outermost(results: Results) -> str:
    """Return the functions around which nothing of autoxla stands, with the reason."""
    return "\n".join(f"* `{site}`: {reason}." for site, reason in OUTERMOST.items()) or "None."


def list_names(names: Sequence[str]) -> str:
    """Return the names by their modules."""
    modules: dict[str, list[str]] = {}
    for name in names:
        module, _, rest = name.partition(":")
        modules.setdefault(module, []).append(rest)
    return "\n".join(f"* `{module}`: {', '.join(rest)}" for module, rest in modules.items())


def describe(results: Results) -> str:
    """Return when and on what this was run, and how much was said."""
    packages = ", ".join(f"{name} {release}" for name, release in results.packages.items())
    silent = sum(
        not verdict.said for verdict in results.judged if verdict.kind.startswith(("raise", "broken"))
    )
    errors = sum(verdict.kind.startswith(("raise", "broken")) for verdict in results.judged)
    minutes = sum(stage["minutes"] for stage in results.stages.values())
    changed = sum(verdict.same in ("with", "without") for verdict in results.judged)
    missing = [name for name in STAGES if name not in results.stages]
    note = f" Not run yet: {', '.join(missing)}." if missing else ""
    return (
        f"{len(results.judged)} faults, {len(results.leaks)} of them seen by the program. {results.date}, "
        f"CPython {results.python}, {packages}; {minutes} minutes. Of {errors} errors and broken "
        f"modules, {errors - silent} were told by a line, {silent} were not. {changed} faults met a program "
        f"that autoxla changes.{note}"
    )
