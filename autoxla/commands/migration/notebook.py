"""Notebooks: their code cells as one module, and changed sources put back into the file's own JSON text.

The cells are read together, since a name bound in one is used in another. Lines that are IPython's
and not Python's are held back meanwhile. In the file only the sources that change are written anew;
all else keeps its characters.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

from autoxla.commands.migration.codemod import Refusal, migrate_text
from autoxla.commands.migration.names import Generation
from autoxla.commands.migration.source import find_error

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
#: The key before a cell's source. No string holds it: there its quotes would be escaped.
_SOURCE = re.compile(r'"source"\s*:\s*')
#: Only asked of lines that Python refuses.
_MAGIC = re.compile(r"(?:cat|cd|cp|ls|mkdir|mv|pwd|rm)\b|\s*([%!?]|[\w.]+\s*=\s*[%!]|[^#'\"]*\?\s*$)")
_PYTHON_CELLS = re.compile(r"%%(time|timeit|capture|prun)\b")
#: Shell commands, other languages, and help: ``name?``.
_HARMLESS = re.compile(
    r"\s*(\w+\s*=\s*)?(!|\?|[^%].*\?\s*\Z"
    r"|%%?(bash|cd|conda|env|html|latex|mamba|markdown|pip|set_env|sh|sx|uv)\b)"
)
_KERAS = re.compile(r"\b(tf_)?keras\b")
#: Stands behind each cell in the module that they make together.
_END = "#autoxla:end of cell\n"


class NotebookError(ValueError):
    """The file is no notebook that can be read; the message says why."""


@dataclass(slots=True)
class Cell:
    """A code cell. `number` counts all cells from 1, `data` is what the JSON has of it.

    `lines` are its text, with names in the place of the lines that are `held` back; none where no line is
    Python. `lead` stands before it where all of the cell is indented, which IPython takes back.
    """

    number: int
    data: dict[str, Any]
    lines: list[str]
    lead: str = ""
    held: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The cell's text."""
        return "".join(self.data["source"])


@dataclass(frozen=True, slots=True)
class NotebookChange:
    """The file's new text, the cells that change as (number, before, after), and what was refused."""

    text: str
    cells: tuple[tuple[int, str, str], ...] = ()
    refusals: tuple[tuple[int, Refusal], ...] = ()


def migrate_notebook(text: str, target: Generation) -> NotebookChange:
    """Return what to do with the notebook whose JSON is ``text``.

    Raises `NotebookError` where it is none of format 4 or a cell is no Python.
    """
    try:
        data = json.loads(text)
        sources = [cell["source"] for cell in data["cells"]]
        metadata = data.get("metadata") or {}
        kernel = metadata.get("kernelspec", {})
        named = metadata.get("language_info", {}).get("name") or kernel.get("language")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NotebookError(f"it is no notebook of format 4: {type(error).__name__}: {error}") from None
    lines = [line for source in sources for line in (source if isinstance(source, list) else [source])]
    if not all(isinstance(line, str) for line in lines):
        raise NotebookError("it has a cell without a source")
    if isinstance(named, str) and named.lower() not in ("python", "python3", "ipython"):
        return NotebookChange(text)
    numbered = enumerate(data["cells"], 1)
    cells = [_mask(number, cell) for number, cell in numbered if cell.get("cell_type") == "code"]
    joined = "".join(f"{cell.lead}{''.join(cell.lines)}\n{_END}" for cell in cells)
    new, refused = migrate_text(joined, target)
    refusals: list[tuple[int, Refusal]] = []
    for refusal in refused:
        at = joined.splitlines()[: refusal.line].count(_END.strip())
        before = "".join(f"{each}{_END}" for each in joined.split(_END)[:at]) + cells[at].lead
        line = refusal.line - before.count("\n")
        refusals.append((cells[at].number, replace(refusal, line=line)))
    for cell in cells if new != joined or refused else ():
        # Python that names Keras behind a magic command cannot be read here.
        for held in cell.held.values() if cell.lines else [cell.source]:
            if _KERAS.search(held) and not _HARMLESS.match(held):
                at = cell.source.count("\n", 0, cell.source.find(held)) + 1
                refusal = Refusal(at, 1, "AX129", "a magic command holds code with Keras")
                refusals.append((cell.number, refusal))
    if refusals:
        return NotebookChange(text, refusals=tuple(sorted(refusals)))
    changes = []
    for cell, part in zip(cells, new.split(_END), strict=False):
        after = part.removeprefix(cell.lead).removesuffix("\n")
        for mark, held in cell.held.items():
            after = after.replace(mark, held)
        if cell.lines and after != cell.source:
            changes.append((cell.number, cell.source, after))
            cell.data["new"] = after if isinstance(cell.data["source"], str) else _LINES.findall(after)
    return NotebookChange(_write(text, data) if changes else text, tuple(changes))


def _write(text: str, data: Any) -> str:
    """Return the JSON ``text`` with the ``new`` sources of the cells of ``data``, each in its old layout."""
    parts, done, read = [], 0, json.JSONDecoder().raw_decode
    found = ((each.end(), *read(text, each.end())) for each in _SOURCE.finditer(text))
    for cell in data["cells"]:
        start, end = next((at, end) for at, value, end in found if at >= done and value == cell["source"])
        if "new" not in cell:
            continue
        new, before = cell.pop("new"), text[start:end]
        cell["source"] = new
        parts.append(text[done:start])
        done = end
        if isinstance(new, str):
            parts.append(json.dumps(new, ensure_ascii=before.isascii()))
            continue
        lead = before[1 : len(before) - len(before[1:].lstrip())]
        comma = re.compile(r"\s*,\s*").match(before, read(before, 1 + len(lead))[1])
        lines = (json.dumps(line, ensure_ascii=before.isascii()) for line in new)
        tail = before[len(before.rstrip("]").rstrip()) :]
        parts += ["[", lead, (comma[0] if comma else f",{lead}").join(lines), tail]
    written = "".join([*parts, text[done:]])
    if json.loads(written) != data:
        raise NotebookError("its cells cannot be told from other parts of it")
    return written


# The cells as a module


def _mask(number: int, data: dict[str, Any]) -> Cell:
    """Return a cell with names in the place of the lines of IPython's, which are held back."""
    cell = Cell(number, data, [])
    if cell.source.startswith("%%") and not _PYTHON_CELLS.match(cell.source):
        return cell
    cell.lines = _LINES.findall(cell.source)
    cell.lead = "if 1:\n" if cell.source.lstrip("\n")[:1] in (" ", "\t") else ""
    while error := find_error(cell.lead + "".join(cell.lines)):
        line = (error.lineno or 1) - bool(cell.lead)
        # The last line of IPython's up to where Python fails is what makes it fail.
        lines = [*enumerate(cell.lines[:line])]
        magic = [at for at, text in lines if text.strip() not in cell.held and _MAGIC.match(text)]
        if not magic:
            raise NotebookError(f"cell {number}, line {line}: {error.msg}")
        # It is held back with the lines that continue it.
        at = magic[-1]
        lead = cell.lines[at][: len(cell.lines[at]) - len(cell.lines[at].lstrip())]
        body = "\\"
        while body.endswith("\\") and at < len(cell.lines):
            body = cell.lines[at].rstrip("\n")
            mark = f"autoxla_held_{cell.number}_{len(cell.held)}_"
            cell.held[mark] = body.removeprefix(lead)
            cell.lines[at] = lead + mark + cell.lines[at][len(body) :]
            at += 1
    return cell
