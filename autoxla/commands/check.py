"""``python -m autoxla check PATH…``: find hazards in programs without running them.

Reads files, folders and notebooks, and tells what would go wrong with them in this environment. Each file
counts as a program of its own. ``check -m MODULE``, ``check -c CODE`` and ``check -- PROGRAM ARGUMENTS`` look
at one program as python would run it, with the modules of its own that it imports; so does an option behind a
single file that is none of the command's, as in ``check train.py --epochs 5``. Prints ``path:line:col CODE
level message``; with ``--format json`` or ``github`` the same for machines. ``# autoxla: ignore[AX101]`` at
the end of a line silences what is found there, ``select`` and ``ignore`` in ``[tool.autoxla]`` choose codes.

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

from autoxla.commands.arguments import (
    BadArgumentsError,
    HelpFormatter,
    Parser,
    add_quiet,
    require_program,
    split_program,
)
from autoxla.commands.programs import as_line, is_left, line_of
from autoxla.commands.terminal import print_text
from autoxla.facts import ENVIRONMENT, Finding, Place, Plan, Reading, Settings, Situation, Usage
from autoxla.lookahead import read_paths
from autoxla.notice import say
from autoxla.planning import Subject, assemble, subject_from, subject_of, survey, with_reading
from autoxla.policies import decide
from autoxla.report import finding_data
from autoxla.settings import BadSettingError, read_settings
from autoxla.situation.environment import read_environ

USAGE = "usage: python -m autoxla check [OPTIONS] PATH... | [--] PROGRAM [ARGUMENTS]"
_IGNORE = re.compile(r"#\s*autoxla:\s*ignore(?:\[(?P<codes>[\w\s,]*)\])?", re.IGNORECASE)
_GITHUB_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def main(argv: list[str]) -> int:
    """Check what ``argv`` names; return the exit status."""
    parser = _parser()
    own, words = split_program(parser, argv)
    try:
        options = _parse(parser, own, has_program=bool(words))
        require_program(words)
        findings = _check_program(words, options) if words else _check_paths(options)
    except BadArgumentsError as error:
        say(f"AX902 error arguments: {error}; {USAGE}")
        return 2
    except BadSettingError as error:
        say(str(error))
        return 2
    _print([f for f in findings if is_left(f)] if options.quiet else findings, options.format)
    if any(finding.bad_input for finding in findings):
        return 2
    return 1 if any(finding.level == "error" for finding in findings) else 0


def check(paths: Sequence[Path], situation: Situation, path: Sequence[str]) -> Iterator[Finding]:
    """Yield the findings of all programs below ``paths``; what several have in common only once.

    ``path`` stands for ``sys.path``.
    """
    seen: set[Finding] = set()
    for reading in read_paths(paths).values():
        for finding in (*_unread(reading), *_findings(reading, situation, path)):
            if finding not in seen:
                seen.add(finding)
                yield finding


def _check_paths(options: argparse.Namespace) -> list[Finding]:
    folder = options.paths[0].resolve()
    subject = subject_of(None, (), folder if folder.is_dir() else folder.parent)
    settings, usage = _read_settings(subject, options)
    situation = survey(settings, usage, read_environ(), path=subject.path)
    return list(_select(check(options.paths, situation, subject.path), settings))


def _check_program(words: Sequence[str], options: argparse.Namespace) -> list[Finding]:
    subject = subject_from(words)
    settings, usage = _read_settings(subject, options)
    planned = assemble(subject, read_environ(), declared=(settings, usage))
    found = [*_unread(planned.situation.reading), *planned.findings]
    return list(_select(found if planned.situation.reading.evidence else found[:0], settings))


def _read_settings(subject: Subject, options: argparse.Namespace) -> tuple[Settings, Usage]:
    settings, usage = read_settings(subject.folder, read_environ())
    select, ignore = options.select or settings.select, (*settings.ignore, *options.ignore)
    # What is set at run time, or whether, is another question than what is wrong with a program.
    return replace(settings, mode="observe", select=select, ignore=ignore), usage


def _parser() -> Parser:
    parser = Parser(
        prog="python -m autoxla check",
        usage="%(prog)s [OPTIONS] PATH... | [--] PROGRAM [ARGUMENTS]",
        description=__doc__,
        formatter_class=HelpFormatter,
        epilog="example: python -m autoxla check --ignore AX1 src train.py",
        allow_abbrev=False,
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="file, folder or notebook")
    formats = ("text", "json", "github")
    parser.add_argument("--format", choices=formats, default="text", help="how findings are written; text")
    parser.add_argument("--select", type=_codes, default=(), metavar="CODES", help="only these, as AX101,AX2")
    parser.add_argument("--ignore", type=_codes, default=(), metavar="CODES", help="all but these")
    add_quiet(parser, "print only findings of level error")
    return parser


def _parse(parser: Parser, argv: Sequence[str], *, has_program: bool) -> argparse.Namespace:
    options = parser.parse_args(argv)
    if bool(options.paths) == has_program:
        raise BadArgumentsError("name paths, or one program")
    missing = [path for path in options.paths if not path.exists()]
    if missing:
        raise BadArgumentsError(f"{missing[0]}: there is no such file or folder")
    return options


def _codes(text: str) -> tuple[str, ...]:
    codes = tuple(code.strip().upper() for code in text.split(","))
    if all(code.startswith("AX") for code in codes):
        return codes
    raise argparse.ArgumentTypeError(f"{text!r}: codes begin with AX")


def _findings(reading: Reading, situation: Situation, path: Sequence[str]) -> Iterable[Finding]:
    # A file that says nothing of Keras or TensorFlow is no program of ours.
    if not reading.evidence:
        return ()
    plan: Plan = decide(with_reading(situation, reading, None, path))
    return plan.findings


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
