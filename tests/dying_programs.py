"""Programs that die, as people report them, each with the setting under which it lives."""

from __future__ import annotations

import json
import shutil
import sysconfig
import textwrap
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import autoxla

HOME = Path(autoxla.__file__).parent.parent
SAVED = Path(__file__).parent / "saved" / "k2_15"
#: What is to be set; None takes a variable away.
Cure = Mapping[str, str | None]
KERAS_2: Cure = {"AUTOXLA_KERAS": "2"}
LEGACY: Cure = {"AUTOXLA_KERAS": "legacy"}
WELL, NOTHING = "it ends well", "nothing helps"


@dataclass(frozen=True)
class Case:
    """A program, what it starts with, and what heal comes to: a cure, or how the search ends without one.

    `saved` is a file or folder of Keras 2.15 beside it; `files` are others. `needs`: ITEX's double is loaded,
    or the environment lacks tf_keras.
    """

    code: str
    outcome: Cure | str
    variables: Mapping[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ("train.py",)
    saved: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    needs: Literal["", "itex", "no tf_keras"] = ""

    def write(self, folder: Path) -> None:
        """Write the program and what lies beside it."""
        for name, text in {**self.files, "train.py": textwrap.dedent(self.code)}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(textwrap.dedent(text), encoding="utf-8")
        if self.saved and (SAVED / self.saved).is_dir():
            shutil.copytree(SAVED / self.saved, folder / self.saved)
        elif self.saved:
            shutil.copy(SAVED / self.saved, folder)


_FIT = """
import numpy as np
def fit(net, **options):
    net.fit(np.ones((64, 3), "float32"), np.ones((64, 1), "float32"), verbose=0, **options)
"""
_OF_OLD = """
from tensorflow.keras import Sequential, layers
from tensorflow.keras.optimizers.legacy import Adam
net = Sequential([layers.Dense(1)])
net.compile(Adam(1e-3), "mse")
print("compiled")
"""
_MODEL = """
import numpy as np
net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
net.compile("sgd", "mse"{options})
net.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
print("trained")
"""
_TENSORFLOW_FIRST = "import tensorflow\nimport keras\n"
_NPD_OFF = {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"}


def _load(call: str) -> str:
    return f"import keras\nprint(type(keras.models.{call}))\n"


CASES: Mapping[str, Case] = {
    "`predict(workers=4)`": Case(
        """
        import keras, numpy
        net = keras.Sequential([keras.layers.Dense(1)])
        print(net.predict(numpy.zeros((4, 3), "float32"), verbose=0, workers=4).shape)
        """,
        LEGACY,
    ),
    "`x.shape.as_list()`": Case(
        """
        import tensorflow as tf
        def squeeze(x):
            return tf.keras.layers.Dense(x.shape.as_list()[-1])(x)
        i = tf.keras.Input((8,))
        print(tf.keras.Model(i, squeeze(i)).output_shape)
        """,
        KERAS_2,
    ),
    "`optimizer.lr` in a callback": Case(
        f"""{textwrap.indent(_FIT, " " * 8)}
        import tensorflow as tf
        class Cycle(tf.keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                tf.keras.backend.set_value(self.model.optimizer.lr, 0.001 * (batch + 1))
        net = tf.keras.Sequential([tf.keras.layers.Dense(1)])
        net.compile("adam", "mse")
        fit(net, callbacks=[Cycle()])
        """,
        KERAS_2,
    ),
    '`add_weight("w", shape)`': Case(
        """
        import tensorflow as tf
        class Scale(tf.keras.layers.Layer):
            def build(self, shape):
                self.kernel = self.add_weight("kernel", [int(shape[-1])])
            def call(self, x):
                return x * self.kernel
        print(Scale()(tf.ones((1, 3))).shape)
        """,
        KERAS_2,
    ),
    '`ModelCheckpoint("best.hdf5")`': Case(
        f"""{textwrap.indent(_FIT, " " * 8)}
        import tensorflow as tf
        net = tf.keras.Sequential([tf.keras.layers.Dense(1)])
        net.compile("adam", "mse")
        keep = tf.keras.callbacks.ModelCheckpoint("best.hdf5", monitor="loss", save_best_only=True)
        fit(net, epochs=2, callbacks=[keep])
        """,
        KERAS_2,
    ),
    "a functional model of Keras 2 in a `.keras` file": Case(
        _load("load_model('functional.keras')"), LEGACY, saved="functional.keras"
    ),
    "a convolution of Keras 2 in an `.h5` file": Case(
        _load("load_model('conv.h5')"), LEGACY, saved="conv.h5"
    ),
    "a pickled tokenizer": Case(
        "import keras, pickle\nprint(type(pickle.load(open('tokenizer.pkl', 'rb'))))\n",
        LEGACY,
        saved="tokenizer.pkl",
    ),
    "`model_from_json` of Keras 2": Case(
        _load("model_from_json(open('rnn.json').read())"), LEGACY, saved="rnn.json"
    ),
    "a SavedModel folder": Case(_load("load_model('sequential')"), LEGACY, saved="sequential"),
    "legacy optimizers behind `if`": Case(
        "import sys\nif 'train' in sys.argv:\n    import work\n",
        KERAS_2,
        words=("train.py", "train"),
        files={"work.py": _OF_OLD},
    ),
    "legacy optimizers behind argparse": Case(
        """
        import argparse
        def train():
            import work
        parser = argparse.ArgumentParser()
        parser.add_subparsers(required=True).add_parser("train").set_defaults(call=train)
        parser.parse_args().call()
        """,
        KERAS_2,
        words=("train.py", "train"),
        files={"work.py": _OF_OLD},
    ),
    "legacy optimizers in a process below": Case(
        "import subprocess, sys, keras\nsys.exit(subprocess.call([sys.executable, 'work.py']))\n",
        KERAS_2,
        files={"work.py": _OF_OLD},
    ),
    "legacy optimizers in a package, `-m`": Case(
        "",
        KERAS_2,
        words=("-m", "trainer", "train"),
        files={
            "trainer/__init__.py": "",
            "trainer/__main__.py": "import sys\nif 'train' in sys.argv:\n    from trainer import work\n",
            "trainer/work.py": _OF_OLD,
        },
    ),
    "legacy optimizers in a notebook": Case(
        "",
        KERAS_2,
        words=("train.ipynb",),
        files={
            "train.ipynb": json.dumps(
                {
                    "cells": [
                        {"cell_type": "code", "source": source}
                        for source in ("name = 'work'", "__import__(name)")
                    ]
                }
            ),
            "work.py": _OF_OLD,
        },
    ),
    "an unknown name in `XLA_FLAGS`": Case(
        """
        import tensorflow as tf
        @tf.function(jit_compile=True)
        def double(x):
            return 2 * x
        print(double(tf.ones(3)).numpy())
        """,
        {"XLA_FLAGS": None},
        {"XLA_FLAGS": "--xla_gpu_enable_what_nobody_knows=true"},
    ),
    "`keras.json` of Theano": Case(
        "import tensorflow as tf\nprint(tf.keras.layers.Dense(1))\n",
        WELL,
        files={".keras/keras.json": json.dumps({"backend": "theano"})},
    ),
    "`TF_USE_LEGACY_KERAS=1` without tf_keras": Case(
        "import tensorflow as tf\nprint(tf.keras.optimizers.legacy.SGD(0.1))\n",
        NOTHING,
        {"TF_USE_LEGACY_KERAS": "1"},
        needs="no tf_keras",
    ),
    "ITEX, row 1: no Keras, stream executor": Case("import tensorflow\n", WELL, _NPD_OFF, needs="itex"),
    "ITEX, row 4: Keras 3, stream executor": Case(
        _TENSORFLOW_FIRST + _MODEL.format(options=""), WELL, _NPD_OFF, needs="itex"
    ),
    "ITEX, row 5: `jit_compile=False`": Case(
        _TENSORFLOW_FIRST + _MODEL.format(options=", jit_compile=False"), WELL, needs="itex"
    ),
    "ITEX, row 6: auto-jit 1, stream executor": Case(
        _TENSORFLOW_FIRST, WELL, {**_NPD_OFF, "TF_XLA_FLAGS": "--tf_xla_auto_jit=1"}, needs="itex"
    ),
    "ITEX, row 7: auto-jit 2, stream executor": Case(
        _TENSORFLOW_FIRST,
        WELL,
        {**_NPD_OFF, "TF_XLA_FLAGS": "--tf_xla_auto_jit=2", "ITEX_DISABLE_XLA": "1"},
        needs="itex",
    ),
    "ITEX, row 8: ops override, auto-jit 2": Case(
        _TENSORFLOW_FIRST + _MODEL.format(options=", jit_compile=False"),
        WELL,
        {"ITEX_OPS_OVERRIDE": "1", "TF_XLA_FLAGS": "--tf_xla_auto_jit=2"},
        needs="itex",
    ),
    "ITEX: `import keras` first": Case("import keras\n" + _MODEL.format(options=""), WELL, needs="itex"),
    "ITEX: `KERAS_BACKEND=jax`": Case(
        "import tensorflow\nprint('end')\n",
        {"KERAS_BACKEND": "tensorflow"},
        {"KERAS_BACKEND": "jax"},
        needs="itex",
    ),
    "ITEX: the program sets `KERAS_BACKEND`": Case(
        "import os\nos.environ['KERAS_BACKEND'] = 'jax'\nimport tensorflow\nprint('end')\n",
        NOTHING,
        needs="itex",
    ),
    "a bug of its own": Case(
        "import tensorflow as tf\nprint(tf.keras.layers.Dense(1))\nprint(rate)\n", NOTHING
    ),
}

#: Draws other numbers in each run; of one ``seed`` the same sequence of runs.
CHANGING = """
import os, pathlib, random, sys, tensorflow
count = pathlib.Path("count")
number = int(count.read_text()) if count.exists() else 0
count.write_text(str(number + 1))
random.seed(f"run {{number}} {seed}")
print("begins")
"""
#: Bugs of a program's own, behind `CHANGING`; the last ones kill it at random.
BUGS = {
    "a name that is not defined": "undefined_name",
    "a file that is not there": "open('/nowhere/data.csv')",
    "status 3": "sys.exit(3)",
    "abort": "os.abort()",
    "a module that is not there": "import module_that_is_not_there",
    "dies in one run of two": "if random.random() < 0.5: raise ValueError('unlucky')",
    "dies in one run of five": "if random.random() < 0.2: raise OSError('connection reset')",
    "aborts in four runs of five": "if random.random() < 0.8: os.abort()",
}
#: Bugs that need the real TensorFlow, behind `CHANGING`.
REAL_BUGS = {
    "shapes that do not fit": """
net = tensorflow.keras.Sequential([tensorflow.keras.layers.Dense(1)])
net.compile("sgd", "mse")
net.fit(tensorflow.ones((8, 3)), tensorflow.ones((7, 1)), verbose=0)
""",
    "a callback that dies in one run of two": """
class Callback(tensorflow.keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        if random.random() < 0.5:
            raise ConnectionError("the tracker does not answer")
net = tensorflow.keras.Sequential([tensorflow.keras.layers.Dense(1)])
net.compile("sgd", "mse")
net.fit(tensorflow.ones((8, 3)), tensorflow.ones((8, 1)), verbose=0, callbacks=[Callback()])
""",
}


def make_environment_without(name: str, folder: Path) -> Path:
    """Make an environment below ``folder`` that has all of this one but what begins with ``name``.

    autoxla is the one under test. Returns its interpreter.
    """
    venv.create(folder, symlinks=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "autoxla").symlink_to(HOME / "autoxla")
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not entry.name.startswith((name, "autoxla")):
            (site / entry.name).symlink_to(entry)
    return folder / "bin" / "python"
