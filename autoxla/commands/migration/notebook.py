"""Notebooks: their code cells as one module, and changed sources put back into the file's own JSON text.

The cells are read together, since a name bound in one is used in another. Lines that are IPython's
and not Python's are held back meanwhile. In the file only the sources that change are written anew;
all else keeps its characters.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from autoxla.commands.migration.codemod import Refusal, migrate_text
from autoxla.commands.migration.names import Generation
from autoxla.commands.migration.source import check

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


class NotebookChange(NamedTuple):
    """The file's new text, the cells that change as (number, before, after), and what was refused where."""

    text: str
    cells: tuple[tuple[int, str, str], ...] = ()
    refusals: tuple[tuple[int, Refusal], ...] = ()


def migrate_notebook(text: str, target: Generation) -> NotebookChange:
    """Return what to do with the notebook whose JSON is ``text``.

    Raises `NotebookError` where it is none of format 4 or a cell is no Python.
    """
    try:
        data = json.loads(text)
        sources = ["".join(cell["source"]) for cell in data["cells"]]
        kinds = [cell["cell_type"] for cell in data["cells"]]
        language = data.get("metadata", {}).get("language_info", {}).get("name", "python")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NotebookError(f"it is no notebook of format 4: {type(error).__name__}: {error}") from None
    if language not in ("python", "ipython"):
        return NotebookChange(text)
    #: By number, counted from 1: the code of a cell as Python, and the lines that are held back for it.
    cells = {
        number: _hold_back(number, source)
        for number, (source, kind) in enumerate(zip(sources, kinds, strict=True), 1)
        if kind == "code"
    }
    joined = "".join(f"{code}\n{_END}" for code, _ in cells.values())
    new, refused = migrate_text(joined, target)
    numbers = [number for number, (code, _) in cells.items() for _ in range(code.count("\n") + 2)]
    refusals = []
    for each in refused:
        number = numbers[each.line - 1]
        refusals.append((number, each._replace(line=each.line - numbers.index(number))))
    changes: dict[int, str] = {}
    for (number, (_, held)), code in zip(cells.items(), new.split(_END), strict=False):
        changes[number] = code.removesuffix("\n")
        for mark, line in held.items():
            changes[number] = changes[number].replace(mark, line)
            # Python that names Keras behind a magic command cannot be read here.
            if (new != joined or refused) and _KERAS.search(line) and not _HARMLESS.match(line):
                source = sources[number - 1]
                at = source.count("\n", 0, source.find(line)) + 1
                refusals.append((number, Refusal(at, 1, "AX129", "a magic command holds code with Keras")))
    if refusals:
        return NotebookChange(text, refusals=tuple(sorted(refusals)))
    changes = {number: after for number, after in changes.items() if after != sources[number - 1]}
    told = ((number, sources[number - 1], after) for number, after in changes.items())
    return NotebookChange(_put_back(text, data, changes), tuple(told))


def _hold_back(number: int, source: str) -> tuple[str, dict[str, str]]:
    """Return a cell with names in the place of the lines of IPython's, and by name these lines."""
    mark = f"autoxla_held_{number}_"
    if source.startswith("%%") and not _PYTHON_CELLS.match(source):
        return mark, {mark: source}
    lines, held = _LINES.findall(source), dict[str, str]()
    while True:
        try:
            check("".join(lines))
            return "".join(lines), held
        except SyntaxError as error:
            line, message = error.lineno or 1, error.msg
        # The last line of IPython's up to where Python fails is what makes it fail.
        at = next((at for at in reversed(range(line)) if _MAGIC.match("".join(lines[at : at + 1]))), None)
        if at is None:
            raise NotebookError(f"cell {number}, line {line}: {message}")
        # It is held back with the lines that continue it, for which empty ones stand.
        end = at + 1
        while end < len(lines) and lines[end - 1].endswith("\\\n"):
            end += 1
        text = "".join(lines[at:end])
        body = text.strip()
        name = f"{mark}{len(held)}_" + "\n" * body.count("\n")
        held[name] = body
        lines[at:end] = _LINES.findall(text.replace(body, name))


def _put_back(text: str, data: Any, changes: dict[int, str]) -> str:
    """Return the JSON ``text`` with the new sources of cells, each in its old layout."""
    parts, done, read = [], 0, json.JSONDecoder().raw_decode
    found = ((each.end(), *read(text, each.end())) for each in _SOURCE.finditer(text))
    for number, cell in enumerate(data["cells"], 1):
        start, end = next((at, end) for at, value, end in found if at >= done and value == cell["source"])
        if number not in changes:
            continue
        before, is_ascii = text[start:end], text[start:end].isascii()
        if isinstance(cell["source"], str):
            cell["source"] = changes[number]
            written = json.dumps(cell["source"], ensure_ascii=is_ascii)
        else:
            cell["source"] = _LINES.findall(changes[number])
            lead = before[1 : before.index('"')]
            lines = (json.dumps(line, ensure_ascii=is_ascii) for line in cell["source"])
            tail = before[before.rindex('"') + 1 :]
            comma = f",{lead or ' '}"
            written = f"[{lead}{comma.join(lines)}{tail}"
        parts += [text[done:start], written]
        done = end
    new = "".join([*parts, text[done:]])
    if json.loads(new) != data:
        raise NotebookError("its cells cannot be told from other parts of it")
    return new
