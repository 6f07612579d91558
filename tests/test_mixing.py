"""Two generations of Keras in one process, and the wrappers and hooks that tell of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

import pytest

from programs import Outcome, run_code

pytestmark = pytest.mark.tensorflow

HAS_NOTES = sys.version_info >= (3, 11)
#: One line, as `NOTHING` is: the lines of a program have the same numbers behind both.
REGISTER = (
    "import autoxla.runtime; from autoxla.hooks import error_hints, mixed_models, uncaught; "
    "uncaught.register(autoxla.runtime.current()); mixed_models.register()\n"
)
NOTHING = "#\n"
START = """
import numpy as np
import tensorflow as tf
import keras
import tf_keras

x, y = np.random.rand(8, 4).astype("float32"), np.ones((8, 1), "float32")

class Holder(keras.Model):
    def __init__(self, *layers):
        super().__init__()
        self.inner = list(layers)
    def call(self, x):
        for layer in self.inner:
            x = layer(x)
        return x
"""


#: Trains twice, as parts may be built by the first step, and prints whether weights of ``inner`` changed.
TRAIN = """
def train(model, *inner, **options):
    model.compile("sgd", "mse", **options)
    model.fit(x, y, verbose=0)
    before = [w.numpy() for layer in inner for w in layer.weights]
    model.fit(x, y, verbose=0)
    after = [w.numpy() for layer in inner for w in layer.weights]
    same = len(before) > 0 and all((a == b).all() for a, b in zip(before, after))
    print(type(model).__name__, "unchanged" if same else "trained", len(model.trainable_variables))
"""


def run_both(code: str, folder: Path, **variables: str) -> tuple[Outcome, Outcome]:
    """Run ``code`` without autoxla, and with these hooks and no plan."""
    hooked = run_code(REGISTER + code, folder, AUTOXLA="observe", **variables)
    return run_code(NOTHING + code, folder, **variables), hooked


@dataclass(frozen=True)
class Part:
    """What one part of a program printed without autoxla and with it, and what autoxla said in it."""

    plain: str
    guarded: str
    notices: list[str]


def run_parts(programs: Mapping[str, str], folder: Path) -> dict[str, Part]:
    """Run ``programs`` one after the other in one process, without autoxla and with autoxla."""
    code = START
    for number, program in enumerate(programs.values()):
        mark = f"print('=={number}', flush=True)\nprint('=={number}', file=sys.stderr, flush=True)\n"
        code += f"import sys\n{mark}def part():\n{indent(TRAIN + program.strip(), '    ')}\npart()\n"
    plain, guarded = run_both(code, folder)
    assert (plain.status, guarded.status) == (0, 0), plain.err + guarded.err
    printed = zip(split(plain.out), split(guarded.out), split(guarded.err), strict=True)
    return {name: Part(a, b, of_ours(c)) for name, (a, b, c) in zip(programs, printed, strict=True)}


def split(text: str) -> list[str]:
    return re.split(r"^==\d+$", text, flags=re.MULTILINE)[1:]


def of_ours(err: str) -> list[str]:
    """Return the notices that are about mixing, or about faults of autoxla."""
    return [line for line in err.splitlines() if line.startswith(("autoxla: AX13", "autoxla: AX9"))]


# --- What goes wrong without an error

#: Code, program, what its line says. The first word printed on stdout proves that nothing was trained.
SILENT = {
    "layer in an attribute, built by the first step": (
        "AX131",
        "layer = tf_keras.layers.Dense(1)\ntrain(Holder(layer), layer)",
        [
            "__main__.Holder of Keras 3",
            "tf_keras.src.layers.core.dense.Dense",
            "Holder.inner[0]",
            " 2 trainable",
        ],
    ),
    "layer that was built before": (
        "AX131",
        "layer = tf_keras.layers.Dense(1)\nlayer.build((None, 4))\ntrain(Holder(layer), layer)",
        ["tf_keras.src.layers.core.dense.Dense", "Holder.inner[0]"],
    ),
    "model of tf_keras in a model of Keras 3": (
        "AX131",
        "inner = tf_keras.Sequential([tf_keras.layers.Dense(1)])\ntrain(Holder(inner), inner)",
        ["tf_keras.src.engine.sequential.Sequential", "Holder.inner[0]"],
    ),
    "layer in a layer": (
        "AX131",
        "class Own(keras.layers.Layer):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.parts = {'a': tf_keras.layers.Dense(1)}\n"
        "    def call(self, x): return self.parts['a'](x)\n"
        "own = Own()\n"
        "train(keras.Sequential([keras.Input((4,)), own]), own.parts['a'])",
        ["Sequential._layers[1].parts['a']"],
    ),
    "layer of TensorFlow's private copy": (
        "AX131",
        "from tensorflow.python.keras.layers import Dense\nlayer = Dense(1)\ntrain(Holder(layer), layer)",
        ["TensorFlow's private Keras", "Holder.inner[0]"],
    ),
    "run eagerly": (
        "AX131",
        "layer = tf_keras.layers.Dense(1)\ntrain(Holder(layer), layer, run_eagerly=True)",
        ["Holder.inner[0]"],
    ),
    "Keras 3 layer on an Input of tf_keras": (
        "AX132",
        "i = tf_keras.Input((4,))\n"
        "layer = keras.layers.Dense(1)\n"
        "train(tf_keras.Model(i, tf_keras.layers.Dense(1)(layer(i))), layer)",
        ["tf_keras.src.engine.functional.Functional", "/bias", "keras.src.backend", "tf.math.add"],
    ),
    "Keras 3 model on an Input of tf_keras, inside another": (
        "AX132",
        "i = tf_keras.Input((4,))\n"
        "layer = keras.Sequential([keras.layers.Dense(1)])\n"
        "train(tf_keras.Sequential([tf_keras.Model(i, layer(i)), tf_keras.layers.Dense(1)]), layer)",
        ["tf_keras.src.engine.sequential.Sequential"],
    ),
}


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    return run_parts(
        {name: program for name, (_, program, _) in SILENT.items()}, tmp_path_factory.mktemp("s")
    )


@pytest.mark.parametrize("name", SILENT)
def test_a_silent_mixture_is_told(silent: dict[str, Part], name: str) -> None:
    part, (code, _, words) = silent[name], SILENT[name]
    assert " unchanged " in part.plain
    assert part.guarded == part.plain
    assert [line.split()[1:3] for line in part.notices] == [[code, "warning"]]
    for word in [*words, "all of the model's parts from one package"]:
        assert word in part.notices[0]


def test_a_line_that_trains_many_models_says_it_once(tmp_path: Path) -> None:
    program = "for _ in range(3): train(Holder(tf_keras.layers.Dense(1), tf_keras.layers.Dense(1)))"
    lines = of_ours(run_code(REGISTER + START + TRAIN + program, tmp_path, AUTOXLA="observe").err)
    assert len(lines) == 1
    assert "and 1 more like it" in lines[0]


def test_one_generation_is_not_searched(tmp_path: Path) -> None:
    """The search costs milliseconds for a large model, so it must not begin without need."""
    program = """
import autoxla, keras, numpy as np
from autoxla.hooks import mixed_models
def counted(*args):
    print("searched")
    return iter(())
mixed_models.find_foreign = counted
def build():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model
model = build()
for _ in range(2): model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
print("one")
import tf_keras
for _ in range(2): model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)
keras.Model.fit(build(), np.ones((8, 4)), np.ones((8, 1)), verbose=0)
"""
    outcome = run_code(program, tmp_path, AUTOXLA="fix")
    assert outcome.out.splitlines() == ["one", "searched", "searched"]


# --- What works with two generations, and must stay silent

WORKING = {
    "two models, one in each": """
train(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]))
train(tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(1)]))
""",
    "losses, metrics, callbacks, initialisers, regularisers": """
dense = keras.layers.Dense(1, kernel_initializer=tf_keras.initializers.Ones(),
                           kernel_regularizer=tf_keras.regularizers.L2())
model = keras.Sequential([keras.Input((4,)), dense])
model.compile("sgd", tf_keras.losses.MeanSquaredError(), metrics=[tf_keras.metrics.MeanAbsoluteError()])
model.fit(x, y, verbose=0, callbacks=[tf_keras.callbacks.EarlyStopping(monitor="loss")])
legacy = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(1)])
legacy.compile("sgd", keras.losses.MeanSquaredError())
legacy.fit(x, y, verbose=0)
print(len(model.trainable_variables), len(legacy.trainable_variables))
""",
    "a layer without weights": """
train(Holder(tf_keras.layers.Rescaling(0.5), tf_keras.layers.Dropout(0.0), keras.layers.Dense(1)))
""",
    "a normalisation that does not train": """
norm = tf_keras.layers.Normalization(mean=0.5, variance=1.0)
train(Holder(norm, keras.layers.Dense(1)))
""",
    "a frozen extractor": """
inner = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(3)])
inner.trainable = False
train(Holder(inner, keras.layers.Dense(1)))
frozen = tf_keras.layers.Dense(3)
frozen.build((None, 4))
frozen.trainable = False
inputs = keras.Input((4,))
train(keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Lambda(lambda t: frozen(t))(inputs))))
""",
    "a model that trains its parts itself": """
class Own(Holder):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self(x) - y) ** 2)
        inner = self.inner[0].trainable_variables
        for variable, gradient in zip(inner, tape.gradient(loss, inner)):
            variable.assign_sub(0.01 * gradient)
        return {"loss": loss}
layer = tf_keras.layers.Dense(1)
layer.build((None, 4))
train(Own(layer), layer)
""",
    "TensorFlow's operations in a model of tf_keras": """
i = tf_keras.Input((4,))
scale = tf.Variable(2.0)
train(tf_keras.Model(i, tf_keras.layers.Dense(1)(tf.nn.relu(i) * scale + tf.ones(4))))
""",
    "the private copy in tf_keras, which trains it": """
from tensorflow.python.keras.layers import Dense
class Legacy(tf_keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = Dense(1)
    def call(self, x): return self.inner(x)
train(Legacy())
""",
    "a model with odd attributes": """
model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
model.odd = [model, tf_keras, tf_keras.layers.Dense, [[]], {1: x}, lambda: None]
model.odd.append(model.odd)
train(model)
train(model)
""",
}


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Part]:
    return run_parts(WORKING, tmp_path_factory.mktemp("w"))


@pytest.mark.parametrize("name", WORKING)
def test_a_working_mixture_is_silent(working: dict[str, Part], name: str) -> None:
    assert working[name].notices == []
    assert working[name].guarded == working[name].plain != ""


# --- The wrappers

LOOK = """
import copy, inspect, pickle, traceback, types, weakref
import numpy as np, {keras} as keras

def look(thing):
    print(thing.__name__, thing.__qualname__, thing.__module__, inspect.signature(thing))
    print((thing.__doc__ or "")[:80])
    print(inspect.isfunction(thing), inspect.ismethod(thing), inspect.getsourcelines(thing)[1])

model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
functions = keras.Model.compile, keras.Model.get_metrics_result
for thing in (*functions, model.compile):
    look(thing)
for thing in functions:
    print(pickle.loads(pickle.dumps(thing)) is thing)
    print(copy.deepcopy(thing) is thing, copy.copy(thing) is thing)
compile = model.compile
print(pickle.loads(pickle.dumps(compile)).__self__.name == model.name, copy.deepcopy(compile).__name__)
print(keras.Model.compile is keras.Sequential.compile, compile == model.compile)
print(compile.__func__ is keras.Model.compile, compile.__self__ is model)
print(type(compile) is types.MethodType, weakref.WeakMethod(compile)() == model.compile)
model.compile("sgd", "mse")
x, y = np.zeros((8, 4), "float32"), np.zeros((8, 1), "float32")
print(model.fit(x, y, verbose=0).history, model.add(keras.layers.Dense(2)), len(model.layers))
model.save("m.keras")
print(keras.models.save_model(model, "n.keras"), keras.models.load_model("n.keras").count_params())

class Own(keras.Sequential):
    def fit(self, *args, **options):
        return "own", super().fit(*args, **options).history
    def compile(self, *args, **options):
        super().compile(*args, **options)
own = Own()
own.add(keras.layers.Dense(1))
own.compile("sgd", "mse")
print(own.fit(x, y, verbose=0))

def show(call):
    try:
        call()
    except Exception as error:
        print(type(error), error.args, error.__cause__, error.__suppress_context__)
        print([(f.filename, f.lineno, f.name) for f in traceback.extract_tb(error.__traceback__)])

show(lambda: keras.models.load_model("nowhere"))
show(lambda: model.save("x.unknown/"))
show(lambda: model.compile("nonsense"))
show(lambda: model.compile(nonsense=1))
show(lambda: model.fit(x[:4], y, verbose=0))
show(lambda: model.fit(nonsense=1))
show(lambda: keras.Model.fit(model, x, y[:4], verbose=0))
"""


@pytest.mark.parametrize("keras", ["keras", "tf_keras"])
@pytest.mark.skipif(not HAS_NOTES, reason="a bare raise keeps the wrapper's frame up to Python 3.10")
def test_a_wrapped_method_looks_and_works_as_before(tmp_path: Path, keras: str) -> None:
    """Signature, documentation, copies, results, errors with their tracebacks: all of it printed."""
    plain, guarded = run_both(LOOK.format(keras=keras), tmp_path)
    assert plain.status == 0, plain.err
    assert guarded.out.splitlines() == plain.out.splitlines()
    assert guarded.notices == []


@pytest.mark.skipif(not HAS_NOTES, reason="exceptions have no notes up to Python 3.10")
def test_a_note_is_added_once_where_errors_are_caught(tmp_path: Path) -> None:
    program = """
import keras, tf_keras
from autoxla.hooks import error_hints
layer = tf_keras.layers.Dense(1)
class Outer(keras.Sequential):
    def add(self, layer, rebuild=True):
        try:
            super().add(layer, rebuild)
        except ValueError as error:
            error_hints.add_note(error)
            raise RuntimeError("outer") from error
try:
    keras.Sequential([layer])
except ValueError as error:
    error_hints.add_note(error)
    print([note.split()[1] for note in error.__notes__])
try:
    Outer([layer])
except RuntimeError as error:
    error_hints.add_note(error)
    print(hasattr(error, "__notes__"), [note.split()[1] for note in error.__cause__.__notes__])
"""
    outcome = run_code(REGISTER + program, tmp_path, AUTOXLA="observe")
    assert outcome.out.splitlines() == ["['AX130']", "False ['AX130']"]
    assert of_ours(outcome.err) == []


# --- What nobody caught

HOOKS = """
import sys, threading, keras, tf_keras
mine = []
def main_hook(kind, error, trace):
    mine.append((kind is type(error), trace is error.__traceback__))
    print("main", mine, flush=True)
    if {chain}: sys.__excepthook__(kind, error, trace)
def thread_hook(args):
    print("thread", args.exc_type.__name__, flush=True)
    threading.__excepthook__(args)
"""
FAIL = """
def fail(): keras.Sequential([keras.layers.TimeDistributed(tf_keras.layers.Dense(1))])
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""
SET = "sys.excepthook, threading.excepthook = main_hook, thread_hook\n"


@pytest.mark.parametrize("before", [True, False], ids=["hooks set before", "hooks set afterwards"])
def test_the_programs_own_hooks_are_called(tmp_path: Path, before: bool) -> None:
    setting = [SET, REGISTER] if before else [REGISTER, SET]
    outcome = run_code(HOOKS.format(chain=True) + "".join(setting) + FAIL, tmp_path)
    assert outcome.status == 1
    assert outcome.out.splitlines() == ["thread ValueError", "main [(True, True)]"]
    assert outcome.err.count("autoxla: AX137 ") == (2 if before else 0)


def test_the_default_hooks_show_the_note_and_nothing_else(tmp_path: Path) -> None:
    start = "import sys, threading, keras, tf_keras\n"
    plain, guarded = run_both(start + FAIL, tmp_path)
    shown, without = (after(text, "Exception in thread") for text in (guarded.err, plain.err))
    unnoted = [line for line in shown if not line.startswith("autoxla: AX137 ")]
    assert len(shown) - len(unnoted) == 2
    assert unnoted == without


def after(text: str, start: str) -> list[str]:
    """Return the lines from ``start`` on, without addresses."""
    return re.sub(r"0x\w+", "", text[text.index(start) :]).splitlines()


@pytest.mark.parametrize(
    "ending",
    ["raise KeyboardInterrupt", "raise SystemExit(3)", "raise ValueError('mine')", "raise Odd()"],
)
def test_other_errors_are_shown_as_before(tmp_path: Path, ending: str) -> None:
    program = f"""
class Odd(ValueError):
    __notes__ = 3
    def __str__(self): raise RuntimeError("no text")
{ending}
"""
    plain, guarded = run_both(program, tmp_path)
    assert (guarded.status, guarded.out, guarded.err) == (plain.status, plain.out, plain.err)


def test_unhooking_leaves_nothing_behind(tmp_path: Path) -> None:
    program = """
import sys, threading
import keras, tf_keras
print(type(keras.Model.compile).__name__, sys.excepthook is sys.__excepthook__)
autoxla.uninstall()
print(type(keras.Model.compile).__name__, type(tf_keras.Model.compile).__name__)
print(sys.excepthook is sys.__excepthook__, threading.excepthook is threading.__excepthook__)
"""
    outcome = run_code(REGISTER + program, tmp_path)
    assert outcome.out.splitlines() == ["WrappedFunction False", "function function", "True True"]


def test_a_fault_of_ours_is_one_line(tmp_path: Path) -> None:
    """Both the search for mixtures and the search for notes break; the program trains and fails as before."""
    breaking = """
def broken(*_): raise RuntimeError("broken")
mixed_models.find_foreign = error_hints.find_hint = broken
layer = tf_keras.layers.Dense(1)
train(Holder(layer), layer)
keras.Sequential([layer])
"""
    whole = breaking.replace("mixed_models.find_foreign = error_hints.find_hint =", "unused =")
    plain = run_code(NOTHING + START + TRAIN + whole, tmp_path, AUTOXLA="off")
    guarded = run_code(REGISTER + START + TRAIN + breaking, tmp_path, AUTOXLA="observe")
    assert (guarded.status, guarded.out) == (plain.status, plain.out)
    assert [line.split()[1] for line in of_ours(guarded.err)] == ["AX901"]
    assert "ValueError: Only instances of `keras.Layer`" in guarded.err.splitlines()[-1]
