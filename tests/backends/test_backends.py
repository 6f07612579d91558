"""What `tune` finds on Keras' other backends, with JAX itself; ``nox -s tf221`` runs it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from autoxla.paths.children import Children
from autoxla.paths.listing import DEFAULT
from autoxla.paths.listing import Path as ExecutionPath
from autoxla.paths.losses import find_departure, repeats
from autoxla.paths.measuring import Measurement, Request, measure
from autoxla.planning import assemble
from autoxla.running import subject_from
from autoxla.tuned import keep_tuned, open_tuned
from programs import clean_environment, run

JAX = ExecutionPath("jax", None, {"KERAS_BACKEND": "jax"}, {"KERAS_BACKEND": "jax"}, draws=True)
FACTS = {"winner": "xla", "step": "xla", "settings": {}, "speedup": 1.5, "date": "2026-11-21"}

#: A program of Keras alone, with a layer that may do otherwise on JAX.
ON_A_BACKEND = """
import numpy as np
import keras
from keras import layers
keras.utils.set_random_seed(7)
inputs = np.random.default_rng(7).normal(size=(64, 3)).astype("float32")

class Shift(layers.Layer):
    def call(self, x):
        return x + SHIFT[keras.config.backend()]

SHIFT = {"tensorflow": 0.0, "jax": 0.0}
small = keras.initializers.RandomNormal(stddev=0.01)
model = keras.Sequential([keras.Input((3,)), layers.Dense(1, kernel_initializer=small)])
shifted = keras.Sequential([model, Shift()])
shifted.compile("sgd", "mse")
shifted.fit(inputs, inputs.sum(axis=1), batch_size=8, epochs=4, verbose=0)
model.save("model.keras")
np.save("said.npy", model.predict(inputs, verbose=0))
print("on", keras.config.backend())
"""


def test_a_recorded_backend_is_taken_and_its_models_load_on_tensorflow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.py").write_text(ON_A_BACKEND, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    environment = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"))
    kept = {**FACTS, "winner": "jax", "step": None, "settings": {"KERAS_BACKEND": "jax"}}
    situation = assemble(subject_from(["train.py"]), environment).situation
    assert keep_tuned(situation, [], open_tuned(environment), kept) is not None
    done = run(["-m", "autoxla", "train.py"], tmp_path, environment)
    assert "on jax" in done.out
    assert "jax (KERAS_BACKEND=jax) 1.5 times" in next(line for line in done.notices if "AX705" in line)
    load = """
import keras, numpy
inputs = numpy.random.default_rng(7).normal(size=(64, 3)).astype("float32")
found = keras.models.load_model("model.keras").predict(inputs, verbose=0)
print(keras.config.backend(), abs(found - numpy.load("said.npy")).max() < 1e-5)
"""
    assert run(["-c", load], tmp_path, environment).out.split()[-2:] == ["tensorflow", "True"]
    own = run(["-m", "autoxla", "train.py"], tmp_path, {**environment, "KERAS_BACKEND": "tensorflow"})
    assert "on tensorflow" in own.out


@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_a_layer_that_does_otherwise_on_another_backend_shows_in_the_losses(
    shift: float, tmp_path: Path
) -> None:
    script = tmp_path / "train.py"
    script.write_text(ON_A_BACKEND.replace('"jax": 0.0', f'"jax": {shift}'), encoding="utf-8")
    children = Children([str(script)], tmp_path, variables={"AUTOXLA": "auto"})

    def train(path: ExecutionPath, redraw: int) -> tuple[float | None, ...]:
        found = measure(children.run(path, asdict(Request(16, 0.0, 9.0, redraw=redraw)), 100.0))
        assert isinstance(found, Measurement), found
        return found.losses

    usual = [train(DEFAULT, redraw) for redraw in (0, 2)]
    assert not repeats(usual[0], usual[1], "float32")
    difference = find_departure(usual, [train(JAX, redraw) for redraw in (0, 1)], ())
    assert (difference is not None) == bool(shift)
