"""Training: ITEX's guard, the trial and its record, other backends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contract.environments import Environment
from contract.running import start, start_code

pytestmark = pytest.mark.tensorflow
PACKAGES = ("keras", "tf_keras")


GUARD = """
import autoxla, dataclasses, json, os
import autoxla.planning as session
decide = session.decide
session.decide = lambda situation: dataclasses.replace(decide(situation), guard=True)
import keras
import numpy as np
from contract.observed import build
class Look(keras.callbacks.Callback):
    def on_predict_begin(self, logs=None):
        seen.append(os.environ.get("ITEX_DISABLE_XLA"))
seen = []
x = np.ones((2, 4), "float32")
for compiled in (True, False):
    model = build(keras)
    model.compile("sgd", "mse", jit_compile=compiled)
    model.predict(x, verbose=0, callbacks=[Look()])
    seen.append(os.environ.get("ITEX_DISABLE_XLA"))
print(json.dumps(seen))
"""


@pytest.mark.row("ITEX's guard is turned away in compile and predict", needs=("TensorFlow", "Keras 3"))
def test_guard(environment: Environment, tmp_path: Path) -> None:
    """During predict the variable is set; afterwards only where the guard would have ended the process."""
    outcome = start_code(GUARD, tmp_path)
    assert outcome.status == 0, outcome.err[-3000:]
    assert outcome.last == ["1", None, "1", "1"]
    assert [line.split()[1] for line in outcome.notices] == [*environment.findings, "AX215"]


TRIAL = """
import json, sys
import trial_parity as p
from autoxla.hooks.boundary import FAULTS
from autoxla.runtime import current
p.force()
x, y = p.data()
models, kept = [], []
for options in ({"jit_compile": False}, {}, {}):
    model = p.make(**options)
    model.fit(x, y, batch_size=8, epochs=4, verbose=0, shuffle=False)
    models.append(p.state(model))
    driver = vars(model).get("_autoxla_driver")
    kept.append(None if driver is None else driver.entry.get("outcome"))
print(json.dumps({
    "outcomes": kept,
    "codes": [finding.code for finding in current().findings],
    "faults": [str(fault) for fault in FAULTS.kept],
    "weights": [state["weights"] for state in models],
}))
"""


def run_trial(package: str, folder: Path) -> list[str]:
    """Return the codes of the trials' own findings."""
    (folder / "program.py").write_text(TRIAL, encoding="utf-8")
    cache = str(folder / "cache")
    outcome = start(["-m", "autoxla", "program.py", package], folder, AUTOXLA_CACHE=cache, AUTOXLA_DEBUG="1")
    assert outcome.status == 0, outcome.err[-3000:]
    assert outcome.last["faults"] == []
    assert outcome.last["outcomes"] == [None, "switched to xla", "switched to xla"]
    plain, *others = outcome.last["weights"]
    for weights in others:
        for ours, theirs in zip(weights, plain, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)
    return [code for code in outcome.last["codes"] if code.startswith("AX7")]


@pytest.mark.row(
    "Trial of {package}: it begins, switches, leaves a record that the next model goes by",
    needs=("TensorFlow", "Keras", "tf_keras"),
)
@pytest.mark.parametrize("package", PACKAGES)
def test_trial(package: str, tmp_path: Path) -> None:
    assert run_trial(package, tmp_path) == ["AX701", "AX704"]
    (record,) = (tmp_path / "cache" / "decisions").glob("*.json")
    assert json.loads(record.read_text(encoding="utf-8"))["winner"] == "xla"
    if package == "keras":
        assert run_trial(package, tmp_path) == ["AX704"]


OTHER = """
import keras, sys
from contract.observed import observe
observe(keras)
print("tensorflow" in sys.modules)
"""


@pytest.mark.row("Keras 3 on {backend}: nothing is said, TensorFlow is not loaded", needs=("Keras 3",))
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param("jax", marks=pytest.mark.needs("JAX")),
        pytest.param("torch", marks=pytest.mark.needs("PyTorch")),
    ],
)
def test_other_backends(backend: str, tmp_path: Path) -> None:
    outcome = start_code(OTHER, tmp_path, "-m", "autoxla", KERAS_BACKEND=backend)
    assert outcome.status == 0, outcome.err[-3000:]
    facts, is_loaded = outcome.out.splitlines()[-2:]
    assert json.loads(facts)["package"] == "keras"
    assert (is_loaded, outcome.notices) == ("False", [])
