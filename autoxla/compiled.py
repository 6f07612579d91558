"""TensorFlow's persistent compilation cache in one process: opened before the plan, kept at the exit."""

from __future__ import annotations

import os
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

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dropped = prepare(folder)
        self._before = _values()
        os.register_at_fork(after_in_child=self._leave_to_parent)

    def finish(self) -> None:
        """Keep what is new for the next run, unless the program changed what it depends on."""
        # A cache that cannot be written is lost, and nothing else.
        with suppress(OSError):
            if _values() == self._before:
                keep(self.folder)

    def _leave_to_parent(self) -> None:
        """Name a folder of its own to a forked child: it must not read what its parent is writing.

        The child's folder begins empty and is not kept, since most such children end without a word.
        """
        # The last part of the path alone, which no reader writes in another way.
        before, after = self.folder.name, run_folder(self.folder.parent).name
        for name in (_FLAGS, APPLIED):
            text = os.environ.get(name, "")
            if before in text:
                os.environ[name] = text.replace(before, after)


def _values() -> list[str | None]:
    return [os.environ.get(name) for name in VARIABLES]
