"""Realistic programs, each run plain, with autoxla and in mode observe, on real TensorFlow and Keras.

Those that fail for a reason that can be cured run with autoxla; those that work run the same.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from programs import HOME, Outcome, clean_environment, run

pytestmark = pytest.mark.tensorflow

DATA = "import numpy as np\nx = np.arange(32, dtype='float32').reshape(8, 4) / 32\ny = x[:, :1]\n"
FIT = "model.fit(x, y, epochs=2, verbose=0)\nprint('%.5f' % model.evaluate(x, y, verbose=0))\n"

#: Programs that fail as they are, and the rule that cures them.
CURED = {
    "legacy optimizers": (
        "AX112",
        DATA
        + """
import tensorflow as tf
tf.keras.utils.set_random_seed(1)
model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(4,))])
model.compile(tf.keras.optimizers.legacy.Adam(0.1), "mse")
"""
        + FIT,
    ),
    "compat.v1": (
        "AX112",
        """
import tensorflow as tf
from tensorflow.compat.v1 import keras
keras.backend.clear_session()
print(keras.backend.set_session.__name__)
""",
    ),
    "two generations in one model": (
        "AX112",
        DATA
        + """
import tensorflow as tf
import tf_keras

def build():
    tf_keras.utils.set_random_seed(1)
    inputs = tf.keras.layers.Input((4,))
    return tf.keras.Model(inputs, tf_keras.layers.Dense(1)(inputs))

def main():
    model = build()
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=2, verbose=0)
    print("%.5f" % model.evaluate(x, y, verbose=0))

if __name__ == "__main__":
    main()
""",
    ),
    "a library for Keras 2": (
        "AX112",
        "import tensorflow as tf\nimport tf_agents\nprint(tf_agents.network().built)\n",
    ),
    "in a module of its own": (
        "AX112",
        "from models import build\nimport tensorflow as tf\nprint(type(build()).__name__)\n",
    ),
    "the switch behind the import": (
        "AX116",
        """
import tensorflow as tf
import os
os.environ["TF_USE_LEGACY_KERAS"] = "1"
layer = tf.keras.layers.Dense(1)
from tensorflow.keras import Sequential
print(len(Sequential([layer]).layers))
""",
    ),
}

#: Programs that work, and that nothing may change.
WORKING = {
    "only for the type checker": """
from typing import TYPE_CHECKING
import tensorflow as tf
if TYPE_CHECKING:
    import tf_agents
    from tensorflow.keras.optimizers.legacy import Adam
print(tf.keras.__version__.split(".")[0])
""",
    "a switch chosen at run time": """
import os, sys
if len(sys.argv) > 5:
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
import tensorflow as tf
print(tf.keras.__version__.split(".")[0])
""",
    "jit_compile out of a configuration": DATA
    + """
import keras
keras.utils.set_random_seed(1)
config = {"jit_compile": True, "optimizer": "sgd", "loss": "mse"}
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile(**config)
print(model.jit_compile)
"""
    + FIT,
    "its own compile": DATA
    + """
import keras
class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
    def call(self, inputs):
        return self.dense(inputs)
    def compile(self, rate):
        super().compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
keras.utils.set_random_seed(1)
model = Own()
model.compile(0.1)
"""
    + FIT,
    "tf_keras beside Keras 3's own things": """
import tensorflow as tf
import tf_keras
old = tf_keras.Sequential([tf_keras.layers.Dense(1, input_shape=(4,))])
new = tf.keras.Sequential([tf.keras.layers.Dense(1)])
print(len(old.layers), float(tf.keras.ops.mean(tf.ones((2, 2)))), hasattr(tf.keras, "version"))
""",
    "tf_keras alone": DATA
    + """
import tf_keras as keras
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
model.compile(keras.optimizers.legacy.Adam(0.1), "mse")
"""
    + FIT,
    "a fallback": """
try:
    from tensorflow.keras.optimizers.legacy import Adam
    Adam(0.1)
except ImportError:
    from tensorflow.keras.optimizers import Adam
import keras
print(Adam.__module__.split(".")[0], keras.__version__.split(".")[0])
""",
    "a guarded private module": """
import keras
try:
    from keras.engine import Layer
except ImportError:
    from keras.layers import Layer
print(Layer.__name__)
""",
    "the switch for child processes": """
import os
import tensorflow as tf
model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
print(float(tf.keras.ops.mean(tf.ones((2, 2)))))
os.environ["TF_USE_LEGACY_KERAS"] = "1"
""",
    "no Keras": """
import tensorflow as tf
@tf.function(jit_compile=True)
def step(x):
    return tf.reduce_sum(tf.tanh(x) * 2)
print("%.4f" % step(tf.ones((4, 4))))
""",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a package for Keras 2, installed as it says, and a module of the program's."""
    site = tmp_path / "site-packages"
    (site / "tf_agents").mkdir(parents=True)
    (site / "tf_agents" / "__init__.py").write_text(
        "import tensorflow as tf\n"
        "if getattr(tf.keras, 'version', None):\n"
        "    raise ImportError('needs Keras 2')\n"
        "def network():\n"
        "    return tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])\n",
        encoding="utf-8",
    )
    metadata = site / "tf_agents-0.19.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: tf-agents\nVersion: 0.19.0\n", encoding="utf-8")
    (tmp_path / "models.py").write_text(
        "from tensorflow.keras.optimizers import legacy\ndef build():\n    return legacy.SGD(0.1)\n",
        encoding="utf-8",
    )
    return tmp_path


def run_program(folder: Path, code: str, *words: str, **variables: str) -> Outcome:
    (folder / "program.py").write_text(code, encoding="utf-8")
    path = f"{folder / 'site-packages'}:{HOME}"
    return run([*words, "program.py"], folder, clean_environment(PYTHONPATH=path, **variables))


def with_autoxla(folder: Path, code: str, **variables: str) -> Outcome:
    return run_program(folder, code, "-m", "autoxla", **variables)


@pytest.mark.parametrize("name", CURED)
def test_what_fails_is_cured(name: str, folder: Path) -> None:
    code, program = CURED[name]
    assert run_program(folder, program).status == 1
    outcome = with_autoxla(folder, program)
    assert outcome.status == 0, outcome.err
    assert len(outcome.notices) == 1
    assert f"{code} warning" in outcome.notices[0]
    assert "done: set TF_USE_LEGACY_KERAS=1" in outcome.notices[0]


@pytest.mark.parametrize("name", CURED)
def test_observe_says_and_leaves_it(name: str, folder: Path) -> None:
    code, program = CURED[name]
    outcome = with_autoxla(folder, program, AUTOXLA="observe")
    assert outcome.status == 1
    assert code in outcome.notices[0]


@pytest.mark.parametrize("name", WORKING)
def test_what_works_works_the_same(name: str, folder: Path) -> None:
    plain = run_program(folder, WORKING[name])
    assert plain.status == 0, plain.err
    for mode in ("auto", "observe"):
        outcome = with_autoxla(folder, WORKING[name], AUTOXLA=mode)
        assert (outcome.status, outcome.out, outcome.notices) == (0, plain.out, [])


def test_both_generations_demanded_is_a_conflict(folder: Path) -> None:
    program = "import tensorflow as tf\ntf.keras.ops\nimport tf_agents\n"
    outcome = with_autoxla(folder, program)
    assert outcome.status == 1
    assert "AX113 error program.py:3:1" in outcome.notices[0]
    assert "program.py:2:1" in outcome.notices[0]


def test_what_is_only_possible_is_said_when_it_happens(folder: Path) -> None:
    program = "import sys\nimport tensorflow as tf\nif {}:\n    import tf_agents\nprint('end')\n"
    happens = with_autoxla(folder, program.format("len(sys.argv) == 1"))
    assert happens.status == 1
    assert "AX114 warning program.py:4:5" in happens.notices[0]
    never = with_autoxla(folder, program.format("len(sys.argv) > 9"))
    assert (never.status, never.out, never.notices) == (0, "end\n", [])


def test_the_report_names_the_line(folder: Path) -> None:
    _, program = CURED["legacy optimizers"]
    with_autoxla(folder, program, AUTOXLA_REPORT=str(folder / "report.json"))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    found = next(finding for finding in report["findings"] if finding["code"] == "AX112")
    assert (found["file"], found["applied"]) == ("program.py", True)
    assert "legacy" in program.splitlines()[found["line"] - 1]
    assert report["path"]["keras"] == 2
