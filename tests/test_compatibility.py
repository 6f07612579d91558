"""The page on compatibility says what the results of the contract suite say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract import table
from contract.environments import ENVIRONMENTS, RECORDED


def test_the_page_is_as_made() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    assert page == table.replace_tables(page, table.render(table.load()))


def test_every_environment_has_a_column() -> None:
    assert [result.environment for result in table.load()] == list(RECORDED)


def test_no_environment_runs_what_it_does_not_declare() -> None:
    """A row that does not apply says for which word of the declaration; what is declared is run."""
    for result in table.load():
        environment = ENVIRONMENTS[result.environment]
        skipped = {row.reason for row in result.rows.values() if row.outcome == "not applicable"}
        assert not skipped & {f"without {word}" for word in environment.has}


def test_the_releases_are_those_declared() -> None:
    for result in table.load():
        pins = ENVIRONMENTS[result.environment].pins
        found = {name: result.packages[name.replace("_", "-")].partition("+")[0] for name in pins}
        assert found == pins


def write(folder: Path, name: str, *rows: str) -> None:
    row = {"title": "A row", "outcome": "passed", "reason": ""}
    data = {"environment": name, "date": "2026-01-01", "python": "3.11.7", "packages": {}}
    text = json.dumps({**data, "rows": dict.fromkeys(rows, row)})
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def test_no_cell_is_empty(tmp_path: Path) -> None:
    write(tmp_path, "tf216", "a", "b")
    write(tmp_path, "tf218", "a")
    with pytest.raises(ValueError, match="tf218 was run without b"):
        table.load(tmp_path)


def test_a_result_changes_the_page(tmp_path: Path) -> None:
    write(tmp_path, "tf216", "a")
    page = f"by hand\n{table.BEGIN}\nold\n{table.END}\nby hand, too\n"
    made = table.replace_tables(page, table.render(table.load(tmp_path)))
    assert made.startswith("by hand\n")
    assert made.endswith("by hand, too\n")
    assert "| A row | ok |" in made
    assert "old" not in made
