"""What there is to say of one code, wherever it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Example(Protocol):
    """Something that can be shown on a page."""

    def render(self, code: str) -> str:
        """Return the example as Markdown."""
        ...


@dataclass(frozen=True, slots=True)
class Shown:
    """An example that is shown as it was met: what there was, and what was printed."""

    given: str
    printed: str
    language: str = "python"

    def render(self, _: str) -> str:
        """Return the example as Markdown."""
        blocks = ((self.language, self.given), ("text", self.printed))
        return "\n\n".join(f"```{language}\n{text.strip()}\n```" for language, text in blocks)


@dataclass(frozen=True, slots=True)
class Prose:
    """What a rule does not say itself: `why` it matters, and an example of it."""

    why: str
    example: Example


@dataclass(frozen=True, slots=True)
class Known:
    """What the notes of one code do not say themselves: a title, why it matters, and an example.

    `error` is the last line of the traceback, ``Type: message``; the note that it gets is looked up.
    """

    title: str
    why: str
    program: str
    error: str
    source: str = "Keras 3 and tf_keras, checks of what a model is given"


@dataclass(frozen=True, slots=True)
class Told:
    """A code that neither a rule nor a note stands for; `says` is its message, … for what varies."""

    title: str
    level: str
    says: str
    remedy: str
    why: str
    example: Example
    source: str
    silence: str = ""
    does: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """All that stands on the page of a code, in Markdown."""

    code: str
    title: str
    level: str
    does: str
    why: str
    example: str
    remedy: str
    silence: str
    source: str
