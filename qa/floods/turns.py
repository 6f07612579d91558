"""Programs that work in turns, a block each: neighbours in time see the same machine, one is busy."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import IO, Any

from programs import HOME, clean_environment

CHILDREN = Path(__file__).with_name("children")
#: Where the modules of the floods and of the tests are.
SOURCES = (Path(__file__).parents[1], Path(__file__).parents[2] / "tests")
PLAIN, OURS = "plain", "autoxla"
#: What comes before the program.
LAUNCHERS: Mapping[str, tuple[str, ...]] = {PLAIN: (), OURS: ("-m", "autoxla")}
#: The first blocks settle caches, traces and trials; they are left out, as this share of all.
SETTLING = 0.1


@dataclass
class Worker:
    """A program that does a block for each line that it gets, and says in JSON what it took."""

    process: subprocess.Popen[str]
    errors: IO[str]
    blocks: list[dict[str, Any]] = field(default_factory=list)

    def read(self) -> dict[str, Any]:
        """Return the facts in the next line. Raises RuntimeError where the program ended instead."""
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        if not line:
            self.errors.seek(0)
            raise RuntimeError(f"{self.process.args!r} ended: {self.errors.read()[-2000:]}")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def take_turn(self) -> None:
        """Let the program do a block."""
        if self.process.stdin is not None:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        self.blocks.append(self.read())

    def end(self) -> tuple[dict[str, Any] | None, str]:
        """Let the program end; return its last facts, if it has some, and what it said on standard error."""
        out, _ = self.process.communicate()
        self.errors.seek(0)
        if self.process.returncode:
            raise RuntimeError(f"{self.process.args!r} failed: {self.errors.read()[-2000:]}")
        return json.loads(out.splitlines()[-1]) if out.strip() else None, self.errors.read()


def child_environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a program that keeps its records in ``folder``."""
    path = os.pathsep.join(map(str, [HOME, *SOURCES]))
    own = {"PYTHONPATH": path, "AUTOXLA_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return clean_environment(**{**own, **variables})


@contextmanager
def started(words: Sequence[str], folder: Path, **variables: str) -> Iterator[Worker]:
    """Start ``python *words`` in ``folder``, wait until it is ready; it is killed at the end, if it lives."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=folder,
            env=child_environment(folder, **variables),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        with process:
            try:
                worker = Worker(process, errors)
                worker.read()
                yield worker
            finally:
                process.kill()


def take_turns(
    variants: Mapping[str, Sequence[str]], rounds: int, folder: Path, **variables: str
) -> dict[str, Series]:
    """Let one program for each of ``variants``, words after ``python``, do ``rounds`` blocks in turn."""
    order = random.Random(0)  # noqa: S311 - an order, not a secret
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(started(words, folder, **variables)) for name, words in variants.items()
        }
        for _ in range(rounds):
            for name in order.sample(list(workers), len(workers)):
                workers[name].take_turn()
        return {name: Series(worker.blocks, *worker.end()) for name, worker in workers.items()}


@dataclass(frozen=True)
class Series:
    """The blocks of one program, its last facts, and what it said on standard error."""

    blocks: Sequence[Mapping[str, Any]]
    last: Mapping[str, Any] | None
    errors: str

    def of(self, *names: str) -> list[float]:
        """Return one figure of each settled block; of a figure within another one by both names."""
        return [_follow(block, names) for block in settled(self.blocks)]

    def growth(self, name: str) -> float:
        """Return what a figure grew by from the middle to the end; a median over a tenth stands for each."""
        values = self.of(name)
        middle, width = len(values) // 2, max(1, len(values) // 10)
        return median(values[-width:]) - median(values[middle - width // 2 : middle - width // 2 + width])


def _follow(block: Any, names: Sequence[str]) -> float:
    for name in names:
        block = block[name]
    return float(block)


def settled(blocks: Sequence[Any]) -> Sequence[Any]:
    """Return ``blocks`` without the first ones."""
    return blocks[round(SETTLING * len(blocks)) :]


def compare(ours: Sequence[float], plain: Sequence[float]) -> dict[str, float]:
    """Return the ratio of neighbouring blocks, median, and its drift: second half over first."""
    ratios = [one / other for one, other in zip(ours, plain, strict=True)]
    half = len(ratios) // 2
    drift = median(ratios[half:]) / median(ratios[:half])
    return {"ratio": round(median(ratios), 4), "drift": round(drift, 4)}


def compare_growth(ours: Series, plain: Series, units: float) -> dict[str, dict[str, float]]:
    """Return what memory grew by over the second half, for each and a unit; ``units`` are those of it."""
    return {
        name: {
            PLAIN: round(plain.growth(name) / units, 4),
            OURS: round(ours.growth(name) / units, 4),
        }
        for name in ("KiB", "blocks")
    }
