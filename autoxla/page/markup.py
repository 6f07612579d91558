"""Pieces of HTML, in which every value is text."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from autoxla.page.reading import clean

#: The cells of one line of a table, as HTML.
Row = tuple[object, ...]


def text(value: object) -> str:
    """Return ``value`` as text within HTML, empty for None."""
    return "" if value is None else escape(clean(str(value)))


def code(value: str) -> str:
    """Return ``value`` as a word of a program."""
    return f"<code>{text(value)}</code>"


def table(head: tuple[str, ...], rows: Iterable[Row], kind: str = "") -> str:
    """Return a table; the cells are HTML. In ``figures`` all but the first column are numbers."""
    number_ = ' class="number"' if kind == "figures" else ""
    names = "".join(f'<th scope="col"{number_ if at else ""}>{name}</th>' for at, name in enumerate(head))
    top = f"<thead><tr>{names}</tr></thead>" if head else ""
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td{number_}>{cell}</td>" for cell in rest)}</tr>'
        for first, *rest in rows
    )
    return f'<table class="{kind}">{top}<tbody>{body}</tbody></table>'
