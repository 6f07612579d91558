"""Writers that are killed at any moment: what they leave is whole records, and no heap of halves."""

from __future__ import annotations

import os
import random
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autoxla.cache import make_folder, make_key
from autoxla.lookahead import kept as readings
from autoxla.model import Evidence, Place, Reading
from autoxla.store import Store

KEYS = tuple(f"{number:016x}" for number in range(8))
_LONGEST = 0.02  # s


@dataclass(frozen=True)
class Toll:
    """What many killed writers left: records that are `damaged`, halves at most at once and at the end."""

    kills: int
    records: int
    damaged: int
    most_halves: int
    halves_at_end: int


def kill_writers(folder: Path, kills: int, seed: int = 0) -> Toll:
    """Kill writers of records ``kills`` times, each at a time of its own."""
    make_folder(folder)
    damaged, halves = 0, []
    for wait in _waits(kills, seed):
        _kill_after(wait, lambda: _write_records(folder))
        damaged += _count_damaged(folder)
        halves.append(_count_halves(folder))
    Store(folder).write(KEYS[0], {"text": "the last"})
    return Toll(kills, len(list(folder.glob("*.json"))), damaged, max(halves), _count_halves(folder))


def kill_readers_of_source(folder: Path, kills: int, seed: int = 0) -> Toll:
    """Kill processes that keep what they read of a program's source."""
    damaged, halves = 0, []
    for wait in _waits(kills, seed):
        _kill_after(wait, lambda: _write_readings(folder))
        damaged += sum(_kept(folder, number) not in (None, _reading(number)) for number in range(8))
        halves.append(_count_halves(folder))
    _keep(folder, 0)
    return Toll(kills, len(list(folder.glob("*.json"))), damaged, max(halves), _count_halves(folder))


def _waits(kills: int, seed: int) -> Iterator[float]:
    chance = random.Random(seed)  # noqa: S311 - moments, not secrets
    return (chance.uniform(0, _LONGEST) for _ in range(kills))


def _kill_after(wait: float, work: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - nothing of the parent's runs in here
            traceback.print_exc()
        os._exit(1)
    time.sleep(wait)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        raise RuntimeError("the writer ended by itself")


def _write_records(folder: Path) -> None:
    store, turn = Store(folder), 0
    while True:
        store.write(KEYS[turn % len(KEYS)], {"turn": turn, "text": str(turn) * 20_000})
        turn += 1


def _count_damaged(folder: Path) -> int:
    store = Store(folder)
    found = [store.read(key) for key in KEYS if (folder / f"{key}.json").exists()]
    wrong = [data for data in found if data is not None and data["text"] != str(data["turn"]) * 20_000]
    return len(store.ignored) + len(wrong)


def _count_halves(folder: Path) -> int:
    return sum(not file.name.endswith(".json") for file in folder.iterdir()) if folder.exists() else 0


def _reading(number: int) -> Reading:
    place = Place("main.py", number, 1)
    evidence = tuple(Evidence("import", f"module_{each}", None, "certain", place) for each in range(1000))
    return Reading(evidence, True, True, ("main.py",))


def _keep(folder: Path, number: int) -> None:
    readings.keep(folder, make_key(number), _reading(number), {})


def _kept(folder: Path, number: int) -> Reading | None:
    return readings.recall(folder, make_key(number))


def _write_readings(folder: Path) -> None:
    turn = 0
    while True:
        _keep(folder, turn % 8)
        turn += 1
