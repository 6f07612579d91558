"""The tables of docs/startup.md, made from the figures in ``benchmarks/results``.

``python -m benchmarks.tables`` writes them between their marks in the document, so that the text
shows what was measured and nothing else.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[1]
RESULTS = CHECKOUT / "benchmarks" / "results"
DOCUMENT = CHECKOUT / "docs" / "startup.md"
#: What a column of the results is called, and how many decimal places it has.
COLUMNS = {
    "min": ("min, ms", 1),
    "median": ("median, ms", 1),
    "added min": ("+ min, ms", 1),
    "added median": ("+ median, ms", 1),
    "modules": ("+ modules", 0),
    "Minstr": ("million instructions", 1),
    "added Minstr": ("+ million instructions", 1),
}
_PLACE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Renew the tables in the document."""
    DOCUMENT.write_text(renew(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


def renew(text: str) -> str:
    """Return ``text`` with the table of ``results/NAME.json`` below each ``<!-- table: NAME -->``."""
    return _PLACE.sub(lambda found: f"{found[1]}{format_file(RESULTS / f'{found[2]}.json')}{found[3]}", text)


def format_file(file: Path) -> str:
    """Return the summary in ``file`` as a Markdown table, with what it belongs to below."""
    data = json.loads(file.read_text(encoding="utf-8"))
    return f"{format_summary(data['summary'])}\n{format_origin(data)}\n"


def format_summary(summary: Mapping[str, Mapping[str, float]]) -> str:
    """Return one line for each variant; a figure that it lacks is left blank."""
    names = [name for name in COLUMNS if any(name in row for row in summary.values())]
    head = ["", *(COLUMNS[name][0] for name in names)]
    lines = [head, ["---", *["--:"] * len(names)]]
    lines += [[title, *(_format_cell(row, name) for name in names)] for title, row in summary.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def format_origin(data: Mapping[str, Any]) -> str:
    """Return rounds, date, system and versions as a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(data["versions"].items()))
    return (
        f"{data['rounds']} interleaved rounds, {data['date']}, CPython {data['python']}, {data['system']};"
        f" {versions}."
    )


def _format_cell(row: Mapping[str, float], name: str) -> str:
    return f"{row[name]:.{COLUMNS[name][1]}f}" if name in row else ""


if __name__ == "__main__":
    main()
