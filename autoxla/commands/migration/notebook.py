"""Notebooks: their code cells as one module, and changed sources put back into the file's own JSON text.

The cells are read together, since a name bound in one is used in another. What only IPython understands,
`autoxla.lookahead.notebook` replaces; a mark stands behind each such line, and in the end the line is back in
its place. In the file only the sources that change are written anew; all else keeps its characters.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from autoxla.commands.migration.codemod import Refusal, migrate_text
from autoxla.commands.migration.names import Generation
from autoxla.commands.migration.source import check
from autoxla.lookahead.notebook import Standing, read_standing

_LINES = re.compile(r"[^\n]*\n|[^\n]+")
#: The key before a cell's source. No string holds it: there its quotes would be escaped.
_SOURCE = re.compile(r'"source"\s*:\s*')
#: Magics that run Python, which cannot be read here; not those that run shells and other languages.
_RUNNING = re.compile(
    r"\s*(?:\w+\s*=\s*)?%%?"
    r"(?!%|(?:bash|cd|conda|env|html|latex|mamba|markdown|pip|set_env|sh|sx|uv)\b)"
)
_KERAS = re.compile(r"\b(tf_)?keras\b")
#: Stands behind each cell in the module that they make together.
_END = "#autoxla:end of cell\n"
#: Stands behind a line in the place of one that is held back, with the number of that.
_HELD = re.compile(r"^.*#autoxla:held (\d+)$", re.MULTILINE)


class Held(NamedTuple):
    """What only IPython understands: the number of its cell, its line there, and the text."""

    cell: int
    line: int
    text: str


class NotebookChange(NamedTuple):
    """The file's new text, the cells that change as (number, before, after), and what was refused where."""

    text: str
    cells: tuple[tuple[int, str, str], ...] = ()
    refusals: tuple[tuple[int, Refusal], ...] = ()


def migrate_notebook(text: str, target: Generation) -> NotebookChange:
    """Return what to do with the notebook whose JSON is ``text``.

    Raises ValueError where it is none of format 4 or a cell is no Python.
    """
    try:
        cells = read_standing(text.encode())
        data = json.loads(text)
        if not all("source" in cell for cell in data["cells"]):
            raise ValueError("a cell has no source")
        language = data.get("metadata", {}).get("language_info", {}).get("name", "python")
    except (ValueError, AttributeError) as error:
        raise ValueError(f"it is no notebook of format 4: {error}") from None
    if language not in ("python", "ipython"):
        return NotebookChange(text)
    held: list[Held] = []
    codes = [_hold_back(cell, held) for cell in cells]
    joined = "".join(f"{code}\n{_END}" for code in codes)
    new, refused = migrate_text(joined, target)
    numbers = [cell.number for cell, code in zip(cells, codes, strict=True) for _ in f"{code}\n".split("\n")]
    refusals = []
    for refusal in refused:
        number = numbers[refusal.line - 1]
        refusals.append((number, refusal._replace(line=refusal.line - numbers.index(number))))
    for each in held if new != joined or refused else ():
        if _KERAS.search(each.text) and _RUNNING.match(each.text):
            message = "a magic command holds code with Keras"
            refusals.append((each.cell, Refusal(each.line, 1, "AX129", message)))
    if refusals:
        return NotebookChange(text, refusals=tuple(sorted(refusals)))
    new = _HELD.sub(lambda found: held[int(found[1])].text, new)
    moved = (code.removesuffix("\n") for code in new.split(_END))
    told = [(cell.number, cell.typed, after) for cell, after in zip(cells, moved, strict=False)]
    told = [each for each in told if each[1] != each[2]]
    changes = {number: after for number, _, after in told}
    return NotebookChange(_put_back(text, data, changes), tuple(told))


def _hold_back(cell: Standing, held: list[Held]) -> str:
    """Return a cell as Python, and append to ``held`` what the marks in it stand for.

    Raises ValueError where it is none.
    """
    lines = []
    try:
        check(cell.typed)
        return cell.typed
    except SyntaxError:
        # A cell in another language is held back as a whole.
        typed = [cell.typed] if cell.text is None else cell.typed.split("\n")
    for number, (line, before) in enumerate(zip((cell.text or "").split("\n"), typed, strict=True), 1):
        lines.append(line if line == before else f"{line}#autoxla:held {len(held)}")
        if line != before:
            held.append(Held(cell.number, number, before))
    code = "\n".join(lines)
    try:
        check(code)
    except SyntaxError as error:
        raise ValueError(f"cell {cell.number}, line {error.lineno or 1}: {error.msg}") from None
    return code


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
        raise ValueError("its cells cannot be told from other parts of it")
    return new
