"""Pages and lists as Markdown and as text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from autoxla.guide.book import family_of
from autoxla.guide.entry import Entry

#: The parts of a page and the fields that hold them.
PARTS = (
    ("What it does", "does"),
    ("Why it matters", "why"),
    ("Example", "example"),
    ("Remedy", "remedy"),
    ("How to silence it", "silence"),
    ("Source", "source"),
)
_LEVELS = {"note": "a note on an exception", "doctor": "a result of `doctor`"}
_BACK = "[All codes](README.md)"
_INTRODUCTION = """\
# Codes

Each thing that autoxla finds has a code. `python -m autoxla rule CODE` shows its page in the terminal,
`python -m autoxla rule AX2` lists a family. The level is `error`, `warning` or `info`; a *note* is added to
an exception that TensorFlow or Keras raised, and *doctor* marks results of `python -m autoxla doctor`.
"""


def render_page(entry: Entry) -> str:
    """Return the page of a code, in Markdown."""
    level = _LEVELS.get(entry.level, f"level {entry.level}")
    head = f"# {entry.code}: {entry.title}\n\n*{family_of(entry.code)}; {level}*"
    parts = (f"## {title}\n\n{getattr(entry, name)}" for title, name in PARTS)
    return "\n\n".join([head, *parts]) + "\n"


def render_index(entries: Iterable[Entry]) -> str:
    """Return the page that lists all codes, in Markdown."""
    parts = [_INTRODUCTION]
    for family, members in by_family(entries):
        rows = "\n".join(f"| [{e.code}]({e.code}.md) | {e.level} | {e.title} |" for e in members)
        parts.append(f"## {family}\n\n| code | level | what it is about |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def render_list(entries: Iterable[Entry]) -> str:
    """Return codes with their levels and titles as lines of text, by family."""
    blocks = (
        "\n".join([family, *(f"  {e.code}  {e.level:<7}  {e.title}" for e in members)])
        for family, members in by_family(entries)
    )
    return "\n\n".join(blocks)


def render_all(entries: Mapping[str, Entry]) -> dict[str, str]:
    """Return the text of each page by the name of its file."""
    pages = {f"{code}.md": f"{render_page(entry)}\n{_BACK}\n" for code, entry in entries.items()}
    return {"README.md": render_index(entries.values()), **pages}


def by_family(entries: Iterable[Entry]) -> Iterator[tuple[str, list[Entry]]]:
    """Yield each family with its members, which come in the order of their codes."""
    for family, members in groupby(entries, key=lambda entry: family_of(entry.code)):
        yield family, list(members)
