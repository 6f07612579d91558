"""``python -m autoxla rule [CODE]`` and the pages of the codes, which the documentation has, too.

The example of a rule is followed: the finding and the page's text are made anew from its program.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from autoxla.commands import BadArgumentsError
from autoxla.commands.terminal import make_console
from autoxla.hooks.known_errors import KNOWN_ERRORS, SOURCES
from autoxla.lookahead import Program, read_program
from autoxla.model import Finding, Hardware, KerasConfig, Place, Plugin, Settings, Situation
from autoxla.notice import headline
from autoxla.planning import with_reading
from autoxla.policies import decide, list_rules
from autoxla.policies.rule import FILE, Example
from autoxla.report.story import finding_lines
from autoxla.settings import load_toml

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

_WITH = "TensorFlow 2.21, Keras 3.15, tf_keras 2.21"
_ALL = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}
_ITEX = {
    "plugins": (Plugin("itex", "libitex_gpu.so"),),
    "hardware": Hardware("present", frozenset({"xpu"})),
}
#: The machines of examples, in words and as the facts in which each is not the usual one.
_MACHINES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "usual": (_WITH, {}),
    "no tf_keras": (
        "TensorFlow 2.21, Keras 3.15, no tf_keras",
        {"versions": {"tensorflow": (2, 21, 0), "keras": (3, 15, 1)}},
    ),
    "tf-agents": (f"{_WITH}, tf-agents 0.19", {"versions": {**_ALL, "tf-agents": (0, 19)}}),
    "keras-rl2": (f"{_WITH}, keras-rl2 1.0.5", {"versions": {**_ALL, "keras-rl2": (1, 0, 5)}}),
    "ITEX": (f"{_WITH}, a build of ITEX later than 2.15, an Intel GPU", _ITEX),
    "ITEX without Keras 3": (
        "TensorFlow 2.21, tf_keras 2.21, a build of ITEX later than 2.15, no Keras 3",
        {**_ITEX, "versions": {"tensorflow": (2, 21, 0), "tf-keras": (2, 21, 0)}},
    ),
    "ITEX 2.15": (
        "TensorFlow 2.15, Keras 3.3, ITEX 2.15",
        {
            "versions": {"tensorflow": (2, 15, 1), "keras": (3, 3, 3)},
            "plugins": (Plugin("itex", "libitex_cpu.so", (2, 15, 0, 0)),),
        },
    ),
    "Metal": (f"{_WITH}, tensorflow-metal on a Mac", {"plugins": (Plugin("metal"),)}),
    "a GPU without CUDA's libraries": (
        f"{_WITH} by pip install tensorflow, and an NVIDIA GPU",
        {
            "hardware": Hardware("present", frozenset({"cuda"})),
            "gpu_lacks": "libcudnn.so.9",
        },
    ),
    "CUDA elsewhere": (
        f"{_WITH}, an NVIDIA GPU, CUDA's tools in /data/cuda-12",
        {
            "hardware": Hardware("present", frozenset({"cuda"})),
            "libdevice": "/data/cuda-12",
        },
    ),
}


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
        for family, members in by_family(found):
            print(
                f"{family}\n" + "".join(f"  {page.code}  {page.level:<7}  {page.title}\n" for page in members)
            )
    elif (console := make_console()) is None:
        print(render_page(found[0]), end="")
    else:
        from rich.markdown import Markdown

        console.print(Markdown(render_page(found[0]), code_theme="ansi_light"))
    return 0


@cache
def read_told() -> dict[str, Any]:
    """Return what ``codes.toml`` tells: ``families``, ``rules``, ``notes``, and groups of codes."""
    return load_toml(Path(__file__).with_name("codes.toml").read_text(encoding="utf-8"))


def read_codes() -> dict[str, dict[str, Any]]:
    """Return what ``codes.toml`` tells of each code, that of its group included."""
    groups = (group for group in read_told().values() if isinstance(group, dict))
    members = ((group, item) for group in groups for item in group.items())
    return {code: {**group, **told} for group, (code, told) in members if isinstance(told, dict)}


def make_pages() -> dict[str, Page]:
    """Return the pages by code. Raises LookupError where an example does not give its code."""
    pages, said, notes = [], read_told()["rules"], read_told()["notes"]
    for rule in list_rules():
        finding = follow(rule.example, rule.code)
        acts = rule.act is not None or rule.cures is not None
        effect = said["fatal" if rule.fatal else "cures"] if acts else said["says"]
        effect += f" {said['possible']}" if rule.grade == "possible" else ""
        silence = said["silence"].format(code=rule.code)
        does, example = f"> {plain(finding.message)}\n\n{_flow(effect)}", render(rule.example, finding)
        texts = [does, _flow(rule.why), example, plain(finding.remedy), _flow(silence), rule.source]
        pages.append(Page(rule.code, rule.title, rule.level, *texts))
    for known in KNOWN_ERRORS:
        message = known.error.partition(": ")[2]
        sign = next(sign for sign in known.signs if re.search(sign.pattern, message))
        example = block("text", f"{known.error}\nautoxla: {known.code} {sign.hint_on(message)}")
        hints = [plain(each.hint_on(message)) for each in known.signs]
        # Which of several it is the error tells.
        remedy = hints[0] if len(hints) == 1 else "\n".join(f"- {hint}" for hint in hints)
        does, silence, source = _flow(notes["does"]), _flow(notes["silence"]), SOURCES[known.code[:4]]
        texts = [does, _flow(known.why), example, remedy, silence, source]
        pages.append(Page(known.code, known.title, "note", *texts))
    for code, told in read_codes().items():
        given, printed = block(told.get("language", "python"), told["given"]), block("text", told["printed"])
        silence = _flow(told["silence"].format(code=code))
        does, why, remedy = _flow(told["does"]), plain(_flow(told["why"])), plain(told["remedy"])
        texts = [does, why, f"{given}\n\n{printed}", remedy, silence, told["source"]]
        pages.append(Page(code, told["title"], told["level"], *texts))
    return {page.code: page for page in sorted(pages, key=lambda page: page.code)}


def family_of(code: str) -> str:
    """Return what the codes that begin like ``code`` are about. Raises StopIteration on a foreign code."""
    families = read_told()["families"]
    return next(str(each["title"]) for each in families if code.startswith(tuple(each["codes"])))


def by_family(pages: Iterable[Page]) -> Iterator[tuple[str, list[Page]]]:
    """Yield each family with its members, which come in the order of their codes."""
    for family, members in groupby(pages, key=lambda page: family_of(page.code)):
        yield family, list(members)


def render_page(page: Page) -> str:
    """Return the page of a code, in Markdown."""
    level = _LEVELS.get(page.level, f"level {page.level}")
    head = f"# {page.code}: {page.title}\n\n*{family_of(page.code)}; {level}*"
    parts = (f"## {title}\n\n{getattr(page, name)}" for title, name in PARTS)
    return "\n\n".join([head, *parts]) + "\n"


def _flow(text: str) -> str:
    """Return ``text`` on one line."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is; what stands between backticks is code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"[<*]|__", lambda found: "\\" + "\\".join(found[0]), part) for part in parts[::2]]
    return "`".join(parts)


def block(language: str, text: str) -> str:
    """Return ``text`` as a fenced block."""
    return f"```{language}\n{text.strip()}\n```"


def follow(example: Example, code: str) -> Finding:
    """Return the finding with ``code`` that autoxla makes here; LookupError where it makes none."""
    findings = decide(situation_of(example)).findings
    found = next((finding for finding in findings if finding.code == code), None)
    if found is None:
        raise LookupError(f"the example of {code} gives {[finding.code for finding in findings]}")
    return found


def situation_of(example: Example) -> Situation:
    """Return the situation of an example, before the program's first import of a backend."""
    # Of no path at all: a page says the same wherever it is made.
    read = read_program(Program("code", example.program, Path("/nonexistent")), path=[])
    evidence = tuple(replace(e, place=replace(e.place, file=FILE)) for e in read.evidence)
    # As the lines of pyproject.toml, below the name of the table.
    lines = {name: Place("pyproject.toml", number) for number, name in enumerate(example.settings, start=2)}
    places = {"keras_setting" if name == "keras" else name: place for name, place in lines.items()}
    situation = Situation(
        versions=_ALL,
        hardware=Hardware("none"),
        settings=Settings(**example.settings, places=places),
        environment=example.variables,
        keras_config=KerasConfig("~/.keras/keras.json", example.keras_json) if example.keras_json else None,
    )
    situation = replace(situation, **_MACHINES[example.machine][1])
    situation = with_reading(situation, replace(read, evidence=evidence), None, [])
    return replace(situation, **example.known)


def render(example: Example, finding: Finding) -> str:
    """Return an example as Markdown: the machine, the files, and what is typed and printed."""
    parts = [f"With {_MACHINES[example.machine][0]}{'; ' if example.told else ''}{example.told}."]
    if example.settings:
        # JSON spells these values as TOML does.
        lines = [f"{name} = {json.dumps(value)}" for name, value in example.settings.items()]
        parts.append(block("toml", "\n".join(["[tool.autoxla]  # in pyproject.toml", *lines])))
    if example.keras_json:
        parts.append(block("json", f'{{"backend": "{example.keras_json}"}}'))
    parts.append(block("python", example.program))
    variables = "".join(f"{name}={shlex.quote(value)} " for name, value in example.variables.items())
    printed = f"autoxla: {headline([finding], FILE)}"
    if example.command.endswith("explain"):
        printed = "\n".join(["…", *(f"  {line}" for line in finding_lines(finding))])
    parts.append(block("console", f"$ {variables}{example.command} {FILE}\n{printed}"))
    return "\n\n".join(parts)
