"""What comes into a training on XLA from outside: a signal, eager functions, numbers that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from programs import Outcome, clean_environment, run

PRELUDE = """
import json, signal, sys
import numpy as np
import tensorflow as tf
import trial_parity as parity
from autoxla.trial import driver

parity.force()
driver.find_seed = driver.find_global_seed = lambda *_: None
keras = parity.keras
x = np.sin(np.arange(2560 * 8, dtype="float32")).reshape(2560, 8)
y = x[:, :1]

def switched():
    from autoxla.runtime import current
    return any(trial.get("switched_at") for trial in current().trials)

class Counting(keras.Sequential):
    count = 0
    def train_step(self, data):
        Counting.count += 1
        return super().train_step(data)

def make():
    model = Counting([keras.Input((8,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
"""
SIGNAL = """
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGALRM, stop)
class Alarm(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        if batch == 200:
            signal.raise_signal(signal.SIGALRM)
model, answer = make(), "ended"
try:
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[Alarm()])
except Stop:
    answer = "stopped"
print(json.dumps([switched(), answer, int(model.optimizer.iterations)]))
"""
EAGER = """
model = make()
model.fit(x, y, batch_size=8, epochs=1, verbose=0)
before = Counting.count
tf.config.run_functions_eagerly(True)
model.fit(x[:80], y[:80], batch_size=8, epochs=1, verbose=0)
print(json.dumps([switched(), Counting.count - before]))
"""
NAN = """
model = make()
model.fit(x, y, batch_size=8, epochs=1, verbose=0, shuffle=False)
weights = model.get_weights()
weights[0][0, 0] = np.nan
model.set_weights(weights)
model.fit(x, y, batch_size=8, epochs=1, verbose=0, shuffle=False)
nan = [int(np.isnan(each).sum()) for each in model.get_weights()]
print(json.dumps([switched(), nan]))
"""


def train(code: str, folder: Path, mode: str) -> Any:
    """Return what ``code`` prints where autoxla is in ``mode``, with every trial forced."""
    (folder / "program.py").write_text(PRELUDE + code, encoding="utf-8")
    environment = clean_environment(AUTOXLA=mode, AUTOXLA_CACHE=str(folder / "cache"))
    environment["PYTHONPATH"] = f"{environment['PYTHONPATH']}:{Path(__file__).parent}"
    outcome: Outcome = run(["-m", "autoxla", "program.py", "keras"], folder, environment)
    assert outcome.status == 0, outcome.err[-2000:]
    return outcome.last


@pytest.mark.tensorflow
@pytest.mark.parametrize("code", [SIGNAL, EAGER, NAN], ids=["signal", "eager", "nan"])
def test_what_comes_from_outside_is_as_in_plain_training(code: str, tmp_path: Path) -> None:
    is_switched, *plain = train(code, tmp_path, "fix")
    assert not is_switched
    assert train(code, tmp_path, "auto") == [True, *plain]
