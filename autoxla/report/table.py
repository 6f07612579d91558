"""The text of `autoxla.explain`, which notebooks show as tables. It needs no jinja2."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Protocol

Row = tuple[str, str]

# Neither colour nor background: a notebook's theme, light or dark, has its own for tables.
_CELL = "text-align:left;vertical-align:top;white-space:pre-wrap;overflow-wrap:anywhere;max-width:52em"
_TITLE = "text-align:left;padding-top:.6em"


class _Printer(Protocol):
    def text(self, text: str) -> None: ...


class Explanation(str):
    """A text that Jupyter shows as tables, and IPython at a terminal as it would be printed."""

    __slots__ = ("_html",)
    _html: str

    def __new__(cls, text: str, html: str = "") -> Explanation:
        """Return ``text``; ``html`` says the same."""
        made = super().__new__(cls, text)
        made._html = html
        return made

    def _repr_html_(self) -> str:
        return self._html

    def _repr_pretty_(self, printer: _Printer, cycle: bool) -> None:  # noqa: ARG002 - IPython's protocol
        printer.text(self.rstrip("\n"))


def render_html(title: str, sections: Iterable[tuple[str, Sequence[Row]]], findings: Sequence[Row]) -> str:
    """Return one table: a section for each part of the plan, and one for the findings.

    A finding is a row of its code and level, and of what it says in some lines. All text is escaped.
    """
    parts = [_section(name, rows) for name, rows in sections]
    parts.append(_section("Findings", findings or [("none", "")]))
    caption = f'<caption style="{_TITLE}"><b>{escape(title)}</b></caption>'
    return f"<table>{caption}{''.join(parts)}</table>"


def _section(name: str, rows: Sequence[Row]) -> str:
    head = f'<tr><th colspan="2" style="{_TITLE}">{escape(name)}</th></tr>'
    return f"<tbody>{head}{''.join(_row(*row) for row in rows)}</tbody>"


def _row(name: str, value: str) -> str:
    cells = (f'<td style="{_CELL}">{escape(text)}</td>' for text in (name, value))
    return f"<tr>{''.join(cells)}</tr>"
