"""``python -m autoxla explain [--json] [SCRIPT]``: what autoxla would do here, and why.

Shows the plan for the environment in which it is called. Imports no backend. Exit status: 0, or 2
where a setting, a flag variable or the script's name is bad.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from autoxla.commands.explanation import Explanation, render_html
from autoxla.commands.programs import BAD_INPUT, folder_of, gather_for, read_script, with_reading
from autoxla.facts import Finding, Plan, Setting, Situation
from autoxla.lookahead import Program, read_program
from autoxla.notice import say
from autoxla.policies import decide
from autoxla.report import as_data
from autoxla.settings import BadSettingError

USAGE = "usage: python -m autoxla explain [--json] [SCRIPT]"
#: What the facts of a usage are called.
_FACTS = {"keras": "Keras generation", "ops_override": "ITEX ops override", "enables_xla": "enables XLA"}


def main(argv: list[str]) -> int:
    """Print the plan for the script in ``argv``; return the exit status."""
    if "-h" in argv or "--help" in argv:
        print(f"{USAGE}\n\n{__doc__}")
        return 0
    names = [word for word in argv if word != "--json"]
    if len(names) > 1 or any(name.startswith("-") for name in names):
        say(f"AX902 error arguments: {' '.join(argv)!r} is not understood; {USAGE}")
        return 2
    script = Path(names[0]) if names else None
    if script is not None and not script.exists():
        say(f"AX902 error {script}: there is no such file; {USAGE}")
        return 2
    try:
        situation, plan = _plan_for(script)
    except BadSettingError as error:
        say(str(error))
        return 2
    _print(situation, plan, as_json="--json" in argv)
    return 2 if any(finding.code in BAD_INPUT for finding in plan.findings) else 0


def explain() -> str:
    """Return what autoxla decided in this process, or would decide if nothing is imported yet, as text.

    A notebook shows it as a table.
    """
    from autoxla import session

    current = session.current()
    if current.situation is not None:
        return _explain(current.situation, current.plan, current.findings)
    cells = session.find_cells()
    situation, plan = _plan_for(session.program_file()) if cells is None else _plan_for_cells(cells)
    return _explain(situation, plan, plan.findings)


def _explain(situation: Situation, plan: Plan, findings: Sequence[Finding]) -> Explanation:
    sections = [("Situation", list(_situation_rows(situation))), ("Plan", list(_plan_rows(plan)))]
    rows = [_finding_row(finding) for finding in findings]
    html = render_html(f"autoxla, mode {situation.settings.mode}", sections, rows)
    return Explanation(render(situation, plan, findings), html)


def _plan_for_cells(cells: Program) -> tuple[Situation, Plan]:
    from autoxla.session import find_shell

    situation = with_reading(gather_for(cells.folder), read_program(cells))
    situation = replace(situation, restart=find_shell())
    return situation, decide(situation)


def _plan_for(script: Path | None) -> tuple[Situation, Plan]:
    situation = gather_for(Path.cwd() if script is None else folder_of(script))
    if script is not None:
        situation = with_reading(situation, read_script(script))
    return situation, decide(situation)


def _print(situation: Situation, plan: Plan, *, as_json: bool) -> None:
    if as_json:
        data = {**as_data(situation, plan, plan.findings), "situation": situation_data(situation)}
        print(json.dumps(data, indent=2))
    else:
        print(render(situation, plan, plan.findings), end="")


def situation_data(situation: Situation) -> dict[str, object]:
    """Return the situation in brief, as JSON has it."""
    return {
        "python": ".".join(map(str, sys.version_info[:3])),
        "versions": {name: ".".join(map(str, version)) for name, version in situation.versions.items()},
        "plugins": [plugin.file for plugin in situation.plugins],
        "accelerator": situation.hardware.accelerator,
        "environment": dict(situation.environment),
        "keras.json": None if situation.keras_config is None else situation.keras_config.file,
        "backends": sorted(situation.backends),
    }


def render(situation: Situation, plan: Plan, findings: Sequence[Finding]) -> str:
    """Return situation, plan and findings as text."""
    lines = [f"autoxla, mode {situation.settings.mode}", "", "Situation"]
    lines += _table(_situation_rows(situation))
    lines += ["", "Plan"]
    lines += _table(_plan_rows(plan))
    lines += ["", "Findings"]
    lines += [f"  {line}" for finding in findings for line in _finding_lines(finding)] or ["  none"]
    return "\n".join(lines) + "\n"


def _situation_rows(situation: Situation) -> Iterator[tuple[str, str]]:
    yield "python", ".".join(map(str, sys.version_info[:3]))
    for name in ("tensorflow", "keras", "tf-keras", "intel-extension-for-tensorflow"):
        version = situation.versions.get(name)
        if version is not None or name != "intel-extension-for-tensorflow":
            yield name, "not installed" if version is None else ".".join(map(str, version))
    yield "plug-ins", ", ".join(f"{p.kind} ({p.file})" for p in situation.plugins) or "none"
    yield "accelerator", _accelerator(situation)
    yield "backends", ", ".join(sorted(situation.backends)) or "none"
    if situation.keras_config is not None:
        yield situation.keras_config.file, f"backend {situation.keras_config.backend or 'not named'}"
    for name, value in sorted(situation.environment.items()):
        yield name, repr(value)
    yield from _program_rows(situation)


def _program_rows(situation: Situation) -> Iterator[tuple[str, str]]:
    """Yield what the program's source says, each fact with its line."""
    reading, usage = situation.reading, situation.usage
    if not reading.known:
        return
    whole = "all of it" if reading.complete else "not all of it, or it imports computed names"
    if situation.restart is not None:
        yield "notebook", f"the cells run so far, and {len(reading.files)} file(s) read, {whole}"
    else:
        yield "program", f"{len(reading.files)} file(s) read, {whole}"
    for name, place in usage.evidence.items():
        if name != "importing":
            yield f"  {_FACTS.get(name, name)}", f"{getattr(usage, name)}, {place}"


def _accelerator(situation: Situation) -> str:
    kinds = ", ".join(sorted(situation.hardware.kinds))
    return kinds or situation.hardware.accelerator


def _plan_rows(plan: Plan) -> Iterator[tuple[str, str]]:
    path = plan.path
    yield "keras", "not known before the program runs" if path.keras is None else _generation(path.keras)
    yield "step", path.step or "as Keras decides at compile()"
    yield "device", path.device
    yield "backend", path.backend
    if plan.jit_compile is not None:
        yield (
            "jit_compile",
            f"{plan.jit_compile} where the program gives none ({', '.join(plan.jit_because)})",
        )
    for name in plan.import_first:
        yield "import order", f"{name} before keras"
    for alias, target in plan.alias.items():
        yield f"import {alias}", f"gives {target}"
    for setting in plan.settings:
        yield _assignment(setting), f"{_previous(setting)}, because {', '.join(setting.because)}"
    if not plan.settings:
        yield "variables", "none is set or changed"


def _generation(keras: int) -> str:
    return f"Keras {keras}" if keras else "not used"


def _assignment(setting: Setting) -> str:
    return f"unset {setting.variable}" if setting.value is None else f"{setting.variable}={setting.value}"


def _previous(setting: Setting) -> str:
    return "was unset" if setting.previous is None else f"was {setting.previous!r}"


def _finding_lines(finding: Finding) -> Iterator[str]:
    yield f"{finding.place} {finding.code} {finding.level} {finding.message}"
    yield f"    {'done' if finding.applied else 'to do'}: {finding.remedy}"


def _finding_row(finding: Finding) -> tuple[str, str]:
    said, remedy = _finding_lines(finding)
    place, message = f"{finding.place}", said.partition(f" {finding.level} ")[2]
    return f"{finding.code} {finding.level}", f"{place}: {message}\n{remedy.strip()}"


def _table(rows: Iterator[tuple[str, str]]) -> list[str]:
    pairs = list(rows)
    width = max(len(name) for name, _ in pairs)
    return [f"  {name:<{width}}  {value}" for name, value in pairs]
