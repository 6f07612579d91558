"""Imports in many threads at once: ``flood_threads.py KIND WAY THREADS SEED STATEMENT …``.

``WAY`` is ``none``, ``main`` or ``thread``: where autoxla is imported, if it is. The statements are dealt out
to the threads. Afterwards ``KIND``, ``keras`` or ``double``, is looked at: whether all is whole, and once.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import random
import sys
import threading
import time
from typing import Any

KIND, WAY, THREADS, SEED = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
STATEMENTS = sys.argv[5:]
#: Seconds after which threads that wait for each other are given up; all stacks are printed then.
LIMIT = 240 if KIND == "keras" else 30
outcomes: dict[int, str] = {}


def work(number: int) -> None:
    """Import, and keep what came of it."""
    barrier.wait()
    if KIND == "double":
        time.sleep(pauses[number])
    if WAY == "thread" and number == 0:
        importlib.import_module("autoxla")
    try:
        exec(STATEMENTS[number % len(STATEMENTS)], {})  # noqa: S102 - our own words
    except BaseException as error:  # noqa: BLE001 - what is counted
        outcomes[number] = f"{type(error).__name__}: {str(error)[:300]}"
    else:
        outcomes[number] = "imported"


def look_at_keras() -> dict[str, Any]:
    """Train one step with what is there."""
    import keras
    import numpy as np
    import tensorflow as tf

    model = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
    session = sys.modules.get("autoxla.runtime")
    return {
        "keras": keras is sys.modules["keras"] and hasattr(keras, "Sequential"),
        "tf.keras": tf.keras.layers.Dense.__module__.partition(".")[0],
        "compiles": None if session is None else len(session.current().compiles),
    }


def look_at_double() -> dict[str, Any]:
    """Tell how often each body of the double ran, and whether each module is whole."""
    names = [name for name in sys.modules if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras")]
    runs: dict[str, int] = sys.modules["double_runs"].count
    return {
        "twice": sorted(name for name, count in runs.items() if count > 1),
        "partly": sorted(name for name in names if not hasattr(sys.modules[name], "whole")),
    }


faulthandler.dump_traceback_later(LIMIT, exit=True)
if WAY == "main":
    importlib.import_module("autoxla")
numbers = random.Random(SEED)  # noqa: S311 - a schedule, not a secret
pauses = [numbers.choice([0, 0, 0.001, 0.003, 0.01, 0.03]) for _ in range(THREADS)]
barrier = threading.Barrier(THREADS)
threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
LOOKS = {"keras": look_at_keras, "double": look_at_double}
facts = LOOKS[KIND]() if {*outcomes.values()} == {"imported"} else {}
boundary = sys.modules.get("autoxla.hooks.boundary")
faults = [repr(fault) for fault in boundary.FAULTS.kept] if boundary is not None else []
print(json.dumps({"outcomes": [outcomes[number] for number in range(THREADS)], "faults": faults, **facts}))
