"""The tables of the pages on start-up and performance show the figures that are kept, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import tables
from benchmarks.targets import TARGETS, Figure, Target

SUMMARY: dict[str, dict[str, float | None]] = {
    "bare": {"min": 7.04, "processor low": None, "modules": 0},
    "with instructions": {"min": 8.06, "processor low": 0.111, "Minstr": 35.44},
}
TABLE = """\
|  | min, ms | from | + modules | million instructions |
| --- | --: | --: | --: | --: |
| bare | 7.0 |  | 0 |  |
| with instructions | 8.1 | 0.11 |  | 35.4 |"""
ORIGIN: dict[str, Any] = {
    "rounds": 3,
    "date": "2026-01-02",
    "python": "3.11.7",
    "system": "Linux",
    "machine": {"cores": 2},
    "load": [0.5, 1.25],
    "versions": {"b": "2", "a": "1"},
}


@pytest.mark.parametrize("document", tables.DOCUMENTS, ids=lambda file: file.name)
def test_document_is_up_to_date(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert tables.renew(text) == text


@pytest.mark.parametrize("name", ["startup", "launchers"])
def test_every_variant_is_in_the_document(name: str) -> None:
    text = tables.DOCUMENTS[0].read_text(encoding="utf-8")
    summary = tables.load(name)["summary"]
    assert [
        variant for variant in summary if f"| {variant} | {summary[variant]['min']:.1f} |" not in text
    ] == []


def test_every_limit_is_in_the_document_with_what_was_measured() -> None:
    lines = tables.DOCUMENTS[1].read_text(encoding="utf-8").splitlines()
    shown = [line for target in TARGETS for line in lines if line.startswith(f"| {target.what} | ")]
    assert len(shown) == len(TARGETS)
    assert [line for line in shown if "not measured yet" in line] == []


def test_format_summary() -> None:
    assert tables.format_summary(SUMMARY) == TABLE


def test_renew_replaces_what_stands_between_the_marks() -> None:
    text = tables.DOCUMENTS[0].read_text(encoding="utf-8")
    emptied = tables.renew(text.replace("| bare |", "| other |") + "<!-- table: unclosed -->")
    assert emptied == text + "<!-- table: unclosed -->"


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(KeyError, match="no_such"):
        tables.renew("<!-- table: no_such -->\n<!-- end -->")


def test_format_origin() -> None:
    assert tables.format_origin(ORIGIN) == (
        "3 interleaved rounds, 2026-01-02, CPython 3.11.7, Linux, 2 cores, load average 0.5 before and 1.25 "
        "after; a 1, b 2."
    )


def test_a_limit_shows_minima_median_interval_and_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "load", lambda name: {"name": name})
    target = Target("a start", 0.3, "ms", "startup", lambda _: Figure(0.2, 0.25, 0.21, 0.29))
    assert tables.format_targets([target]).splitlines()[-1] == (
        "| a start | 0.3 ms | 0.2 | 0.25 (0.21 to 0.29) | met | `python -m benchmarks startup` |"
    )


def test_what_was_not_measured_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "load", lambda _: {})
    assert "| not measured yet |" in tables.format_targets(TARGETS[:1])
    assert "not measured yet" in tables.format_noise()
    assert [tables.TABLES[name]() for name in ("startup", "imports", "lookahead", "plans", "records")] == [
        tables.NOTHING
    ] * 5
