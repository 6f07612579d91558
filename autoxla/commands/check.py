"""``python -m autoxla check PATH…``: find hazards in programs without running them.

Reads files, folders and notebooks, and tells what would go wrong with them in this environment. Each
file counts as a program of its own. Prints ``path:line:col CODE level message``; with ``--format
json`` or ``github`` the same for machines. ``# autoxla: ignore[AX101]`` at the end of a line silences
what is found there, ``select`` and ``ignore`` in ``[tool.autoxla]`` choose codes.

Exit status: 0 where there is no finding of level error, 1 where there is, 2 on bad usage and on flag
variables that cannot be parsed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from autoxla.commands.arguments import HelpFormatter, add_quiet
from autoxla.commands.programs import (
    BAD_INPUT,
    as_line,
    folder_of,
    gather_for,
    is_left,
    line_of,
    with_reading,
)
from autoxla.commands.terminal import print_text
from autoxla.facts import ENVIRONMENT, Finding, Place, Reading, Settings, Situation
from autoxla.lookahead import read_paths
from autoxla.notice import say
from autoxla.policies import decide
from autoxla.report import finding_data
from autoxla.settings import BadSettingError

_IGNORE = re.compile(r"#\s*autoxla:\s*ignore(?:\[(?P<codes>[\w\s,]*)\])?", re.IGNORECASE)
_GITHUB_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def main(argv: list[str]) -> int:
    """Check what ``argv`` names; return the exit status."""
    options = _parse(argv)
    missing = [path for path in options.paths if not path.exists()]
    if missing:
        say(f"AX902 error {missing[0]}: there is no such file or folder")
        return 2
    try:
        situation = gather_for(folder_of(options.paths[0]))
    except BadSettingError as error:
        say(str(error))
        return 2
    settings = _with_options(situation.settings, options)
    # What is set at run time, or whether, is another question than what is wrong with a program.
    situation = replace(situation, settings=replace(settings, mode="observe"))
    findings = list(_select(check(options.paths, situation), settings))
    _print([f for f in findings if is_left(f)] if options.quiet else findings, options.format)
    if any(finding.code in BAD_INPUT for finding in findings):
        return 2
    return 1 if any(finding.level == "error" for finding in findings) else 0


def check(paths: Sequence[Path], situation: Situation) -> Iterator[Finding]:
    """Yield the findings of all programs below ``paths``; what several have in common only once."""
    seen: set[Finding] = set()
    for reading in read_paths(paths).values():
        for finding in (*_unread(reading), *_findings(reading, situation)):
            if finding not in seen:
                seen.add(finding)
                yield finding


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m autoxla check",
        description=__doc__,
        formatter_class=HelpFormatter,
        epilog="example: python -m autoxla check --ignore AX1 src train.py",
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="file, folder or notebook")
    formats = ("text", "json", "github")
    parser.add_argument("--format", choices=formats, default="text", help="how findings are written; text")
    parser.add_argument("--select", type=_codes, default=(), metavar="CODES", help="only these, as AX101,AX2")
    parser.add_argument("--ignore", type=_codes, default=(), metavar="CODES", help="all but these")
    add_quiet(parser, "print only findings of level error")
    return parser.parse_args(argv)


def _codes(text: str) -> tuple[str, ...]:
    codes = tuple(code.strip().upper() for code in text.split(","))
    if all(code.startswith("AX") for code in codes):
        return codes
    raise argparse.ArgumentTypeError(f"{text!r}: codes begin with AX")


def _with_options(settings: Settings, options: argparse.Namespace) -> Settings:
    return replace(
        settings, select=options.select or settings.select, ignore=(*settings.ignore, *options.ignore)
    )


def _findings(reading: Reading, situation: Situation) -> Iterable[Finding]:
    # A file that says nothing of Keras or TensorFlow is no program of ours.
    return decide(with_reading(situation, reading)).findings if reading.evidence else ()


def _unread(reading: Reading) -> Iterator[Finding]:
    for place, reason in reading.unread:
        # All else is about single imports: computed, or of files that have a turn of their own.
        if reason.startswith("it "):
            yield Finding("AX905", "info", f"not read: {reason}", "nothing was checked there", place)


def _select(findings: Iterable[Finding], settings: Settings) -> Iterator[Finding]:
    for finding in findings:
        if settings.shows(finding.code) and not _is_silenced(finding):
            yield finding


def _is_silenced(finding: Finding) -> bool:
    comment = _IGNORE.search(line_of(finding.place))
    if comment is None:
        return False
    codes = comment["codes"]
    return codes is None or finding.code in [code.strip().upper() for code in codes.split(",")]


def _print(findings: Sequence[Finding], style: str) -> None:
    if style == "json":
        print(json.dumps([finding_data(finding) for finding in findings], indent=2))
        return
    if style == "github":
        sys.stdout.writelines(f"{_github(finding)}\n" for finding in findings)
        return
    print_text("".join(f"{as_line(finding)}\n" for finding in findings))


def _github(finding: Finding) -> str:
    place: Place = finding.place
    where = [] if place == ENVIRONMENT else [f"file={_escape(place.file, ',:')}"]
    where += [f"line={place.line}"] if place.line else []
    where += [f"col={place.column}"] if place.column else []
    text = _escape(f"{finding.message}; {finding.remedy}")
    return f"::{_GITHUB_LEVELS[finding.level]} {','.join([*where, f'title={finding.code}'])}::{text}"


def _escape(text: str, also: str = "") -> str:
    for character in "%\r\n" + also:
        text = text.replace(character, f"%{ord(character):02X}")
    return text
