"""All codes with what there is to say of each, gathered from where it is kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from autoxla.commands.diagnosis import codes as doctor
from autoxla.guide import execution, generations, installation, itex
from autoxla.guide.entry import Entry, Known, Prose, Shown
from autoxla.guide.errors import KNOWN
from autoxla.guide.told import TOLD
from autoxla.hooks.notes import NOTES, Note
from autoxla.policies import RULES
from autoxla.policies.rule import Rule

#: The beginnings of codes and what they are about; the first that fits counts.
FAMILIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("AX10", "AX11"), "Which Keras tf.keras is"),
    (("AX12",), "What migrate leaves as it is"),
    (("AX13",), "Two generations of Keras in one program"),
    (("AX14",), "Saved models"),
    (("AX15",), "Errors of XLA"),
    (("AX16",), "What Keras 3 and TensorFlow 2 no longer have"),
    (("AX17",), "Keras cannot be had"),
    (("AX18",), "Libraries that do not fit"),
    (("AX19",), "Old and mixed code"),
    (("AX2",), "Intel's plug-in ITEX"),
    (("AX3",), "How the step is executed"),
    (("AX4",), "The backend of Keras"),
    (("AX5",), "Distributions that do not fit"),
    (("AX6",), "Workers of one job"),
    (("AX7",), "The faster path"),
    (("AX851", "AX852", "AX853"), "How the step is executed"),
    (("AX8",), "What doctor finds"),
    (("AX9",), "autoxla itself"),
)
PROSE: Mapping[str, Prose] = {
    **generations.PROSE,
    **itex.PROSE,
    **execution.PROSE,
    **installation.PROSE,
}
_FIELD = re.compile(r"\{[^}]*\}")

_SAYS = "autoxla says so and changes nothing."
_CURES = (
    "Unless the mode is `observe`, autoxla does what the remedy says before anything loads, where that can "
    "be done and you have not set it yourself."
)
_SAVES = (
    "Unless the mode is `observe`, autoxla does what the remedy says before anything loads. Where nothing "
    "else can give way, it does so against a value that you set: the process would end otherwise."
)
_POSSIBLE = " It is graded `possible`: whether it comes true is known only when the program runs."
_SILENCE_RULE = (
    '`ignore = ["{code}"]` under `[tool.autoxla]` in `pyproject.toml` leaves out the line. For `check` so do '
    "`--ignore {code}` and `# autoxla: ignore[{code}]` at the end of the line that it names. What autoxla "
    "does stays as it is; with `AUTOXLA=observe` it does nothing, with `AUTOXLA=off` it says nothing either."
)
_DOES_NOTE = (
    "autoxla knows this error. It adds a note to the exception where that passes a method of Keras or ends "
    "the program; its type, arguments and traceback stay as they are. Python 3.10 has no notes: there it is "
    "a line below the traceback."
)
_SILENCE_NOTE = "Handle the exception: the note goes with it. With `AUTOXLA=off` there are no notes."
_DOES_DOCTOR = "`python -m autoxla doctor` says this of the environment, and changes nothing."
_SILENCE_DOCTOR = "`doctor` speaks only when it is asked; what is in order it shows with `--verbose` only."


@dataclass(frozen=True, slots=True)
class _Noted:
    """The example of a known error: its last line, and the note that it gets."""

    known: Known
    notes: tuple[Note, ...]

    def render(self, code: str) -> str:
        message = self.known.error.partition(": ")[2]
        note = next(note for note in self.notes if re.search(note.pattern, message))
        printed = f"{self.known.error}\nautoxla: {code} {note.text}"
        return Shown(self.known.program, printed).render(code)


def make_entries() -> dict[str, Entry]:
    """Return what there is to say of each code, by code and in its order.

    Raises KeyError where a rule or note has no prose, LookupError where an example does not give its code.
    """
    made = (*map(_from_rule, RULES), *_from_notes(), *_from_told(), *_from_doctor())
    return {entry.code: entry for entry in sorted(made, key=lambda entry: entry.code)}


def family_of(code: str) -> str:
    """Return what the codes that begin like ``code`` are about. Raises StopIteration on a foreign code."""
    return next(title for beginnings, title in FAMILIES if code.startswith(beginnings))


def _from_rule(rule: Rule) -> Entry:
    prose = PROSE[rule.code]
    return Entry(
        code=rule.code,
        title=rule.title,
        level=rule.level,
        does=f"> {_general(rule.message, rule.title)}\n\n{_effect(rule)}",
        why=prose.why,
        example=prose.example.render(rule.code),
        remedy=sentence(_general(rule.remedy, "what the message names: write, move or remove the flag")),
        silence=_SILENCE_RULE.format(code=rule.code),
        source=rule.source,
    )


def _general(text: object, other: str) -> str:
    """Return a rule's text for all cases; ``other`` for one that is made for each case."""
    return plain(_FIELD.sub("…", text) if isinstance(text, str) else other)


def _effect(rule: Rule) -> str:
    acts = rule.act is not None or rule.cures is not None
    effect = (_SAVES if rule.deadly else _CURES) if acts else _SAYS
    return effect + (_POSSIBLE if rule.grade == "possible" else "")


def _from_notes() -> Iterator[Entry]:
    for code in dict.fromkeys(note.code for note in NOTES):
        notes, known = tuple(note for note in NOTES if note.code == code), KNOWN[code]
        yield Entry(
            code=code,
            title=known.title,
            level="note",
            does=_DOES_NOTE,
            why=known.why,
            example=_Noted(known, notes).render(code),
            remedy=_listed(plain(note.text) for note in notes),
            silence=_SILENCE_NOTE,
            source=known.source,
        )


def _from_told() -> Iterator[Entry]:
    for code, told in TOLD.items():
        yield Entry(
            code=code,
            title=told.title,
            level=told.level,
            does=f"> {plain(told.says)}\n\n{told.does}",
            why=told.why,
            example=told.example.render(code),
            remedy=plain(sentence(told.remedy)),
            silence=told.silence.format(code=code),
            source=told.source,
        )


def _from_doctor() -> Iterator[Entry]:
    for code, found in doctor.CODES.items():
        example = Shown("$ python -m autoxla doctor --verbose", f"… {code} … {found.example}", "console")
        yield Entry(
            code=code,
            title=found.title,
            level="doctor",
            does=_DOES_DOCTOR,
            why=plain(found.why),
            example=example.render(code),
            remedy=plain(sentence(found.remedy)),
            silence=_SILENCE_DOCTOR,
            source=found.source,
        )


def _listed(texts: Iterable[str]) -> str:
    """Return one text as it is, several as a list: which of them it is the error tells."""
    items = list(texts)
    return items[0] if len(items) == 1 else "\n".join(f"- {item}" for item in items)


def sentence(text: str) -> str:
    """Return ``text`` with a full stop; a name or command at its start keeps its case."""
    first = text.split(None, 1)[0]
    begun = text[0].upper() + text[1:] if first.isalpha() and first not in _COMMANDS else text
    return begun if begun.endswith(".") else f"{begun}."


_COMMANDS = frozenset({"pip", "python", "chmod", "autoxla", "keras", "jit"})


def plain(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is; what stands between backticks is code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"[<*]|__", _escape, part) for part in parts[::2]]
    return "`".join(parts)


def _escape(found: re.Match[str]) -> str:
    return "".join(f"\\{character}" for character in found[0])
