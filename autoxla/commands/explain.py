"""What autoxla would do here, and why: ``python -m autoxla explain [SCRIPT]``.

Shows the plan for the environment in which it is called, and for SCRIPT if one is given: a file, a
notebook, a folder or a zip file. It tells what the program is, what would be set and why, what is left
alone, what earlier runs measured, and what other modes would do. Runs nothing, imports no backend.

Exit status: 0, or 2 where a setting, a flag variable or an argument is bad.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autoxla.commands.arguments import BadArgumentsError, Parser
from autoxla.commands.explanation import Explanation, render_html
from autoxla.commands.programs import BAD_INPUT, folder_of, gather_for, read_script, with_reading
from autoxla.facts import Finding, Plan, Situation
from autoxla.lookahead import Program, read_program
from autoxla.notice import say
from autoxla.policies import decide
from autoxla.records import Record, Store
from autoxla.report import as_data, page_data, write_page
from autoxla.settings import BadSettingError
from autoxla.situation.machine import digest, identity
from autoxla.story import Row, Section, finding_lines, situation_data, tell
from autoxla.trial.decisions import decisions_folder
from autoxla.tuned import recall as recall_tuned

USAGE = "usage: python -m autoxla explain [--json] [--html FILE] [SCRIPT]"
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


def render(situation: Situation, parts: Sequence[Section], findings: Sequence[Finding]) -> str:
    """Return the parts of a story and the findings as text."""
    lines = [_title(situation)]
    for name, rows in parts:
        lines += ["", name, *_table(rows)]
    lines += ["", "Findings"]
    lines += [f"  {line}" for finding in findings for line in finding_lines(finding)] or ["  none"]
    return "\n".join(lines) + "\n"


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = Parser(
        prog="python -m autoxla explain",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python -m autoxla explain --html plan.html train.py",
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the plan to FILE, as one page")
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
    if script is not None:
        situation = recall_tuned(with_reading(situation, read_script(script)), (), os.environ)
    return situation, decide(situation)


def _show(options: argparse.Namespace, situation: Situation, plan: Plan, measured: list[Row]) -> None:
    data = as_data(situation, plan, plan.findings)
    if options.html is not None:
        page = page_data(situation, plan, data, "" if options.script is None else str(options.script))
        write_page(options.html, {**page, "story": {**dict(tell(situation, plan)), _MEASURED: measured}})
    if options.json:
        told = {"situation": situation_data(situation), "measured": dict(measured)}
        print(json.dumps({**data, **told}, indent=2))
    elif options.html is not None:
        print(options.html)
    else:
        parts = tell(situation, plan)
        parts[2:2] = [(_MEASURED, measured)] if measured else []
        _print(render(situation, parts, plan.findings))


def _print(text: str) -> None:
    """Print ``text``, on a terminal with colours if rich is installed, which looks at NO_COLOR itself."""
    if not (sys.stdout.isatty() and _print_coloured(text)):
        print(text, end="")


def _print_coloured(text: str) -> bool:
    try:
        from rich.console import Console
        from rich.text import Text
    except ImportError:
        return False
    shown = Text(text)
    shown.highlight_regex(r"(?m)^\S.*$", "bold")
    shown.highlight_regex(r"\bAX\d{3}\b", "cyan")
    for level, colour in (("error", "bold red"), ("warning", "yellow")):
        shown.highlight_regex(rf"(?<=AX\d\d\d ){level}\b", colour)
    shown.highlight_regex(r"(?m)^ +(done|to do):", "bold")
    Console(soft_wrap=True).print(shown, end="")
    return True


def _measured_rows(script: Path, situation: Situation) -> Iterator[Row]:
    """Yield what tuning and the last trials of ``script`` found on this machine, the newest first."""
    tuned = situation.tuned
    if tuned is not None:
        yield "tuned", f"{tuned.path}, {tuned.speedup:.3g} times as fast as the default, {tuned.date}"
    here = digest(identity())
    records = [r for r in Store(decisions_folder(os.environ)).list() if _is_about(r, script, here)]
    for record in sorted(records, key=_date, reverse=True)[:_MOST]:
        name = record.data.get("model")
        yield _printable(name) if isinstance(name, str) and name else "model", _tell_record(record.data)


def _is_about(record: Record, script: Path, machine: str) -> bool:
    program = record.data.get("program")
    is_here = record.data.get("machine_digest") == machine
    # It was named from where it was started, which may have been elsewhere.
    return is_here and isinstance(program, str) and Path(program).name == script.name


def _date(record: Record) -> str:
    return str(record.data.get("date", ""))


def _tell_record(data: Mapping[str, object]) -> str:
    if "failed" in data:
        return _printable(f"XLA failed: {data['failed']}")
    times = [
        f"{path} {data[f'{path}_ms']:.3g} ms" for path in ("graph", "xla") if _is_time(data.get(f"{path}_ms"))
    ]
    won = f"{data.get('winner')} was faster" + (" on copies, beside training" if data.get("shadow") else "")
    return _printable(", ".join([won, *times, str(data.get("date", ""))[:10]]))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _finding_row(finding: Finding) -> Row:
    said, *rest = finding_lines(finding)
    place, message = f"{finding.place}", said.partition(f" {finding.level} ")[2]
    lines = [f"{place}: {message}", *(line.strip() for line in rest)]
    return f"{finding.code} {finding.level}", "\n".join(lines)


def _table(rows: Sequence[Row]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {value}" for name, value in rows]
