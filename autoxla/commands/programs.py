"""What the commands that look at programs have in common: how findings and lines are shown."""

from __future__ import annotations

from autoxla.lookahead.files import LIMIT
from autoxla.lookahead.notebook import NotANotebookError, read_cells
from autoxla.model import Finding, Place
from autoxla.notice import printable
from autoxla.situation.files import UnreadableError, read_bytes


def is_left(finding: Finding) -> bool:
    """Return whether ``finding`` is an error that nothing cures: what is told under ``--quiet``."""
    return finding.level == "error" and not finding.applied


def as_line(finding: Finding) -> str:
    """Return ``finding`` as ``path:line:col CODE level message; remedy``, all of it on one line."""
    return printable(f"{finding.place} {finding.code} {finding.level} {finding.message}; {finding.remedy}")


def line_of(place: Place) -> str:
    """Return the text of the line that ``place`` names, empty where there is none."""
    if place.line is None:
        return ""
    file, _, cell = place.file.partition(":cell ")
    try:
        content = read_bytes(file, LIMIT) or b""
        cells = dict(read_cells(content)) if cell else {}
    except (UnreadableError, NotANotebookError):
        return ""
    text = cells.get(int(cell), "") if cell else content.decode("utf-8", "replace")
    lines = text.splitlines()
    return lines[place.line - 1] if 0 < place.line <= len(lines) else ""
