"""The lines as text: in columns, with colour on a terminal if rich is installed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from autoxla.commands.diagnosis.line import Line, State
from autoxla.commands.terminal import find_width, fold, make_console
from autoxla.notice import printable

_ORDER: tuple[State, ...] = ("error", "warning", "note", "ok")
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan", "ok": "green"}


def render(lines: Sequence[Line], *, verbose: bool) -> None:
    """Print ``lines``, the gravest first; those that are ok only with ``verbose``."""
    width = find_width()
    for text in () if verbose else _heading(lines):
        print(fold(text, width, "  "))
    render_rows(lines, _ORDER if verbose else _ORDER[:-1])
    print(_count(lines, "" if verbose else "; --verbose shows what is ok"))


def render_rows(lines: Sequence[Line], shown: Sequence[State] = _ORDER) -> None:
    """Print ``lines`` of the states in ``shown`` and nothing else, the gravest first."""
    for text, state in _rows(lines, find_width(), shown):
        _write(text, state)


def _rows(lines: Sequence[Line], width: int, shown: Sequence[State]) -> Iterator[tuple[str, State]]:
    subject_width = max((len(line.subject) for line in lines if line.state in shown), default=0)
    for state in shown:
        for line in lines:
            if line.state == state:
                yield _format(line, subject_width, width), state


def _format(line: Line, subject_width: int, width: int) -> str:
    head = f"{line.state:<8} {line.code}  {line.subject:<{subject_width}}  "
    indent = " " * len(head)
    remedy = [f"{indent}-> {printable(line.remedy)}"] if line.remedy else []
    parts = [f"{head}{printable(line.message)}", *remedy]
    folded = [fold(part, width, indent + ("   " if at else "")) for at, part in enumerate(parts)]
    return "\n".join(folded)


def _heading(lines: Sequence[Line]) -> Iterator[str]:
    yield ", ".join(line.message for line in lines if line.code == "AX801")
    yield from (line.message for line in lines if line.code == "AX803")
    yield ""


def _count(lines: Sequence[Line], hint: str) -> str:
    counts = Counter(line.state for line in lines)
    told = ", ".join(f"{counts[state]} {_plural(state, counts[state])}" for state in _ORDER if counts[state])
    return f"{told}{hint if counts['ok'] else ''}"


def _plural(state: State, count: int) -> str:
    return state if count == 1 or state == "ok" else f"{state}s"


def _write(text: str, state: State) -> None:
    console = make_console(folded=False)
    if console is None:
        print(text)
        return
    from rich.text import Text

    coloured = Text(text)
    coloured.stylize(_COLOURS[state], 0, len(state))
    console.print(coloured)
