"""The examples learn from their data, and do the same under the launcher.

Each runs as a process of its own, as a user starts it, with less data or fewer epochs than by default.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[1]
DIGITS = ("examples/digits_cnn.py", "--epochs", "4", "--seed", "1")
TRANSFORMER = ("examples/source_transformer.py", "--batches", "40", "--epochs", "2", "--seed", "1")
both = pytest.mark.parametrize("example", [DIGITS, TRANSFORMER], ids=["digits", "transformer"])

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a function that runs Python with arguments, once for the same arguments."""
    home = str(tmp_path_factory.mktemp("home"))
    # What the machine's user has set must not decide: only the two ways of starting differ.
    inherited = {k: v for k, v in os.environ.items() if not re.match("AUTOXLA|ITEX|KERAS|TF_|XLA", k)}
    environment = inherited | {"HOME": home, "XDG_CACHE_HOME": home, "PYTHONPATH": str(ROOT)}

    @cache
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run


@both
def test_ends_well_without_autoxla(run: Run, example: tuple[str, ...]) -> None:
    done = run(*example)
    assert done.returncode == 0, done.stderr


def test_digits_are_told_apart(run: Run) -> None:
    last = run(*DIGITS).stdout.splitlines()[-1]
    accuracy = re.fullmatch(r"test accuracy ([\d.]+)", last)
    assert accuracy and float(accuracy[1]) >= 0.95, last


def test_transformer_uses_the_context(run: Run) -> None:
    last = run(*TRANSFORMER).stdout.splitlines()[-1]
    losses = re.fullmatch(r"held-out loss ([\d.]+) nats, single characters ([\d.]+) nats", last)
    assert losses and float(losses[1]) < float(losses[2]) - 0.2, last


@both
def test_times_stay_off_stdout(run: Run, example: tuple[str, ...]) -> None:
    done = run(*example)
    assert re.search(r"^step time [\d.]+ ms$", done.stderr, re.MULTILINE), done.stderr
    assert "step time" not in done.stdout


@both
def test_launcher_changes_nothing_that_is_printed(run: Run, example: tuple[str, ...]) -> None:
    plain, launched = run(*example), run("-m", "autoxla", *example)
    assert (launched.returncode, launched.stdout) == (plain.returncode, plain.stdout), launched.stderr
