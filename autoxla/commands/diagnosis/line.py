"""What a check says, and what it is given to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from autoxla.commands.diagnosis.inventory import Inventory
from autoxla.facts import Situation

#: ``error``: a program would not start, or soon dies; ``warning``: what it does may be wrong.
State = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Line:
    """One result. `remedy` is empty where there is nothing to do."""

    state: State
    code: str
    subject: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """What is examined.

    `path` stands for ``sys.path`` of the programs and `folder` for the one that Python puts first
    there, the script's or the current one. `environ` is the whole environment in which they start,
    with what the script sets early. `root` is ``/``, `prefix` the environment's own folder.
    """

    situation: Situation
    environ: Mapping[str, str]
    path: tuple[str, ...]
    folder: Path
    inventory: Inventory
    current: Path = field(default_factory=Path.cwd)
    root: Path = Path("/")
    prefix: Path = Path("/usr")
