"""Trains with a trial in a process of TensorFlow's, once without a fault and once with each that it is given.

``python trained.py keras|tf_keras forced|free CASES`` reads pairs of a site and a kind as JSON from the file
CASES, and prints for each one line of JSON: what training left behind, and what autoxla noted. ``forced`` has
XLA take over after a few steps (`trial_parity.force`); ``free`` lets the trial begin early, and decide.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import trial_parity as parity
from autoxla.hooks.boundary import FAULTS
from autoxla.trial import driver, economics
from faults import switch

EPOCHS = {"forced": 6, "free": 40}
#: Kept, since what gives it may be faulty.
NOTED = FAULTS.kept


def begin_early() -> None:
    """Let every trial begin early, with all that it does its own."""
    economics.SHORTEST = economics.LEAST_SAVING = 0.0
    names: Any = driver
    names._FIRST_LOOK, names._POLL = 4, 0.0


def train(model: Any, epochs: int) -> dict[str, Any]:
    """Fit twice, with a smaller last batch, evaluate and predict."""
    x, y = parity.data()
    log = parity.Log()
    options: dict[str, Any] = {"batch_size": parity.BATCH, "verbose": 0, "shuffle": False}
    model.fit(x, y, epochs=epochs, callbacks=[log], **options)
    model.fit(x[:40], y[:40], epochs=2, **options)
    results = [np.asarray(model.evaluate(x, y, verbose=0)), model.predict(x[:4], verbose=0)]
    return {
        "weights": [np.asarray(weight).ravel().tolist() for weight in model.get_weights()],
        "iterations": int(np.asarray(model.optimizer.iterations)),
        "calls": len(log.calls),
        "results": [result.ravel().tolist() for result in results],
        "own": not isinstance(model.train_function, driver.Driver),
    }


def attempt(epochs: int, **options: Any) -> dict[str, Any]:
    """Train a new model; an error that comes out is told, too."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["AUTOXLA_CACHE"] = folder
        before = len(NOTED)
        try:
            left = train(parity.make(**options), epochs)
        except Exception as error:  # noqa: BLE001 - that one comes out at all is what is looked for
            left = {"error": f"{type(error).__name__}: {error}"[:300]}
    said = [f"{where}: {type(error).__name__}" for where, error in NOTED[before:]]
    return {**left, "said": said}


def main() -> None:
    """Run all cases."""
    kind, cases = sys.argv[2], json.loads(Path(sys.argv[3]).read_text(encoding="utf-8"))
    (parity.force if kind == "forced" else begin_early)()
    parity.LONGEST = 10.0  # a fault may keep it from ever being done
    epochs = EPOCHS[kind]
    print(json.dumps({"case": "plain", **attempt(epochs, jit_compile=False)}), flush=True)
    if switch.current is not None:
        switch.current.note_again()
    print(json.dumps({"case": "healthy", **attempt(epochs)}), flush=True)
    for site, fault in cases:
        switch.turn_on(site, fault)
        left = attempt(epochs)
        fired = switch.turn_off()
        print(json.dumps({"case": [site, fault], "fired": fired, **left}), flush=True)


if __name__ == "__main__":
    main()
