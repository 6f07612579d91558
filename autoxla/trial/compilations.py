"""How often XLA compiles in a fit of a model with ``jit_compile=True``: once for each shape of a batch.

TensorFlow does not tell. What XLA compiles for a CPU lies in executable memory that belongs to no file, and
each compilation of one step adds the same number of pieces. They are counted around the first step and at the
end of the fit: no other step is touched, and the count is never too high. Elsewhere nothing is counted.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

from autoxla.hooks.finder import attempt
from autoxla.model import Finding
from autoxla.runtime import current

_MAPS = Path("/proc/self/maps")
#: So many are worth a word, where they take this part of the fit's time.
_MANY, _SHARE = 8, 0.25


class Compilations:
    """Stands for ``stock``, the model's own ``train_function``, for the first step of a fit."""

    def __init__(self, model: Any, stock: Any) -> None:
        self.model, self.stock = model, stock
        self._begin = perf_counter()
        #: The pieces of one compilation, all there were behind it, and the seconds of that step.
        self._first: tuple[int, int, float] | None = None

    def __call__(self, iterator: Any) -> Any:
        """Run the first step; the model has its own function back for all others."""
        self.model.train_function = self.stock
        before, begin = attempt("trial", count_pieces), perf_counter()
        logs = self.stock(iterator)
        behind, seconds = attempt("trial", count_pieces), perf_counter() - begin
        if before is not None and behind is not None and behind > before:
            self._first = behind - before, behind, seconds
        return logs

    def close(self) -> None:
        """Say at the end of the fit how often XLA compiled, if that took much of it."""
        is_said = any(finding.code == "AX706" for finding in current().findings)
        if self._first is None or is_said:
            return
        pieces, behind, seconds = self._first
        times = 1 + ((count_pieces() or 0) - behind) // pieces
        elapsed = perf_counter() - self._begin
        # The first step was traced, too.
        if times >= _MANY and times * seconds / 2 >= _SHARE * elapsed:
            message = (
                f"XLA compiled at least {times} times in this fit of {elapsed:.0f} s, since jit_compile=True "
                "makes it do so for each shape of a batch"
            )
            remedy = "pad the batches to a few lengths, or leave jit_compile=True out"
            current().add_finding(Finding("AX706", "warning", message, remedy))


def count_pieces() -> int | None:
    """Return how many pieces of executable memory belong to no file, None where that cannot be found out."""
    try:
        lines = _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    # Address, permissions, offset, device, inode, and the path where there is one.
    return sum("x" in fields[1] and len(fields) == 5 for fields in map(str.split, lines) if len(fields) > 1)
