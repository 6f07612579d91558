"""The moment in which XLA compiles beside training: what a program may do just then.

The trial is made to begin at once, and XLA has something to do for some seconds. Without autoxla the
program does the same at its first step.

A forked child of such a program that ends by ``sys.exit`` or an exception is not among the cases: with
TensorFlow 2.21 it waits for ever for threads that it does not have, without autoxla, too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from programs import HOME, clean_environment
from surroundings.running import Pair, start

#: Seconds; a program of these takes some ten.
LIMIT = 120.0
PROGRAM = """\
import os
import signal
import sys
import threading
import time

if __name__ == "__main__":
    import numpy as np
    import {package} as keras


def force():
    from autoxla.trial import driver, economics
    economics.SHORTEST = economics.LEAST_SAVING = 0.0
    economics.CHEAP = 1e9
    driver._FIRST_LOOK, driver._POLL = 4, 0.0
    driver.pays = lambda *_: True
    {force}


def act():
    {how}


def main():
    {begin}

    class Moment(keras.callbacks.Callback):
        done = False

        def on_train_batch_end(self, batch, logs=None):
            kept = vars(self.model).get("_autoxla_driver")
            if not self.done and (kept is None or {moment}):
                self.done = True
                print("now", flush=True)
                act()
                self.model.stop_training = True

    layer = inputs = keras.layers.Input((16, 16, 3))
    for _ in range(6):
        layer = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(layer)
        layer = keras.layers.BatchNormalization()(layer)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(layer)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = np.ones((8, 16, 16, 3), "float32"), np.arange(8) % 3
    model.fit(images, labels, batch_size=8, epochs=500, verbose=0, callbacks=[Moment()])
    print("trained", flush=True)
    {then}


if __name__ == "__main__":
    if "autoxla" in sys.modules:
        force()
    main()
"""
_COMPILES = "type(kept.state).__name__ == 'Compiling'"
_ENDED = "kept.entry.get('outcome')"
_CHILD = """\
child = os.fork()
    if child == 0:
        {how}
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)"""
_PROCESS = """\
import multiprocessing
    child = multiprocessing.get_context("{method}").Process(target=print, args=("in the child",))
    child.start()
    child.join()
    print("child", child.exitcode, flush=True)"""
#: What fails in the trial, for the process that has one.
_REFUSE = """\
import tensorflow as tf
    from autoxla.trial import executables
    def refuse(*_):
        raise {error}
    executables.Dispatch.poll = refuse"""
_EXHAUSTED = 'tf.errors.ResourceExhaustedError(None, None, "out of memory")'

_ROOM = """\
import resource
    pages = int(open("/proc/self/statm").read().split()[0])
    limit = pages * resource.getpagesize() + (1100 << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))"""

#: What the program does in that moment.
ACTS: dict[str, str] = {
    "stops training": "pass",
    "sys.exit(3)": "sys.exit(3)",
    "an exception": "1 / 0",
    "os._exit(5)": "os._exit(5)",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM)\n    time.sleep(60)",
    "SIGINT": "os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(60)",
    "SIGINT from elsewhere, a second later": (
        "threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()"
        "\n    while time.sleep(0.01) is None: pass"
    ),
    "fork, the child os._exit(4)": _CHILD.format(how="os._exit(4)"),
    "multiprocessing, fork": _PROCESS.format(method="fork"),
    "multiprocessing, spawn": _PROCESS.format(method="spawn"),
    "execv of another program": "os.execv(sys.executable, [sys.executable, '-c', 'raise SystemExit(9)'])",
}
#: What it does right after it has stopped training in that moment.
THEN: dict[str, str] = {
    "training stops, then sys.exit(3)": "sys.exit(3)",
    "training stops, then os._exit(5)": "os._exit(5)",
    "training stops, then a fork, the child os._exit(4)": _CHILD.format(how="os._exit(4)"),
}
#: What happens to the trial itself.
FATES: dict[str, str] = {
    "XLA has no memory (RESOURCE_EXHAUSTED, raised)": _REFUSE.format(error=_EXHAUSTED),
    "MemoryError (raised)": _REFUSE.format(error="MemoryError()"),
}


#: What holds from the beginning of the program. Without autoxla 900 MiB are enough for it.
ROOMS: dict[str, str] = {"1,100 MiB of addresses are left for training": _ROOM}
CASES = (*ACTS, *THEN, *FATES, *ROOMS)


def write_program(name: str = "", package: str = "keras") -> str:
    """Return the program of a case, or one whose trial goes to its end."""
    return PROGRAM.format(
        package=package,
        begin=ROOMS.get(name, "pass"),
        how=ACTS.get(name, "pass"),
        then=THEN.get(name, "pass"),
        force=FATES.get(name, "pass"),
        moment=_COMPILES if name in ACTS or name in THEN else _ENDED,
    )


def run_case(folder: Path, name: str) -> Pair:
    """Run a program that does or meets this while XLA compiles."""
    return run_code(folder, write_program(name))


def run_code(folder: Path, code: str, **variables: str) -> Pair:
    """Run ``code``, plain and with autoxla."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    path = os.pathsep.join([str(HOME), *(str(Path(__file__).parents[2] / name) for name in ("qa", "tests"))])
    own = {"PYTHONPATH": path, "AUTOXLA_CACHE": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment = clean_environment(**{**own, **variables})
    plain, ours = (
        start([sys.executable, *words, "program.py"], folder, environment, LIMIT)
        for words in ([], ["-m", "autoxla"])
    )
    return Pair(plain, ours)
