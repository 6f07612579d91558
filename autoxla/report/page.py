"""A report as one page of HTML: the plan, the findings, and each trial drawn.

The page needs nothing but itself: no script, no font, no image from anywhere; its own policy forbids
to load any. ``page.html`` is its template, for jinja2, which escapes every value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from autoxla.report.chart import HEIGHT, NAMES, WIDTH, Trial, lay_out, number
from autoxla.report.story import assignment


def render_page(data: Mapping[str, Any], written: str = "") -> str:
    """Return the page of a report: ``data`` as `autoxla.report.page_data` has it, ``written`` tells when."""
    environment = Environment(autoescape=True, finalize=_printable, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"default": str}
    environment.filters["number"] = number
    source = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    findings = data.get("findings", ())
    return environment.from_string(source).render(
        data=data,
        trials=[Trial(entry) for entry in data.get("trials", ())],
        left=[finding for finding in findings if not finding["applied"] and finding["level"] != "info"],
        # The story tells of settings, too, which have a table of their own.
        told={assignment(each["variable"], each["value"]) for each in data.get("settings", ())},
        found={finding["code"] for finding in findings},
        lay_out=lay_out,
        width=WIDTH,
        height=HEIGHT,
        names=NAMES,
        written=written,
    )


def _printable(value: object) -> object:
    """Return ``value`` with a sign in the place of what no page can hold: control characters, half pairs."""
    if value is None:
        return ""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in value)
