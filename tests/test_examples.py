"""The examples learn from their data, and do the same under the launcher.

Each runs as a process of its own, as a user starts it, with less data or fewer epochs than by default.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from autoxla.model import Hardware
from autoxla.paths.listing import Paths, find_paths
from autoxla.planning import assemble
from autoxla.running import subject_from
from programs import Outcome, clean_environment, run

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[1]
DIGITS = ("examples/digits_cnn.py", "--epochs", "4", "--seed", "1")
TRANSFORMER = ("examples/source_transformer.py", "--batches", "40", "--epochs", "2", "--seed", "1")
both = pytest.mark.parametrize("example", [DIGITS, TRANSFORMER], ids=["digits", "transformer"])
#: For each program that shows a winner of `tune`: fewer epochs, and what its last line has.
TUNED = {
    "digits_separable": (("--epochs", "3"), r"test accuracy (?P<better>[\d.]+)(?P<worse>)"),
    "digits_mixture": (
        ("--epochs", "8"),
        r"log density (?P<better>[-\d.]+) nats a pixel, of one Gaussian (?P<worse>[-\d.]+)",
    ),
    "pendulum_lstm": (
        ("--epochs", "2", "--pendulums", "32"),
        r"mean squared error (?P<worse>[\d.]+), going on as before (?P<better>[\d.]+)",
    ),
    "digits_denoise": (("--epochs", "2"), r"noisy (?P<worse>[-\d.]+) dB, cleaned (?P<better>[-\d.]+) dB"),
    "wine_repeatable": (("--epochs", "20"), r"test accuracy (?P<better>[\d.]+)(?P<worse>), sum .*"),
}
#: Better than this by far: one of ten digits, or of three wines, is right by chance.
CHANCE = 0.6

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


# --- The programs for `tune`: what can be told without a clock


@pytest.mark.parametrize("name", TUNED)
def test_a_program_for_tune_learns(start: Start, name: str) -> None:
    words, pattern = TUNED[name]
    done = start(f"examples/{name}.py", *words)
    assert done.status == 0, done.err
    last = done.out.splitlines()[-1]
    found = re.fullmatch(pattern, last)
    assert found, last
    assert float(found["better"]) > float(found["worse"] or CHANCE), last


def test_a_repeatable_program_repeats_itself(start: Start) -> None:
    words = ("examples/wine_repeatable.py", *TUNED["wine_repeatable"][0])
    plain, launched = start(*words), start("-m", "autoxla", *words)
    assert plain.out.splitlines()[-1] == launched.out.splitlines()[-1]


def test_tune_says_where_a_program_leaves_no_path(start: Start) -> None:
    done = start("-m", "autoxla", "tune", "--steps", "5", "examples/wine_repeatable.py", "--epochs", "20")
    assert done.status == 0, done.err
    assert "the program leaves no other path open; nothing is kept" in done.out


def find(name: str) -> Paths:
    """Return what `tune` may try of an example, with all backends installed."""
    situation = assemble(subject_from([str(ROOT / "examples" / f"{name}.py")]), {}).situation
    backends = frozenset({"tensorflow", "jax", "torch"})
    versions = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}
    known = {"backends": backends, "versions": versions, "plugins": (), "hardware": Hardware("none")}
    return find_paths(replace(situation, **known), {}, "x86_64", 2)  # type: ignore[arg-type]


STEPS = {"graph", "xla", "autocluster-1", "autocluster-2"}


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("digits_separable", STEPS | {"onednn-off", "jax", "torch", "steps-16"}),
        ("digits_mixture", STEPS | {"onednn-off", "steps-16"}),
        ("pendulum_lstm", STEPS | {"onednn-off", "jax", "torch"}),
        ("digits_denoise", STEPS | {"onednn-off", "jax", "torch", "steps-16", "tf-keras"}),
        ("wine_repeatable", set()),
    ],
)
def test_what_is_open_in_a_program_for_tune(name: str, possible: set[str]) -> None:
    assert {path.name for path in find(name).possible} == possible


def test_what_a_program_chose_is_named() -> None:
    reasons = find("wine_repeatable").impossible
    assert "jit_compile=False" in reasons["xla"]
    assert "KERAS_BACKEND" in reasons["jax"]
    assert "TF_ENABLE_ONEDNN_OPTS" in reasons["onednn-off"]
    assert "steps_per_execution" in reasons["steps-16"]
    assert "tensorflow." in find("digits_mixture").impossible["jax"]
    assert "TerminateOnNaN" in find("pendulum_lstm").impossible["steps-16"]


def test_every_example_is_in_the_list() -> None:
    listed = re.findall(r"^\| `(\w+)\.py` \|", (ROOT / "examples/README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(set(listed)) == sorted(file.stem for file in (ROOT / "examples").glob("*.py"))
