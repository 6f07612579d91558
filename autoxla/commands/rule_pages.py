"""The page of each code, as Markdown: for ``python -m autoxla rule`` and for the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from autoxla.commands.diagnosis import codes as doctor
from autoxla.commands.rule_codes import CODES, Code
from autoxla.commands.rule_examples import block, follow, render
from autoxla.hooks.known_errors import KNOWN_ERRORS, SOURCES, KnownError
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
    (("AX17",), "Keras cannot be imported"),
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
_SAYS = "autoxla says so and changes nothing."
_CURES = (
    "Unless the mode is `observe`, autoxla does what the remedy says before anything loads, where that can "
    "be done and you have not set it yourself."
)
_SAVES = (
    "Unless the mode is `observe`, autoxla does what the remedy says before anything loads. Where nothing "
    "else can give way, it does so against a value that you set: the process would end otherwise."
)
_POSSIBLE = " It is graded `possible`: only the run shows whether it comes true."
_RULE_SILENCE = (
    '`ignore = ["{code}"]` under `[tool.autoxla]` in `pyproject.toml` leaves out the line. For `check` so do '
    "`--ignore {code}` and `# autoxla: ignore[{code}]` at the end of the line that it names. What autoxla "
    "does stays as it is; with `AUTOXLA=observe` it does nothing, with `AUTOXLA=off` it says nothing either."
)
_NOTES = (
    "autoxla knows this error. It adds a note to the exception where that passes a method of Keras or ends "
    "the program; its type, arguments and traceback stay as they are. Python 3.10 has no notes: there it is "
    "a line below the traceback."
)
_NOTE_SILENCE = "Handle the exception: the note goes with it. With `AUTOXLA=off` there are no notes."
_DOCTOR = "`python -m autoxla doctor` says this of the environment, and changes nothing."
_DOCTOR_SILENCE = "`doctor` speaks only when it is asked; what is in order it shows with `--verbose` only."
_COMMANDS = frozenset({"pip", "python", "chmod", "autoxla", "keras", "jit"})


@dataclass(frozen=True, slots=True)
class Page:
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


def make_pages() -> dict[str, Page]:
    """Return the pages by code. Raises LookupError where an example does not give its code."""
    made = (
        *map(_of_rule, RULES),
        *map(_of_error, KNOWN_ERRORS),
        *map(_of_code, CODES),
        *(_of_check(code, entry) for code, entry in doctor.CODES.items()),
    )
    return {page.code: page for page in sorted(made, key=lambda page: page.code)}


def family_of(code: str) -> str:
    """Return what the codes that begin like ``code`` are about. Raises StopIteration on a foreign code."""
    return next(title for beginnings, title in FAMILIES if code.startswith(beginnings))


def render_page(page: Page) -> str:
    """Return the page of a code, in Markdown."""
    level = _LEVELS.get(page.level, f"level {page.level}")
    head = f"# {page.code}: {page.title}\n\n*{family_of(page.code)}; {level}*"
    parts = (f"## {title}\n\n{getattr(page, name)}" for title, name in PARTS)
    return "\n\n".join([head, *parts]) + "\n"


def render_list(pages: Iterable[Page]) -> str:
    """Return codes with their levels and titles as lines of text, by family."""
    blocks = (
        "\n".join([family, *(f"  {page.code}  {page.level:<7}  {page.title}" for page in members)])
        for family, members in by_family(pages)
    )
    return "\n\n".join(blocks)


def by_family(pages: Iterable[Page]) -> Iterator[tuple[str, list[Page]]]:
    """Yield each family with its members, which come in the order of their codes."""
    for family, members in groupby(pages, key=lambda page: family_of(page.code)):
        yield family, list(members)


def _of_rule(rule: Rule) -> Page:
    finding = follow(rule.example, rule.code)
    acts = rule.act is not None or rule.cures is not None
    effect = (_SAVES if rule.fatal else _CURES) if acts else _SAYS
    return Page(
        code=rule.code,
        title=rule.title,
        level=rule.level,
        does=f"> {plain(finding.message)}\n\n{effect}{_POSSIBLE if rule.grade == 'possible' else ''}",
        why=_reflow(rule.why),
        example=render(rule.example, rule.code),
        remedy=plain(sentence(finding.remedy)),
        silence=_RULE_SILENCE.format(code=rule.code),
        source=rule.source,
    )


def _of_error(known: KnownError) -> Page:
    message = known.error.partition(": ")[2]
    sign = next(sign for sign in known.signs if re.search(sign.pattern, message))
    hints = [plain(each.hint_on(message)) for each in known.signs]
    return Page(
        code=known.code,
        title=known.title,
        level="note",
        does=_NOTES,
        why=_reflow(known.why),
        example=block("text", f"{known.error}\nautoxla: {known.code} {sign.hint_on(message)}"),
        # Which of several it is the error tells.
        remedy=hints[0] if len(hints) == 1 else "\n".join(f"- {hint}" for hint in hints),
        silence=_NOTE_SILENCE,
        source=SOURCES[known.code[:4]],
    )


def _of_code(told: Code) -> Page:
    return Page(
        code=told.code,
        title=told.title,
        level=told.level,
        does=told.does,
        why=_reflow(told.why),
        example=f"{block(told.language, told.given)}\n\n{block('text', told.printed)}",
        remedy=plain(sentence(told.remedy)),
        silence=told.silence.format(code=told.code),
        source=told.source,
    )


def _of_check(code: str, entry: doctor.Entry) -> Page:
    shown = block("text", f"… {code} … {entry.example}")
    return Page(
        code=code,
        title=entry.title,
        level="doctor",
        does=_DOCTOR,
        why=plain(_reflow(entry.why)),
        example=f"{block('console', '$ python -m autoxla doctor --verbose')}\n\n{shown}",
        remedy=plain(sentence(entry.remedy)),
        silence=_DOCTOR_SILENCE,
        source=entry.source,
    )


def _reflow(text: str) -> str:
    return " ".join(text.split())


def sentence(text: str) -> str:
    """Return ``text`` with a full stop; a name or command at its start keeps its case."""
    first = text.split(None, 1)[0]
    begun = text[0].upper() + text[1:] if first.isalpha() and first not in _COMMANDS else text
    return begun if begun.endswith(".") else f"{begun}."


def plain(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is; what stands between backticks is code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"[<*]|__", lambda found: "\\" + "\\".join(found[0]), part) for part in parts[::2]]
    return "`".join(parts)
