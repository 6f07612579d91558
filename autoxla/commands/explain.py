"""``python -m autoxla explain`` and `autoxla.explain`: what autoxla would do here, and why."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from autoxla.commands import CommandError
from autoxla.commands.records import read_times
from autoxla.commands.terminal import as_line, find_width, fold, is_left, print_text
from autoxla.model import Finding, Situation
from autoxla.notice import printable
from autoxla.planning import assemble
from autoxla.report import NoTemplateEngineError, as_data, page_data, write_page
from autoxla.report.story import (
    Explanation,
    Row,
    Section,
    finding_lines,
    render_html,
    situation_data,
    tell,
)
from autoxla.running import name_command, subject_from
from autoxla.situation.environment import read_environ
from autoxla.situation.hardware import digest, identity
from autoxla.store import Store
from autoxla.trial.decisions import decisions_folder

#: Characters of a name that make a column wider.
_LONGEST_NAME = 28
_FINDING_INDENT = " " * 8
#: Steps whose records are told.
_MOST = 4
_MEASURED = "Measured in earlier runs"


def run(options: argparse.Namespace) -> int:
    """Print the plan for the program that ``options`` name; return the exit status."""
    subject = subject_from(options.words)
    planned = assemble(subject, read_environ())
    situation, plan, findings = planned.situation, planned.plan, planned.findings
    program = name_command(subject.program)
    parts, measured = tell(situation, plan), list(_measured_rows(program, situation))
    data = as_data(situation, plan, findings)
    if options.html is not None:
        page = page_data(situation, plan, data, program)
        try:
            write_page(options.html, {**page, "story": {**dict(parts), _MEASURED: measured}})
        except (OSError, NoTemplateEngineError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CommandError(f"{options.html}: {reason}") from error
    if options.json:
        told = {"situation": situation_data(situation), "measured": dict(measured)}
        print(json.dumps({**data, **told}, indent=2))
    elif options.quiet:
        sys.stdout.writelines(f"{as_line(f)}\n" for f in findings if is_left(f))
    elif options.html is not None:
        print(printable(str(options.html)))
    else:
        parts[2:2] = [(_MEASURED, measured)] if measured else []
        print_text(_render(situation, parts, findings, find_width()))
    return 2 if any(finding.bad_input for finding in findings) else 0


def explain() -> str:
    """Return what autoxla decided in this process, or would decide if nothing is imported yet, as text.

    A notebook shows it as a table.
    """
    from autoxla import runtime

    known = runtime.current()
    if known.situation is None:
        planned = runtime.plan_anew()
        situation, plan, findings = planned.situation, planned.plan, planned.findings
    else:
        situation, plan, findings = known.situation, known.plan, tuple(known.findings)
    parts = tell(situation, plan)
    rows = []
    for each in findings:
        _, *rest = finding_lines(each)
        lines = [f"{each.place}: {each.message}", *(line.strip() for line in rest)]
        rows.append((f"{each.code} {each.level}", "\n".join(lines)))
    told = Explanation(_render(situation, parts, findings))
    told.html = render_html(_title(situation), parts, rows)
    return told


def _title(situation: Situation) -> str:
    return f"autoxla, mode {situation.settings.mode}"


def _render(
    situation: Situation, parts: Sequence[Section], findings: Sequence[Finding], width: int = 0
) -> str:
    """Return the parts of a story and the findings as text, folded to ``width`` columns if there is one."""
    lines = [_title(situation)]
    for title, rows in parts:
        # One long name, a file's, must not push all values to the right.
        sizes = [len(name) for name, _ in rows]
        column = max((size for size in sizes if size <= _LONGEST_NAME), default=min(sizes))
        texts = [printable(f"  {name:<{column}}  {value}") for name, value in rows]
        lines += ["", title, *(fold(text, width, " " * (column + 4)) for text in texts)]
    told = [printable(line) for finding in findings for line in finding_lines(finding)]
    lines += ["", "Findings"]
    lines += [fold(f"  {line}", width, _FINDING_INDENT) for line in told] or ["  none"]
    return "\n".join(lines) + "\n"


def _measured_rows(program: str, situation: Situation) -> Iterator[Row]:
    """Yield what tuning and the last trials of the program found on this machine, the newest first."""
    tuned = situation.tuned
    if tuned is not None:
        faster = f", {tuned.speedup:.3g} times as fast as the default"
        gain = faster if tuned.speedup > 1 else ": nothing was faster"
        yield "tuned", f"{tuned.path}{gain}, {tuned.date}"
    here, stored = digest(identity()), Store(decisions_folder(read_environ())).list() if program else []
    found = []
    for record in stored:
        name, machine = record.data.get("program"), record.data.get("machine_digest")
        # It was named from where it was started, which may have been elsewhere.
        if isinstance(name, str) and Path(name).name == Path(program).name and machine == here:
            found.append(record.data)
    for data in sorted(found, key=lambda data: str(data.get("date", "")), reverse=True)[:_MOST]:
        model = data.get("model")
        name = printable(model) if isinstance(model, str) and model else "model"
        if "failed" in data:
            yield name, printable(f"XLA failed: {data['failed']}")
            continue
        won = f"{data.get('winner')} was faster"
        won += " on copies, beside training" if data.get("shadow") else ""
        yield name, printable(", ".join([won, *read_times(data), str(data.get("date", ""))[:10]]))
