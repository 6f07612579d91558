"""What the project says of itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from autoxla.commands import MODULES
from autoxla.commands.parser import make_tree
from autoxla.commands.rule import make_pages

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def extracted_command() -> str:
    """Return the command that ``.ci/run`` takes out of the README."""
    awk = next(
        line for line in (CHECKOUT / ".ci" / "run").read_text().splitlines() if line.startswith("command=")
    )
    done = subprocess.run(
        ["bash", "-c", f'{awk}\necho "$command"'], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_gate_runs_the_command_of_the_readme() -> None:
    assert "&& .venv-test/bin/pytest -n 2" in extracted_command()
    assert extracted_command() in README


def test_the_main_job_is_an_example_that_is_there() -> None:
    (script,) = set(re.findall(r"\.venv/bin/python -m autoxla (\S+)", README))
    assert (CHECKOUT / script).is_file()


def test_codes_in_the_readme_exist() -> None:
    assert set(re.findall(r"AX\d{3}", README)) <= set(make_pages())


@pytest.mark.parametrize("command", MODULES)
def test_commands_are_in_the_help_and_in_the_readme(command: str) -> None:
    assert f"  {command} " in make_tree()[0].format_help()
    assert f"python -m autoxla {command}" in README


def test_links_of_the_readme_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (CHECKOUT / link).exists()] == []
