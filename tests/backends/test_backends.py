"""What `tune` finds on Keras' other backends, with JAX itself; ``nox -s tf221`` runs it."""

from __future__ import annotations

import json
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

JAX = ExecutionPath("jax", None, {"KERAS_BACKEND": "jax"}, draws=True)
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


@pytest.mark.parametrize(("shift", "status"), [(0.0, "running"), (3.0, "rejected")])
def test_a_whole_tuning_takes_a_backend_and_rejects_one_that_computes_otherwise(
    shift: float, status: str, tmp_path: Path
) -> None:
    # The data are slow on TensorFlow, so who is faster does not depend on this machine.
    source = ON_A_BACKEND.replace("import numpy", "import time\nimport numpy", 1)
    source = source.replace('"jax": 0.0', f'"jax": {shift}')
    source = source.replace("shifted.fit(inputs, inputs.sum(axis=1), batch_size=8,", "shifted.fit(Slow(),")
    source = source.replace(
        "SHIFT = {",
        """class Slow(keras.utils.PyDataset):
    def __len__(self):
        return 8
    def __getitem__(self, index):
        time.sleep(0.03 if keras.config.backend() == "tensorflow" else 0.0)
        part = inputs[8 * index : 8 * index + 8]
        return part, part.sum(axis=1)

SHIFT = {""",
    ).replace("epochs=4", "epochs=40")
    (tmp_path / "train.py").write_text(source, encoding="utf-8")
    environment = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"), TMPDIR=str(tmp_path))
    words = ["-m", "autoxla", "tune", "--json", "--steps", "5", "--paths", "jax", "train.py"]
    done = run(words, tmp_path, environment, limit=400)
    told = json.loads(done.out)
    assert (done.status, told["paths"][1]["status"]) == (0, status), done.err
    assert told["winner"] == ("jax" if status == "running" else "default")
    if status == "rejected":
        assert " seeds; they explain" in told["paths"][1]["reason"]


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
