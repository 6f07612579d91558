"""What tuning prints: progress on stderr, the table or JSON on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autoxla.commands.terminal import make_console
from autoxla.commands.tuning.race import Entry, Race, find_break_even
from autoxla.notice import say

if TYPE_CHECKING:
    from rich.progress import Progress

Row = tuple[str, ...]

_HEAD: Row = ("path", "ms a step", "of the default", "compile s", "MB", "pays after", "")


@contextmanager
def telling(budget: float, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Give a function that shows how far the race is: a bar on a terminal with rich, else lines.

    The bar is the share of ``budget``, in seconds, that is used up. ``quiet`` shows nothing.
    """
    if quiet:
        yield lambda _: None
        return
    progress = _make_progress() if sys.stderr is not None and sys.stderr.isatty() else None
    if progress is None:
        yield say
        return
    with progress:
        task = progress.add_task("round 1, default", total=budget)

        def tell(line: str) -> None:
            progress.update(task, description=line, completed=progress.tasks[0].elapsed or 0.0)

        yield tell


def _make_progress() -> Progress | None:
    try:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    except ImportError:
        return None
    words = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), BarColumn(bar_width=20), TimeElapsedColumn(), words)
    return Progress(*columns, console=Console(stderr=True), transient=True)


def as_data(race: Race, words: Sequence[str]) -> list[dict[str, object]]:
    """Return the paths that were run as JSON has them; times in the units that their names end with."""
    return [_entry_data(race, entry, words) for entry in race.entries]


def print_table(race: Race, impossible: Mapping[str, str]) -> None:
    """Print a row for each path: what was measured, and why it is out of the race, if so."""
    rows = [_row(race, entry) for entry in race.entries]
    rows += [(name, "", "", "", "", "", reason) for name, reason in impossible.items()]
    if not _draw(rows):
        _write([_HEAD, *rows])


def _entry_data(race: Race, entry: Entry, words: Sequence[str]) -> dict[str, object]:
    data: dict[str, object] = {
        "name": entry.path.name,
        "status": entry.status,
        "reason": entry.reason,
        "environment": dict(entry.path.variables),
        "command": entry.path.command(words),
    }
    if not entry.runs:
        return data
    judgement = race.judgement(entry)
    return {
        **data,
        "step_ms": _ms(entry.step_s),
        "rounds_ms": [_ms(run.sample.typical) for run in entry.runs],
        "least_ms": _ms(entry.least_s),
        "compile_s": round(entry.compile_s, 3),
        "memory_mb": round(max(run.memory for run in entry.runs) / 1e6),
        "ratio": None if judgement is None else round(judgement.ratio, 4),
        "ratio_bounds": None if judgement is None else [round(judgement.low, 4), round(judgement.high, 4)],
        "break_even_steps": find_break_even(race.default, entry),
    }


def _row(race: Race, entry: Entry) -> Row:
    name, note = _name(race, entry), _note(race, entry)
    if not entry.runs:
        return name, "", "", "", "", "", note
    low, high = entry.spread
    spread = f" ({_ms(low):.3g}-{_ms(high):.3g})" if len(entry.runs) > 1 else ""
    memory = f"{max(run.memory for run in entry.runs) / 1e6:.0f}"
    step = f"{_ms(entry.step_s):.3g}{spread}"
    return name, step, _ratio(race, entry), f"{entry.compile_s:.2f}", memory, _pays(race, entry), note


def _name(race: Race, entry: Entry) -> str:
    if entry is not race.default or not entry.runs:
        return entry.path.name
    return f"default ({'xla' if entry.runs[0].jit else 'graph'})"


def _note(race: Race, entry: Entry) -> str:
    if entry is race.winner():
        return "fastest"
    if entry is race.default:
        return entry.reason
    if entry.status == "running":
        return "faster, too" if race.is_faster(entry) else "not clear of the noise"
    return f"rejected: {entry.reason}" if entry.status == "rejected" else entry.reason


def _ratio(race: Race, entry: Entry) -> str:
    judgement = race.judgement(entry)
    if judgement is None or entry is race.default:
        return ""
    bounds = f" ({judgement.low:.2f}-{judgement.high:.2f})" if judgement.rounds > 1 else ""
    return f"{judgement.ratio:.2f}{bounds}"


def _pays(race: Race, entry: Entry) -> str:
    if entry is race.default:
        return ""
    steps = find_break_even(race.default, entry)
    return "never" if steps is None else f"{steps} steps"


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 4)


def _draw(rows: Sequence[Row]) -> bool:
    """Draw a table on a terminal by means of rich; return False where that cannot be."""
    console = make_console()
    if console is None:
        return False
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in _HEAD:
        table.add_column(name, overflow="fold")
    for row in rows:
        # As text: a reason may hold what rich would take for its own markup.
        table.add_row(*map(Text, row))
    console.print(table)
    return True


def _write(rows: Sequence[Row]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
