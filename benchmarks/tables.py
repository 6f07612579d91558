"""The tables of the pages on start-up, performance, paths and XLA, made from ``benchmarks/results``.

``python -m benchmarks tables`` writes them between their marks, so that the pages show what was measured and
nothing else.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.backends import BACKENDS, WHOLE
from benchmarks.backends.choice import USUAL, Regrets, Result, find_results, find_spread, sum_up
from benchmarks.paths import table as paths
from benchmarks.population import table as population
from benchmarks.targets import TARGETS, Figure, Target, judge

CHECKOUT = Path(__file__).parents[1]
RESULTS = CHECKOUT / "benchmarks" / "results"
DOCUMENTS = tuple(
    CHECKOUT / name
    for name in (
        *("qa/startup.md", "docs/performance.md", "qa/performance.md", "docs/startup.md", "docs/xla.md"),
        "qa/population.md",
    )
)
#: What a column of the results is called, and how many decimal places it has.
COLUMNS = {
    "min": ("min, ms", 1),
    "median": ("median, ms", 1),
    "added min": ("+ min, ms", 1),
    "added median": ("+ median, ms", 1),
    "processor added min": ("processor + min, ms", 2),
    "processor added median": ("+ median, ms", 2),
    "processor low": ("from", 2),
    "processor high": ("to", 2),
    "modules": ("+ modules", 0),
    "Minstr": ("million instructions", 1),
    "ratio Minstr": ("over the first", 3),
}
NOTHING = "Not measured yet."
_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Renew the tables in the documents."""
    for document in DOCUMENTS:
        document.write_text(renew(document.read_text(encoding="utf-8")), encoding="utf-8")
    paths.write(load("paths"))


def renew(text: str) -> str:
    """Return ``text`` with a table below each ``<!-- table: NAME -->``. Raises KeyError for another name."""
    return _PLACE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n{found[3]}", text)


def load(name: str) -> dict[str, Any]:
    """Return the figures of a benchmark, empty where it was not run."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def format_starts(data: Mapping[str, Any]) -> str:
    """Return the summary of starts as a table, with what it belongs to below."""
    return f"{format_summary(data['summary'])}\n\n{format_origin(data)}" if data else NOTHING


def format_summary(summary: Mapping[str, Mapping[str, float | None]]) -> str:
    """Return one line for each variant; a figure that it lacks is left blank."""
    names = [name for name in COLUMNS if any(name in row for row in summary.values())]
    rows = ([title, *(_format_cell(row, name) for name in names)] for title, row in summary.items())
    return format_table(["", *(COLUMNS[name][0] for name in names)], rows)


def format_briefly(data: Mapping[str, Any]) -> str:
    """Return what each variant adds to a start, in processor time, and its instructions over a bare one's."""
    head = ["", "adds, ms", "instructions, over the first"]
    rows = (
        [title, f"{round(row['processor added median'], 1) + 0.0:.1f}", f"{row['ratio Minstr']:.2f} times"]
        for title, row in data.get("summary", {}).items()
    )
    return format_table(head, rows) if data else NOTHING


def format_origin(data: Mapping[str, Any]) -> str:
    """Return rounds, date, system, load and versions as a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(data["versions"].items()))
    before, after = data["load"]
    finer = f" ({data['finer']} of autoxla's own)" if "finer" in data else ""
    return (
        f"{data['rounds']} interleaved rounds{finer}, {data['date']}, CPython {data['python']}, "
        f"{data['system']}, {data['machine']['cores']} cores, load average {before} before and "
        f"{after} after; {versions}."
    )


def format_targets(targets: Sequence[Target] = TARGETS) -> str:
    """Return the limits with what was measured of each."""
    head = ["what autoxla adds", "limit", "by the minima", "median, and its interval", "", "command"]
    return format_table(head, (_format_target(target, load(target.file)) for target in targets))


def _format_target(target: Target, data: Mapping[str, Any]) -> list[str]:
    limit = f"{target.limit:g} {target.unit}".strip()
    command = f"`{target.command}`"
    figure = target.read(data) if data else None
    if figure is None:
        return [target.what, limit, "", "", "not measured yet", command]
    least = "" if figure.least is None else f"{figure.least:.3g}"
    return [target.what, limit, least, _format_median(figure), judge(target, figure), command]


def _format_median(figure: Figure) -> str:
    if figure.low is None or figure.high is None or figure.low == figure.high:
        return _shorten(figure.median)
    return f"{_shorten(figure.median)} ({_shorten(figure.low)} to {_shorten(figure.high)})"


def _shorten(value: float) -> str:
    return f"{value:.4g}"


def format_imports(data: Mapping[str, Any]) -> str:
    """Return what whole imports take with autoxla, over what they take without."""
    if not data:
        return NOTHING
    head = ["", "without, ms", "ratio by the clock", "ratio by the processor", "at most", "+ MiB"]
    rows = (
        [
            f"`{name}`",
            f"{row['without, ms']['median']:,.0f}",
            _format_median(Figure(None, **row["ratio"])),
            _format_median(Figure(None, **row["processor ratio"])),
            f"{row['own share']['median']:.3f}",
            f"{row['added MiB']['median']:.1f}",
        ]
        for name, row in data["imports"].items()
    )
    return f"{format_table(head, rows)}\n\n{format_origin(data)}"


def format_lookahead(data: Mapping[str, Any]) -> str:
    """Return what reading programs takes, by their size."""
    if not data:
        return NOTHING
    head = ["", "min, ms", "median, ms", "ms a module"]
    rows = (
        [
            name,
            f"{row['min']:,.2f}",
            f"{row['median']:,.2f}",
            f"{row['a module']:.3f}" if "a module" in row else "",
        ]
        for name, row in data["summary"].items()
    )
    return f"{format_table(head, rows)}\n\n{format_origin(data)}"


def format_plans(data: Mapping[str, Any]) -> str:
    """Return what plans take."""
    if not data:
        return NOTHING
    rows = ([name, f"{row['min']:.0f}", f"{row['median']:.0f}"] for name, row in data["summary"].items())
    product = data["product"]
    return (
        f"{format_table(['', 'min, µs', 'median, µs'], rows)}\n\n"
        f"All {product['situations']:,} situations of the product: {product['seconds']:.0f} s, "
        f"99 of 100 in {product['99 of 100']:.0f} µs at most.\n\n{format_origin(data)}"
    )


def format_records(data: Mapping[str, Any]) -> str:
    """Return what many processes on one cache take, and what went wrong."""
    if not data:
        return NOTHING
    rows = (
        [name, f"{row['min']:.2f}", f"{row['median']:.2f}", f"{data['writes'] / row['median']:,.0f}"]
        for name, row in data["summary"].items()
    )
    ratio, faults = _format_median(Figure(None, **data["ratio"])), len(data["faults"])
    return (
        f"{format_table(['', 'min, s', 'median, s', 'records a second'], rows)}\n\n"
        f"{data['processes']} processes over one: {ratio}. Records lost or damaged in {data['rounds']} "
        f"rounds of each: {faults}.\n\n{format_origin(data)}"
    )


def format_noise() -> str:
    """Return how noisy the machine was in each file."""
    names = dict.fromkeys(target.file for target in TARGETS)
    rows = (_format_noise(name, load(name)) for name in [*names, "records"])
    head = ["file", "date", "load before, after", "the same twice, ratio", "to be told", "machine"]
    return format_table(head, rows)


def _format_noise(name: str, data: Mapping[str, Any]) -> list[str]:
    if not data:
        return [name, "not measured yet", "", "", "", ""]
    begin, end = data["load"]
    row = [name, data["date"], f"{begin}, {end}"]
    if "noise" not in data:
        return [*row, "", "", "not told"]
    noise = data["noise"]
    verdict = {None: "too few rounds to tell", True: "too noisy to tell", False: "quiet enough"}[
        noise["noisy"]
    ]
    return [*row, _format_median(Figure(None, **noise["ratio"])), f"{noise['resolution']:.1%}", verdict]


def format_gain() -> str:
    """Return what the choice of a path gains, from the figures of docs/paths.md."""
    return paths.make_sections(load("paths"))["summary"]


#: What the pages call the paths of `benchmarks.backends`.
PATHS = {"graph": "plain graph", "xla": "XLA", "jax": "JAX", "torch": "PyTorch"}


def format_backends(data: Mapping[str, Any]) -> str:
    """Return the seconds of trainings on each backend, and what ``tune`` would take; NOTHING without any."""
    results = find_results(data["runs"]) if data else []
    if not results:
        return NOTHING
    steps = " / ".join(f"{each:,}" for each in WHOLE)
    head = ["model", *(f"{PATHS[path]}, s" for path in BACKENDS), "`tune` takes", "and loses"]
    parts = [
        f"Seconds of a training of {steps} steps:",
        format_table(head, map(_format_result, results)),
        "What a choice loses against the best path of each model, on average, and at worst:",
        _format_regrets(results),
    ]
    parts += [_format_failures(results)] if any(result.failed for result in results) else []
    good = [run for run in data["runs"] if "error" not in run]
    counts = Counter((run["model"], run["path"]) for run in good)
    others = sorted(run["others"] for run in good)
    spread = find_spread(good)
    noise = (
        f"The slowest round took {spread:.2f} times as long as the fastest, as the median of all trainings. "
        f"Other work took {median(others):.0%} of the processors, {others[-1]:.0%} at most."
    )
    return "\n\n".join(
        [
            *parts,
            _format_tuned(data.get("tuned", {})) + noise,
            format_origin({**data, "rounds": min(counts.values())}),
        ]
    )


def _format_result(result: Result) -> list[str]:
    cells = [_format_times(result, path) for path in BACKENDS]
    regrets = " / ".join(f"{result.regret(steps, result.chosen):.0%}" for steps in WHOLE)
    chosen = f"{PATHS[USUAL]} (too close)" if result.chosen is None else PATHS[result.chosen]
    return [result.model, *cells, chosen, regrets]


def _format_times(result: Result, path: str) -> str:
    cells = []
    for steps, times in result.times.items():
        if path not in times:
            return "-"
        text = f"{'' if times[path].is_whole else '≈ '}{times[path].seconds:.3g}"
        cells.append(f"**{text}**" if result.best(steps) == path else text)
    return " / ".join(cells)


def _format_regrets(results: Sequence[Result]) -> str:
    by_steps = [sum_up(results, steps) for steps in WHOLE]
    names = {"tune": "what `tune` takes", **{path: f"always {PATHS[path]}" for path in BACKENDS}}
    rows = (
        [text, *(_format_regret(regrets[name], len(results)) for regrets in by_steps)]
        for name, text in names.items()
        if name in by_steps[0]
    )
    return format_table(["", *(f"{steps:,} steps" for steps in WHOLE)], rows)


def _format_regret(found: Regrets, models: int) -> str:
    of = "" if found.models == models else f", {found.models} models"
    return f"{found.mean:.0%} ({found.worst:.0%}, {found.model}{of})"


def _format_failures(results: Sequence[Result]) -> str:
    models: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for path, reason in result.failed.items():
            models.setdefault((path, reason), []).append(result.model)
    return "\n".join(f"* {PATHS[path]}, {', '.join(of)}: {reason}" for (path, reason), of in models.items())


def _format_tuned(tuned: Mapping[str, Any]) -> str:
    if not tuned:
        return ""
    took = (
        f"{model}: {found.get('winner') or found.get('error') or 'nothing is clear'}"
        for model, found in tuned.items()
    )
    return f"`tune` itself, run on some of the models, took {', '.join(took)}.\n\n"


def format_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table whose first column is text."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _format_cell(row: Mapping[str, float | None], name: str) -> str:
    value = row.get(name)
    return "" if value is None else f"{value:.{COLUMNS[name][1]}f}"


#: What stands below each mark.
TABLES: Mapping[str, Callable[[], str]] = {
    "startup": lambda: format_starts(load("startup")),
    "launchers": lambda: format_starts(load("launchers")),
    "starts": lambda: format_briefly(load("startup")),
    "launched": lambda: format_briefly(load("launchers")),
    "targets": format_targets,
    "noise": format_noise,
    "imports": lambda: format_imports(load("imports")),
    "lookahead": lambda: format_lookahead(load("lookahead")),
    "plans": lambda: format_plans(load("decide")),
    "records": lambda: format_records(load("records")),
    "gain": format_gain,
    "backends": lambda: format_backends(load("backends")),
    "population": lambda: population.format_population(load("population")),
    "regrets": lambda: population.format_regrets(load("population")),
    "priors": lambda: population.format_priors(load("population")),
}
