"""Notebooks: their code cells as one module, and edits put back into the file's own JSON text.

The cells are read together, since a name bound in one is used in another. Lines that are IPython's
and not Python's are held back meanwhile. In the file only the source strings that change are written
anew; all else keeps its characters.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from autoxla.commands.migration.decision import Decision, decide
from autoxla.commands.migration.names import Generation
from autoxla.commands.migration.reading import SourceError, check_syntax
from autoxla.commands.migration.text import Edit, Refusal, apply_edits

_SPACE = re.compile(r"[ \t\r\n]*")
_LITERAL = re.compile(r"[-+.\w]+")
_LINES = re.compile(r"[^\n]*\n|[^\n]+")
#: Only asked of lines that Python refuses.
_MAGIC = re.compile(r"(?:cat|cd|cp|ls|mkdir|mv|pwd|rm)\b|\s*([%!?]|[\w.]+\s*=\s*[%!]|[^#'\"]*\?\s*$)")
_PYTHON_CELLS = re.compile(r"%%(time|timeit|capture|prun)\b")
#: Shell commands, other languages, and help: ``name?``.
_HARMLESS = re.compile(
    r"\s*(\w+\s*=\s*)?(!|\?|[^%].*\?\s*\Z"
    r"|%%?(bash|cd|conda|env|html|latex|mamba|markdown|pip|set_env|sh|sx|uv)\b)"
)
_KERAS = re.compile(r"\b(tf_)?keras\b")


class NotebookError(ValueError):
    """The file is no notebook that can be read; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """A string of the JSON text with the place of its quotes."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell. `number` counts all cells from 1; `span` is the place of its source in the JSON text."""

    number: int
    tokens: tuple[Token, ...]
    span: tuple[int, int]
    listed: bool

    @property
    def source(self) -> str:
        """The cell's text."""
        return "".join(token.value for token in self.tokens)


@dataclass(frozen=True, slots=True)
class Masked:
    """A cell's text with IPython's lines held back. `text` is None where the whole cell is not Python.

    `lead` stands before it where all of the cell is indented, which IPython takes back.
    """

    cell: Cell
    text: str | None
    held: dict[str, str]
    lead: str = ""

    def unmask(self, text: str) -> str:
        """Return ``text`` with the lines that were held back."""
        for mark, line in self.held.items():
            text = text.replace(mark, line)
        return text


@dataclass(frozen=True, slots=True)
class NotebookChange:
    """The file's new text, the cells that change as (number, before, after), and what was refused."""

    text: str
    cells: tuple[tuple[int, str, str], ...]
    refusals: tuple[tuple[int, Refusal], ...]


def migrate_notebook(text: str, target: Generation) -> NotebookChange:
    """Return what to do with the notebook whose JSON is ``text``.

    Raises `NotebookError` where it is none of format 4 or a cell is no Python.
    """
    masked = [_mask(cell) for cell in _code_cells(text)]
    joined, starts = _join(masked)
    decision = decide(joined, target)
    refusals = [*_refusals(decision, joined, masked, starts), *_held_refusals(masked, decision)]
    cells = [] if refusals else list(_changed(masked, starts, decision))
    new = apply_edits(text, [edit for cell, after in cells for edit in _rewrite(text, cell, after)])
    changes = tuple((cell.number, cell.source, after) for cell, after in cells)
    return NotebookChange(new, changes, tuple(sorted(refusals, key=lambda pair: (pair[0], pair[1].line))))


# The JSON text


def _code_cells(text: str) -> list[Cell]:
    data = _load(text)
    if _language(data) not in ("python", "python3", "ipython", ""):
        return []
    _, tree, _ = _scan(text, _SPACE.match(text, 0).end())  # type: ignore[union-attr]
    cells = dict(tree)["cells"][1]
    code = [
        (number, dict(cell)["source"])
        for number, (_, cell, _) in enumerate(cells, 1)
        if dict(cell)["cell_type"][1].value == "code"
    ]
    return [_cell(number, source) for number, source in code]


def _load(text: str) -> Any:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"it is no JSON: {error}") from None
    if not isinstance(data, dict) or not isinstance(data.get("cells"), list):
        raise NotebookError("it is no notebook of format 4: it has no cells")
    if not all(_is_cell(cell) for cell in data["cells"]):
        raise NotebookError("it has a cell without a type or a source")
    return data


def _is_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
        return False
    source = cell.get("source")
    return isinstance(source, str) or (
        isinstance(source, list) and all(isinstance(line, str) for line in source)
    )


def _language(data: dict[str, Any]) -> str:
    metadata = data.get("metadata")
    for key, name in (("language_info", "name"), ("kernelspec", "language")):
        found = metadata.get(key) if isinstance(metadata, dict) else None
        if isinstance(found, dict) and isinstance(found.get(name), str):
            return str(found[name]).lower()
    return ""


def _cell(number: int, source: tuple[int, Any, int]) -> Cell:
    start, value, end = source
    if isinstance(value, Token):
        return Cell(number, (value,), (start, end), listed=False)
    return Cell(number, tuple(token for _, token, _ in value), (start, end), listed=True)


def _scan(text: str, at: int) -> tuple[int, Any, int]:
    """Return where a value of valid JSON starts, the value, and where it ends.

    Objects are lists of (key, scanned value), arrays lists of scanned values, strings tokens.
    """
    if text[at] == '"':
        value, end = scanstring(text, at + 1)
        return at, Token(value, at, end), end
    if text[at] not in "{[":
        found = _LITERAL.match(text, at)
        return at, None, found.end() if found else at + 1
    items: list[Any] = []
    here = _skip(text, at + 1)
    while text[here] not in "}]":
        item, here = _scan_item(text, here, text[at] == "{")
        items.append(item)
        here = _skip(text, here)
        here = _skip(text, here + 1) if text[here] == "," else here
    return at, items, here + 1


def _scan_item(text: str, at: int, keyed: bool) -> tuple[Any, int]:
    key = None
    if keyed:
        key, at = scanstring(text, at + 1)
        at = _skip(text, _skip(text, at) + 1)
    scanned = _scan(text, at)
    return ((key, scanned) if keyed else scanned), scanned[2]


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _rewrite(text: str, cell: Cell, after: str) -> Iterator[Edit]:
    """Yield the edit that gives a cell of the JSON text a new source; lines that stay keep their spelling."""
    ascii_only = text.isascii()
    if not cell.listed:
        yield Edit(*cell.span, json.dumps(after, ensure_ascii=ascii_only))
        return
    lines = _LINES.findall(after)
    old = [token.value for token in cell.tokens]
    spelled = [json.dumps(line, ensure_ascii=ascii_only) for line in lines]
    for first, second, size in difflib.SequenceMatcher(
        None, old, lines, autojunk=False
    ).get_matching_blocks():
        for token, at in zip(cell.tokens[first : first + size], range(second, second + size), strict=True):
            spelled[at] = text[token.start : token.end]
    lead = text[cell.span[0] + 1 : cell.tokens[0].start]
    between = text[cell.tokens[0].end : cell.tokens[1].start] if len(cell.tokens) > 1 else "," + lead
    yield Edit(cell.tokens[0].start, cell.tokens[-1].end, between.join(spelled))


# The cells as a module


def _mask(cell: Cell) -> Masked:
    source = cell.source
    if source.startswith("%%") and not _PYTHON_CELLS.match(source):
        return Masked(cell, None, {})
    lines = _LINES.findall(source)
    held: dict[str, str] = {}
    lead = "if 1:\n" if source.lstrip("\n")[:1] in (" ", "\t") else ""
    while True:
        try:
            check_syntax(lead + "".join(lines))
            return Masked(cell, "".join(lines), held, lead)
        except SourceError as error:
            line = error.line - bool(lead)
            at = _find_magic(lines, line, held)
            if at is None:
                raise NotebookError(f"cell {cell.number}, line {line}: {error.reason}") from None
        _hold(lines, at, held, cell.number)


def _find_magic(lines: list[str], line: int, held: dict[str, str]) -> int | None:
    """Return the index of the line of IPython's that makes Python fail at ``line``, the last before it."""
    for at in range(min(line, len(lines)) - 1, -1, -1):
        if lines[at].rstrip("\n") not in held and _MAGIC.match(lines[at]):
            return at
    return None


def _hold(lines: list[str], at: int, held: dict[str, str], number: int) -> None:
    """Put a name in the place of a line, and of those that continue it."""
    lead = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    continued = True
    while continued and at < len(lines):
        body = lines[at].rstrip("\n")
        mark = f"{lead}autoxla_held_{number}_{len(held)}_"
        held[mark] = body
        lines[at] = mark + lines[at][len(body) :]
        continued = body.endswith("\\")
        at += 1


def _join(masked: list[Masked]) -> tuple[str, list[int]]:
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for each in masked:
        starts.append(length + len(each.lead))
        parts.append("" if each.text is None else f"{each.lead}{each.text}\n")
        length += len(parts[-1])
    return "".join(parts), starts


def _changed(masked: list[Masked], starts: list[int], decision: Decision) -> Iterator[tuple[Cell, str]]:
    for each, start in zip(masked, starts, strict=True):
        end = start + len(each.text or "")
        edits = [
            replace(edit, start=edit.start - start, end=edit.end - start)
            for edit in decision.edits
            if each.text is not None and start <= edit.start and edit.end <= end
        ]
        if edits and each.text is not None:
            yield each.cell, each.unmask(apply_edits(each.text, edits))


def _refusals(
    decision: Decision, joined: str, masked: list[Masked], starts: list[int]
) -> Iterator[tuple[int, Refusal]]:
    firsts = [joined.count("\n", 0, start) for start in starts]
    for refusal in decision.refusals:
        at = max(index for index, first in enumerate(firsts) if first < refusal.line)
        yield masked[at].cell.number, replace(refusal, line=refusal.line - firsts[at])


def _held_refusals(masked: list[Masked], decision: Decision) -> Iterator[tuple[int, Refusal]]:
    """Refuse Python that stands behind a magic command and names Keras: it cannot be read here."""
    if not decision.edits:
        return
    for each in masked:
        whole = each.cell.source if each.text is None else ""
        for line in [whole, *each.held.values()]:
            if _KERAS.search(line) and not _HARMLESS.match(line):
                at = each.cell.source.find(line)
                number = each.cell.source.count("\n", 0, at) + 1
                yield each.cell.number, Refusal(number, 1, "AX129", "a magic command holds code with Keras")
