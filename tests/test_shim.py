"""autoxla over real TensorFlow, Keras 3 and tf_keras, without any plug-in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from programs import Outcome, run_code

pytestmark = pytest.mark.tensorflow

#: Prints what a program can see of `Model.compile`, and the results of a seeded run.
OBSERVE = """
import inspect, json, pickle, sys
import numpy as np
import {keras} as keras

keras.utils.set_random_seed(7)
x, y = np.random.rand(64, 4).astype("float32"), np.random.rand(64, 1).astype("float32")

def build(cls=None):
    inputs = keras.layers.Input((4,))
    outputs = keras.layers.Dense(1)(keras.layers.Dense(8, activation="relu")(inputs))
    return (cls or keras.Model)(inputs, outputs)

class Own(keras.Model):
    def compile(self, *args, **kwargs):
        self.own = True
        super().compile(*args, **kwargs)

seen = {{}}
model = build()
seen["signature"] = str(inspect.signature(keras.Model.compile))
seen["bound signature"] = str(inspect.signature(model.compile))
seen["doc"] = hash(keras.Model.compile.__doc__) and keras.Model.compile.__doc__[:200]
method = keras.Model.compile
seen["names"] = [method.__name__, method.__qualname__, method.__module__]
seen["is function"] = inspect.isfunction(keras.Model.compile)
seen["is method"] = inspect.ismethod(model.compile)
seen["is itself"] = keras.Model.compile is keras.Model.compile
seen["pickles"] = pickle.loads(pickle.dumps(keras.Model.compile)) is keras.Model.compile
seen["overridden"] = [Own.compile != keras.Model.compile, keras.Sequential.compile == keras.Model.compile]
model.compile("sgd", "mse")
seen["jit"] = model.jit_compile
seen["config"] = json.loads(json.dumps(model.get_compile_config(), default=str))
history = model.fit(x, y, epochs=2, verbose=0).history
seen["loss"] = history["loss"]
seen["predicted"] = model.predict(x, verbose=0).sum().item()
positional = build()
positional.compile({positional})
seen["positional"] = positional.jit_compile
own = build(Own)
own.compile("sgd", "mse", jit_compile=True)
seen["own"] = [own.own, own.jit_compile]
own.jit_compile = False
seen["assigned"] = own.jit_compile
model.save("model.keras")
loaded = keras.models.load_model("model.keras")
seen["loaded"] = [loaded.jit_compile, loaded.predict(x, verbose=0).sum().item()]
try:
    model.compile(nonsense=1)
except TypeError as error:
    seen["error"] = str(error)
print(json.dumps(seen, sort_keys=True))
"""
KERAS_3 = OBSERVE.format(keras="keras", positional='"sgd", "mse", None, None, None, False, 1, True')
KERAS_2 = OBSERVE.format(keras="tf_keras", positional='"sgd", "mse", None, None, None, False, 1, True')


@pytest.mark.parametrize("code", [KERAS_3, KERAS_2], ids=["keras", "tf_keras"])
def test_a_program_sees_no_difference(code: str, tmp_path: Path) -> None:
    plain = run_code(code, tmp_path)
    outcome = run_code("import autoxla\n" + code, tmp_path)
    assert outcome.last == plain.last
    assert (outcome.status, outcome.notices) == (0, [])


@pytest.mark.parametrize(("keras", "jit"), [("keras", False), ("tf_keras", None)])
def test_auto_clustering_leaves_jit_compile_off(keras: str, jit: bool | None, tmp_path: Path) -> None:
    """With a step chosen in the settings, compile follows it; an explicit value stands."""
    code = f"""
import autoxla
import {keras} as keras
import json, os
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
model.compile("sgd", "mse")
chosen = model.jit_compile
model.compile("sgd", "mse", jit_compile=True)
print(json.dumps([os.environ["TF_XLA_FLAGS"], chosen, model.jit_compile]))
"""
    variables = {"AUTOXLA_STEP": "autocluster-1", "TF_XLA_FLAGS": "--tf_xla_max_cluster_size=9"}
    outcome = run_code(code, tmp_path, **variables)
    flags = "--tf_xla_max_cluster_size=9 --tf_xla_auto_jit=1 --tf_xla_cpu_global_jit=true"
    assert outcome.last == [flags, jit, True]
    assert len(outcome.notices) == 1
    assert "AX303" in outcome.notices[0]


def test_auto_clustering_really_compiles(tmp_path: Path) -> None:
    code = """
import autoxla
import tensorflow as tf
@tf.function
def f(x):
    for _ in range(8):
        x = tf.tanh(x @ x) + x
    return tf.reduce_sum(x)
x = tf.ones((16, 16))
f(x), f(x), f(x)
from tensorflow.python.eager import context
import json
print(json.dumps("end"))
"""
    outcome = run_code(
        code, tmp_path, AUTOXLA_STEP="autocluster-2", XLA_FLAGS=f"--xla_dump_to={tmp_path / 'dump'}"
    )
    assert outcome.status == 0, outcome.err
    assert list((tmp_path / "dump").glob("*cluster*"))


def test_step_xla_compiles_what_the_program_leaves_open(tmp_path: Path) -> None:
    code = """
import autoxla
import json
import numpy as np
import keras
def build():
    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
free, explicit, number = build(), build(), build()
free.compile("sgd", "mse")
explicit.compile("sgd", "mse", jit_compile=False)
number.compile("sgd", "mse", jit_compile=0)
free.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
print(json.dumps([free.jit_compile, explicit.jit_compile, number.jit_compile]))
"""
    outcome = run_code(code, tmp_path, AUTOXLA_STEP="xla", AUTOXLA_REPORT=str(tmp_path / "report.json"))
    assert outcome.last == [True, False, 0]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [entry["used"] for entry in report["compile"]] == [True, False, False]
    assert [entry["because"] for entry in report["compile"]] == [["AX303"], [], []]
    assert [finding["code"] for finding in report["findings"]] == ["AX303"]


GENERATION = """
import autoxla
import json, os
import tensorflow as tf
print(json.dumps([tf.keras.layers.Dense.__module__.split(".")[0], os.environ.get("TF_USE_LEGACY_KERAS")]))
"""


@pytest.mark.parametrize(
    ("variables", "expected", "code"),
    [
        ({"AUTOXLA_KERAS": "2"}, ["tf_keras", "1"], "AX105"),
        ({"TF_USE_LEGACY_KERAS": "TRUE"}, ["tf_keras", "1"], "AX103"),
        ({"TF_USE_LEGACY_KERAS": " 1"}, ["tf_keras", "1"], "AX103"),
        ({"TF_USE_LEGACY_KERAS": "TRUE", "AUTOXLA": "observe"}, ["keras", "TRUE"], "AX103"),
        ({"AUTOXLA_KERAS": "2", "TF_USE_LEGACY_KERAS": "0"}, ["keras", "0"], "AX105"),
    ],
)
def test_the_generation_of_tf_keras(
    variables: dict[str, str], expected: list[str], code: str, tmp_path: Path
) -> None:
    outcome = run_code(GENERATION, tmp_path, **variables)
    assert outcome.last == expected
    assert code in outcome.notices[0]


ALIAS = """
import autoxla
import importlib, json, pickle, sys
{first}
import keras
from keras.layers import Dense
import keras.models
import tf_keras
import tensorflow as tf
import numpy as np
model = keras.Sequential([keras.layers.Input((4,)), Dense(2)])
model.compile("sgd", "mse")
model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
missing = importlib.util.find_spec("keras.nonsense")
print(json.dumps({{
    "same": [keras is tf_keras, keras.layers is tf_keras.layers, keras.models is tf_keras.models],
    "class": Dense is tf.keras.layers.Dense,
    "spec": [keras.__spec__.name, keras.layers.__spec__.name, keras.__name__],
    "loader": type(keras.__loader__).__name__,
    "pickle": pickle.loads(pickle.dumps(Dense)) is Dense,
    "missing": missing is None,
}}))
"""


@pytest.mark.parametrize("first", ["import keras.layers", "import tensorflow", "from keras import layers"])
def test_the_alias(first: str, tmp_path: Path) -> None:
    outcome = run_code(ALIAS.format(first=first), tmp_path, AUTOXLA_KERAS="legacy")
    assert outcome.status == 0, outcome.err
    assert outcome.last == {
        "same": [True, True, True],
        "class": True,
        "spec": ["tf_keras", "tf_keras.layers", "tf_keras"],
        "loader": "SourceFileLoader",
        "pickle": True,
        "missing": True,
    }


def write_keras_json(folder: Path, backend: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "keras.json").write_text(json.dumps({"backend": backend}), encoding="utf-8")
    return str(folder)


def test_an_unknown_backend_in_keras_json(tmp_path: Path) -> None:
    home = write_keras_json(tmp_path / "home", "theano")
    code = "import tensorflow as tf\nprint(tf.keras.backend.backend())"
    assert "Unable to import backend : theano" in run_code(code, tmp_path, KERAS_HOME=home).err
    outcome = run_code("import autoxla\n" + code, tmp_path, KERAS_HOME=home)
    assert (outcome.status, outcome.out) == (0, "tensorflow\n"), outcome.err
    assert "AX402" in outcome.notices[0]
    assert json.loads((tmp_path / "home" / "keras.json").read_text(encoding="utf-8")) == {"backend": "theano"}


def test_a_backend_that_is_not_installed_stands(tmp_path: Path) -> None:
    code = "import autoxla\nimport keras"
    outcome = run_code(code, tmp_path, KERAS_BACKEND="torch")
    assert outcome.status == 1
    assert "AX401" in outcome.notices[0]


def test_a_backend_set_too_late(tmp_path: Path) -> None:
    code = """
import autoxla
import keras, os
os.environ["_".join(["KERAS", "BACKEND"])] = "jax"
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
model.compile("sgd", "mse")
"""
    outcome = run_code(code, tmp_path)
    assert (outcome.status, len(outcome.notices)) == (0, 1), outcome.err
    assert "AX404" in outcome.notices[0]


def test_a_half_switch_is_noticed_at_the_first_use(tmp_path: Path) -> None:
    code = """
import autoxla
import os
import tensorflow as tf
os.environ["_".join(["TF", "USE", "LEGACY", "KERAS"])] = "1"
tf.keras.layers
os._exit(0)
"""
    outcome = run_code(code, tmp_path)
    assert (outcome.status, len(outcome.notices)) == (0, 1), outcome.err
    assert "AX119" in outcome.notices[0]


def test_autoxla_after_tensorflow(tmp_path: Path) -> None:
    code = "import tensorflow as tf\nimport autoxla\nprint(tf.keras.layers.Dense.__module__.split('.')[0])"
    outcome = run_code(code, tmp_path, TF_USE_LEGACY_KERAS="TRUE")
    assert outcome.out == "keras\n"
    assert any("AX1" in notice for notice in outcome.notices)


def _faulty(where: str) -> str:
    module, _, name = where.rpartition(".")
    return f"""
import autoxla, {module}
def fail(*args, **kwargs):
    raise RuntimeError("injected")
{module}.{name} = fail
import json, keras
import numpy as np
keras.utils.set_random_seed(1)
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
model.compile("sgd", "mse")
model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
print(json.dumps(model.evaluate(np.ones((8, 4)), np.ones((8, 2)), verbose=0)))
"""


@pytest.mark.parametrize(
    "where",
    [
        "autoxla.planning.gather",
        "autoxla.planning.decide",
        "autoxla.report.write_report",
        "autoxla.runtime.put",
        "autoxla.planning.read_settings",
        "autoxla.hooks.compile._reconcile",
        "autoxla.hooks.keras._wrap",
        "autoxla.notice.headline",
    ],
)
def test_a_fault_changes_nothing_but_one_line(where: str, tmp_path: Path) -> None:
    variables = {"AUTOXLA_REPORT": str(tmp_path / "report.json"), "AUTOXLA_STEP": "autocluster-1"}
    outcome = run_code(_faulty(where), tmp_path, **variables)
    plain = run_code(_faulty(where).replace("import autoxla,", "import sys; sys.exit(0)\nimport"), tmp_path)
    assert plain.status == 0
    assert outcome.status == 0, outcome.err
    assert isinstance(outcome.last, float)
    assert sum("AX901" in notice for notice in outcome.notices) == 1, outcome.err
    assert "Traceback" not in outcome.err


BAD_INPUT: dict[str, tuple[dict[str, str], str]] = {
    "unknown mode": ({"AUTOXLA": "fast"}, "AX902"),
    "unknown keras": ({"AUTOXLA_KERAS": "1"}, "AX902"),
    "malformed flags": ({"TF_XLA_FLAGS": "--tf_xla_auto_jit=abc"}, "AX301"),
}


@pytest.mark.parametrize("bad", BAD_INPUT)
def test_bad_input_is_one_line(bad: str, tmp_path: Path) -> None:
    variables, code = BAD_INPUT[bad]
    program = "import tensorflow\nprint('end')"
    plain = run_code(program, tmp_path, **variables)
    outcome = run_code("import autoxla\n" + program, tmp_path, **variables)
    assert (outcome.status, outcome.out) == (plain.status, plain.out)
    assert len(outcome.notices) == 1
    assert code in outcome.notices[0]


def test_a_bad_pyproject_is_one_line_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.autoxla]\n\nmode = "fast"\n', encoding="utf-8")
    outcome = run_code("import autoxla\nimport tensorflow\nprint('end')", tmp_path)
    assert (outcome.status, outcome.out) == (0, "end\n")
    assert "AX902 error pyproject.toml:3:" in outcome.notices[0]


def test_off_in_pyproject_and_by_call(tmp_path: Path) -> None:
    code = (
        "import autoxla, sys\n{}\nimport tensorflow as tf\n"
        "wrapped = type(tf.keras.Model.compile).__name__ == 'WrappedFunction'\n"
        "print(tf.keras.layers.Dense.__module__.split('.')[0], wrapped)"
    )
    off = code.format("autoxla.configure(mode='off')")
    by_call: Outcome = run_code(off, tmp_path, TF_USE_LEGACY_KERAS="TRUE")
    (tmp_path / "pyproject.toml").write_text('[tool.autoxla]\nmode = "off"\n', encoding="utf-8")
    by_file = run_code(code.format(""), tmp_path, TF_USE_LEGACY_KERAS="TRUE")
    assert (by_call.out, by_call.notices) == ("keras False\n", [])
    assert (by_file.out, by_file.notices) == ("keras False\n", [])


def test_a_loader_in_front_is_noticed(tmp_path: Path) -> None:
    code = """
import autoxla
import sys
from importlib.machinery import PathFinder
sys.meta_path.insert(0, PathFinder)
import tensorflow
print("end")
"""
    outcome = run_code(code, tmp_path)
    assert (outcome.status, outcome.out) == (0, "end\n")
    assert "AX903" in outcome.notices[0]


def test_uninstall_puts_the_methods_back(tmp_path: Path) -> None:
    code = """
import autoxla
import json, sys, types
import keras
wrapped = type(vars(keras.src.trainers.trainer.Trainer)["compile"]) is types.FunctionType
autoxla.uninstall()
plain = type(vars(keras.src.trainers.trainer.Trainer)["compile"]) is types.FunctionType
finders = [type(finder).__name__ for finder in sys.meta_path]
print(json.dumps([wrapped, plain, "AutoxlaFinder" in finders]))
"""
    assert run_code(code, tmp_path).last == [False, True, False]


def test_a_child_that_is_off_has_its_own_environment(tmp_path: Path) -> None:
    child = tmp_path / "child"
    child.mkdir()
    (child / "pyproject.toml").write_text('[tool.autoxla]\nmode = "off"\n', encoding="utf-8")
    (child / "child.py").write_text(
        "import autoxla, os\nimport tensorflow\nprint(os.environ.get('TF_USE_LEGACY_KERAS'))",
        encoding="utf-8",
    )
    code = """
import autoxla, os, subprocess, sys
import tensorflow
print(os.environ["TF_USE_LEGACY_KERAS"], flush=True)
subprocess.run([sys.executable, os.path.join("child", "child.py")], check=True)
"""
    outcome = run_code(code, tmp_path, AUTOXLA_KERAS="2")
    assert outcome.out.split() == ["1", "None"], outcome.err


def test_ignored_findings_are_not_said(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.autoxla]\nignore = ["AX103"]\n', encoding="utf-8")
    outcome = run_code(GENERATION, tmp_path, TF_USE_LEGACY_KERAS="TRUE")
    assert (outcome.last, outcome.notices) == (["tf_keras", "1"], [])


@pytest.mark.parametrize("stub", ["types.ModuleType('keras')", "unittest.mock.MagicMock()"])
def test_a_stub_of_keras_is_no_release_that_is_not_known(stub: str, tmp_path: Path) -> None:
    """As programs put it there that build documentation; and a module of the program's own of that name."""
    code = "import autoxla, types, unittest.mock\nfrom autoxla.hooks import keras\n"
    outcome = run_code(f"{code}keras.hook_elsewhere({stub})\n", tmp_path)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    (tmp_path / "keras.py").write_text("VALUE = 1\n", encoding="utf-8")
    outcome = run_code("import autoxla, keras\nprint(keras.VALUE)", tmp_path)
    assert (outcome.status, outcome.out) == (0, "1\n")
    assert "AX904" not in outcome.err
