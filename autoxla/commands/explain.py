"""``python -m autoxla explain [SCRIPT]``: what autoxla would do here, and why.

Shows the plan for the environment in which it is called, and for SCRIPT if one is given: a file, a
notebook, a folder or a zip file. It tells what the program is, what would be set and why, what is left
alone, what earlier runs measured, and what other modes would do. Runs nothing, imports no backend.

--quiet leaves only the findings of level error that nothing cures. Exit status: 0, or 2 where a setting, a
flag variable or an argument is bad.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autoxla.commands.arguments import BadArgumentsError, HelpFormatter, Parser, add_quiet
from autoxla.commands.explanation import Explanation, render_html
from autoxla.commands.programs import (
    BAD_INPUT,
    as_line,
    folder_of,
    gather_for,
    is_left,
    learned_store,
    read_script,
    with_reading,
)
from autoxla.commands.terminal import find_width, fold, print_text
from autoxla.facts import Finding, Plan, Situation
from autoxla.lookahead import Program, read_program
from autoxla.notice import printable, say
from autoxla.policies import decide
from autoxla.records import Record, Store
from autoxla.report import as_data, page_data, write_page
from autoxla.session import list_ignored
from autoxla.settings import BadSettingError
from autoxla.situation.machine import digest, identity
from autoxla.story import Row, Section, finding_lines, situation_data, tell
from autoxla.trial.decisions import decisions_folder
from autoxla.tuned import programs_folder
from autoxla.tuned import recall as recall_tuned

USAGE = "usage: python -m autoxla explain [--json] [--html FILE] [--quiet] [SCRIPT]"
#: Characters of a name that make a column wider.
_LONGEST_NAME = 28
_FINDING_INDENT = " " * 8
#: Steps whose records are told.
_MOST = 4
_MEASURED = "Measured in earlier runs"


def main(argv: list[str]) -> int:
    """Print the plan for the script in ``argv``; return the exit status."""
    try:
        options = _parse(argv)
        if options.script is not None and not options.script.exists():
            say(f"AX902 error {options.script}: there is no such file; {USAGE}")
            return 2
        situation, plan = _plan_for(options.script)
    except BadArgumentsError as error:
        say(f"AX902 error arguments: {error}; {USAGE}")
        return 2
    except BadSettingError as error:
        say(str(error))
        return 2
    measured = [] if options.script is None else list(_measured_rows(options.script, situation))
    try:
        _show(options, situation, plan, measured)
    except OSError as error:
        say(f"AX902 error {options.html}: {error.strerror or error}")
        return 2
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


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="python -m autoxla explain",
        description=__doc__,
        formatter_class=HelpFormatter,
        epilog="example: python -m autoxla explain --html plan.html train.py",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the plan to FILE, as one page")
    add_quiet(parser, "print only errors; with --json or --html nothing beside these")
    parser.add_argument("script", nargs="?", type=Path, metavar="SCRIPT", help="the program to plan for")
    return parser.parse_args(argv)


def _explain(situation: Situation, plan: Plan, findings: Sequence[Finding]) -> Explanation:
    parts = tell(situation, plan)
    html = render_html(_title(situation), parts, [_finding_row(finding) for finding in findings])
    return Explanation(render(situation, parts, findings), html)


def _title(situation: Situation) -> str:
    return f"autoxla, mode {situation.settings.mode}"


def _plan_for_cells(cells: Program) -> tuple[Situation, Plan]:
    from autoxla.session import find_shell

    situation = with_reading(gather_for(cells.folder), read_program(cells))
    situation = replace(situation, restart=find_shell())
    return situation, decide(situation)


def _plan_for(script: Path | None) -> tuple[Situation, Plan]:
    situation = gather_for(Path.cwd() if script is None else folder_of(script))
    if script is None:
        return situation, decide(situation)
    learned, programs = learned_store(os.environ), Store(programs_folder(os.environ))
    situation = with_reading(situation, read_script(script, learned))
    situation = recall_tuned(situation, (), os.environ, programs)
    plan = decide(situation)
    return situation, replace(plan, findings=(*plan.findings, *list_ignored(learned, programs)))


def _show(options: argparse.Namespace, situation: Situation, plan: Plan, measured: list[Row]) -> None:
    data = as_data(situation, plan, plan.findings)
    if options.html is not None:
        page = page_data(situation, plan, data, "" if options.script is None else str(options.script))
        write_page(options.html, {**page, "story": {**dict(tell(situation, plan)), _MEASURED: measured}})
    if options.json:
        told = {"situation": situation_data(situation), "measured": dict(measured)}
        print(json.dumps({**data, **told}, indent=2))
    elif options.quiet:
        sys.stdout.writelines(f"{as_line(f)}\n" for f in plan.findings if is_left(f))
    elif options.html is not None:
        print(printable(str(options.html)))
    else:
        parts = tell(situation, plan)
        parts[2:2] = [(_MEASURED, measured)] if measured else []
        print_text(render(situation, parts, plan.findings, find_width()))


def _measured_rows(script: Path, situation: Situation) -> Iterator[Row]:
    """Yield what tuning and the last trials of ``script`` found on this machine, the newest first."""
    tuned = situation.tuned
    if tuned is not None:
        gain = (
            f", {tuned.speedup:.3g} times as fast as the default"
            if tuned.speedup > 1
            else ": nothing was faster"
        )
        yield "tuned", f"{tuned.path}{gain}, {tuned.date}"
    here = digest(identity())
    records = [r for r in Store(decisions_folder(os.environ)).list() if _is_about(r, script, here)]
    for record in sorted(records, key=_date, reverse=True)[:_MOST]:
        name = record.data.get("model")
        yield printable(name) if isinstance(name, str) and name else "model", _tell_record(record.data)


def _is_about(record: Record, script: Path, machine: str) -> bool:
    program = record.data.get("program")
    is_here = record.data.get("machine_digest") == machine
    # It was named from where it was started, which may have been elsewhere.
    return is_here and isinstance(program, str) and Path(program).name == script.name


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
