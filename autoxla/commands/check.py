"""``python -m autoxla check PATH…``: find hazards in programs without running them."""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import replace

from autoxla.commands.terminal import as_line, is_ignored, is_left, print_text
from autoxla.lookahead.files import LIMIT
from autoxla.lookahead.library import read_paths
from autoxla.lookahead.notebook import NotANotebookError, read_standing
from autoxla.model import ENVIRONMENT, Finding, Place
from autoxla.planning import read_subject, with_reading
from autoxla.policies import decide
from autoxla.report import finding_data
from autoxla.running import subject_from, subject_of
from autoxla.settings import read_settings
from autoxla.situation.environment import read_environ
from autoxla.situation.files import UnreadableError, read_bytes
from autoxla.situation.gathering import gather

_GITHUB_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def run(options: argparse.Namespace) -> int:
    """Check the program or all below the paths that ``options`` name; return the exit status."""
    if options.words:
        subject = subject_from(options.words)
    else:
        folder = options.paths[0].resolve()
        subject = subject_of(None, (), folder if folder.is_dir() else folder.parent)
    environ = read_environ()
    settings, usage = read_settings(subject.folder, environ)
    # What is set at run time, or whether, is another question than what is wrong with a program.
    settings = replace(
        settings,
        mode="observe",
        select=options.select or settings.select,
        ignore=(*settings.ignore, *options.ignore),
    )
    situation = gather(settings, usage, environ=environ, path=subject.path)
    found: list[Finding] = []
    for reading in [read_subject(subject, environ)] if options.words else read_paths(options.paths).values():
        found += [
            Finding("AX905", "info", f"not read: {reason}", "nothing was checked there", place)
            for place, reason in reading.unread
            # All else is about single imports: computed, or of files that are read by themselves.
            if reason.startswith("it ")
        ]
        # A file that says nothing of Keras or TensorFlow is no program of ours.
        if reading.evidence:
            found += decide(with_reading(situation, reading, None, subject.path)).findings
    findings = [
        finding
        for finding in dict.fromkeys(found)
        if settings.shows(finding.code)
        and not is_ignored(line_of(finding.place), finding.code)
        and (is_left(finding) or not options.quiet)
    ]
    if options.format == "json":
        print(json.dumps([finding_data(finding) for finding in findings], indent=2))
    elif options.format == "github":
        sys.stdout.writelines(f"{_github(finding)}\n" for finding in findings)
    else:
        print_text("".join(f"{as_line(finding)}\n" for finding in findings))
    if any(finding.bad_input for finding in findings):
        return 2
    return 1 if any(finding.level == "error" for finding in findings) else 0


def line_of(place: Place) -> str:
    """Return the text of the line that ``place`` names, empty where there is none."""
    if place.line is None:
        return ""
    file, _, cell = place.file.partition(":cell ")
    try:
        content = read_bytes(file, LIMIT) or b""
        cells = {each.number: each.text or "" for each in read_standing(content)} if cell else {}
    except (UnreadableError, NotANotebookError):
        return ""
    text = cells.get(int(cell), "") if cell else content.decode("utf-8", "replace")
    lines = text.splitlines()
    return lines[place.line - 1] if 0 < place.line <= len(lines) else ""


def _github(finding: Finding) -> str:
    """Return ``finding`` as a workflow command of GitHub's, which shows it beside the line."""

    def escape(text: str, also: str = "") -> str:
        return re.sub(f"[%\r\n{also}]", lambda found: f"%{ord(found[0]):02X}", text)

    place = finding.place
    where = [] if place == ENVIRONMENT else [f"file={escape(place.file, ',:')}"]
    where += [f"line={place.line}"] if place.line else []
    where += [f"col={place.column}"] if place.column else []
    text = escape(f"{finding.message}; {finding.remedy}")
    return f"::{_GITHUB_LEVELS[finding.level]} {','.join([*where, f'title={finding.code}'])}::{text}"
