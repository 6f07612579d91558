"""Source text: positions, edits, and what a comment asks for."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from dataclasses import dataclass

_END = re.compile(r"\r\n|\n|\r")
_IGNORE = re.compile(r"#\s*autoxla:\s*ignore\s*(?:\[([^\]]*)\])?", re.IGNORECASE)
#: The codes of this command, as they stand in ``# autoxla: ignore[AX121]``.
_OWN_CODE = re.compile(r"AX12\d?$")


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Replace the characters from ``start`` to ``end`` by ``text``; an insertion where both are equal."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """What cannot be done safely. ``line`` and ``column`` count from 1."""

    line: int
    column: int
    code: str
    message: str


class OverlapError(ValueError):
    """Two edits want the same characters."""


class Lines:
    """The lines of a text, as Python's tokeniser counts them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(found.end() for found in _END.finditer(text))]

    def offset(self, line: int, column: int) -> int:
        """Return the place in the text of a line counted from 1 and a column counted from 0."""
        return self.starts[line - 1] + column

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column, both counted from 1."""
        line = bisect.bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def end_of(self, offset: int) -> int:
        """Return where the line of ``offset`` ends, before its newline."""
        found = _END.search(self.text, offset)
        return found.start() if found else len(self.text)

    def indentation(self, offset: int) -> str:
        """Return the white space before the first word of the line of ``offset``."""
        start = self.starts[self.place(offset)[0] - 1]
        found = re.compile(r"[ \t\f]*").match(self.text, start)
        return found[0] if found else ""

    @property
    def newline(self) -> str:
        """The newline that the text uses first."""
        found = _END.search(self.text)
        return found[0] if found else "\n"

    def is_left_alone(self, offset: int) -> bool:
        """Tell whether a comment ``# autoxla: ignore[…]`` on the line means this command."""
        start = self.starts[self.place(offset)[0] - 1]
        found = _IGNORE.search(self.text, start, self.end_of(offset))
        if not found:
            return False
        codes = [code.strip() for code in (found[1] or "").split(",") if code.strip()]
        return not codes or any(_OWN_CODE.match(code) for code in codes)


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """Return ``text`` with ``edits`` made, those at one place in their order. Raises `OverlapError`."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < at:
            raise OverlapError(f"edits overlap at character {edit.start}")
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, text[at:]])
