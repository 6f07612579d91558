"""TensorFlow's persistent compilation cache in one process: opened before the plan, kept at the exit."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from autoxla.records.compiled import keep, prepare, run_folder
from autoxla.situation.compiler import VARIABLES
from autoxla.situation.environment import APPLIED

_FLAGS = "TF_XLA_FLAGS"


class Compiled:
    """The folder of this process for what XLA compiles. Raises OSError where it cannot be made.

    `dropped` names the entries that were damaged.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.folder = folder
        self.dropped = prepare(folder)
        self._before = _values(environ)

    def finish(self, environ: Mapping[str, str]) -> None:
        """Keep what is new for the next run, unless the program changed what it depends on."""
        # A cache that cannot be written is lost, and nothing else.
        with suppress(OSError):
            if _values(environ) == self._before:
                keep(self.folder)

    def leave_to_parent(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that name a folder of its own to a forked child.

        The child's folder begins empty and is not kept, since most such children end without a word.
        """
        # The last part of the path alone, which no reader writes in another way.
        before, after = self.folder.name, run_folder(self.folder.parent).name
        texts = {name: environ.get(name, "") for name in (_FLAGS, APPLIED)}
        return {name: text.replace(before, after) for name, text in texts.items() if before in text}


def _values(environ: Mapping[str, str]) -> list[str | None]:
    return [environ.get(name) for name in VARIABLES]
