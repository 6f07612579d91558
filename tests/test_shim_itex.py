"""autoxla over real TensorFlow and Keras with the double of ITEX's plug-in loaded.

What the double shows and what it cannot is in `tests.plugin_double`: above all it lists no device,
so these programs train on the CPU, where Keras resolves ``jit_compile="auto"`` to False.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import plugin_double
from programs import HOME, Outcome, clean_environment, run

pytestmark = pytest.mark.tensorflow

TRAIN = """
import numpy as np
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
model.compile("sgd", "mse"{arguments})
model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
model.predict(np.ones((8, 4)), verbose=0)
print("trained")
"""

COUNT = """
import sys
executed = []
def count(event, arguments):
    if event == "exec":
        file = getattr(arguments[0], "co_filename", "")
        if file.endswith("site-packages/keras/__init__.py"):
            executed.append(file)
sys.addaudithook(count)
"""

CHECK = """
import sys
import keras
import keras.src
assert len(executed) == 1, executed
assert sys.modules["keras"] is keras
assert keras.src is sys.modules["keras.src"]
import tensorflow as tf
assert tf.keras.layers.Dense is keras.layers.Dense or {legacy}
"""

FORMS = {
    "import": "import keras",
    "from": "from keras import layers\nimport keras",
    "submodule": "import keras.layers",
    "src": "import keras.src.layers\nimport keras",
    "try": "try:\n    import keras\nexcept ImportError:\n    raise SystemExit(3)",
    "function": "def load():\n    from keras.layers import Dense\n    return Dense\nload()\nimport keras",
    "thread": (
        "import threading, importlib\n"
        "threads = [threading.Thread(target=importlib.import_module, args=('keras',)) for _ in range(6)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\nimport keras"
    ),
    "importlib": "import importlib\nkeras = importlib.import_module('keras')",
    "lazy": (
        "import importlib.util, sys\n"
        "spec = importlib.util.find_spec('keras')\n"
        "spec.loader = importlib.util.LazyLoader(spec.loader)\n"
        "keras = sys.modules['keras'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(keras)\nkeras.layers"
    ),
}


@pytest.fixture(scope="session")
def itex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("itex")
    plugin_double.build(folder)
    return folder


def run_under_itex(itex: Path, folder: Path, code: str, *, active: bool, **variables: str) -> Outcome:
    """Run ``code`` with the plug-in, activated by an import line where ``active``."""
    (folder / "program.py").write_text(("import autoxla\n" if active else "") + code, encoding="utf-8")
    path = plugin_double.environment(itex, HOME)
    return run(["program.py"], folder, clean_environment(**path, **variables))


def test_keras_first_dies_without_autoxla(itex: Path, tmp_path: Path) -> None:
    outcome = run_under_itex(itex, tmp_path, "import keras\nprint('alive')", active=False)
    assert (outcome.status, "alive" in outcome.out) == (0, False)
    assert plugin_double.HOOK_MESSAGE in outcome.out


@pytest.mark.parametrize("form", FORMS)
def test_keras_first_trains_in_every_form_of_the_import(form: str, itex: Path, tmp_path: Path) -> None:
    code = COUNT + FORMS[form] + CHECK.format(legacy=False) + TRAIN.format(arguments="")
    outcome = run_under_itex(itex, tmp_path, code, active=True)
    assert outcome.out.endswith("trained\n"), outcome.out + outcome.err
    assert outcome.status == 0
    assert len(outcome.notices) == 1
    assert "AX205" in outcome.notices[0]


def test_keras_first_under_the_legacy_switch(itex: Path, tmp_path: Path) -> None:
    code = COUNT + "import keras" + CHECK.format(legacy=True) + "print('alive')"
    plain = run_under_itex(itex, tmp_path, code, active=False, TF_USE_LEGACY_KERAS="1")
    assert plugin_double.HOOK_MESSAGE in plain.out
    outcome = run_under_itex(itex, tmp_path, code, active=True, TF_USE_LEGACY_KERAS="1")
    assert outcome.out.endswith("alive\n"), outcome.err


def test_the_notice_names_the_importing_line(itex: Path, tmp_path: Path) -> None:
    outcome = run_under_itex(itex, tmp_path, "x = 1\nimport keras\n", active=True)
    assert "program.py:3" in outcome.notices[0]


TENSORFLOW_FIRST = "import tensorflow\nimport keras\n"
UNSUPPORTED = """
class Dense(keras.layers.Dense):
    def __init__(self, units):
        super().__init__(units)
        self.supports_jit = False
keras.layers.Dense = Dense
"""
PREDICT_ONLY = """
import numpy as np
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
model.predict(np.ones((8, 4)), verbose=0)
print("trained")
"""
SET_LATER = """
import numpy as np
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
model.compile("sgd", "mse", jit_compile=True)
model.jit_compile = False
model.predict(np.ones((8, 4)), verbose=0)
print("trained")
"""
DETERMINISM = (
    "keras.utils.set_random_seed(1)\n"
    "import tensorflow as tf\ntf.config.experimental.enable_op_determinism()\n"
)
OVERRIDDEN = """
import numpy as np
class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(2)
    def call(self, x):
        return self.dense(x)
    def compile(self, rate, **rest):
        super().compile(optimizer=keras.optimizers.SGD(rate), loss="mse", **rest)
model = Own()
model.compile(0.1, jit_compile=False)
model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
print("trained")
"""

DEATHS: dict[str, tuple[str, dict[str, str], int]] = {
    "row 4": (TENSORFLOW_FIRST, {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"}, -signal.SIGABRT),
    "row 4, empty": (TENSORFLOW_FIRST, {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": ""}, -signal.SIGABRT),
    "row 6": (
        TENSORFLOW_FIRST,
        {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0", "TF_XLA_FLAGS": "--tf_xla_auto_jit=1"},
        -signal.SIGABRT,
    ),
    "row 7 although disabled": (
        TENSORFLOW_FIRST,
        {
            "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0",
            "TF_XLA_FLAGS": "--tf_xla_auto_jit=2",
            "ITEX_DISABLE_XLA": "1",
        },
        -signal.SIGABRT,
    ),
    "row 6 under the switch": (
        "import tensorflow\nimport tf_keras as keras\n",
        {
            "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0",
            "TF_XLA_FLAGS": "--tf_xla_auto_jit=1",
            "TF_USE_LEGACY_KERAS": "1",
        },
        -signal.SIGABRT,
    ),
    "strict boolean": (TENSORFLOW_FIRST, {"ITEX_OPS_OVERRIDE": "yes"}, -signal.SIGABRT),
    "strict boolean, empty": (TENSORFLOW_FIRST, {"ITEX_REMAPPER": ""}, -signal.SIGABRT),
    "compile on the CPU": (TENSORFLOW_FIRST + TRAIN.format(arguments=""), {}, 0),
    "jit_compile=False": (TENSORFLOW_FIRST + TRAIN.format(arguments=", jit_compile=False"), {}, 0),
    "run_eagerly": (TENSORFLOW_FIRST + TRAIN.format(arguments=", run_eagerly=True"), {}, 0),
    "a layer that cannot be compiled": (
        TENSORFLOW_FIRST + UNSUPPORTED + TRAIN.format(arguments=", jit_compile=True"),
        {},
        0,
    ),
    "determinism": (TENSORFLOW_FIRST + DETERMINISM + TRAIN.format(arguments=""), {}, 0),
    "predict without compile": (TENSORFLOW_FIRST + PREDICT_ONLY, {}, 0),
    "set later, then predict": (TENSORFLOW_FIRST + SET_LATER, {}, 0),
    "overridden compile": (TENSORFLOW_FIRST + OVERRIDDEN, {}, 0),
    "level 2 with jit_compile=False": (
        TENSORFLOW_FIRST + TRAIN.format(arguments=", jit_compile=False"),
        {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"},
        0,
    ),
    "explicitly not disabled": (
        TENSORFLOW_FIRST + TRAIN.format(arguments=", jit_compile=False"),
        {"ITEX_DISABLE_XLA": "0"},
        0,
    ),
}


@pytest.mark.parametrize("death", DEATHS)
def test_what_dies_without_autoxla_lives_with_it(death: str, itex: Path, tmp_path: Path) -> None:
    code, variables, status = DEATHS[death]
    code += "\nprint('end')"
    plain = run_under_itex(itex, tmp_path, code, active=False, **variables)
    assert (plain.status, "end" in plain.out.splitlines()) == (status, False), plain.err
    outcome = run_under_itex(itex, tmp_path, code, active=True, **variables)
    assert (outcome.status, outcome.out.splitlines()[-1]) == (0, "end"), outcome.err
    assert outcome.notices


def test_another_backend_is_said_and_stands(itex: Path, tmp_path: Path) -> None:
    outcome = run_under_itex(
        itex, tmp_path, "import tensorflow\nprint('end')", active=True, KERAS_BACKEND="jax"
    )
    assert (outcome.status, "end" in outcome.out.splitlines()) == (0, False)
    assert "AX405" in outcome.notices[0]


def test_alias_is_refused(itex: Path, tmp_path: Path) -> None:
    code = "import tensorflow\nimport keras\nprint(keras.__version__[0])"
    outcome = run_under_itex(itex, tmp_path, code, active=True, AUTOXLA_KERAS="legacy")
    assert (outcome.status, outcome.out.splitlines()[-1:]) == (0, ["3"]), outcome.err
    assert "AX109" in outcome.notices[0]


def test_a_failing_test_is_reported_by_pytest(itex: Path, tmp_path: Path) -> None:
    (tmp_path / "test_model.py").write_text(
        "import keras\ndef test_layer():\n    assert keras.layers.Dense(3).units == 4\n", encoding="utf-8"
    )
    environment = clean_environment(**plugin_double.environment(itex, HOME))
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "test_model.py"]
    plain = run(words, tmp_path, environment)
    assert (plain.status, "failed" in plain.out) == (0, False)
    outcome = run(["-m", "autoxla", *words], tmp_path, environment)
    assert (outcome.status, "1 failed" in outcome.out) == (1, True), outcome.err


def test_the_late_cure_reaches_children(itex: Path, tmp_path: Path) -> None:
    code = (
        TENSORFLOW_FIRST
        + TRAIN.format(arguments=", jit_compile=False")
        + "import os, json\nprint(json.dumps([os.environ['ITEX_DISABLE_XLA'], "
        "json.loads(os.environ['AUTOXLA_APPLIED'])['ITEX_DISABLE_XLA']]))"
    )
    outcome = run_under_itex(itex, tmp_path, code, active=True)
    assert outcome.last == ["1", [None, "1"]]


def test_observe_lets_the_process_die(itex: Path, tmp_path: Path) -> None:
    code = "import tensorflow\nprint('end')"
    variables = {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0", "AUTOXLA": "observe"}
    outcome = run_under_itex(itex, tmp_path, code, active=True, **variables)
    assert outcome.status == -signal.SIGABRT
    assert "AX204" in outcome.notices[0]


def test_a_child_plans_for_itself(itex: Path, tmp_path: Path) -> None:
    """The variable that the parent's plan set is not taken for the user's choice by a child."""
    (tmp_path / "child.py").write_text(
        "import os\nassert os.environ['ITEX_DISABLE_XLA'] == '1'\nimport autoxla\n"
        "import tensorflow\nprint(os.environ.get('ITEX_DISABLE_XLA'))",
        encoding="utf-8",
    )
    code = "import keras, subprocess, sys\nsubprocess.run([sys.executable, 'child.py'], check=True)"
    outcome = run_under_itex(itex, tmp_path, code, active=True)
    assert outcome.out.splitlines()[-1] == "None", outcome.err
    assert len(outcome.notices) == 1
