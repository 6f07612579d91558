"""Forks beside threads, before tensorflow: ``flood_forks.py WAY CHILDREN``.

Threads import standard modules while the main thread forks; each child imports keras and compiles a model.
``WAY`` is ``none`` or ``main``, as autoxla is imported first or not.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import multiprocessing
import signal
import sys
import threading
from typing import Any

WAY, CHILDREN = sys.argv[1], int(sys.argv[2])
#: Modules that nothing else needs: what a thread is importing at the fork, the child can never import.
NAMES = ("colorsys", "nturl2path", "flooded_nowhere")
#: Seconds after which a child that waits for a lock is ended.
LIMIT = 200
stop = threading.Event()


def keep_importing() -> None:
    """Import and forget."""
    while not stop.is_set():
        for name in NAMES:
            if importlib.util.find_spec(name) is not None:
                importlib.import_module(name)
            sys.modules.pop(name, None)


def train(number: int, results: Any) -> None:
    """Import keras in the child and compile a model."""
    # Not by faulthandler: its own thread is one of those that a fork loses.
    signal.alarm(LIMIT)
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    session = sys.modules.get("autoxla.runtime")
    results.put([number, None if session is None else len(session.current().compiles)])


if WAY == "main":
    importlib.import_module("autoxla")
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
threads = [threading.Thread(target=keep_importing, daemon=True) for _ in range(3)]
for thread in threads:
    thread.start()
children = [context.Process(target=train, args=(number, queue)) for number in range(CHILDREN)]
for child in children:
    child.start()
stop.set()
for child in children:
    child.join()
statuses = [child.exitcode for child in children]
found = sorted(queue.get() for status in statuses if status == 0)
print(json.dumps({"statuses": statuses, "compiles": [compiles for _, compiles in found]}))
