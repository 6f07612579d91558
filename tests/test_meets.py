"""Objects of Keras' generations, followed from where they are made to where they meet others."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoxla.lookahead import Program, read_program
from autoxla.model import Reading
from programs import run_code
from test_lookahead import lay, read

HEAD = "import sys\nimport tensorflow as tf\nimport tf_keras\nimport keras\nm = tf.keras.Sequential()\n"


def meetings(reading: Reading) -> list[tuple[str, str, str]]:
    return [(e.grade, e.name, str(e.value)) for e in reading.evidence if e.kind == "meets"]


DENSE, SEQUENTIAL = "tf_keras.layers.Dense", "tensorflow.keras.Sequential"
#: Programs in which objects certainly meet.
CERTAIN = {
    "add": "m.add(tf_keras.layers.Dense(1))",
    "list": "tf.keras.Sequential([tf_keras.layers.Dense(1)])",
    "assigned": "layer = tf_keras.layers.Dense(1)\nm.add(layer)",
    "unpacked": "a, b = 1, tf_keras.layers.Dense(1)\nm.add(b)",
    "class under another name": "D = tf_keras.layers.Dense\nm.add(D(1))",
    "argument": "def fill(model, layer):\n    model.add(layer)\nfill(m, tf_keras.layers.Dense(1))",
    "keyword": "def fill(*, layer):\n    m.add(layer)\nfill(layer=tf_keras.layers.Dense(1))",
    "returned": "def make():\n    layer = tf_keras.layers.Dense(1)\n    return layer\nm.add(make())",
    "returned with others": "def make():\n    return 1, tf_keras.layers.Dense(1)\nn, d = make()\nm.add(d)",
    "appended": "layers = []\nlayers.append(tf_keras.layers.Dense(1))\ntf.keras.Sequential(layers)",
    "added lists": "layers = [tf_keras.layers.Dense(1)]\ntf.keras.Sequential(layers + [])",
    "dictionary": "parts = {'a': tf_keras.layers.Dense(1)}\nm.add(parts['a'])",
    "loop": "for layer in [tf_keras.layers.Dense(1)]:\n    m.add(layer)",
    "loop over numbers": "for n in range(3):\n    m.add(tf_keras.layers.Dense(n))",
    "comprehension": "tf.keras.Sequential([tf_keras.layers.Dense(n) for n in (1, 2)])",
    "attribute": "class C:\n    def __init__(self):\n        self.d = tf_keras.layers.Dense(1)\nm.add(C().d)",
    "attribute of a base": (
        "class B:\n    def __init__(self):\n        self.d = tf_keras.layers.Dense(1)\n"
        "class C(B):\n    def __init__(self):\n        super().__init__()\nm.add(C().d)"
    ),
    "method": "class C:\n    def put(self, m):\n        m.add(tf_keras.layers.Dense(1))\nC().put(m)",
    "own layer": "class D(tf_keras.layers.Dense):\n    pass\nm.add(D(1))",
    "own model": "class S(tf.keras.Sequential):\n    pass\nS().add(tf_keras.layers.Dense(1))",
}


@pytest.mark.parametrize("name", CERTAIN)
def test_objects_that_certainly_meet(name: str, tmp_path: Path) -> None:
    ((grade, thing, into),) = set(meetings(read(tmp_path, HEAD + CERTAIN[name])))
    assert grade == "certain"
    assert thing == DENSE
    assert into == SEQUENTIAL


def test_symbolic_tensors_and_optimizers(tmp_path: Path) -> None:
    code = HEAD + (
        "i = tf_keras.Input((3,))\nh = tf_keras.layers.Dense(2)(i)\nx = tf.keras.layers.Dense(1)(h)\n"
        "n = tf_keras.Model(i, h)\nn.compile(tf.keras.optimizers.Adam())\n"
        "keras.layers.TimeDistributed(tf_keras.layers.Dense(1))\n"
    )
    assert meetings(read(tmp_path, code)) == [
        ("possible", DENSE, "tensorflow.keras.layers.Dense"),
        ("certain", "tensorflow.keras.optimizers.Adam", "tf_keras.Model"),
        ("certain", DENSE, "keras.layers.TimeDistributed"),
    ]


ON_TENSORS = "i = tf_keras.Input((3,))\nx = tf.keras.layers.Dense(1)(tf_keras.layers.Dense(2)(i))\n"
TRAINS = "n = tf_keras.Model(i, tf_keras.layers.ReLU()(x))\nn.compile('sgd', 'mse')\nn.fit(1, 2)\n"


def test_weights_that_training_leaves_out(tmp_path: Path) -> None:
    """A layer of Keras 3 computes on tensors of tf_keras; a model of tf_keras does not train its weights."""
    found = meetings(read(tmp_path, HEAD + ON_TENSORS + TRAINS))
    assert found[-1] == ("certain", "tensorflow.keras.layers.Dense", "tf_keras.Model")
    assert [grade for grade, *_ in found[:-1]] == ["possible"]


#: What may be meant when nothing trains the weights of a layer.
LEFT_OUT = {
    "no training": ON_TENSORS + "n = tf_keras.Model(i, x)\nn.predict(1)",
    "frozen": ON_TENSORS.replace("Dense(1)", "Dense(1, trainable=False)") + TRAINS,
    "frozen later": ON_TENSORS + "sys.trainable = False\n" + TRAINS,
    "model of keras": ON_TENSORS + "n = tf.keras.Sequential()\nn.compile()\nn.fit(1, 2)",
    "no weights": ON_TENSORS.replace("Dense(1)", "Dropout(1)") + TRAINS,
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_weights_that_may_be_left_out(name: str, tmp_path: Path) -> None:
    assert {grade for grade, *_ in meetings(read(tmp_path, HEAD + LEFT_OUT[name]))} == {"possible"}


#: Both generations, side by side: nothing meets.
APART = [
    "a = tf_keras.layers.Dense(1)\nb = keras.layers.Dense(1)\nx = tf.ones((1, 3))\na(b(x))",
    "n = tf_keras.Sequential([tf_keras.layers.Dense(1)])\nm.set_weights(n.get_weights())",
    "n = tf_keras.models.load_model(sys.argv[1])\nm.set_weights(n.get_weights())\nm.save(sys.argv[2])",
    "m.compile('sgd', tf_keras.losses.MeanSquaredError(), metrics=[tf_keras.metrics.AUC()])",
    "m.fit(1, 2, callbacks=[tf_keras.callbacks.EarlyStopping()])",
    "m.add(tf.keras.layers.Dense(1, kernel_initializer=tf_keras.initializers.Ones()))",
    "for n in (m, tf_keras.Sequential()):\n    n.compile('sgd', 'mse')",
    "tf_keras.models.clone_model(m)\nkeras.models.clone_model(tf_keras.Sequential())",
    "m.add(tf_keras)\nm.add(tf_keras.utils.to_categorical([1]))",
]


@pytest.mark.parametrize("code", APART)
def test_objects_that_never_meet(code: str, tmp_path: Path) -> None:
    assert meetings(read(tmp_path, HEAD + code)) == []


#: Ways to guard a line, so that nobody can tell whether objects meet.
GUARDED = {
    "hasattr": "if hasattr(tf_keras, 'x'):\n    m.add(tf_keras.layers.Dense(1))",
    "version": "if tf.__version__ < '2.16':\n    m.add(tf_keras.layers.Dense(1))",
    "platform": "if sys.platform == 'darwin':\n    m.add(tf_keras.layers.Dense(1))",
    "ternary": "m.add(tf_keras.layers.Dense(1) if len(sys.argv) > 1 else tf.keras.layers.Dense(1))",
    "unused function": "def unused():\n    m.add(tf_keras.layers.Dense(1))",
    "lookup": "m.add({'a': tf_keras.layers.Dense, 'b': tf.keras.layers.Dense}[sys.argv[0]](1))",
    "set by a function that may run": (
        "class C: pass\nc, d = C(), tf_keras.layers.Dense(1)\ndef put():\n    c.layer = d\n"
        "if sys.argv:\n    put()\nm.add(c.layer)"
    ),
    "set as a global by a function that may run": (
        "d, layer = tf_keras.layers.Dense(1), None\ndef put():\n    global layer\n    layer = d\n"
        "if sys.argv:\n    put()\nm.add(layer)"
    ),
    "loop that may be empty": (
        "for layer in [tf_keras.layers.Dense(n) for n in sys.argv]:\n    m.add(layer)"
    ),
    "isinstance": "if isinstance(m, tf_keras.Model):\n    m.add(tf_keras.layers.Dense(1))",
    "layer without weights on a tensor": "tf.keras.layers.Dropout(0.5)(tf_keras.Input((3,)))",
    "own layer on a tensor": "class S(tf.keras.layers.Layer):\n    pass\nS()(tf_keras.Input((3,)))",
    "function of tf_keras on tensors": "tf_keras.layers.add([keras.Input((3,)), 1])",
    "layer as a function": "tf.keras.layers.Dense(1, activation=tf_keras.layers.ReLU())",
    "cell of a layer": "keras.layers.RNN(tf_keras.layers.LSTMCell(2))",
    "own function in a layer": "tf_keras.layers.Lambda(print)(keras.Input((3,)))",
    "own layer of tf_keras on a tensor": (
        "class S(tf_keras.layers.Layer):\n    def call(self, x):\n        return x\nS()(keras.Input((3,)))"
    ),
    "function on tensors": "keras.layers.concatenate([tf_keras.Input((3,)), 1])",
    "early return": (
        "def main():\n    if sys.argv:\n        return\n    m.add(tf_keras.layers.Dense(1))\nmain()"
    ),
}


@pytest.mark.parametrize("name", GUARDED)
def test_what_is_guarded_is_possible(name: str, tmp_path: Path) -> None:
    assert [grade for grade, *_ in meetings(read(tmp_path, HEAD + GUARDED[name]))] == ["possible"]


@pytest.mark.parametrize("error", ["ValueError", "(TypeError, KeyError)", "Exception", ""])
def test_what_the_program_survives_is_caught(error: str, tmp_path: Path) -> None:
    code = f"{HEAD}def f():\n    m.add(tf_keras.layers.Dense(1))\ntry:\n    f()\nexcept {error}:\n    pass\n"
    assert [e.caught for e in read(tmp_path, code).evidence if e.kind == "meets"] == [True]


PACKAGE = {
    "main.py": "from tensorflow.keras.models import Sequential\nfrom p.q.blocks import head, Trainer\n"
    "model = Sequential([head(3)])\nTrainer(model).run()\n",
    "p/__init__.py": "",
    "p/q/__init__.py": "",
    "p/q/blocks.py": "from tf_keras import layers as L\nfrom ..tools import adam\ndef head(n):\n"
    "    return L.Dense(n)\nclass Trainer:\n    def __init__(self, model):\n        self.model = model\n"
    "    def run(self):\n        self.model.compile(optimizer=adam())\n",
    "p/tools.py": "import tf_keras\ndef adam():\n    return tf_keras.optimizers.Adam(1e-3)\n",
}


def test_across_files_and_packages(tmp_path: Path) -> None:
    reading = read(tmp_path, PACKAGE)
    found = [(e, e.origin) for e in reading.evidence if e.kind == "meets"]
    assert [(e.grade, e.name, Path(e.place.file).name, e.place.line) for e, _ in found] == [
        ("certain", DENSE, "main.py", 3),
        ("certain", "tf_keras.optimizers.Adam", "blocks.py", 9),
    ]
    assert [(Path(o.file).name, o.line) for _, o in found if o is not None] == [
        ("blocks.py", 4),
        ("tools.py", 3),
    ]


def test_transformers_makes_tf_keras_what_it_needs_unless_it_was_used_before(tmp_path: Path) -> None:
    model = "t = TFBertModel(1)\nt.compile(tf.keras.optimizers.Adam())\n"
    late = "import tensorflow as tf\nfrom transformers import TFBertModel\n" + model
    assert meetings(read(tmp_path, late)) == []
    early = "import tensorflow as tf\nfrom tensorflow.keras.layers import Input\n"
    assert [grade for grade, *_ in meetings(read(tmp_path, early + late))] == ["certain"]


# --- What real programs do

PLAIN = "print('end')\n"
SWITCHED = {
    "layer that is not trained": (
        "i = tf_keras.Input((3,))\nd = tf.keras.layers.Dense(1)\nn = tf_keras.Model(i, d(i))\n"
        "n.compile('sgd', 'mse')\nw = d.get_weights()[0]\nn.fit(tf.ones((4, 3)), tf.ones(4), verbose=0)\n"
        "assert (w != d.get_weights()[0]).any()\n"
    ),
    "layer of tf_keras in a model of tf.keras": "m.add(tf_keras.layers.Dense(1))\nm.build((None, 3))\n",
    "model of tf_keras, optimizer of tf.keras": "tf_keras.Sequential().compile(tf.keras.optimizers.Adam())\n",
    "legacy optimizer in a model of keras": (
        "n = keras.Sequential([keras.layers.Dense(1)])\n"
        "n.compile(tf.keras.optimizers.legacy.Adam(1e-3), 'mse')\n"
        "n.fit(tf.ones((4, 2)), tf.ones(4), verbose=0)\n"
    ),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", SWITCHED)
def test_a_program_whose_objects_meet_is_cured(name: str, tmp_path: Path) -> None:
    program = HEAD + SWITCHED[name] + PLAIN
    assert run_code(program, tmp_path, AUTOXLA="off").status == 1
    outcome = run_code(f"import autoxla\n{program}", tmp_path)
    assert (outcome.status, outcome.out) == (0, "end\n"), outcome.err
    assert "AX112" in outcome.notices[0]


SIDE_BY_SIDE = {
    "layer of keras on a tensor of tf_keras": (
        "i = tf_keras.Input((3,))\nn = tf_keras.Model(i, tf.keras.layers.Dense(1)(i))\n"
        "print(n.predict(tf.ones((2, 3)), verbose=0).shape)\n"
    ),
    "compared": (
        "a, b = tf_keras.layers.Dense(2), tf.keras.layers.Dense(2)\nx = tf.ones((1, 3))\na(x), b(x)\n"
        "print(type(a).__module__ != type(b).__module__)\n"
    ),
    "weights carried over": (
        "old = tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Dense(1)])\n"
        "new = tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(1)])\n"
        "new.set_weights(old.get_weights())\nprint(type(new).__module__)\n"
    ),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_generations_side_by_side_are_left_alone(name: str, tmp_path: Path) -> None:
    program = HEAD + SIDE_BY_SIDE[name]
    plain = run_code(program, tmp_path, AUTOXLA="off")
    outcome = run_code(f"import autoxla\n{program}", tmp_path)
    assert (plain.status, plain.out) == (outcome.status, outcome.out) == (0, plain.out)
    assert outcome.notices == []


# --- Properties

THINGS = st.sampled_from(
    ["tf_keras.layers.Dense(1)", "tf.keras.layers.Dense(1)", "keras.Input((3,))", "m", "x", "C()", "f(x)"]
)
LINES = st.one_of(
    st.builds("x = {}".format, THINGS),
    st.builds("x = [{}, {}]".format, THINGS, THINGS),
    st.builds("m.add({})".format, THINGS),
    st.builds("x = {}({})".format, THINGS, THINGS),
    st.builds("m.compile({})".format, THINGS),
    st.builds("x.y = {}".format, THINGS),
    st.builds("x = x.y + {}".format, THINGS),
    st.builds("x = {{'a': {}}}.get('a')".format, THINGS),
    st.builds("for x in {}: m.add(x)".format, THINGS),
    st.builds("def f(x): return {}".format, THINGS),
    st.builds("class C(tf.keras.Model):\n    def __init__(self): self.x = {}".format, THINGS),
    st.builds("class C(C):\n    def call(self, x): return self.x({})".format, THINGS),
    st.builds("f = lambda x: {}".format, THINGS),
    st.builds("async def f(x): return {}".format, THINGS),
    st.builds("x = f({}) or {}".format, THINGS, THINGS),
    st.builds("import asyncio\nx = asyncio.run(f({}))".format, THINGS),
    st.builds("x.append({}) if x else None".format, THINGS),
    st.builds("x += [{}]".format, THINGS),
    st.builds("x, *y = {}, {}".format, THINGS, THINGS),
)
BODIES = st.lists(LINES, min_size=1, max_size=8).map("\n".join)


@settings(max_examples=200, deadline=None)
@given(BODIES)
def test_any_flow_can_be_followed_and_gives_the_same_again(code: str) -> None:
    guarded = f"{HEAD}if sys.argv:\n{textwrap.indent(code, '    ')}\n"
    plain, again, possible = (
        read_program(Program("code", text, Path("nowhere")), path=[])
        for text in (HEAD + code, HEAD + code, guarded)
    )
    assert plain == again
    assert plain.known
    assert {grade for grade, *_ in meetings(possible)} <= {"possible"}
    assert {m[1:] for m in meetings(plain)} <= {m[1:] for m in meetings(possible)}


@settings(max_examples=60, deadline=None)
@given(st.lists(BODIES, min_size=3, max_size=3), st.permutations(range(3)))
def test_the_order_of_files_on_the_disk_does_not_matter(
    new_folder: Callable[[], Path], bodies: list[str], order: list[int]
) -> None:
    files = {f"part{number}.py": HEAD + body for number, body in enumerate(bodies)}
    main = {"main.py": "".join(f"import part{number}\n" for number in range(3))}
    found = []
    for names in (sorted(files), [f"part{number}.py" for number in order]):
        folder = new_folder()
        for name in names:
            lay(folder, {name: files[name]})
        reading = read(folder, main)
        found.append([(m, e.place.line) for m, e in zip(meetings(reading), reading.evidence, strict=False)])
    assert found[0] == found[1]
