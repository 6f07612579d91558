"""The code in notebooks: cells in order, what only IPython understands put aside."""

from __future__ import annotations

import json
import re

#: Cell magics whose body is Python that runs in the kernel.
_PYTHON_CELLS = frozenset({"capture", "time", "timeit", "prun"})
_LINE = re.compile(r"^(\s*)([%!?]|[\w.]+\s*\?{1,2}\s*$)(.*)$")
_ASSIGNED = re.compile(r"^(\s*[\w., ]+=\s*)[%!](?!=).*$")
_ENV = re.compile(r"(?:set_)?env\s+(\S.*)")


class NotANotebookError(ValueError):
    """The file is none that Jupyter would open."""


def read_cells(data: bytes) -> list[tuple[int, str]]:
    """Return the code cells that run Python, with their numbers among all cells from 1.

    Raises `NotANotebookError`.
    """
    try:
        content = json.loads(data)
        cells = content["cells"] if "cells" in content else content["worksheets"][0]["cells"]
        texts = [(at, _text(cell)) for at, cell in enumerate(cells, 1) if cell["cell_type"] == "code"]
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise NotANotebookError(str(error)) from error
    plain = ((number, _without_magics(text)) for number, text in texts)
    return [(number, text) for number, text in plain if text is not None]


def _text(cell: dict[str, object]) -> str:
    source = cell["source"] if "source" in cell else cell["input"]
    return "".join(source) if isinstance(source, list) else str(source)


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
    return "\n".join(_lines_without_magics(lines))


def _lines_without_magics(lines: list[str]) -> list[str]:
    plain: list[str] = []
    continued = False
    for line in lines:
        found = None if _inside_string(plain) else _LINE.match(line)
        if continued:
            plain.append("")
        elif found is not None:
            plain.append(found[1] + _replace(found[2], found[3]))
        else:
            plain.append(_ASSIGNED.sub(r"\1None", line))
        continued = (found is not None or continued) and line.endswith("\\")
    return plain


def _replace(sign: str, rest: str) -> str:
    name = rest.split()[:1]
    env = _ENV.fullmatch(rest.strip()) if sign == "%" else None
    if env is not None:
        return f"get_ipython().run_line_magic('env', {env[1]!r})"
    if sign == "%" and name == ["run"]:
        return f"get_ipython().run_line_magic('run', {rest!r})"
    return "pass"


def _inside_string(lines: list[str]) -> bool:
    """Tell whether the next line begins within a triple-quoted string, as near as counting tells."""
    text = "\n".join(lines)
    return any(text.count(quotes) % 2 for quotes in ('"""', "'''"))
