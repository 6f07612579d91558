"""The situation and the plan of programs that do not run: for the commands that only look."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from zipfile import is_zipfile

from autoxla import WATCHED
from autoxla.facts import Evidence, Finding, Place, Reading, Situation
from autoxla.learned import recall
from autoxla.lookahead import Program, read_program
from autoxla.lookahead.files import LIMIT
from autoxla.lookahead.notebook import NotANotebookError, read_cells
from autoxla.notice import printable
from autoxla.places import cache_folder
from autoxla.policies.usage import is_below
from autoxla.records import Store
from autoxla.session import add_reading
from autoxla.settings import read_settings
from autoxla.situation import gather
from autoxla.situation.environment import is_watched
from autoxla.situation.files import UnreadableError, is_file, read_bytes

#: Findings that stand for bad input of the user's.
BAD_INPUT = ("AX301", "AX302")


def is_left(finding: Finding) -> bool:
    """Return whether ``finding`` is an error that nothing cures: what is told under ``--quiet``."""
    return finding.level == "error" and not finding.applied


def as_line(finding: Finding) -> str:
    """Return ``finding`` as ``path:line:col CODE level message; remedy``, all of it on one line."""
    return printable(f"{finding.place} {finding.code} {finding.level} {finding.message}; {finding.remedy}")


def folder_of(program: Path) -> Path:
    """Return the folder from which ``pyproject.toml`` is looked for: a program's own, if it is one."""
    path = program.resolve()
    return path if path.is_dir() else path.parent


def gather_for(folder: Path) -> Situation:
    """Return the situation in which programs in ``folder`` would start, nothing known of them yet.

    Raises `autoxla.settings.BadSettingError`.
    """
    settings, declared = read_settings(folder, os.environ)
    return gather(settings, declared, environ=os.environ, importing=None)


def learned_store(environ: Mapping[str, str]) -> Store:
    """Return the store of what runs taught."""
    return Store(cache_folder(environ) / "learned")


def read_script(script: Path, learned: Store | None = None) -> Reading:
    """Return what the source of ``script`` says: a file, a notebook, a folder or a zip file.

    What runs of it taught is in ``learned``, by default in a store of its own.
    """
    path = script.absolute()
    if path.is_dir() or (is_file(path) and is_zipfile(path)):
        program = Program("directory", str(path), path)
    elif path.suffix == ".ipynb":
        program = Program("notebook", str(path), path.parent)
    else:
        program = Program("script", str(path), path.resolve().parent)
    reading = read_program(program, cache=cache_folder(os.environ) / "lookahead")
    return recall(reading, (), learned_store(os.environ) if learned is None else learned)


def with_reading(situation: Situation, reading: Reading) -> Situation:
    """Return ``situation`` for the program that was read.

    What the program certainly assigns to a variable before its first import of a backend is the
    user's choice as if it stood in the environment.
    """
    situation = add_reading(situation, reading)
    starter, usage = _first_import(reading), situation.usage
    if starter is not None:
        usage = replace(usage, evidence={"importing": starter.place, **usage.evidence})
    return replace(
        situation,
        usage=usage,
        environment={**situation.environment, **_early_variables(reading)},
        importing=None if starter is None else starter.name.split(".")[0],
    )


def _first_import(reading: Reading) -> Evidence | None:
    certain = (e for e in reading.evidence if e.kind == "import" and e.grade == "certain")
    return next((e for e in certain if any(is_below(e.name, name) for name in WATCHED)), None)


def _early_variables(reading: Reading) -> dict[str, str]:
    early = (e for e in reading.evidence if e.kind == "variable" and e.early and e.grade == "certain")
    return {e.name: e.value for e in early if isinstance(e.value, str) and is_watched(e.name)}


def line_of(place: Place) -> str:
    """Return the text of the line that ``place`` names, empty where there is none."""
    if place.line is None:
        return ""
    file, _, cell = place.file.partition(":cell ")
    try:
        content = read_bytes(file, LIMIT) or b""
        cells = dict(read_cells(content)) if cell else {}
    except (UnreadableError, NotANotebookError):
        return ""
    text = cells.get(int(cell), "") if cell else content.decode("utf-8", "replace")
    lines = text.splitlines()
    return lines[place.line - 1] if 0 < place.line <= len(lines) else ""
