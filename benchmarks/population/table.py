"""The tables of qa/population.md: what was measured, what policies lose by family, what to expect of XLA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from statistics import median
from typing import Any

from benchmarks.population.priors import FEATURES, REST, fit
from benchmarks.population.replay import LENGTHS, POLICIES, Model, Regrets, read_models, replay, score

NOTHING = "Not measured yet."


def format_population(data: Mapping[str, Any]) -> str:
    """Return what was measured of each family, and of what it was; NOTHING without any model."""
    from benchmarks.tables import format_table

    models = read_models(data) if data else []
    if not models:
        return NOTHING
    head = ["family", "models", "plain step, ms", "XLA's over it", "XLA is faster", "compile, s", "XLA fails"]
    rows = [_describe(family, members) for family, members in _by_family(models).items()]
    table = format_table([*head, "a trial refuses"], [*rows, _describe("all", models)])
    others = sorted(run["others"] for run in data["runs"] if "others" in run)
    failed = len(data["runs"]) - len(models)
    versions = ", ".join(f"{name} {version}" for name, version in sorted(data["versions"].items()))
    circumstances = (
        f"Medians, and from the least to the most. Seed {data['seed']}, {failed} processes failed. "
        f"{data['date']}, CPython {data['python']}, {data['machine']['cores']} cores of "
        f"{data['machine']['cpu']}; {versions}. Other work took {median(others):.0%} of the processors, "
        f"{others[-1]:.0%} at most."
    )
    return f"{table}\n\n{circumstances}"


def format_regrets(data: Mapping[str, Any]) -> str:
    """Return a table for each length: what each policy loses on each family; NOTHING without any model."""
    from benchmarks.tables import format_table

    models = read_models(data) if data else []
    parts = []
    for steps in LENGTHS if models else ():
        found = replay(models, steps)
        everything = [regrets for members in found.values() for regrets in members]
        rows = [_format_scores(family, members) for family, members in {**found, "all": everything}.items()]
        parts.append(f"{steps:,} steps:\n\n{format_table(['family', *POLICIES], rows)}")
    return "\n\n".join(parts) or NOTHING


def format_priors(data: Mapping[str, Any]) -> str:
    """Return the priors that are fitted on all models; NOTHING without any."""
    from benchmarks.tables import format_table

    models = read_models(data) if data else []
    if not models:
        return NOTHING
    fitted = fit(models)
    rows = []
    for feature in (*FEATURES, REST):
        prior = fitted.priors.get(feature.name, fitted.otherwise)
        count = fitted.counts.get(feature.name, 0)
        own = "" if feature.name in fitted.priors else " (that of all)"
        figures = [str(count), f"{prior.chance:.2f}{own}", f"{prior.ratio:.2f}{own}"]
        rows.append([feature.name, *figures, feature.reason])
    return format_table(["the step has", "models", "chance", "ratio", "why it may matter"], rows)


def _by_family(models: Iterable[Model]) -> dict[str, list[Model]]:
    found: dict[str, list[Model]] = {}
    for model in models:
        found.setdefault(model.family, []).append(model)
    return found


def _describe(family: str, models: Sequence[Model]) -> list[str]:
    able = [model for model in models if model.ratio < inf]
    return [
        family,
        str(len(models)),
        _range([model.times.plain for model in models]),
        _range([model.ratio for model in able]),
        str(sum(model.ratio < 1 for model in able)),
        _range([model.times.compile / 1e3 for model in able]),
        str(len(models) - len(able)),
        str(sum(model.is_refused for model in models)),
    ]


def _range(values: Sequence[float]) -> str:
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g})" if values else "-"


def _format_scores(family: str, members: Sequence[Regrets]) -> list[str]:
    return [family, *(_format_score([each[name] for each in members]) for name in POLICIES)]


def _format_score(regrets: Sequence[float]) -> str:
    found = score(regrets)
    if found is None:
        return "-"
    # Rounded first, so that no nought has a sign.
    text = " / ".join(f"{round(each, 3) + 0.0:.1%}" for each in found[:3])
    return text if found.models == len(regrets) else f"{text} of {found.models}"
