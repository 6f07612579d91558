"""``python -m autoxla rule [CODE]`` and the pages of the codes, which the documentation has, too."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from autoxla.commands import BadArgumentsError
from autoxla.commands.rule_examples import block, follow, render
from autoxla.commands.terminal import make_console
from autoxla.hooks.known_errors import KNOWN_ERRORS, SOURCES
from autoxla.policies import list_rules
from autoxla.settings import load_toml

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
    "autoxla knows this error. It adds a note to the exception where that ends the program or the cell of a "
    "notebook; its type, arguments and traceback stay as they are. Python 3.10 has no notes: there it is a "
    "line below the traceback."
)
_NOTE_SILENCE = "Handle the exception: then there is no note. With `AUTOXLA=off` there are none at all."
#: What begins a remedy and keeps its case.
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


def run(options: argparse.Namespace) -> int:
    """Print the page or the list that ``options`` ask for; return the exit status."""
    wanted = "AX" if options.code is None else options.code.upper()
    found = [page for code, page in make_pages().items() if code.startswith(wanted)]
    if not wanted or not found:
        raise BadArgumentsError(f"there is no code {options.code!r}; python -m autoxla rule lists all codes")
    if options.json:
        print(json.dumps([{**asdict(page), "family": family_of(page.code)} for page in found], indent=2))
    elif wanted != found[0].code:
        print(render_list(found))
    elif (console := make_console()) is None:
        print(render_page(found[0]), end="")
    else:
        from rich.markdown import Markdown
        from rich.theme import Theme

        # On the terminal's own background, light or dark.
        with console.use_theme(Theme({"markdown.code": "bold cyan", "markdown.code_block": "cyan"})):
            console.print(Markdown(render_page(found[0]), code_theme="ansi_light"))
    return 0


def make_pages() -> dict[str, Page]:
    """Return the pages by code. Raises LookupError where an example does not give its code."""
    pages = []
    for rule in list_rules():
        finding = follow(rule.example, rule.code)
        acts = rule.act is not None or rule.cures is not None
        effect = (_SAVES if rule.fatal else _CURES) if acts else _SAYS
        page = Page(
            code=rule.code,
            title=rule.title,
            level=rule.level,
            does=f"> {plain(finding.message)}\n\n{effect}{_POSSIBLE if rule.grade == 'possible' else ''}",
            why=" ".join(rule.why.split()),
            example=render(rule.example, rule.code),
            remedy=plain(sentence(finding.remedy)),
            silence=_RULE_SILENCE.format(code=rule.code),
            source=rule.source,
        )
        pages.append(page)
    for known in KNOWN_ERRORS:
        message = known.error.partition(": ")[2]
        sign = next(sign for sign in known.signs if re.search(sign.pattern, message))
        hints = [plain(each.hint_on(message)) for each in known.signs]
        page = Page(
            code=known.code,
            title=known.title,
            level="note",
            does=_NOTES,
            why=" ".join(known.why.split()),
            example=block("text", f"{known.error}\nautoxla: {known.code} {sign.hint_on(message)}"),
            # Which of several it is the error tells.
            remedy=hints[0] if len(hints) == 1 else "\n".join(f"- {hint}" for hint in hints),
            silence=_NOTE_SILENCE,
            source=SOURCES[known.code[:4]],
        )
        pages.append(page)
    for code, told in read_codes().items():
        given, printed = block(told.get("language", "python"), told["given"]), block("text", told["printed"])
        page = Page(
            code=code,
            title=told["title"],
            level=told["level"],
            does=" ".join(told["does"].split()),
            why=plain(" ".join(told["why"].split())),
            example=f"{given}\n\n{printed}",
            remedy=plain(sentence(told["remedy"])),
            silence=" ".join(told["silence"].format(code=code).split()),
            source=told["source"],
        )
        pages.append(page)
    return {page.code: page for page in sorted(pages, key=lambda page: page.code)}


def read_codes() -> dict[str, dict[str, Any]]:
    """Return what ``codes.toml`` tells of each code, that of its group included."""
    groups = load_toml(Path(__file__).with_name("codes.toml").read_text(encoding="utf-8"))
    return {
        code: {**group, **told}
        for group in groups.values()
        for code, told in group.items()
        if isinstance(told, dict)
    }


def family_of(code: str) -> str:
    """Return what the codes that begin like ``code`` are about. Raises StopIteration on a foreign code."""
    return next(title for beginnings, title in FAMILIES if code.startswith(beginnings))


def by_family(pages: Iterable[Page]) -> Iterator[tuple[str, list[Page]]]:
    """Yield each family with its members, which come in the order of their codes."""
    for family, members in groupby(pages, key=lambda page: family_of(page.code)):
        yield family, list(members)


def render_list(pages: Iterable[Page]) -> str:
    """Return codes with their levels and titles as lines of text, by family."""
    blocks = (
        "\n".join([family, *(f"  {page.code}  {page.level:<7}  {page.title}" for page in members)])
        for family, members in by_family(pages)
    )
    return "\n\n".join(blocks)


def render_page(page: Page) -> str:
    """Return the page of a code, in Markdown."""
    level = _LEVELS.get(page.level, f"level {page.level}")
    head = f"# {page.code}: {page.title}\n\n*{family_of(page.code)}; {level}*"
    parts = (f"## {title}\n\n{getattr(page, name)}" for title, name in PARTS)
    return "\n\n".join([head, *parts]) + "\n"


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
