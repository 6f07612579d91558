"""A plan as a person would tell it: titled rows of what is known, set, left alone, and would be otherwise.

The same as tables for a notebook, without jinja2: `explain` works where that is not installed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from html import escape
from typing import Any

from autoxla.model import MODES, Finding, Plan, Situation
from autoxla.policies import decide, list_rules
from autoxla.policies.rule import Rule

#: What a row names, and what it says.
Row = tuple[str, str]
Section = tuple[str, Sequence[Row]]

#: What the facts of a usage are called.
_FACTS = {"keras": "Keras generation", "ops_override": "ITEX ops override", "enables_xla": "enables XLA"}
_STEERING = ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS", "XLA_FLAGS")
# Neither colour nor background: a notebook's theme, light or dark, has its own for tables.
_CELL = "text-align:left;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere;max-width:52em"
_TITLE = "text-align:left;padding-top:.6em"


def tell(situation: Situation, plan: Plan) -> list[Section]:
    """Return what there is to tell of ``plan`` beside its findings; a part that is empty is not there."""
    parts = (
        ("Situation", situation_rows(situation)),
        ("Plan", plan_rows(plan)),
        ("Left alone", left_rows(situation, plan)),
        ("In other modes", mode_rows(situation, plan)),
    )
    return [(title, told) for title, rows in parts if (told := list(rows))]


def find_rule(code: str) -> Rule | None:
    """Return the rule with ``code``, None where what it stands for is found by no rule."""
    return next((rule for rule in list_rules() if rule.code == code), None)


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


def situation_rows(situation: Situation) -> Iterator[Row]:
    """Yield what is known of the environment and of the program, each fact with its line."""
    yield "python", ".".join(map(str, sys.version_info[:3]))
    for name in ("tensorflow", "keras", "tf-keras", "intel-extension-for-tensorflow"):
        version = situation.versions.get(name)
        if version is not None or name != "intel-extension-for-tensorflow":
            yield name, "not installed" if version is None else ".".join(map(str, version))
    yield "plug-ins", ", ".join(f"{p.kind} ({p.file})" for p in situation.plugins) or "none"
    hardware = situation.hardware
    yield "accelerator", ", ".join(sorted(hardware.kinds)) or hardware.accelerator
    yield "backends", ", ".join(sorted(situation.backends)) or "none"
    if situation.keras_config is not None:
        yield situation.keras_config.file, f"backend {situation.keras_config.backend or 'not named'}"
    for name, value in sorted(situation.environment.items()):
        yield name, repr(value)
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


def plan_rows(plan: Plan) -> Iterator[Row]:
    """Yield the path, and what is set and why."""
    path = plan.path
    generations = {None: "not known before the program runs", 0: "not used"}
    yield "keras", generations.get(path.keras, f"Keras {path.keras}")
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
        before = "unset" if setting.previous is None else repr(setting.previous)
        because = ", ".join(setting.because)
        yield assignment(setting.variable, setting.value), f"was {before}, because {because}"
    if not plan.settings:
        yield "variables", "none is set or changed"


def left_rows(situation: Situation, plan: Plan) -> Iterator[Row]:
    """Yield what autoxla could have a say in and leaves as it is, and why."""
    set_here = {setting.variable for setting in plan.settings} | situation.own
    usage = situation.usage
    if situation.settings.keras == "3":
        yield "keras", "3 in your settings: nothing here turns TF_USE_LEGACY_KERAS on"
    if usage.jit_compile is not None:
        where = f", {usage.evidence['jit_compile']}" if "jit_compile" in usage.evidence else ""
        yield "jit_compile", f"{usage.jit_compile}, as the program says{where}"
    for name, value in sorted(situation.environment.items()):
        if name not in set_here and (name in _STEERING or name.startswith("ITEX_")):
            yield name, f"{value!r}, which you set"
    if situation.settings.mode == "observe":
        yield "everything", "mode observe: the process is not changed"
    elif not situation.settings.trial:
        yield "trial", "the settings ask for none"
    for finding in plan.findings:
        if finding.grade == "possible" and not finding.applied:
            yield finding.code, f"what the source says is possible, not certain: {finding.place}"


def mode_rows(situation: Situation, plan: Plan) -> Iterator[Row]:
    """Yield what the other modes would do that the plan does not, or leave that it does."""
    settings = situation.settings
    ours = _changes(situation, plan)
    for mode in MODES:
        if mode != settings.mode:
            there = replace(situation, settings=replace(settings, mode=mode))
            others = _changes(there, decide(there))
            more, less = [c for c in others if c not in ours], [c for c in ours if c not in others]
            parts = (("also", more), ("not", less))
            if more or less:
                yield mode, "; ".join(f"{name}: {', '.join(changes)}" for name, changes in parts if changes)


def finding_lines(finding: Finding) -> Iterator[str]:
    """Yield what ``finding`` says, what is to do about it, and the document that it is taken from."""
    yield f"{finding.place} {finding.code} {finding.level} {finding.message}"
    yield f"    {'done' if finding.applied else 'to do'}: {finding.remedy}"
    rule = find_rule(finding.code)
    if rule is not None:
        yield f"    source: {rule.source}"


def assignment(variable: str, value: str | None) -> str:
    """Return a setting as it would be written in a shell, more or less."""
    return f"unset {variable}" if value is None else f"{variable}={value}"


def _changes(situation: Situation, plan: Plan) -> list[str]:
    """Return what ``plan`` changes in a process, in words that can be compared."""
    changes = [assignment(setting.variable, setting.value) for setting in plan.settings]
    if plan.jit_compile is not None:
        changes.append(f"jit_compile={plan.jit_compile} where none is given")
    if plan.steps_per_execution is not None:
        changes.append(f"steps_per_execution={plan.steps_per_execution} where none is given")
    changes += [f"import {name} before keras" for name in plan.import_first]
    changes += [f"import {alias} gives {target}" for alias, target in plan.alias.items()]
    settings, is_open = situation.settings, situation.usage.jit_compile is None and plan.jit_compile is None
    on_tensorflow = "tensorflow" in situation.versions and plan.path.backend == "tensorflow"
    trains = plan.path.keras != 0 and plan.path.step is None
    # On an accelerator a trial has to be asked for.
    times = settings.trial and ("trial" in settings.places or situation.hardware.accelerator != "present")
    if settings.mode == "auto" and times and not plan.no_xla_because and is_open and on_tensorflow and trains:
        changes.append("timing paths in training")
    return changes


# --- In a notebook


class Explanation(str):
    """A text that Jupyter shows as tables, those of ``html``, and IPython at a terminal as it is printed."""

    html = ""

    def _repr_html_(self) -> str:
        return self.html

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 - IPython's protocol
        printer.text(self.rstrip("\n"))


def render_html(title: str, sections: Iterable[Section], findings: Sequence[Row]) -> str:
    """Return one table: a section for each part of the plan, and one for the findings.

    A finding is a row of its code and level, and of what it says in some lines. All text is escaped.
    """
    parts = [f'<caption style="{_TITLE}"><b>{escape(title)}</b></caption>']
    for name, rows in (*sections, ("Findings", findings or [("none", "")])):
        parts.append(f'<tbody><tr><th colspan="2" style="{_TITLE}">{escape(name)}</th></tr>')
        for row in rows:
            cells = "".join(f'<td style="{_CELL}">{escape(text)}</td>' for text in row)
            parts.append(f"<tr>{cells}</tr>")
        parts.append("</tbody>")
    return f"<table>{''.join(parts)}</table>"
