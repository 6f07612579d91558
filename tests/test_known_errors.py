"""Hints on known errors: real ones of TensorFlow, Keras 3 and tf_keras, and texts of others."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.hooks.error_hints import SEARCHED, find_hint
from autoxla.hooks.known_errors import KNOWN_ERRORS, SOURCES, Sign
from programs import HOME, clean_environment, run, run_code

#: Errors of a few lines each, by the code of the hint that they are to get; - for none.
REAL = """
AX130 keras.Sequential([tf_keras.layers.Dense(1)])
AX130 k3().add(tf_keras.layers.Dense(1))
AX130 k3().add(OwnTfKeras())
AX133 tf_keras.Sequential([keras.layers.Dense(1)])
AX133 k2().add(OwnKeras())
AX134 k3().compile(tf_keras.optimizers.Adam())
AX134 k2().compile(keras.optimizers.Adam())
AX134 k3().compile(tf_keras.optimizers.legacy.SGD())
AX134 k3().compile(tf.compat.v1.train.AdamOptimizer())
AX134 k2().compile(keras.optimizers.schedules.ExponentialDecay(.1, 1, .1))
AX134 tf_keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(.1, 1))
AX134 fit(k3(), keras.optimizers.Adam(tf_keras.optimizers.schedules.ExponentialDecay(.1, 1, .1)))
AX135 tf_keras.layers.Dense(1)(keras.Input((4,)))
AX135 k2()(keras.Input((4,)))
AX135 tf_keras.Model(keras.Input((4,)), keras.Input((4,)))
AX135 keras.Model(tf_keras.Input((4,)), tf_keras.Input((4,)))
AX136 fit(k2(), metrics=[keras.metrics.MeanSquaredError()])
AX136 k2().fit(x, y, callbacks=[keras.callbacks.EarlyStopping()])
AX136 fit(Holder())
AX137 keras.layers.TimeDistributed(tf_keras.layers.Dense(1))
AX137 tf_keras.layers.TimeDistributed(keras.layers.Dense(1))
AX137 keras.saving.save_model(k2(), "x.keras")
AX138 tf.reduce_sum(keras.Input((4,)))
AX147 k2().save("folder"); keras.models.load_model("folder")
AX140 keras.models.load_model("missing")
AX147 keras.models.load_model("conv.h5")
AX147 keras.models.load_model("functional.keras")
AX147 keras.models.model_from_json(open("rnn.json").read())
AX163 pickle.load(open("tokenizer.pkl", "rb"))
AX147 k3().save("k3.keras"); tf_keras.models.load_model("k3.keras")
AX147 k3().save("k3.h5"); tf_keras.models.load_model("k3.h5")
AX147 tf_keras.models.model_from_json(k3().to_json())
AX141 tf_keras.Sequential.from_config(k3().get_config())
AX142 keras.Sequential.from_config(depthwise().get_config())
AX147 depthwise().save("dw.h5"); keras.models.load_model("dw.h5")
AX169 keras.layers.LSTM(2, batch_input_shape=(1, 2, 3))
AX143 compiled(k2()).save("k2.h5"); keras.models.load_model("k2.h5")
AX144 k3().save("noextension")
AX145 k3().save("folder3", save_format="tf")
AX146 k3().save_weights("weights")
AX147 k2().save_weights("ckpt"); k3().load_weights("ckpt")
AX147 keras.models.model_from_json(k2().to_json())
AX150 fit(Strings(), jit_compile=True)
AX150 printing(x)
AX157 noisy(tf.constant(x))
AX157 tf.function(noise)(tf.constant(x))
AX160 keras.optimizers.legacy.Adam()
AX161 keras.backend.set_session
AX169 tf.keras.backend.learning_phase()
AX161 from tensorflow.compat.v1 import keras as k; getattr(k, "compat.v1.x")
AX162 tf.estimator
AX162 import tensorflow.contrib
AX162 tf.placeholder
AX163 import keras.engine
AX163 from keras.layers.core import Dense
AX163 from keras.utils import np_utils
AX163 import tensorflow.keras.engine
AX163 from tensorflow.python.keras import __version__
AX169 keras.layers.experimental
AX169 from tensorflow.keras.layers.experimental import preprocessing
AX169 from keras.preprocessing.text import Tokenizer
AX164 from tensorflow.keras.wrappers.scikit_learn import KerasClassifier
AX169 keras.preprocessing.image.ImageDataGenerator
AX164 from keras.layers import CuDNNLSTM
AX165 keras.optimizers.Adam(lr=.1)
AX165 tf_keras.optimizers.Adam(decay=.1)
AX169 k3().fit_generator
AX166 k3().predict_classes
AX169 tf.keras.__internal__
AX168 import keras_core
AX183 from google.protobuf import runtime_version as r; validate(r, 99)
-     keras.models.load_model("missing.keras")
-     k3().add(1)
-     k3().compile("nonsense")
-     k3().fit(x[:4], y)
-     keras.layers.Dense(2, nonsense=1)
-     tf.nonsense
-     import keras.nonsense
-     tf.matmul(x, y)
-     import nonsense
-     k3().nonsense
-     keras.Model(tf_keras.Input((4,)))
"""
SCENARIOS = [line.split(None, 1) for line in REAL.strip().splitlines()]
#: Files that Keras 2.15 wrote.
OLD_FILES = Path(__file__).with_name("saved") / "k2_15"
#: What hints recommend, behind the scenarios that leave the files.
REMEDIES = """
keras.layers.TFSMLayer("folder", call_endpoint="serving_default")(x)
keras.models.load_model("k2.h5", compile=False)
k3().save_weights("k3.weights.h5"); k2().load_weights("k3.weights.h5")
m = k2(); m.load_weights("ckpt"); m.save_weights("k2.weights.h5"); k3().load_weights("k2.weights.h5")
k3().export("exported")
""".strip().splitlines()
PROGRAM = """
import json, pickle, sys
import numpy as np, tensorflow as tf, keras, tf_keras
from autoxla.hooks.error_hints import find_hint

x, y = np.zeros((8, 4), "float32"), np.zeros((8, 1), "float32")

class OwnTfKeras(tf_keras.layers.Layer): pass
class OwnKeras(keras.layers.Layer): pass

class Holder(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Dense(1)
    def call(self, x):
        return self.layer(x)

class Strings(keras.Model):
    def __init__(self):
        super().__init__()
        self.layer = keras.layers.Dense(1)
    def call(self, x):
        return self.layer(tf.reshape(tf.strings.to_number(tf.strings.as_string(x)), (-1, 4)))

def k3(): return keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
def k2(): return compiled(tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(1)]))
def depthwise(): return tf_keras.Sequential([tf_keras.Input((8, 8, 3)), tf_keras.layers.DepthwiseConv2D(3)])
def compiled(model):
    model.compile("sgd", "mse", metrics=["mse"])
    return model
def fit(model, optimizer="sgd", **options):
    model.compile(optimizer, "mse", **options)
    model.fit(x, y, verbose=0)
@tf.function(jit_compile=True)
def printing(x):
    tf.print(x)
    return x
def noise(x): return tf.keras.initializers.HeNormal()(shape=[tf.shape(x)[0], 8])
noisy = tf.function(noise, jit_compile=True)
def validate(r, major):
    r.ValidateProtobufRuntimeVersion(r.Domain.PUBLIC, major, 0, 0, "", "some.proto")

for source in json.load(open("scenarios.json")):
    try:
        exec(source)
        outcome = ["no error", ""]
    except Exception as error:
        hint = find_hint(error)
        outcome = [hint.code if hint else "-", f"{type(error).__name__}: {error}"[:300]]
    print("\\n=>", json.dumps([source, *outcome]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files of Keras 2.15."""
    return Path(shutil.copytree(OLD_FILES, tmp_path_factory.mktemp("scenarios"), dirs_exist_ok=True))


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> dict[str, list[str]]:
    """Return what each scenario led to, all in one process in ``folder``: [code, error]."""
    sources = [*(source for _, source in SCENARIOS), *REMEDIES]
    (folder / "scenarios.json").write_text(json.dumps(sources))
    done = run_code(PROGRAM, folder, AUTOXLA="off")
    assert done.status == 0, done.err
    lines = [json.loads(line[2:]) for line in done.out.splitlines() if line.startswith("=>")]
    return {source: [code, error] for source, code, error in lines}


@pytest.mark.tensorflow
@pytest.mark.parametrize(("code", "source"), SCENARIOS, ids=[source for _, source in SCENARIOS])
def test_a_real_error_has_its_note(outcomes: dict[str, list[str]], code: str, source: str) -> None:
    assert outcomes[source][0] == code, outcomes[source][1]


@pytest.mark.tensorflow
@pytest.mark.parametrize("source", REMEDIES)
def test_a_remedy_works(outcomes: dict[str, list[str]], source: str) -> None:
    assert outcomes[source] == ["no error", ""]


# --- Texts of errors that need hardware, other releases or other libraries


class OpError(Exception):
    """The base class of TensorFlow's errors, by its name."""


class NotFoundError(OpError):
    """Named as TensorFlow's."""


class _DeadlockError(RuntimeError):
    """Named as the import system's."""


class FatalTypeError(Exception):
    """Named as keras_tuner's."""


TOLD = [
    ("AX130", ValueError("Only instances of `keras.Layer` can be added to a Sequential model. Received: "
      "<tensorflow_hub.keras_layer.KerasLayer object at 0x7f> (of type <class 'tensorflow_hub.keras_layer."
      "KerasLayer'>)")),
    ("AX137", ValueError("`to_annotate` can only be a `keras.layers.Layer` instance. You passed an instance "
      "of type: Dense.")),
    ("AX137", FatalTypeError("Expected the model-building function, or HyperModel.build() to return a valid "
      "Keras Model instance. Received: <tf_keras.src.engine.sequential.Sequential object at 0x7f>")),
    ("AX150", OpError("Detected unsupported operations when trying to compile graph f[] on XLA_GPU_JIT: "
      "ResizeNearestNeighborGrad (No registered 'ResizeNearestNeighborGrad' OpKernel for XLA_GPU_JIT "
      "devices compatible with node {{node g}})")),
    ("AX150", OpError("No registered 'CudnnRNN' OpKernel for XLA_GPU_JIT devices compatible with node")),
    ("AX151", OpError("Trying to access resource dense/kernel/105 located in device /job:localhost/replica:0/"
      "task:0/device:GPU:0 from device /job:localhost/replica:0/task:0/device:GPU:1")),
    ("AX152", OpError("libdevice not found at ./libdevice.10.bc [Op:__some_op]")),
    ("AX152", RuntimeError("INTERNAL: Can't find libdevice directory ${CUDA_DIR}/nvvm/libdevice")),
    ("AX153", RuntimeError("FAILED_PRECONDITION: DNN library initialization failed.")),
    ("AX154", OpError("bitcode module not found at ./opencl.bc")),
    ("AX154", OpError("unable to find ld.lld in PATH: No such file or directory")),
    ("AX155", OpError("Could not find compiler for platform METAL: NOT_FOUND: could not find registered "
      "compiler for platform METAL")),
    ("AX155", OpError("could not find registered platform with id: 0x10508d130")),
    ("AX156", OpError("No JIT device registered for XPU")),
    ("AX161", AttributeError("`tf.compat.v1.keras` is not available with Keras 3. Keras 3 has no support for "
      "TF 1 APIs.")),
    ("AX167", AttributeError("module 'keras._tf_keras.keras' has no attribute 'saving'")),
    ("AX172", RuntimeError("Failed to import transformers.models.bert.modeling_tf_bert because of the "
      "following error (look up to see its traceback):\nYour currently installed version of Keras is Keras "
      "3, but this is not yet supported in Transformers. Please install the backwards-compatible tf-keras "
      "package with `pip install tf-keras`.")),
    ("AX173", ValueError("You have tensorflow 2.17.0 and this requires tf-keras package. Please run `pip "
      "install tf-keras` or downgrade your tensorflow.")),
    ("AX175", ModuleNotFoundError("No module named 'tf_keras'")),
    ("AX177", ImportError("cannot import name 'cast' from partially initialized module 'keras.src.backend' "
      "(most likely due to a circular import)")),
    ("AX177", AttributeError("partially initialized module 'keras' has no attribute 'src' (most likely due "
      "to a circular import)")),
    ("AX178", AttributeError("module 'keras' has no attribute '__version__'")),
    ("AX179", _DeadlockError("deadlock detected by _ModuleLock('keras.src.models') at 140234")),
    ("AX180", NotFoundError("libimf.so: cannot open shared object file: No such file or directory")),
    ("AX180", ImportError("libmkl_sycl_blas.so.4: cannot open shared object file: No such file")),
    ("AX180", OSError("libsycl.so.8: cannot open shared object file: No such file or directory")),
    ("AX182", ImportError("numpy.core.multiarray failed to import")),
    ("AX182", AttributeError("_ARRAY_API not found")),
    ("AX182", ImportError("A module that was compiled using NumPy 1.x cannot be run in\nNumPy 2.0.0 as it "
      "may crash.")),
    ("AX182", ValueError("numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C "
      "header, got 88 from PyObject")),
    ("AX183", TypeError("Descriptors cannot not be created directly.\nIf this call came from a _pb2.py")),
    ("AX183", TypeError("Descriptors cannot be created directly.")),
    ("AX184", NotFoundError("/x/tensorflow_text/python/ops/_sentence_breaking_ops.so: undefined symbol: "
      "_ZN3tsl5mutexC1Ev")),
    ("AX185", RuntimeError("Native API failed. Native API returns: 4 (UR_RESULT_ERROR_INVALID_VALUE)")),
]  # fmt: skip
#: Near misses: the same words from somebody else, who means something else.
OTHERS = [
    ValueError("Only instances of `keras.Layer` can be added to a Sequential model. Received: 1 (of type "
      "<class 'int'>)"),
    AttributeError("'tuple' object has no attribute 'rank'"),
    AttributeError("'Variable' object has no attribute '_unique_id'"),
    TypeError("Clock.__call__() missing 1 required positional argument: 'step'"),
    TypeError("Only instances of `keras.Layer` can be added to a Sequential model. Received: <a.B object> "
      "(of type <class 'a.B'>)"),
    ValueError("Could not interpret optimizer identifier: nonsense"),
    ValueError("Could not interpret optimizer identifier: <class 'keras.src.optimizers.adam.Adam'>"),
    ModuleNotFoundError("No module named 'tensorflow'"),
    ModuleNotFoundError("No module named 'mykeras.engine'"),
    ModuleNotFoundError("No module named 'keras_corey'"),
    AttributeError("module 'tf_keras.api._v2.keras.backend' has no attribute 'nonsense'"),
    AttributeError("'LinearSVC' object has no attribute 'predict_proba'"),
    OSError("libfoo.so.1: cannot open shared object file: No such file or directory"),
    RuntimeError("out of memory"),
    KeyError("Registering two gradient with name 'ReduceDataset'!"),
    AttributeError("module 'tensorflow.python.data' has no attribute 'DatasetV2'"),
    KeyboardInterrupt(),
    SystemExit(1),
    KeyError("Keras cannot be imported. Check that it is installed."),
    KeyError("keras_tensor_2"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "error"), TOLD, ids=[f"{code} {str(e)[:40]}" for code, e in TOLD])
def test_a_told_error_has_its_note(code: str, error: BaseException) -> None:
    hint = find_hint(error)
    assert hint is not None
    assert hint.code == code


def test_tf2onnx_and_a_model_of_keras_3() -> None:
    try:
        exec("raise KeyError('keras_tensor_2')", {"__name__": "tf2onnx.convert"})  # noqa: S102
    except KeyError as error:
        hint = find_hint(error)
    assert hint is not None
    assert hint.code == "AX137"


@pytest.mark.parametrize("error", OTHERS, ids=[str(e)[:60] or repr(e) for e in OTHERS])
def test_another_error_has_none(error: BaseException) -> None:
    assert find_hint(error) is None


# --- The table


def test_every_note_is_shown_by_an_error() -> None:
    shown = {code for code, _ in SCENARIOS} | {code for code, _ in TOLD} | {code for code, *_ in UNCAUGHT}
    # Those two: test_a_broken_plugin, and test_a_tf_keras_of_another_release_is_told.
    assert {known.code for known in KNOWN_ERRORS} - shown == {"AX181", "AX186"}


SIGNS = [(known.code, sign) for known in KNOWN_ERRORS for sign in known.signs]


@pytest.mark.parametrize(("code", "sign"), SIGNS, ids=[f"{code} {sign.pattern[:30]}" for code, sign in SIGNS])
def test_a_sign_is_bounded_and_its_hint_plain(code: str, sign: Sign) -> None:
    assert re.fullmatch(r"AX1[3-8]\d", code)
    assert code[:4] in SOURCES
    assert re.search(r"(?<!\\)[*+]", sign.pattern) is None
    hint = sign.hint_on("")
    assert hint.endswith(".")
    assert not re.search(r"https?:|www\.|\n|  ", hint)
    assert len(hint) <= 320


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("on XLA_CPU_JIT: StringFormat (No registered 'StringFormat' OpKernel for XLA_CPU_JIT devices", True),
        ("tf2xla conversion failed while converting", False),
    ],
)
def test_the_operation_is_named_that_xla_cannot_compile(message: str, named: bool) -> None:
    hint = find_hint(OpError(f"Detected unsupported operations when trying to compile graph f[] {message}"))
    assert hint is not None
    what = "the operation StringFormat" if named else "one of the operations"
    assert hint.text.startswith(f"XLA cannot compile {what}. Pass jit_compile=False to compile(), ")


class MuteError(ValueError):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_without_text_has_no_note() -> None:
    assert find_hint(MuteError()) is None


@pytest.mark.parametrize(
    ("before", "after", "known"),
    [(0, 10**7, True), (10**7, 0, True), (10**6, 10**6, False)],
    ids=["start", "end", "middle"],
)
def test_only_the_ends_of_a_long_message_are_read(before: int, after: int, known: bool) -> None:
    message = "x" * before + " Invalid filepath extension for saving. " + "x" * after
    assert len(message) > 2 * SEARCHED
    assert (find_hint(ValueError(message)) is not None) is known


@given(st.sampled_from([ValueError, TypeError, ImportError, AttributeError, OpError]), st.text())
def test_any_text_is_taken(kind: type[Exception], text: str) -> None:
    error = kind(text)
    hint = find_hint(error)
    assert hint is None or hint.code in {known.code for known in KNOWN_ERRORS}
    assert error.args == (text,)


def test_what_came_before_chooses_the_note() -> None:
    text = "Keras cannot be imported. Check that it is installed."
    backend = ImportError(text)
    backend.__context__ = ModuleNotFoundError("No module named 'torch'")
    found = [find_hint(ImportError(text)), find_hint(backend)]
    assert [hint.code for hint in found if hint] == ["AX171", "AX170"]


# --- Errors that end the process while something is imported

HIDE = """
import sys
from importlib.machinery import PathFinder
class Hider:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] == {hidden!r} else PathFinder.find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = Hider
"""
REGISTER = """
from autoxla import runtime
from autoxla.hooks import uncaught
uncaught.register(runtime.current())
"""
#: Code, module that is not there, variables, program, the error at the end of the traceback.
UNCAUGHT = [
    ("AX170", "torch", {"KERAS_BACKEND": "torch"}, "import tensorflow as tf; tf.keras.layers",
     "ImportError: Keras cannot be imported. Check that it is installed."),
    ("AX171", "tf_keras", {"TF_USE_LEGACY_KERAS": "1"}, "import tensorflow as tf; tf.keras.layers",
     "ImportError: Keras cannot be imported. Check that it is installed."),
    ("AX174", "-", {"KERAS_BACKEND": "theano"}, "import tensorflow",
     "ValueError: Unable to import backend : theano"),
    ("AX175", "tf_keras", {}, "import tf_keras", "ModuleNotFoundError: No module named 'tf_keras'"),
    ("AX176", "tensorflow", {}, "import keras", "ModuleNotFoundError: No module named 'tensorflow'"),
]  # fmt: skip


@pytest.mark.tensorflow
@pytest.mark.parametrize(("code", "hidden", "variables", "program", "error"), UNCAUGHT)
def test_an_uncaught_error_has_its_note(
    tmp_path: Path, code: str, hidden: str, variables: dict[str, str], program: str, error: str
) -> None:
    outcome = run_code(HIDE.format(hidden=hidden) + REGISTER + program, tmp_path, **variables)
    lines = outcome.err.splitlines()
    assert outcome.status == 1
    assert [line for line in lines[lines.index(error) :] if line.startswith(f"autoxla: {code} ")]
    assert outcome.out == ""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a folder of plug-ins, in a folder in which TensorFlow looks for such."""
    plugins = tmp_path / "site-packages" / "tensorflow-plugins"
    plugins.mkdir(parents=True)
    return plugins


def run_with(plugins: Path, folder: Path) -> str:
    (folder / "program.py").write_text(REGISTER + "import tensorflow")
    environment = {**clean_environment(), "PYTHONPATH": f"{plugins.parent}:{HOME}"}
    return run(["program.py"], folder, environment).err


@pytest.mark.tensorflow
def test_a_broken_plugin(site: Path, tmp_path: Path) -> None:
    (site / "libbroken.so").write_text("x")
    lines = run_with(site, tmp_path).splitlines()
    assert lines[-2].endswith("tensorflow-plugins/libbroken.so: file too short")
    assert lines[-1].startswith("autoxla: AX181 ")


@pytest.mark.tensorflow
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_plugin_without_its_libraries(site: Path, tmp_path: Path) -> None:
    """The plug-in names a library of oneAPI as needed, and that is gone when TensorFlow loads it."""
    source, library = tmp_path / "empty.c", tmp_path / "libimf.so"
    source.write_text("int nothing(void) { return 0; }\n")
    build = ["cc", "-shared", "-fPIC", str(source), "-o"]
    subprocess.run([*build, str(library), "-Wl,-soname,libimf.so"], check=True)
    plugin = str(site / "libitex.so")
    subprocess.run([*build, plugin, "-Wl,--no-as-needed", f"-L{tmp_path}", "-limf"], check=True)
    library.unlink()
    lines = run_with(site, tmp_path).splitlines()
    assert "NotFoundError: libimf.so: cannot open shared object file" in lines[-2]
    assert lines[-1].startswith("autoxla: AX180 ")
