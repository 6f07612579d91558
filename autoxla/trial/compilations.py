"""How often XLA compiles in a fit of a model with ``jit_compile=True``: once for each shape of a batch.

TensorFlow does not tell. What XLA compiles for a CPU lies in executable memory that belongs to no file, and
each compilation of one step adds the same number of pieces. They are counted around the first step and at the
end of the fit: the count is never too high. Of the other steps only the time is taken, of which the longest
are those that compiled. Elsewhere nothing is counted.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from autoxla.hooks.finder import attempt
from autoxla.hooks.wrapping import leave_no_frame
from autoxla.model import Finding, Place
from autoxla.runtime import current

_MAPS = Path("/proc/self/maps")
#: So many are worth a word, where they take this part of the fit's time.
_MANY, _SHARE = 8, 0.25
#: The times of so many steps are kept.
_KEPT = 10_000


class Compilations:
    """Stands for ``stock``, the model's own ``train_function``, for a fit."""

    def __init__(self, model: Any, stock: Any) -> None:
        self.model, self.stock = model, stock
        self._begin = perf_counter()
        #: The pieces of one compilation, and all there were behind it.
        self._first: tuple[int, int] | None = None
        self._times: list[float] = []

    def __call__(self, iterator: Any) -> Any:
        """Run a step; around the first one count what XLA compiles."""
        is_first = not self._times
        before, begin = attempt("trial", count_pieces) if is_first else None, perf_counter()
        try:
            logs = self.stock(iterator)
        except BaseException as error:
            leave_no_frame(error)
            raise
        if len(self._times) < _KEPT:
            self._times.append(perf_counter() - begin)
        behind = attempt("trial", count_pieces) if is_first else None
        if before is not None and behind is not None and behind > before:
            self._first = behind - before, behind
        return logs

    def __getattr__(self, name: str) -> Any:
        """Look like the function whose place this takes, as TensorBoard's callback wants it."""
        if name == "stock":
            raise AttributeError(name)
        return getattr(self.stock, name)

    def close(self) -> None:
        """Say at the end of the fit how often XLA compiled, if that took much of it."""
        is_said = any(finding.code == "AX706" for finding in current().findings)
        if self._first is None or is_said:
            return
        pieces, behind = self._first
        times = 1 + ((count_pieces() or 0) - behind) // pieces
        elapsed = perf_counter() - self._begin
        # The first step was traced, too, so that its time is left out on both sides.
        longest = sorted(self._times[1:], reverse=True)
        compiled, others = longest[: times - 1], longest[times - 1 :]
        seconds = sum(compiled) - len(compiled) * (median(others) if others else 0.0)
        if times >= _MANY and seconds >= _SHARE * (elapsed - self._times[0]):
            message = (
                f"XLA compiled at least {times} times in this fit, which took about {seconds:.2g} of its "
                f"{elapsed:.2g} s, since jit_compile=True makes it do so for each shape of a batch"
            )
            remedy = "pad the batches to a few lengths, or leave jit_compile=True out"
            current().add_finding(Finding("AX706", "warning", message, remedy, Place("fit")))


def count_pieces() -> int | None:
    """Return how many pieces of executable memory belong to no file, None where that cannot be found out."""
    try:
        lines = _MAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    # Address, permissions, offset, device, inode, and the path where there is one.
    return sum("x" in fields[1] and len(fields) == 5 for fields in map(str.split, lines) if len(fields) > 1)
