"""``python -m autoxla explain [PROGRAM [ARGUMENTS]]``: what autoxla would do here, and why.

Shows the plan for the environment in which it is called, and for PROGRAM if one is given: what python takes
(a script, a folder, a zip file, -m MODULE, -c CODE), or a notebook. It tells what the program is, what would
be set and why, what is left alone, what earlier runs measured, and what other modes would do. Runs nothing,
imports no backend.

--quiet leaves only the findings of level error that nothing cures. Exit status: 0, or 2 where a setting, a
flag variable or an argument is bad.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from autoxla.commands.arguments import BadArgumentsError, HelpFormatter, Parser, add_quiet, parse
from autoxla.commands.programs import as_line, is_left
from autoxla.commands.terminal import find_width, fold, print_text
from autoxla.facts import Finding, Plan, Situation
from autoxla.notice import printable, say
from autoxla.planning import Planned, assemble, name_command, subject_from
from autoxla.records import Record, Store
from autoxla.report import NoTemplateEngineError, as_data, page_data, write_page
from autoxla.report.story import Row, Section, finding_lines, situation_data, tell
from autoxla.report.table import Explanation, render_html
from autoxla.settings import BadSettingError
from autoxla.situation.environment import read_environ
from autoxla.situation.machine import digest, identity
from autoxla.trial.decisions import decisions_folder

USAGE = "usage: python -m autoxla explain [--json] [--html FILE] [--quiet] [PROGRAM [ARGUMENTS]]"
#: Characters of a name that make a column wider.
_LONGEST_NAME = 28
_FINDING_INDENT = " " * 8
#: Steps whose records are told.
_MOST = 4
_MEASURED = "Measured in earlier runs"


def main(argv: list[str]) -> int:
    """Print the plan for the program in ``argv``; return the exit status."""
    try:
        options, words = parse(_parser(), argv)
        subject = subject_from(words)
        planned = assemble(subject, read_environ())
    except BadArgumentsError as error:
        say(f"AX902 error arguments: {error}; {USAGE}")
        return 2
    except BadSettingError as error:
        say(str(error))
        return 2
    program = name_command(subject.program)
    measured = list(_measured_rows(program, planned.situation))
    try:
        _show(options, program, planned, measured)
    except (OSError, NoTemplateEngineError) as error:
        say(f"AX902 error {options.html}: {getattr(error, 'strerror', None) or error}")
        return 2
    return 2 if any(finding.bad_input for finding in planned.findings) else 0


def explain() -> str:
    """Return what autoxla decided in this process, or would decide if nothing is imported yet, as text.

    A notebook shows it as a table.
    """
    from autoxla import runtime

    current = runtime.current()
    if current.situation is not None:
        return _explain(current.situation, current.plan, current.findings)
    planned = runtime.plan_anew()
    return _explain(planned.situation, planned.plan, planned.findings)


def render(
    situation: Situation, parts: Sequence[Section], findings: Sequence[Finding], width: int = 0
) -> str:
    """Return the parts of a story and the findings as text, folded to ``width`` columns if there is one."""
    lines = [_title(situation)]
    for name, rows in parts:
        lines += ["", name, *_table(rows, width)]
    lines += ["", "Findings"]
    told = [printable(line) for finding in findings for line in finding_lines(finding)]
    lines += [fold(f"  {line}", width, _FINDING_INDENT) for line in told] or ["  none"]
    return "\n".join(lines) + "\n"


def _parser() -> Parser:
    parser = Parser(
        prog="python -m autoxla explain",
        usage="%(prog)s [OPTIONS] [PROGRAM [ARGUMENTS]]",
        description=__doc__,
        formatter_class=HelpFormatter,
        epilog="example: python -m autoxla explain --html plan.html train.py",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the plan to FILE, as one page")
    add_quiet(parser, "print only errors; with --json or --html nothing beside these")
    return parser


def _explain(situation: Situation, plan: Plan, findings: Sequence[Finding]) -> Explanation:
    parts = tell(situation, plan)
    html = render_html(_title(situation), parts, [_finding_row(finding) for finding in findings])
    return Explanation(render(situation, parts, findings), html)


def _title(situation: Situation) -> str:
    return f"autoxla, mode {situation.settings.mode}"


def _show(options: argparse.Namespace, program: str, planned: Planned, measured: list[Row]) -> None:
    situation, plan, findings = planned.situation, planned.plan, planned.findings
    data = as_data(situation, plan, findings)
    if options.html is not None:
        page = page_data(situation, plan, data, program)
        write_page(options.html, {**page, "story": {**dict(tell(situation, plan)), _MEASURED: measured}})
    if options.json:
        told = {"situation": situation_data(situation), "measured": dict(measured)}
        print(json.dumps({**data, **told}, indent=2))
    elif options.quiet:
        sys.stdout.writelines(f"{as_line(f)}\n" for f in findings if is_left(f))
    elif options.html is not None:
        print(printable(str(options.html)))
    else:
        parts = tell(situation, plan)
        parts[2:2] = [(_MEASURED, measured)] if measured else []
        print_text(render(situation, parts, findings, find_width()))


def _measured_rows(program: str, situation: Situation) -> Iterator[Row]:
    """Yield what tuning and the last trials of the program found on this machine, the newest first."""
    tuned = situation.tuned
    if tuned is not None:
        gain = (
            f", {tuned.speedup:.3g} times as fast as the default"
            if tuned.speedup > 1
            else ": nothing was faster"
        )
        yield "tuned", f"{tuned.path}{gain}, {tuned.date}"
    here, stored = digest(identity()), Store(decisions_folder(read_environ())).list() if program else []
    records = [r for r in stored if _is_about(r, program, here)]
    for record in sorted(records, key=_date, reverse=True)[:_MOST]:
        name = record.data.get("model")
        yield printable(name) if isinstance(name, str) and name else "model", _tell_record(record.data)


def _is_about(record: Record, name: str, machine: str) -> bool:
    program = record.data.get("program")
    is_here = record.data.get("machine_digest") == machine
    # It was named from where it was started, which may have been elsewhere.
    return is_here and isinstance(program, str) and Path(program).name == Path(name).name


def _date(record: Record) -> str:
    return str(record.data.get("date", ""))


def _tell_record(data: Mapping[str, object]) -> str:
    if "failed" in data:
        return printable(f"XLA failed: {data['failed']}")
    times = [
        f"{path} {data[f'{path}_ms']:.3g} ms" for path in ("graph", "xla") if _is_time(data.get(f"{path}_ms"))
    ]
    won = f"{data.get('winner')} was faster" + (" on copies, beside training" if data.get("shadow") else "")
    return printable(", ".join([won, *times, str(data.get("date", ""))[:10]]))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finding_row(finding: Finding) -> Row:
    said, *rest = finding_lines(finding)
    place, message = f"{finding.place}", said.partition(f" {finding.level} ")[2]
    lines = [f"{place}: {message}", *(line.strip() for line in rest)]
    return f"{finding.code} {finding.level}", "\n".join(lines)


def _table(rows: Sequence[Row], width: int) -> list[str]:
    # One long name, a file's, must not push all values to the right.
    names = [len(name) for name, _ in rows]
    column = max((size for size in names if size <= _LONGEST_NAME), default=min(names))
    lines = [printable(f"  {name:<{column}}  {value}") for name, value in rows]
    return [fold(line, width, " " * (column + 4)) for line in lines]
