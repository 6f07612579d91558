"""The examples learn from their data, and do the same under the launcher.

Each runs as a process of its own, as a user starts it, with less data or fewer epochs than by default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from programs import Outcome, clean_environment, run

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[1]
DIGITS = ("examples/digits_cnn.py", "--epochs", "4", "--seed", "1")
TRANSFORMER = ("examples/source_transformer.py", "--batches", "40", "--epochs", "2", "--seed", "1")
both = pytest.mark.parametrize("example", [DIGITS, TRANSFORMER], ids=["digits", "transformer"])

Start = Callable[..., Outcome]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder for Keras' settings, autoxla's records and the reports."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def start(folder: Path) -> Start:
    """Return a function that runs Python in the project's folder, once for the same arguments."""
    # Sums on a GPU are not repeatable to the last bit, and stdout is compared by the character.
    places = {"KERAS_HOME": str(folder), "XDG_CACHE_HOME": str(folder), "CUDA_VISIBLE_DEVICES": "-1"}

    @cache
    def start(*words: str, **variables: str) -> Outcome:
        return run(words, ROOT, clean_environment(**places, **variables))

    return start


@both
def test_ends_well_without_autoxla(start: Start, example: tuple[str, ...]) -> None:
    done = start(*example)
    assert done.status == 0, done.err


def test_digits_are_told_apart(start: Start) -> None:
    last = start(*DIGITS).out.splitlines()[-1]
    accuracy = re.fullmatch(r"test accuracy ([\d.]+)", last)
    assert accuracy and float(accuracy[1]) >= 0.95, last


def test_transformer_uses_the_context(start: Start) -> None:
    last = start(*TRANSFORMER).out.splitlines()[-1]
    losses = re.fullmatch(r"held-out loss ([\d.]+) nats, single characters ([\d.]+) nats", last)
    assert losses and float(losses[1]) < float(losses[2]) - 0.2, last


@both
def test_times_stay_off_stdout(start: Start, example: tuple[str, ...]) -> None:
    done = start(*example)
    assert re.search(r"^step time [\d.]+ ms$", done.err, re.MULTILINE), done.err
    assert "step time" not in done.out


@both
def test_launcher_changes_nothing_that_is_printed(
    start: Start, folder: Path, example: tuple[str, ...]
) -> None:
    report = folder / f"{Path(example[0]).stem}.json"
    plain, launched = start(*example), start("-m", "autoxla", *example, AUTOXLA_REPORT=str(report))
    assert (launched.status, launched.out) == (plain.status, plain.out), launched.err
    # Without this, a shim that never woke up would pass, too.
    assert len(json.loads(report.read_text(encoding="utf-8"))["compile"]) == 1
