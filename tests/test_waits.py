"""A fit whose steps wait for their data: told once with the figure, and nothing of the training changes."""

from __future__ import annotations

import importlib
from math import inf
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from programs import Outcome, clean_environment, run

pytestmark = pytest.mark.tensorflow

#: A step that sleeps for one unit, on batches that take three; the trial looks early.
PROGRAM = """
import hashlib, json, sys, time
import autoxla
import numpy as np
import tensorflow as tf
import {package} as keras
from autoxla.runtime import current
from autoxla.trial import economics, waits

economics.SHORTEST, waits._PAUSE = 0.05, 0.0
UNIT, ROWS = 0.02, 32
drawn = []
x, y = np.ones((8, 4), "float32"), np.ones((8, 1), "float32")

def make(number):
    drawn.append(int(number))
    time.sleep(3 * UNIT)
    return x * np.float32(number % 7), y

def rest(batch):
    time.sleep(UNIT)
    return batch

class Slow(keras.Sequential):
    def train_step(self, batch):
        # On the batch: TensorFlow would rest and fetch at once otherwise.
        rested = tf.ensure_shape(tf.numpy_function(rest, [batch[0]], tf.float32), (8, 4))
        return super().train_step((rested, batch[1]))

def train(data, epochs=1, **options):
    drawn.clear()
    keras.utils.set_random_seed(1)
    model = Slow([keras.layers.Input((4,)), keras.layers.Dropout(0.2), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(data, epochs=epochs, shuffle=False, verbose=0, **options)
    said = [f.message + "; " + f.remedy for f in current().findings if f.code == "AX707"]
    current().findings[:] = [f for f in current().findings if f.code != "AX707"]
    weights = b"".join(np.asarray(each).tobytes() for each in model.get_weights())
    facts = {{"steps": int(np.asarray(model.optimizer.iterations)), "said": said, "drawn": list(drawn)}}
    return {{"weights": hashlib.sha256(weights).hexdigest(), **facts}}

def load(number):
    a, b = tf.numpy_function(make, [number], [tf.float32, tf.float32])
    return tf.ensure_shape(a, (8, 4)), tf.ensure_shape(b, (8, 1))

def numbers(count=ROWS):
    return tf.data.Dataset.range(count)

class Rows(getattr(keras.utils, "PyDataset", keras.utils.Sequence)):
    def __len__(self):
        return ROWS
    def __getitem__(self, number):
        return make(number)

def with_workers():
    if hasattr(keras.utils, "PyDataset"):
        return train(Rows(workers=4))
    return train(Rows(), workers=4)

def generate():
    for number in range(ROWS):
        yield make(number)
"""
DATA_SETS = """
auto = tf.data.AUTOTUNE
facts = {{
    "map": train(numbers().map(load)),
    "map, prefetched in parallel": train(numbers().map(load, num_parallel_calls=auto).prefetch(auto)),
    "map, cached": train(numbers(8).map(load).cache().prefetch(auto), epochs=4),
    "quick": train(tf.data.Dataset.from_tensors((x, y)).repeat(ROWS)),
    "arrays": train(np.ones((8 * ROWS, 4), "float32"), y=np.ones(8 * ROWS, "float32"), batch_size=8),
    "rows": train(Rows()),
    "rows by workers": with_workers(),
    "generator": train(generate(), steps_per_epoch=ROWS),
}}
print(json.dumps(facts))
"""
ONCE = """
facts = [train(numbers().map(load)) for _ in range(2)]
print(json.dumps([{{**each, "said": None}} for each in facts]))
"""


def start(code: str, folder: Path, mode: str) -> Outcome:
    """Run ``code`` as a program, in this mode of autoxla's."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    return run(["program.py"], folder, clean_environment(AUTOXLA=mode), limit=400)


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_what_waits_for_data_is_told_with_what_helps(package: str, tmp_path: Path) -> None:
    """Each remedy is tried: with it, nothing is told."""
    outcome = start((PROGRAM + DATA_SETS).format(package=package), tmp_path, "auto")
    assert outcome.status == 0, outcome.err[-2000:]
    assert "AX901" not in outcome.err
    told = {name: fact["said"] for name, fact in outcome.last.items()}
    remedies = {
        "map": "prefetch(tf.data.AUTOTUNE)",
        "rows": "workers=4 make the batches",
        "generator": "not in a generator",
    }
    assert {name for name, said in told.items() if said} == remedies.keys()
    for name, remedy in remedies.items():
        (text,) = told[name]
        assert remedy in text
        share = int(text.partition("% of the time")[0].rpartition(" ")[2])
        assert 50 < share <= 100


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_training_stays_the_same_bit_by_bit(package: str, tmp_path: Path) -> None:
    """The program is seeded and has no trial; its batches are drawn once each, in their order."""
    program = (PROGRAM + ONCE).format(package=package)
    plain = start(program, tmp_path, "off")
    told = start(program, tmp_path, "auto")
    assert (plain.status, told.status) == (0, 0), told.err[-2000:]
    assert told.last == plain.last
    assert [fact["steps"] for fact in told.last] == [32, 32]
    assert told.last[0]["drawn"] == list(range(32))
    assert any("AX707 info fit: training waits" in line for line in told.notices)


def test_it_is_told_once_in_a_process(tmp_path: Path) -> None:
    program = (PROGRAM + ONCE).format(package="keras").replace("current().findings[:] =", "ignored =")
    outcome = start(program, tmp_path, "auto")
    assert outcome.status == 0, outcome.err[-2000:]
    assert sum("AX707" in line for line in outcome.notices) == 1


def test_observe_fetches_nothing_by_hand(tmp_path: Path) -> None:
    outcome = start((PROGRAM + ONCE).format(package="keras"), tmp_path, "observe")
    assert (outcome.status, outcome.notices) == (0, [])


@pytest.fixture(scope="module")
def waits() -> ModuleType:
    """Import what imports TensorFlow, not before a test needs it."""
    return importlib.import_module("autoxla.trial.waits")


def note(waits: ModuleType, *pairs: tuple[float, float]) -> Any:
    """Return waits with these pairs of seconds of waiting and of a step."""
    made = waits.Waits()
    for number, (wait, step) in enumerate(pairs):
        made.note(wait, step, 2 * number)
    return made


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([(0.08, 0.1)] * 5, (0.08, 0.1)),
        ([(0.0, 0.1)] * 5 + [(0.08, 0.1)] * 4, (0.064, 0.1)),
        # Two workers hand over two batches at once.
        ([(0.08, 0.15), (0.0, 0.15)] * 3, None),
        ([(0.08, 0.1)] * 4, None),
        ([(0.05, 0.1)] * 5, None),
        ([(0.08, 0.1)] * 5 + [(0.0, 0.1)] * 3, None),
        ([(0.0008, 0.001)] * 5, None),
    ],
)
def test_what_counts_are_the_last_steps(
    waits: ModuleType, pairs: list[tuple[float, float]], found: object
) -> None:
    made = note(waits, *pairs)
    assert made.find_long(10_000) == (found and pytest.approx(found))


def test_a_short_rest_is_not_worth_a_word(waits: ModuleType) -> None:
    made = note(waits, *[(0.08, 0.1)] * 5)
    assert made.find_long(10) is None


def test_a_fit_is_looked_at_a_few_times(waits: ModuleType) -> None:
    made = note(waits, *[(0.0, 0.1)] * 9)
    assert made.due < inf
    made.note(0.0, 0.1, 20)
    assert made.due == inf
