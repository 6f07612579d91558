"""The code in notebooks: cells in order, what only IPython understands put aside."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import NamedTuple

#: Cell magics whose body is Python that runs in the kernel.
_PYTHON_CELLS = frozenset({"capture", "time", "timeit", "prun"})
# A name follows the sign at once; ``% 2`` goes on with a sum of the line before.
_LINE = re.compile(r"^(\s*)(%(?=[^\W\d])|!(?!=)|\?|[\w.]+\s*\?{1,2}\s*$)(.*)$")
# No two parts that both match a space stand side by side: each could leave spaces to the other.
_ASSIGNED = re.compile(r"^(\s*[\w.,][\w., ]*=\s*)[%!](?!=).*$")
_ENV = re.compile(r"(?:set_)?env\s+(\S.*)")


class NotANotebookError(ValueError):
    """The file is none that Jupyter would open."""


class Standing(NamedTuple):
    """A code cell in a file, with its number among all cells from 1.

    `text` is plain Python of as many lines as were `typed`, None for a cell in another language.
    """

    number: int
    id: str | None
    text: str | None
    typed: str = ""


class Run(NamedTuple):
    """A cell that was run, or is about to be: its execution count and its text as it was typed.

    `id` is the one that the frontend gave it, None where it gives none. `failed`: it ended in an error.
    """

    number: int
    text: str
    id: str | None = None
    failed: bool = False


class Cell(NamedTuple):
    """A cell to read: plain Python, by which name findings call it, and whether it runs for sure."""

    label: str
    text: str
    certain: bool = True


def read_standing(data: bytes) -> tuple[Standing, ...]:
    """Return all code cells of a notebook's file. Raises `NotANotebookError`."""
    found: list[Standing] = []
    try:
        for number, cell in enumerate(json.loads(data)["cells"], 1):
            if cell["cell_type"] == "code":
                source, name = cell["source"], cell.get("id")
                text = "".join(source) if isinstance(source, list) else str(source)
                own = name if isinstance(name, str) else None
                found.append(Standing(number, own, _without_magics(text), text))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise NotANotebookError(str(error)) from error
    return tuple(found)


def is_of(ran: Sequence[Run], standing: Sequence[Standing]) -> bool:
    """Tell whether cells that ran are those of a file: the last of them, and at least half of all."""
    found = [_find(run, standing) is not None for run in ran]
    return bool(found) and found[-1] and 2 * sum(found) >= len(found)


def arrange(ran: Sequence[Run], standing: Sequence[Standing], file: str) -> tuple[Cell, ...]:
    """Return the cells of a notebook in the order in which they run, as far as that is known.

    First those that ran, each as it was when it ran: they are certain, unless they failed. Then those
    in the file that follow the last of them and have not run: as certain as the lines of a script that
    are still to come. At the end those in the file that were passed over, which are only possible.
    """
    places = [_find(run, standing) for run in ran]
    at = next((place for place in reversed(places) if place is not None), -1)
    labels = [name_cell(run, standing, file) for run in ran]
    cells = [
        Cell(label, _without_magics(run.text) or "", not run.failed)
        for index, (run, label) in enumerate(zip(ran, labels, strict=True))
        # A cell that failed and was run again is what it was the second time.
        if not (run.failed and label in labels[index + 1 :])
    ]
    left = [index for index in range(len(standing)) if index not in places and index != at]
    for index in sorted(left, key=lambda index: index < at):
        cell = standing[index]
        cells.append(Cell(f"{file}:cell {cell.number}", cell.text or "", index > at))
    # Each text once: running a cell again adds nothing.
    found: dict[str, Cell] = {}
    for each in cells:
        known = found.setdefault(each.text.strip(), each)
        found[each.text.strip()] = known._replace(certain=known.certain or each.certain)
    return tuple(cell for text, cell in found.items() if text)


def name_cell(run: Run, standing: Sequence[Standing], file: str) -> str:
    """Return what findings call a cell that ran: its number in the file, else its execution count."""
    place = _find(run, standing)
    return f"cell {run.number}" if place is None else f"{file}:cell {standing[place].number}"


def _find(run: Run, standing: Sequence[Standing]) -> int | None:
    """Return which cell in the file a cell that ran is: the one of its id, else of its text."""
    for index, cell in enumerate(standing):
        if run.id is not None and cell.id == run.id:
            return index
    text = (_without_magics(run.text) or "").strip()
    same = (index for index, cell in enumerate(standing) if text and (cell.text or "").strip() == text)
    return next(same, None)


def _without_magics(text: str) -> str | None:
    """Return a cell as plain Python of the same lines, None for one in another language."""
    lines = text.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].startswith("%%"):
        word = lines[first][2:].split()[:1]
        if word and word[0] not in _PYTHON_CELLS:
            return None
        lines[first] = ""
    if not re.search(r"[%!?]", text):
        return "\n".join(lines)
    plain: list[str] = []
    continued = False
    for line in lines:
        found = _LINE.match(line)
        if continued:
            plain.append("")
        elif found is not None:
            indent, sign, rest = found.groups()
            env = _ENV.fullmatch(rest.strip()) if sign == "%" else None
            if env is not None:
                name, _, value = env[1].partition("=" if "=" in env[1] else " ")
                # IPython takes ``$name`` and ``{name}`` from the program.
                text = "None" if not value or re.search("[${]", value) else repr(value.strip())
                plain.append(f"{indent}__import__('os').environ[{name.strip()!r}] = {text}")
            elif sign == "%" and rest.split()[:1] == ["run"]:
                plain.append(f"{indent}__import__('runpy').run_path({rest[3:].strip()!r})")
            else:
                plain.append(f"{indent}pass")
        else:
            plain.append(_ASSIGNED.sub(r"\1None", line))
        continued = (found is not None or continued) and line.endswith("\\")
    return "\n".join(plain)
