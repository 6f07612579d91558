"""Moving source from one Keras generation to the other: what changes, what stays, what is refused."""

from __future__ import annotations

import ast
import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import io
import json
import os
import stat
import sys
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from programs import HOME, Outcome, clean_environment, run

pytest.importorskip("libcst", reason="migrate is an extra")

from autoxla import commands
from autoxla.commands.migration.codemod import migrate_text
from autoxla.commands.migration.names import PUBLIC, Generation, missing_in
from autoxla.commands.migration.notebook import migrate_notebook

TARGETS: tuple[Generation, ...] = get_args(Generation)

TF = "import tensorflow as tf\n"


def main(words: list[str]) -> int:
    return commands.run("migrate", words)


def move(text: str, target: Generation) -> str:
    """Return the moved text; it must be one that can be moved."""
    new, refusals = migrate_text(text, target)
    assert refusals == ()
    return new


def codes(text: str, target: Generation) -> list[tuple[str, int]]:
    return [(refusal.code, refusal.line) for refusal in migrate_text(text, target)[1]]


# One statement: before, moved to legacy, moved to Keras 3; None where nothing changes.
STATEMENTS = [
    ("import keras", "import tf_keras as keras", None),
    ("import keras as K", "import tf_keras as K", None),
    ("import keras as keras", "import tf_keras as keras", None),
    ("import keras.layers", "import tf_keras as keras", None),
    ("import keras.layers as L", "import tf_keras.layers as L", None),
    ("import keras.layers, keras.models", "import tf_keras as keras", None),
    ("import os, keras", "import os, tf_keras as keras", None),
    ("import keras, os.path as p  # c", "import tf_keras as keras, os.path as p  # c", None),
    ("import  keras   as  K ;x = 1", "import  tf_keras   as  K ;x = 1", None),
    ("from keras import layers", "from tf_keras import layers", None),
    ("from keras.layers import Dense as D", "from tf_keras.layers import Dense as D", None),
    ("from  keras . layers  import(Dense,)", "from  tf_keras.layers  import(Dense,)", None),
    ("import tf_keras", None, "import keras"),
    ("import tf_keras as keras", None, "import keras"),
    ("import tf_keras as K", None, "import keras as K"),
    ("import tf_keras.layers", None, "import keras.layers"),
    ("import tf_keras.layers as L", None, "import keras.layers as L"),
    ("from tf_keras import layers", None, "from keras import layers"),
    ("from tensorflow import keras", "import tf_keras as keras", "import keras"),
    ("from tensorflow import keras as K", "import tf_keras as K", "import keras as K"),
    ("from tensorflow.compat.v2 import keras", "import tf_keras as keras", "import keras"),
    ("from tensorflow import losses", "from tf_keras import losses", "from keras import losses"),
    (
        "from tensorflow.losses import Huber",
        "from tf_keras.losses import Huber",
        "from keras.losses import Huber",
    ),
    (
        "from tensorflow import data, keras",
        "from tensorflow import data\nimport tf_keras as keras",
        "from tensorflow import data\nimport keras",
    ),
    (
        "if 1: from tensorflow import keras, data",
        "if 1: from tensorflow import data; import tf_keras as keras",
        "if 1: from tensorflow import data; import keras",
    ),
    (
        "from tensorflow import (\n    data,\n    keras as K,\n    metrics as m,\n    nn,\n)  # c",
        "from tensorflow import (\n    data,\n    nn,\n)  # c\nimport tf_keras as K\n"
        "from tf_keras import metrics as m",
        "from tensorflow import (\n    data,\n    nn,\n)  # c\nimport keras as K\n"
        "from keras import metrics as m",
    ),
    (
        "from tensorflow.keras import layers, Model",
        "from tf_keras import layers, Model",
        "from keras import layers, Model",
    ),
    (
        "from tensorflow.keras.layers import (\n  Dense,  # one\n\n  # two\n  Conv2D)",
        "from tf_keras.layers import (\n  Dense,  # one\n\n  # two\n  Conv2D)",
        "from keras.layers import (\n  Dense,  # one\n\n  # two\n  Conv2D)",
    ),
    ("import tensorflow.keras as K", "import tf_keras as K", "import keras as K"),
    ("import tensorflow.keras as keras", "import tf_keras as keras", "import keras"),
    ("import tensorflow.keras.layers as L", "import tf_keras.layers as L", "import keras.layers as L"),
    ("import keras_preprocessing, os", None, None),
    ("from . import keras", None, None),
    ("from .keras import layers", None, None),
    ("from mine.keras import layers", None, None),
    ("import tensorflow as tf\ntf.nn.relu(1)", None, None),
    ("def f(keras):\n    return keras.layers", None, None),
    ("# import keras\n'import keras'\nprint('keras', 'keras.json', 'tf')", None, None),
]


@pytest.mark.parametrize(("before", "legacy", "keras3"), STATEMENTS)
def test_statements(before: str, legacy: str | None, keras3: str | None) -> None:
    assert move(before, "legacy") == (before if legacy is None else legacy)
    assert move(before, "keras3") == (before if keras3 is None else keras3)


# A whole module: {T} is `import` of the package as `keras`, {P} the package, in the expected text.
MODULES = [
    pytest.param(
        '"""Doc."""\nfrom __future__ import annotations\n\nimport os\n'
        "import tensorflow as tf  # tf\nimport numpy\n"
        "m = tf.keras.Sequential([tf . keras.layers.Dense(1)])\nloss = tf.losses.Huber()\n"
        "x = tf.constant(1)\n",
        '"""Doc."""\nfrom __future__ import annotations\n\nimport os\n'
        "import tensorflow as tf  # tf\n{T}\nimport numpy\n"
        "m = keras.Sequential([keras.layers.Dense(1)])\nloss = keras.losses.Huber()\nx = tf.constant(1)\n",
        id="behind tensorflow",
    ),
    pytest.param(
        "import tensorflow as tf\nfrom tensorflow import keras as K\nx = tf.keras.Model\n",
        "import tensorflow as tf\nimport {P} as K\nx = K.Model\n",
        id="a name that is there",
    ),
    pytest.param(
        "import tensorflow as tf\nx = tf.keras.Model\nfrom tensorflow import keras\n",
        "import tensorflow as tf\n{T}\nx = keras.Model\n{T}\n",
        id="a name that comes too late",
    ),
    pytest.param(
        "import tensorflow as tf\nkeras = tf.keras\nlayers = keras.layers\nclass M(tf.keras.Model): pass\n",
        "import tensorflow as tf\n{T}\nlayers = keras.layers\nclass M(keras.Model): pass\n",
        id="assigned",
    ),
    pytest.param(
        "def f():\n\timport tensorflow as tf\n\treturn tf.keras.Model\n\ndef g():\n"
        "    import tensorflow; return tensorflow.keras\n",
        "def f():\n\timport tensorflow as tf\n\t{T}\n\treturn keras.Model\n\ndef g():\n"
        "    import tensorflow; {T}; return keras\n",
        id="in functions",
    ),
    pytest.param(
        "try:\n    import tensorflow as tf\nexcept ImportError:\n    tf = None\n\ndef f():\n"
        "    return tf.keras.Model\n",
        "try:\n    import tensorflow as tf\n    {T}\nexcept ImportError:\n    tf = None\n\n"
        "def f():\n    return keras.Model\n",
        id="in try",
    ),
    pytest.param(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorflow as tf\n"
        'def f(m: \'tf.keras.Model\', n: "list[tf.keras.Model]") -> "tf.Tensor": ...\n',
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorflow as tf\n    {T}\n"
        'def f(m: \'keras.Model\', n: "list[keras.Model]") -> "tf.Tensor": ...\n',
        id="type checking",
    ),
    pytest.param(
        "import tensorflow.keras\nimport tensorflow.keras.layers, os\n"
        "x = tensorflow.keras.layers.Dense, tensorflow.nn\n",
        "import tensorflow\n{T}\nimport tensorflow, os\nx = keras.layers.Dense, tensorflow.nn\n",
        id="import tensorflow.keras",
    ),
    pytest.param(
        "import tensorflow as tf\nx = (tf\n     .keras\n     .layers.Dense)  # c\nf'{tf.keras.Model!r} x'\n",
        "import tensorflow as tf\n{T}\nx = (keras\n     .layers.Dense)  # c\nf'{keras.Model!r} x'\n",
        id="over lines, in f-strings",
    ),
    pytest.param(
        "import tensorflow as tf\nx = (tf).keras.Model\n",
        "import tensorflow as tf\n{T}\nx = keras.Model\n",
        id="in brackets",
    ),
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("before", "after"), MODULES)
def test_modules(before: str, after: str, target: Generation) -> None:
    package, line = (
        ("tf_keras", "import tf_keras as keras") if target == "legacy" else ("keras", "import keras")
    )
    assert move(before, target) == after.replace("{T}", line).replace("{P}", package)


@pytest.mark.parametrize(
    "use",
    [
        "def f(keras):\n    return {0}.Model(keras)\n",
        "class A:\n    keras = 1\n    def f(self, a={0}.Model): ...\n",
        "for keras in ():\n    {0}.Model\n",
        "x = [{0}.Model for keras in ()]\n",
        "g = lambda keras: {0}.Model\n",
        "import keras_tools as keras\n{0}.Model\n",
        "from . import keras\n{0}.Model\n",
    ],
)
def test_the_other_name_is_taken_where_keras_is_not_free(use: str) -> None:
    after = "import tensorflow as tf\nimport tf_keras\n" + use.format("tf_keras")
    assert move(TF + use.format("tf.keras"), "legacy") == after
    assert [code for code, _ in codes(TF + use.format("tf.keras"), "keras3")] == ["AX121"]


def test_tf_keras_is_renamed_with_all_its_uses() -> None:
    before = (
        "try:\n    import tf_keras\nexcept ImportError:\n    tf_keras = None\n"
        "def f(tf_keras): return tf_keras\nHAS = tf_keras is not None\nx = [tf_keras.Model for i in ()]\n"
    )
    after = (
        "try:\n    import keras\nexcept ImportError:\n    keras = None\n"
        "def f(tf_keras): return tf_keras\nHAS = keras is not None\nx = [keras.Model for i in ()]\n"
    )
    assert move(before, "keras3") == after


def test_a_fallback_behind_the_right_generation_stays() -> None:
    text = "try:\n    import tf_keras as keras\nexcept ImportError:\n    from tensorflow import keras\n"
    more = text + "from tensorflow.keras.layers import Dense\nkeras.layers.Dense\n"
    assert move(text, "legacy") == text
    assert move(more, "legacy") == text + "from tf_keras.layers import Dense\nkeras.layers.Dense\n"
    assert codes(text, "keras3") == [("AX123", 4)]


#: Target, text, what is refused as (code, line).
REFUSALS: list[tuple[Generation, str, list[tuple[str, int]]]] = [
    ("keras3", TF + "keras = 5\ntf.keras.Model\n", [("AX121", 3)]),
    ("legacy", TF + "def keras(): tf.keras.Model\ntf_keras = 1\n", [("AX121", 2)]),
    ("keras3", TF + "from utils import *\ntf.keras.Model\n", [("AX121", 3)]),
    ("keras3", TF + "from math import *\ntf.keras.Model\n", []),
    ("keras3", "from utils import *\n" + TF + "tf.keras.Model\n", []),
    ("keras3", TF + "def f():\n    global keras\n    keras = 1\ntf.keras.Model\n", [("AX121", 5)]),
    ("keras3", "import tf_keras\nkeras = 1\ntf_keras.Model\n", [("AX121", 1)]),
    ("keras3", "import tf_keras\ndef f(keras): return tf_keras.Model\n", [("AX121", 1)]),
    ("keras3", "def f():\n    global tf_keras\n    import tf_keras\n", [("AX121", 3)]),
    ("legacy", "import keras\nkeras = wrap(keras)\nkeras.Model\n", [("AX122", 2)]),
    ("legacy", "tf.keras.Model\n", [("AX122", 1)]),
    ("legacy", "from utils import *\nm = tf.keras.Model\n", [("AX122", 2)]),
    ("legacy", "def f(tf): tf.keras.Model\n", [("AX122", 1)]),
    ("legacy", "from .compat import tf\ntf.keras.Model\n", [("AX122", 2)]),
    ("legacy", "import utils\nutils.tf.keras.Model\n", [("AX122", 2)]),
    ("legacy", TF + "tf.keras = other\n", [("AX122", 2)]),
    ("legacy", "def f():\n    global tf\n    import tensorflow as tf\n    tf.keras.Model\n", [("AX122", 4)]),
    ("legacy", "from keras import *\n", [("AX122", 1)]),
    ("legacy", "from tensorflow.keras.layers import *\n", [("AX122", 1)]),
    ("legacy", "from tf_keras import *\n", []),
    ("keras3", "from tf_keras import *\n", [("AX122", 1)]),
    (
        "legacy",
        "try:\n    from tensorflow import keras\nexcept ImportError:\n    import keras\n",
        [("AX123", 4)],
    ),
    (
        "legacy",
        "if new:\n    import tf_keras as keras\nelse:\n    from tensorflow import keras\n",
        [("AX123", 4)],
    ),
    ("legacy", TF + "if new:\n    keras = tf.keras\nelse:\n    import keras\n", [("AX123", 5)]),
    ("legacy", "import tf_keras\nimport keras\n", [("AX123", 2)]),
    ("keras3", "import keras, tf_keras\n", [("AX123", 1)]),
    ("legacy", "import tf_keras\nfrom tensorflow.keras import layers\n", []),
    ("legacy", "import keras\nkeras.ops.add(1, 2)\n", [("AX124", 2)]),
    ("legacy", "from keras import ops, layers, random\n", [("AX124", 1), ("AX124", 1)]),
    ("legacy", "import keras.random as r\n", [("AX124", 1)]),
    ("legacy", "from keras.wrappers import SKLearnClassifier\n", [("AX124", 1)]),
    ("legacy", "import keras\nK = keras.layers\nK.TFSMLayer\n", [("AX124", 3)]),
    ("legacy", "import keras\ngetattr(keras, 'ops')\nhasattr(keras, 'ops')\n", [("AX124", 2)]),
    ("legacy", TF + "getattr(tf, 'keras').Model\n", [("AX129", 2)]),
    ("legacy", TF + "tf.keras.version()\n", [("AX124", 2)]),
    ("keras3", TF + "tf.keras.optimizers.legacy.Adam()\n", [("AX124", 2)]),
    ("keras3", "from tf_keras.optimizers.legacy import Adam\n", [("AX124", 1)]),
    ("keras3", TF + "tf.keras.__internal__.x\n", [("AX124", 2)]),
    ("keras3", "from tf_keras import backend as K\nK.epsilon()\nK.clip(1)\n", [("AX124", 3)]),
    ("legacy", TF + "tf.compat.v1.keras.Model\n", [("AX124", 2)]),
    ("legacy", "import tensorflow.compat.v1 as tf\ntf.keras.Model\ntf.losses.x\n", [("AX124", 2)]),
    ("legacy", "from tensorflow.compat.v1.keras.layers import Dense\n", [("AX124", 1)]),
    ("legacy", "from keras.engine import training\n", [("AX125", 1)]),
    (
        "legacy",
        "from keras.src.engine import x\nimport keras.utils.generic_utils\n",
        [("AX125", 1), ("AX125", 2)],
    ),
    ("legacy", "from tensorflow.python.keras import layers\n", [("AX125", 1)]),
    ("legacy", "from keras.layers.merge import add\n", [("AX125", 1)]),
    ("legacy", "mock.patch('keras.layers.Dense')\n", [("AX126", 1)]),
    ("keras3", "mock.patch('keras.layers.Dense')\n", []),
    ("keras3", "mock.patch('mine.tf.keras.layers')\n", [("AX126", 1)]),
    (
        "legacy",
        "importlib.import_module('keras')\n__import__('keras.layers')\n",
        [("AX126", 1), ("AX126", 2)],
    ),
    (
        "legacy",
        "import_module(f'keras.{name}')\nimport_module('keras.' + name)\n",
        [("AX126", 1), ("AX126", 2)],
    ),
    ("legacy", "'keras' in sys.modules\nsys.modules['keras']\nd['keras']\n", [("AX126", 1), ("AX126", 2)]),
    ("legacy", "exec('import keras; x')\nexec('print(1)')\n", [("AX126", 1)]),
    ("legacy", "code = 'import keras; model.compile(1)'\n", []),
    ("keras3", "import tf_keras\n__all__ = ['tf_keras']\n", [("AX126", 2)]),
    ("legacy", "import os, keras\nos.environ['KERAS_BACKEND'] = 'jax'\n", [("AX127", 2)]),
    ("legacy", "import os, keras\nos.environ['KERAS_BACKEND'] = 'tensorflow'\n", []),
    ("keras3", "import os, tf_keras\nos.environ.setdefault('TF_USE_LEGACY_KERAS', '1')\n", [("AX127", 2)]),
    ("keras3", "import os, tf_keras\nos.environ.pop('TF_USE_LEGACY_KERAS')\n", []),
    ("legacy", "import keras\nimport keras_hub\n", [("AX128", 2)]),
    ("legacy", "import tf_keras\nimport keras_hub\n", []),
    (
        "keras3",
        TF + "import tensorflow_hub as hub\ntf.keras.Model\nhub.load\nhub.KerasLayer(1)\n",
        [("AX128", 5)],
    ),
    ("legacy", "from tensorflow import (data,  # c\n  keras)\n", [("AX129", 1)]),
    ("legacy", TF + "x = (tf  # c\n  .keras.Model)\n", [("AX129", 2)]),
]


@pytest.mark.parametrize(("target", "text", "expected"), REFUSALS)
def test_refusals(target: Generation, text: str, expected: list[tuple[str, int]]) -> None:
    assert codes(text, target) == expected


@pytest.mark.parametrize("comment", ["# autoxla: ignore", "# x  # autoxla: ignore[AX101, AX124]"])
def test_a_line_with_the_comment_is_left_as_it_is(comment: str) -> None:
    before = f"import keras\nfrom keras import ops, losses  {comment}\nkeras.ops.add  {comment}\n"
    assert move(before, "legacy") == before.replace("import keras\n", "import tf_keras as keras\n", 1)


def test_a_comment_for_another_finding_is_none_for_this() -> None:
    assert codes("import keras\nkeras.ops.add  # autoxla: ignore[AX101]\n", "legacy") == [("AX124", 2)]


# Properties over generated modules, judged by running them against packages of names.


BACKENDS = ("keras", "tf_keras", "tensorflow")


class Name:
    """Any attribute of a stand-in package: it knows its dotted path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __getattr__(self, name: str) -> Name:
        if name.startswith("__"):
            raise AttributeError(name)
        return Name(f"{self.path}.{name}")


class StandIn(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes ``keras``, ``tf_keras`` and ``tensorflow`` importable with any submodule and name."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        ours = name.partition(".")[0] in BACKENDS
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if ours else None

    def exec_module(self, module: ModuleType) -> None:
        module.path = module.__name__  # type: ignore[attr-defined]
        module.__getattr__ = Name(module.__name__).__getattr__  # type: ignore[method-assign]


def loaded_backends() -> dict[str, ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in BACKENDS}


@contextmanager
def stand_ins() -> Iterator[None]:
    before = loaded_backends()
    finder = StandIn()
    sys.meta_path.insert(0, finder)
    for name in before:
        del sys.modules[name]
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in loaded_backends():
            del sys.modules[name]
        sys.modules.update(before)


def paths_used(text: str) -> list[str]:
    """Run a generated module and return the dotted path of everything that it handed to ``use``."""
    seen: list[str] = []
    with stand_ins():
        exec(compile(text, "generated", "exec"), {"use": lambda thing: seen.append(thing.path)})  # noqa: S102
    return seen


def expected_path(path: str, package: str) -> str:
    for prefix in ("tensorflow.keras", "tensorflow.compat.v2.keras", "keras", "tf_keras"):
        if path == prefix or path.startswith(f"{prefix}."):
            return package + path[len(prefix) :]
    head, _, rest = path.partition(".")
    part = rest.split(".")[0] in ("initializers", "losses", "metrics", "optimizers")
    return f"{package}.{rest}" if head == "tensorflow" and part else path


#: What a module may import, and what it may use then.
PIECES = {
    "tensorflow": [
        (
            "import tensorflow as tf",
            ["tf.keras.Model", "tf . keras.layers.Dense", "tf.nn.relu", "tf.losses.Huber"],
        ),
        ("import tensorflow", ["tensorflow.keras.Model", "tensorflow.keras"]),
        ("import tensorflow.compat.v2 as tf2", ["tf2.keras.Model"]),
        ("import tensorflow.keras", ["tensorflow.keras.layers.Dense"]),
        ("import tensorflow.keras as K", ["K.Model", "K.layers.Dense"]),
        ("from tensorflow import keras", ["keras.layers.Dense", "keras"]),
        ("from tensorflow import (keras as kk, nn)", ["kk.Model", "nn.relu"]),
        ("from tensorflow import nn as n, metrics, keras as k3", ["metrics.Mean", "k3.Model"]),
        ("from tensorflow.keras import layers, Model as M", ["layers.Dense", "M"]),
        ("import tensorflow as tf; keras = tf.keras", ["keras.Model", "tf.keras.layers.Dense"]),
        ("import tensorflow as tf; ls = tf.keras.layers", ["ls.Dense"]),
    ],
    "keras": [
        ("import keras", ["keras.Model", "keras.layers.Dense"]),
        ("import keras as K", ["K.Model"]),
        ("import keras.layers", ["keras.layers.Dense", "keras.Model"]),
        ("import os, keras.models as km", ["km.Sequential"]),
        ("from keras.layers import Dense, Conv2D as C", ["Dense", "C"]),
    ],
    "tf_keras": [
        ("import tf_keras as keras", ["keras.Model", "keras.layers.Dense"]),
        ("import tf_keras", ["tf_keras.Model", "tf_keras"]),
        ("import tf_keras.layers", ["tf_keras.layers.Dense"]),
        ("from tf_keras import layers as L", ["L.Dense"]),
    ],
}
WRAPPERS = [
    "{0}\n{1}\n",
    "{0};{1}  # one line\n",
    "def f():\n  # in a function\n  {0}\n\n  {1}\nf()\n",
    "try:\n\t{0}\nexcept ImportError:  # c\n\tpass\nelse:\n\t{1}\n",
    "if True: {0}; {1}\n",
    "class A:\n    {0}  # c\n    {1}\n",
    "{0}  # c\nclass B:\n    keras = 1\n    def g(self):\n        {1}\nB().g()\n",
    "{0}\n[{1} for _ in 'ab']\n",
]
#: Those that take names away which a module might be known by.
SHADOWS = [
    "{0}\nfor keras in ['x']: {1}\n",
    "{0}\ndef h(keras=None, tf_keras=None):\n    {1}\nh()\n",
]


@st.composite
def modules(draw: st.DrawFn, kinds: Sequence[str] = ("keras", "tf_keras")) -> str:
    pool = PIECES["tensorflow"] + PIECES[draw(st.sampled_from(kinds))]
    parts = [draw(st.sampled_from(['"""Doc."""\n', "# -*- c -*-\n", "\n\n", ""]))]
    for line, uses in draw(st.lists(st.sampled_from(pool), min_size=1, max_size=5)):
        use = f"use({draw(st.sampled_from(uses))})"
        own = use.startswith(("use(keras", "use(tf_keras"))
        parts.append(draw(st.sampled_from(WRAPPERS if own else WRAPPERS + SHADOWS)).format(line, use))
    return "".join(parts)


def comments(text: str) -> list[str]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return [token.string for token in tokens if token.type == tokenize.COMMENT]


PROPERTY = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@PROPERTY
@given(modules(), st.sampled_from(TARGETS))
def test_a_moved_module_uses_the_same_names_of_the_other_generation(text: str, target: Generation) -> None:
    after, refusals = migrate_text(text, target)
    if refusals:
        assert after == text
        assert {refusal.code for refusal in refusals} <= {"AX121", "AX122", "AX123"}
        return
    package = "tf_keras" if target == "legacy" else "keras"
    assert paths_used(after) == [expected_path(path, package) for path in paths_used(text)]
    assert migrate_text(after, target) == (after, ())
    assert comments(after) == comments(text)
    untouched = [
        line
        for line in text.splitlines()
        if "keras" not in line and "tensorflow" not in line and "tf" not in line
    ]
    lines = iter(after.splitlines())
    assert all(line in lines for line in untouched)  # in their order


def _settle(text: str, *targets: Generation) -> str | None:
    for target in targets:
        text, refusals = migrate_text(text, target)
        if refusals:
            return None
    return text


@PROPERTY
@given(modules(kinds=("keras",)))
def test_round_trip(text: str) -> None:
    """What was moved to legacy comes back from Keras 3 to the letter."""
    legacy = _settle(text, "legacy")
    back = legacy and _settle(legacy, "keras3", "legacy")
    if back is not None and "import tf_keras\n" not in (legacy or ""):
        assert back == legacy


# Files


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        folder.joinpath(name.replace("__", ".")).write_bytes(text.encode())


def test_a_diff_by_default_then_written_then_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, a__py="import keras\n", b__py="x = 1\n")
    before = (tmp_path / "a.py").stat().st_mtime_ns
    assert main(["--to", "legacy", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    name = str(tmp_path / "a.py")
    assert out == f"--- {name}\n+++ {name}\n@@ -1 +1 @@\n-import keras\n+import tf_keras as keras\n"
    assert err == "autoxla: 2 files read, 1 would change; --write makes the changes\n"
    assert (tmp_path / "a.py").stat().st_mtime_ns == before
    assert main(["--to=legacy", "--write", str(tmp_path)]) == 0
    assert (tmp_path / "a.py").read_text() == "import tf_keras as keras\n"
    assert main(["--to", "legacy", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    ("data", "after"),
    [
        (b"\xef\xbb\xbfimport keras\r\nx = 1\r\n", b"\xef\xbb\xbfimport tf_keras as keras\r\nx = 1\r\n"),
        (
            b"# coding: latin-1\nimport keras  # \xe9",
            b"# coding: latin-1\nimport tf_keras as keras  # \xe9",
        ),
        (
            b"import tensorflow as tf\r\nx = '\xc3\xa9'\ntf.keras.Model",
            b"import tensorflow as tf\r\nimport tf_keras as keras\r\nx = '\xc3\xa9'\nkeras.Model",
        ),
        (b"x = 1\n\x0c\nimport keras\n\x0c\n", b"x = 1\n\x0c\nimport tf_keras as keras\n\x0c\n"),
        (
            b"if 1:\n\timport tensorflow as tf\n\ttf.keras",
            b"if 1:\n\timport tensorflow as tf\n\timport tf_keras as keras\n\tkeras",
        ),
        (
            b"def f(): import tensorflow as tf; tf.keras",
            b"def f(): import tensorflow as tf; import tf_keras as keras; keras",
        ),
    ],
)
def test_bytes_are_kept(tmp_path: Path, data: bytes, after: bytes) -> None:
    (tmp_path / "a.py").write_bytes(data)
    assert main(["--to", "legacy", "--write", str(tmp_path)]) == 0
    assert (tmp_path / "a.py").read_bytes() == after


def test_mode_and_link_are_kept_and_nothing_is_left_over(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "a.py"
    real.write_text("import keras\n")
    real.chmod(0o750)
    (tmp_path / "link.py").symlink_to(real)
    assert main(["--to", "legacy", "--write", str(tmp_path / "link.py")]) == 0
    assert (tmp_path / "link.py").is_symlink()
    assert real.read_text() == "import tf_keras as keras\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o750
    assert os.listdir(real.parent) == ["a.py"]  # noqa: PTH208


def test_a_refused_file_is_left_whole_and_others_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, a__py="import keras\nkeras.ops.add\n", b__py="import keras\n")
    assert main(["--to", "legacy", "--write", "a.py", "b.py"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "a.py:2:1 AX124 warning keras.ops exists in Keras 3 only",
        "autoxla: 2 files read, 1 changed, 1 left as it is",
    ]
    assert (tmp_path / "a.py").read_text() == "import keras\nkeras.ops.add\n"
    assert (tmp_path / "b.py").read_text() == "import tf_keras as keras\n"


def test_what_cannot_be_read_is_named_and_others_are_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "binary.py": b"import keras\x00\xff",
        "codec.py": b"# coding: none-such\nimport keras\n",
        "deep.py": b"import keras\n" + b"(" * 5000 + b")" * 5000,
        "latin.py": b"import keras # \xe9\n",
        "returns.py": b"import os\rimport keras\r",
        "syntax.py": b"import keras\ndef (:\n",
        "json.ipynb": b'{"cells": keras',
        "old.ipynb": b'{"worksheets": [{"cells": []}], "x": "keras"}',
    }
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "good.py").write_bytes(b"import keras\n" + b"x = " + b"+".join([b"1"] * 1000) + b"\n")
    missing = tmp_path / "missing.py"
    assert main(["--to", "legacy", "--write", str(tmp_path), str(missing)]) == 2
    err = capsys.readouterr().err
    for name in [*bad, "missing.py"]:
        assert f"autoxla: AX902 error {tmp_path / name}: " in err
    assert err.endswith(f"autoxla: 1 file read, 1 changed, {len(bad) + 1} in error\n")
    assert (tmp_path / "good.py").read_bytes().startswith(b"import tf_keras as keras\n")


def test_a_read_only_file_is_replaced_only_by_who_may_write_it(tmp_path: Path) -> None:
    write(tmp_path, a__py="import keras\n")
    (tmp_path / "a.py").chmod(0o444)
    may_write = os.access(tmp_path / "a.py", os.W_OK)  # root may
    assert main(["--to", "legacy", "--write", str(tmp_path)]) == (0 if may_write else 2)
    assert ("tf_keras" in (tmp_path / "a.py").read_text()) is may_write


def test_folders_that_are_not_the_programs_are_passed_over(tmp_path: Path) -> None:
    for folder in ("venv", ".hidden", "__pycache__", "site-packages", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.py").write_text("import keras\n")
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "mine" / "loop").symlink_to(tmp_path)
    assert main(["--to", "legacy", "--write", str(tmp_path)]) == 0
    changed = {file.parent.name for file in tmp_path.glob("*/a.py") if "tf_keras" in file.read_text()}
    assert changed == {"mine"}


def test_a_module_of_the_programs_own_is_no_keras(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, a__py="import keras\n", keras__py="x = 1\n")
    assert main(["--to", "legacy", "--write", str(tmp_path / "a.py")]) == 1
    assert "a.py:1:1 AX122 warning" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [[], ["x.py"], ["--to", "legacy"], ["--to", "keras4", "x.py"], ["--to", "legacy", "--wirte", "x.py"]],
)
def test_bad_arguments(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert capsys.readouterr().err.startswith("autoxla: AX902 error arguments: ")


COMMAND = "import sys; from autoxla.commands import run; status = run('migrate', sys.argv[1:])"


def migrate(folder: Path, *words: str, after: str = "", before: str = "") -> Outcome:
    """Run the command in a process of its own, where libcst is what this process has."""
    search = os.pathsep.join([str(HOME), *(path for path in sys.path if path)])
    code = f"{before}\n{COMMAND}\n{after}\nsys.exit(status)"
    return run(["-c", code, *words], folder, clean_environment(PYTHONPATH=search))


def test_nothing_that_is_read_is_run(tmp_path: Path) -> None:
    write(tmp_path, a__py="import keras, tensorflow\nopen('ran', 'w')\n", os__py="open('ran', 'w')\n")
    loaded = (
        "import json; print(json.dumps([n for n in ('keras', 'tf_keras', 'tensorflow') if n in sys.modules]))"
    )
    done = migrate(tmp_path, "--to", "legacy", "--write", "a.py", after=loaded)
    assert (done.status, done.last) == (0, [])
    assert not (tmp_path / "ran").exists()


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    write(tmp_path, a__py="import keras\n" + "keras.Model\n" * 9)
    closed = "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1)"
    done = migrate(tmp_path, "--to", "legacy", "a.py", before=closed)
    assert (done.status, done.err) == (1, "")


def test_without_libcst(tmp_path: Path) -> None:
    write(tmp_path, a__py="import keras\n")
    done = migrate(tmp_path, "--to", "legacy", "a.py", before="import sys; sys.modules['libcst'] = None")
    assert done.status == 2
    assert done.notices == [
        "autoxla: AX902 error migrate: it needs libcst: pip install 'autoxla-runtime[migrate]'"
    ]


# Notebooks


def notebook(*cells: str | Sequence[str], indent: int | None = 1, **metadata: object) -> str:
    data = {
        "cells": [
            {"cell_type": "markdown", "metadata": {}, "source": ["import keras\n"]},
            *(
                {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": cell}
                for cell in cells
            ),
        ],
        "metadata": metadata,
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(data, indent=indent) + "\n"


def test_a_notebook_is_one_module_and_keeps_its_text() -> None:
    cells = [
        ["%%time\n", "!pip install keras \\\n", "   numpy\n", "import tensorflow as tf  # \u00e9"],
        [
            "if tf:\n",
            "    %matplotlib inline\n",
            "tf.keras.Model?\n",
            "m = tf.keras.Model\n",
            "'''\n",
            "%x\n",
            "'''",
        ],
        "print(1)\ntf.keras.layers",
        ["%%bash\n", "echo keras\n"],
        [],
        ["x = 1 \\\n", "  % 2\n", "y = (1\n", "  % 2)\n", "files = !ls\n"],
    ]
    before = notebook(*cells).replace('"execution_count": null', '"execution_count":null')
    change = migrate_notebook(before, "legacy")
    lines = before.splitlines()
    at = next(i for i, line in enumerate(lines) if "tensorflow as tf" in line)
    assert change.refusals == ()
    assert [number for number, _, _ in change.cells] == [2, 3, 4]
    lines[at : at + 1] = [
        lines[at].replace('"\u00e9"', "").removesuffix('"') + '\\n",',
        '    "import tf_keras as keras"',
    ]
    expected = "\n".join(lines) + "\n"
    expected = expected.replace("m = tf.keras.Model", "m = keras.Model").replace(
        "\\ntf.keras.layers", "\\nkeras.layers"
    )
    assert change.text == expected
    assert migrate_notebook(change.text, "legacy").cells == ()


@pytest.mark.parametrize("indent", [None, 1, 4])
def test_a_notebook_written_in_any_layout_stays_in_it(indent: int | None) -> None:
    cells = ["import tensorflow as tf\n", "\n", "tf.keras.Model"], ["x = tf.keras\n"]
    moved = ["import tensorflow as tf\n", "import keras\n", "\n", "keras.Model"], ["import keras as x\n"]
    change = migrate_notebook(notebook(*cells, indent=indent), "keras3")
    assert change.text == notebook(*moved, indent=indent)


def test_a_magic_that_sets_a_variable_counts_as_what_it_does() -> None:
    for line, code in (("%env KERAS_BACKEND=jax", ["AX127"]), ("%env KERAS_BACKEND=tensorflow", [])):
        change = migrate_notebook(notebook(f"{line}\nimport keras"), "legacy")
        assert [refusal.code for _, refusal in change.refusals] == code
        assert code or f"{line}\\nimport tf_keras as keras" in change.text


def test_what_only_looks_like_a_magic_stays() -> None:
    cell = "import keras\nx = (1\n  %y\n  != 2)\n"
    assert cell.replace("import keras", "import tf_keras as keras") in [
        after for _, _, after in migrate_notebook(notebook(cell), "legacy").cells
    ]


def test_a_notebook_of_another_language_is_none_of_ours() -> None:
    text = notebook("import keras", language_info={"name": "julia"})
    assert migrate_notebook(text, "legacy").text == text


def test_refusals_and_diffs_in_notebooks_name_the_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.ipynb").write_text(
        notebook("import keras\n", "%time 1\nkeras.ops.add\n", "%time keras.Model()\n")
    )
    Path("b.ipynb").write_text(notebook("x = 1\n", "import keras\n"))
    Path("c.ipynb").write_text(notebook("import keras\n", "x = (\n"))
    assert main(["--to", "legacy", "--write", "a.ipynb"]) == 1
    assert main(["--to", "legacy", "b.ipynb"]) == 1
    assert main(["--to", "legacy", "c.ipynb"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("--- b.ipynb:cell 3\n+++ b.ipynb:cell 3\n@@ -1 +1 @@\n-import keras\n")
    assert "a.ipynb:cell 3:2:1 AX124 warning keras.ops exists in Keras 3 only\n" in err
    assert "a.ipynb:cell 4:1:1 AX129 warning a magic command holds code with Keras\n" in err
    assert "AX902 error c.ipynb: cell 3, line 1: " in err


# The table of names


def public_names(package: str) -> dict[str, set[str]]:
    """Read the public names of an installed Keras from its source."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    found: dict[str, set[str]] = {}
    for file in root.rglob("__init__.py"):
        folders = file.parent.relative_to(root).parts
        if {"src", "_tf_keras", "api", "protobuf", "__internal__"}.isdisjoint(folders):
            names = _imported_names(file)
            if names:
                found[".".join(folders)] = names
    return found


def _imported_names(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_bytes()))
    aliases = [
        alias for node in nodes if isinstance(node, (ast.Import, ast.ImportFrom)) for alias in node.names
    ]
    names = {alias.asname or alias.name for alias in aliases}
    return {name for name in names if not name.startswith("_") or name == "__internal__"}


@pytest.mark.parametrize(
    ("distribution", "package", "version", "generation"),
    [("keras", "keras", "3.15.1", "keras3"), ("tf_keras", "tf_keras", "2.21.0", "legacy")],
)
def test_the_table_has_the_names_that_the_packages_have(
    distribution: str, package: str, version: str, generation: Generation
) -> None:
    installed = {dist.version for dist in importlib.metadata.distributions(name=distribution)}
    if version not in installed:
        pytest.skip(f"the table was read from {distribution} {version}")
    assert {module: set(names) for module, names in PUBLIC[generation].items()} == public_names(package)


@pytest.mark.parametrize(
    ("generation", "path", "missing"),
    [
        ("legacy", "layers.Dense.call", None),
        ("legacy", "__version__", None),
        ("legacy", "", None),
        ("legacy", "ops.numpy.add", "ops"),
        ("legacy", "layers.Nothing", "layers.Nothing"),
        ("keras3", "optimizers.legacy.Adam", "optimizers.legacy"),
        ("keras3", "losses.MSE", "losses.MSE"),
    ],
)
def test_missing_names(generation: Generation, path: str, missing: str | None) -> None:
    assert missing_in(generation, path) == missing


# Real programs

TRAIN = """
import json

rng = np.random.default_rng(0)
x = rng.normal(size=(256, 8)).astype("float32")
y = (x.sum(axis=1) > 0).astype("int32")
losses = model.fit(x, y, epochs=4, batch_size=32, verbose=0, shuffle=False).history["loss"]
classes = [base for thing in (model, model.optimizer, model.layers[-1]) for base in type(thing).__mro__]
packages = {base.__module__.split(".")[0] for base in classes} & {"keras", "tf_keras"}
print(json.dumps([sorted(packages), losses[-1] < losses[0]]))
"""
SEQUENTIAL = """\
import numpy as np
import tensorflow as tf

tf.random.set_seed(0)
model = tf.keras.Sequential([tf.keras.layers.Dense(8, activation="relu"), tf.keras.layers.Dense(2)])
model.compile(tf.optimizers.Adam(0.01), tf.losses.SparseCategoricalCrossentropy(from_logits=True))
"""
SUBCLASSED = """\
import numpy as np
from tensorflow import keras, random
from tensorflow.keras import layers as L

random.set_seed(0)
class Net(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = L.Dense(8, "relu"), L.Dense(1, "sigmoid")

    def call(self, x):
        return self.out(self.hidden(x))

model = Net()
model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
"""
FUNCTIONAL = """\
import numpy as np

def build():
    import tf_keras
    from tf_keras.layers import Dense

    inputs = tf_keras.Input((8,))
    hidden = Dense(8, activation="relu")(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(1, activation="sigmoid")(hidden))
    model.compile(tf_keras.optimizers.SGD(0.1), "binary_crossentropy")
    return model

model = build()
"""
OLD_OPTIMIZER = """\
import numpy as np
import keras
import tensorflow as tf

tf.random.set_seed(0)
model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
model.compile(tf.keras.optimizers.legacy.SGD(0.1), "binary_crossentropy")
"""


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("program", "target"),
    [
        (SEQUENTIAL, "legacy"),
        (SEQUENTIAL, "keras3"),
        (SUBCLASSED, "legacy"),
        (SUBCLASSED, "keras3"),
        (FUNCTIONAL, "keras3"),
        (OLD_OPTIMIZER, "legacy"),
    ],
)
def test_a_moved_program_trains(tmp_path: Path, program: str, target: Generation) -> None:
    (tmp_path / "program.py").write_text(program + TRAIN)
    assert main(["--to", target, "--write", str(tmp_path)]) == 0
    done = run(["program.py"], tmp_path)
    assert done.status == 0, done.err
    assert done.last == [["tf_keras" if target == "legacy" else "keras"], True]
