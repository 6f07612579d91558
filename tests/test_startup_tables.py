"""The tables of docs/startup.md show the figures that are kept, and nothing else."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

# The checkout is not on the path, where its autoxla would come before the installed one.
tables = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "tables.py")))

SUMMARY = {"bare": {"min": 7.04, "modules": 0}, "with instructions": {"min": 8.06, "Minstr": 35.44}}
TABLE = """\
|  | min, ms | + modules | million instructions |
| --- | --: | --: | --: |
| bare | 7.0 | 0 |  |
| with instructions | 8.1 |  | 35.4 |
"""


def test_document_is_up_to_date() -> None:
    text = tables.DOCUMENT.read_text(encoding="utf-8")
    assert tables.renew(text) == text


@pytest.mark.parametrize("name", ["startup", "launchers"])
def test_every_variant_is_in_the_document(name: str) -> None:
    text = tables.DOCUMENT.read_text(encoding="utf-8")
    summary = json.loads((tables.RESULTS / f"{name}.json").read_text(encoding="utf-8"))["summary"]
    assert [
        variant for variant in summary if f"| {variant} | {summary[variant]['min']:.1f} |" not in text
    ] == []


def test_format_summary() -> None:
    assert tables.format_summary(SUMMARY) == TABLE


def test_renew_replaces_what_stands_between_the_marks() -> None:
    text = tables.DOCUMENT.read_text(encoding="utf-8")
    emptied = tables.renew(text.replace("| bare |", "| other |") + "<!-- table: unclosed -->")
    assert emptied == text + "<!-- table: unclosed -->"


def test_format_origin() -> None:
    data = {"rounds": 3, "date": "2026-01-02", "python": "3.11.7", "system": "Linux"}
    origin = tables.format_origin({**data, "versions": {"b": "2", "a": "1"}})
    assert origin == "3 interleaved rounds, 2026-01-02, CPython 3.11.7, Linux; a 1, b 2."
