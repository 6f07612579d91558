"""A report as one page of HTML: the plan, the findings, and each trial drawn.

The page needs nothing but itself: no script, no font, no image from anywhere; its own policy forbids
to load any. It is made of the report's data alone, each part of which is checked and escaped.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape

from autoxla.page.markup import code, table, text
from autoxla.page.reading import read_trial
from autoxla.page.style import STYLE
from autoxla.page.trials import render_trial, tell

Data = Mapping[str, object]
#: Parts of the story that stand below the findings.
TOLD = ("Measured in earlier runs", "Left alone", "In other modes", "Situation")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MODES = {"off": "off", "observe": "observe: nothing is changed"}


def render_page(data: Data, written: str = "") -> str:
    """Return the page of a report: ``data`` as `autoxla.report.page_data` has it, ``written`` tells when.

    What is missing in ``data``, or is not what a report has there, is left out.
    """
    program = text(data.get("program")) or "This environment"
    body = [
        _head(program, data),
        *(_section("Trials", [render_trial(read_trial(entry)) for entry in _entries(data, "trials")])),
        *(_section("Plan", [_settings(data), _story(data, "Plan")])),
        *(_section("Findings", _findings(data))),
        *(part for name in TOLD for part in _section(name, [_story(data, name)])),
        *(_section("Compiled models", [_compiles(data)])),
        *(_section("Faults", [_faults(data)])),
        *(_section("More than this report has", [_left_out(data)])),
        f"<footer>{text(data.get('made_by'))} {text(written)}</footer>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{program} - autoxla</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        f"{chr(10).join(body)}\n{embed(data)}\n</body>\n</html>\n"
    )


def embed(data: Data) -> str:
    """Return ``data`` as JSON in an element that no browser runs and no value can end."""
    content = json.dumps(data, indent=1, default=str)
    for character in "<>&":
        content = content.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="report">\n{content}\n</script>'


# Parts of the page


def _head(program: str, data: Data) -> str:
    chips = "".join(f"<li><span>{name}</span>{value}</li>" for name, value in _chips(data))
    return (
        f'<header><p class="brand">autoxla</p><h1>{program}</h1><p class="lead">{_lead(data)}</p>'
        f'<ul class="chips">{chips}</ul></header>'
    )


def _chips(data: Data) -> Iterator[tuple[str, str]]:
    mode, path = text(data.get("mode")), _mapping(data, "path")
    yield "mode", _MODES.get(mode, mode)
    keras = path.get("keras")
    if keras is not None:
        yield "Keras", text(keras) if keras else "not used"
    yield "step", text(path.get("step")) or "as Keras decides"
    yield "device", text(path.get("device"))
    yield "backend", text(path.get("backend"))


def _lead(data: Data) -> str:
    settings, findings = _entries(data, "settings"), _entries(data, "findings")
    left = [f for f in findings if not f.get("applied") and f.get("level") != "info"]
    parts = [_count(len(settings), "variable", "set") if settings else "No variable was touched"]
    parts.append(f"{_count(len(left), 'finding', 'left to you')}" if left else "nothing is left to do")
    trials = [tell(read_trial(entry)) for entry in _entries(data, "trials")]
    return ". ".join([*(escape(sentence.rstrip(".")) for sentence in trials[:1]), "; ".join(parts)]) + "."


def _count(number_: int, noun: str, verb: str) -> str:
    return f"{number_} {noun}{'' if number_ == 1 else 's'} {verb}"


def _section(title: str, parts: Iterable[str]) -> Iterator[str]:
    shown = [part for part in parts if part]
    if shown:
        yield f"<section><h2>{title}</h2>{''.join(shown)}</section>"


def _settings(data: Data) -> str:
    rows = [
        (code(_assignment(setting)), code(_previous(setting)), _because(setting, data))
        for setting in _entries(data, "settings")
    ]
    return _card(table(("variable", "before", "because"), rows)) if rows else ""


def _assignment(setting: Data) -> str:
    name, value = setting.get("variable"), setting.get("value")
    return f"unset {name}" if value is None else f"{name}={value}"


def _previous(setting: Data) -> str:
    previous = setting.get("previous")
    return "unset" if previous is None else str(previous)


def _because(setting: Data, data: Data) -> str:
    codes = setting.get("because")
    said = {text(finding.get("code")) for finding in _entries(data, "findings")}
    names = [text(value) for value in codes] if isinstance(codes, list | tuple) else []
    titles = [f" {text(_rule(name, data).get('title'))}".rstrip() for name in names]
    links = [f'<a href="#{name}">{name}</a>' if name in said else name for name in names]
    return "<br>".join(f"{link}{title}" for link, title in zip(links, titles, strict=True))


def _findings(data: Data) -> Iterator[str]:
    seen: set[str] = set()
    for finding in _entries(data, "findings"):
        name, level = text(finding.get("code")), text(finding.get("level"))
        anchor = "" if name in seen else f' id="{name}"'
        seen.add(name)
        done = bool(finding.get("applied"))
        yield (
            f'<article class="card finding {level if level in ("error", "warning") else "info"}"{anchor}>'
            f'<p class="tags"><strong>{name}</strong><span class="level">{level}</span>'
            f"<code>{_place(finding)}</code></p><p>{text(finding.get('message'))}</p>"
            f'<p class="remedy{" done" if done else ""}"><b>{"done" if done else "to do"}</b> '
            f"{text(finding.get('remedy'))}</p>{_source(_rule(name, data))}</article>"
        )


def _rule(name: str, data: Data) -> Data:
    return _mapping(_mapping(data, "rules"), name)


def _source(rule: Data) -> str:
    title, source = text(rule.get("title")), text(rule.get("source"))
    return f'<p class="soft">Rule: {title}. Source: {source}.</p>' if rule else ""


def _place(finding: Data) -> str:
    parts = [finding.get(name) for name in ("file", "line", "column")]
    return ":".join(text(part) for part in parts if part is not None)


def _compiles(data: Data) -> str:
    rows = [
        tuple(text(value) for value in (entry.get("requested"), entry.get("used"), entry.get("because")))
        for entry in _entries(data, "compile")
    ]
    return _card(table(("jit_compile asked for", "used", "because"), rows)) if rows else ""


def _faults(data: Data) -> str:
    errors = data.get("errors")
    lines = errors if isinstance(errors, list | tuple) else ()
    return "".join(f'<p class="card finding error">{text(line)}</p>' for line in lines)


def _left_out(data: Data) -> str:
    rows = [(text(name), text(count)) for name, count in _mapping(data, "left_out").items()]
    return _card(table((), rows, "facts")) if rows else ""


# Data


def _story(data: Data, part: str) -> str:
    rows = _mapping(data, "story").get(part)
    pairs = rows if isinstance(rows, list | tuple) else ()
    # These have a table of their own.
    told = {_assignment(setting) for setting in _entries(data, "settings")}
    rows_ = [row for row in pairs if isinstance(row, list | tuple) and len(row) == 2 and row[0] not in told]
    cells = [tuple(map(text, row)) for row in rows_]
    return _card(table((), cells, "facts")) if cells else ""


def _card(content: str) -> str:
    return f'<div class="card scroll">{content}</div>'


def _entries(data: Data, name: str) -> list[Data]:
    entries = data.get(name)
    return [e for e in entries if isinstance(e, Mapping)] if isinstance(entries, list | tuple) else []


def _mapping(data: Data, name: str) -> Data:
    value = data.get(name)
    return value if isinstance(value, Mapping) else {}
