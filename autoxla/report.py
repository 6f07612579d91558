"""The report of a process as JSON, for ``AUTOXLA_REPORT`` and ``explain --json``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from autoxla.facts import Finding, Plan, Situation


def as_data(
    situation: Situation,
    plan: Plan,
    findings: Iterable[Finding],
    compiles: Sequence[Mapping[str, object]] = (),
    faults: Iterable[tuple[str, Exception]] = (),
    trials: Sequence[Mapping[str, object]] = (),
) -> dict[str, object]:
    """Return the report as JSON has it. No variable but the watched ones is in it."""
    return {
        "mode": situation.settings.mode,
        "settings": [asdict(setting) for setting in plan.settings],
        "path": asdict(plan.path),
        "findings": [finding_data(finding) for finding in findings],
        "compile": list(compiles),
        "trials": list(trials),
        "errors": [f"{where}: {type(error).__name__}: {error}" for where, error in faults],
    }


def write_report(
    file: Path,
    situation: Situation,
    plan: Plan,
    findings: Iterable[Finding],
    compiles: Sequence[Mapping[str, object]],
    faults: Iterable[tuple[str, Exception]],
    trials: Sequence[Mapping[str, object]],
) -> None:
    """Write the report to ``file``, whole or not at all. Raises OSError where that cannot be."""
    data = as_data(situation, plan, findings, compiles, faults, trials)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    temporary.replace(file)


def finding_data(finding: Finding) -> dict[str, object]:
    """Return a finding as JSON has it."""
    data = asdict(finding)
    place = data.pop("place")
    del data["about"]
    return {**data, "file": place["file"], "line": place["line"], "column": place["column"]}
