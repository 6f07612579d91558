"""A fit under ``jit_compile=True`` in which XLA compiles again and again for new shapes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from programs import Outcome, clean_environment, run

PROGRAM = """
import sys
{first}
import numpy as np
import tensorflow as tf
import {package} as keras

def train(lengths):
    keras.utils.set_random_seed(1)
    layers = keras.layers
    stack = layers.Dense(2, activation="relu"), layers.GlobalAveragePooling1D(), layers.Dense(1)
    model = keras.Sequential([keras.Input((None, 3)), *stack])
    model.compile("sgd", "mse", jit_compile=True)
    specs = tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 1))
    make = lambda: ((np.ones((4, n, 3), "f"), np.ones((4, 1), "f")) for n in lengths)
    history = model.fit(tf.data.Dataset.from_generator(make, output_signature=specs), verbose=0)
    assert type(model.train_function).__module__.partition(".")[0] != "autoxla"
    return history.history["loss"]

print(train([5] * 20), file=sys.stderr)
print(train(range(4, 24)))
print(train(range(4, 24)))
"""


def start(code: str, folder: Path, **variables: str) -> Outcome:
    """Run ``code`` as a program. XLA compiles forty times in it, which takes its time on a busy machine."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    return run(["program.py"], folder, clean_environment(**variables), limit=400)


@pytest.mark.tensorflow
@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_new_shapes_are_told_once_with_the_figure(package: str, tmp_path: Path) -> None:
    outcome = start(PROGRAM.format(first="import autoxla", package=package), tmp_path, AUTOXLA="auto")
    assert outcome.status == 0, outcome.err
    (notice,) = outcome.notices
    assert "AX706 warning fit: " in notice
    spent, whole = (float(word) for word in re.findall(r"about (\S+) of its (\S+) s,", notice)[0])
    assert 0 < spent <= whole
    times = int(notice.partition("at least ")[2].partition(" times")[0])
    assert 8 <= times <= 20
    plain = start(PROGRAM.format(first="", package=package), tmp_path)
    assert (plain.status, plain.out, plain.notices) == (0, outcome.out, [])


@pytest.mark.tensorflow
def test_observe_counts_nothing(tmp_path: Path) -> None:
    outcome = start(PROGRAM.format(first="import autoxla", package="keras"), tmp_path, AUTOXLA="observe")
    assert (outcome.status, outcome.notices) == (0, [])
