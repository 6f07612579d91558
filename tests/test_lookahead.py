"""What is read from a program's source: each grade, each spelling, each way for a program to be there."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import textwrap
import venv
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoxla.lookahead import Program, find_program, read_program
from autoxla.lookahead import reading as reading_module
from autoxla.lookahead.files import Finder
from autoxla.lookahead.kept import MOST_ENTRIES
from autoxla.lookahead.library import read_paths
from autoxla.lookahead.reading import read_plain
from autoxla.model import Evidence, Reading, Situation
from autoxla.planning import Start, with_reading
from autoxla.policies import decide


def lay(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write `files`, all at one time long ago."""
    before = 1_600_000_000_000_000_000  # ns
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        os.utime(file, ns=(before, before))


def read(folder: Path, files: Mapping[str, str | bytes] | str, cache: Path | None = None) -> Reading:
    """Read the program ``main.py`` among `files` in `folder`."""
    lay(folder, {"main.py": files} if isinstance(files, str) else files)
    return read_program(Program("script", str(folder / "main.py"), folder), path=[], cache=cache)


def told(reading: Reading, *kinds: str) -> set[str]:
    """Return evidence in brief: ``certain import keras``, ``possible variable A=1 early``."""
    return {brief(e) for e in reading.evidence if not kinds or e.kind in kinds}


def brief(evidence: Evidence) -> str:
    value = "" if evidence.value is None else f"={evidence.value}"
    return f"{evidence.grade} {evidence.kind} {evidence.name}{value}{' early' * evidence.early}"


GRADES = {
    "module level": ("import keras", "certain"),
    "try": ("try:\n    import keras\nexcept ImportError:\n    pass", "certain"),
    "try, else": ("try:\n    pass\nexcept OSError:\n    pass\nelse:\n    import keras", "certain"),
    "except": ("try:\n    import jax\nexcept ImportError:\n    import keras", "possible"),
    "finally": ("try:\n    pass\nfinally:\n    import keras", "certain"),
    "with": ("with open('x') as f:\n    import keras", "certain"),
    "if": ("if x:\n    import keras", "possible"),
    "elif": ("if x:\n    pass\nelif y:\n    import keras", "possible"),
    "else": ("if x:\n    pass\nelse:\n    import keras", "possible"),
    "for": ("for x in y:\n    import keras", "possible"),
    "while": ("while x:\n    import keras", "possible"),
    "match": ("match x:\n    case 1:\n        import keras", "possible"),
    "if True": ("if True:\n    import keras", "certain"),
    "if 0": ("if 0:\n    import keras", None),
    "if False, else": ("if False:\n    pass\nelse:\n    import keras", "certain"),
    "TYPE_CHECKING": ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keras", None),
    "typing.TYPE_CHECKING": ("import typing as t\nif t.TYPE_CHECKING:\n    import keras", None),
    "TYPE_CHECKING or": ("if TYPE_CHECKING or x:\n    import keras", "possible"),
    "TYPE_CHECKING, else": ("if TYPE_CHECKING:\n    pass\nelse:\n    import keras", "certain"),
    "not TYPE_CHECKING": ("if not TYPE_CHECKING:\n    import keras", "certain"),
    "main": ("if __name__ == '__main__':\n    import keras", "certain"),
    "main, turned": ("if '__main__' == __name__:\n    import keras", "certain"),
    "main and": ("if __name__ == '__main__' and x:\n    import keras", "possible"),
    "not main": ("if __name__ != '__main__':\n    import keras", None),
    "never called": ("def f():\n    import keras", "possible"),
    "called": ("def f():\n    import keras\nf()", "certain"),
    "called before it is there": ("f()\ndef f():\n    import keras", "possible"),
    "called twice": ("def f():\n    import keras\nif x:\n    f()\nf()", "certain"),
    "called under if": ("def f():\n    import keras\nif x:\n    f()", "possible"),
    "called in an expression": ("def f():\n    import keras\nx and f()", "possible"),
    "called in a choice": ("def f():\n    import keras\ny = f() if x else 0", "possible"),
    "called in a comprehension": ("def f(x):\n    import keras\n[f(x) for x in y]", "possible"),
    "called in a lambda": ("def f():\n    import keras\ng = lambda: f()", "possible"),
    "called first in a comprehension": ("def f():\n    import keras\n[x for x in f()]", "certain"),
    "called through sys.exit": ("import sys\ndef f():\n    import keras\nsys.exit(f())", "certain"),
    "called through a call": ("def f():\n    g()\ndef g():\n    import keras\nf()", "certain"),
    "called by itself": ("def f():\n    import keras\n    f()\nf()", "certain"),
    "decorated": ("@d\ndef f():\n    import keras\nf()", "possible"),
    "one of two": ("def f():\n    import keras\nif x:\n    f = g\nf()", "possible"),
    "under another name": ("def f():\n    import keras\ng = f\ng()", "certain"),
    "parameter of that name": ("def f():\n    import keras\ndef g(f):\n    f()\ng(1)", "possible"),
    "generator": ("def f():\n    import keras\n    yield\nf()", "possible"),
    "coroutine": ("async def f():\n    import keras\nf()", "possible"),
    "asyncio.run": ("import asyncio\nasync def f():\n    import keras\nasyncio.run(f())", "possible"),
    "absl": ("from absl import app\ndef main(argv):\n    import keras\napp.run(main)", "certain"),
    "method": ("class C:\n    def f(self):\n        import keras\nC().f()", "certain"),
    "method under if": ("class C:\n    def f(self):\n        import keras\nif x:\n    C().f()", "possible"),
    "method of an object with a name": (
        "class C:\n    def f(self):\n        import keras\nc = C()\nc.f()",
        "certain",
    ),
    "constructor": ("class C:\n    def __init__(self):\n        import keras\nC()", "certain"),
    "method of a base": (
        "class B:\n    def f(self):\n        import keras\nclass C(B):\n    pass\nC().f()",
        "certain",
    ),
    "method never called": ("class C:\n    def f(self):\n        import keras\nC()", "possible"),
    "class body": ("class C:\n    import keras", "certain"),
    "after sys.exit": ("import sys\nsys.exit()\nimport keras", "possible"),
    "after a possible sys.exit": ("import sys\nif x:\n    sys.exit()\nimport keras", "possible"),
    "after exit by another name": ("from sys import exit as bye\nif x:\n    bye()\nimport keras", "possible"),
    "after os._exit in a function": ("import os\ndef f():\n    os._exit(1)\nf()\nimport keras", "possible"),
    "after an exit that is not called": ("import sys\ndef f():\n    sys.exit(1)\nimport keras", "certain"),
    "after exit upon an error": (
        "try:\n    import jax\nexcept ImportError:\n    exit(1)\nimport keras",
        "certain",
    ),
    "after raise": ("if x:\n    raise ValueError\nimport keras", "possible"),
    "after raise SystemExit": (
        "def f():\n    if x:\n        raise SystemExit\nf()\nimport keras",
        "possible",
    ),
    "after a caught raise": ("try:\n    raise OSError\nexcept OSError:\n    pass\nimport keras", "certain"),
    "after return": ("def f():\n    if x:\n        return\n    import keras\nf()", "possible"),
    "after return in a loop": (
        "def f():\n    for x in y:\n        return\n    import keras\nf()",
        "possible",
    ),
    "after break": ("for x in y:\n    break\nimport keras", "certain"),
    "import_module": ("import importlib\nimportlib.import_module('keras')", "certain"),
    "import_module by name": ("from importlib import import_module as i\ni('keras')", "certain"),
    "__import__": ("__import__('keras')", "certain"),
}


@pytest.mark.parametrize("name", GRADES)
def test_grade(name: str, tmp_path: Path) -> None:
    code, grade = GRADES[name]
    found = {e.grade for e in read(tmp_path, code).evidence if e.kind == "import" and e.name == "keras"}
    assert found == ({grade} if grade else set())


SPELLINGS = [
    ("import tensorflow.keras.layers as L\nL.Dense(1)", "attribute tensorflow.keras.layers.Dense"),
    ("import tensorflow.keras.layers\ntensorflow.keras.x", "attribute tensorflow.keras.x"),
    ("from tensorflow import keras as K\nK.a.b", "attribute tensorflow.keras.a.b"),
    ("from tensorflow.python.keras import x", "import tensorflow.python.keras"),
    ("from tensorflow.python.keras import x", "attribute tensorflow.python.keras.x"),
    ("import tf_keras as keras\nkeras.Model", "attribute tf_keras.Model"),
    ("import keras_core\nkeras_core.ops.add(1, 2)", "attribute keras_core.ops.add"),
    ("from keras.engine import topology", "import keras.engine"),
    ("import tensorflow\ntf = tensorflow\ntf.keras", "attribute tensorflow.keras"),
    ("import tensorflow as tf\nK: object = tf.keras\nK.x", "attribute tensorflow.keras.x"),
    ("import tensorflow as tf\nK, z = tf.keras, 1\nK.x", "attribute tensorflow.keras.x"),
    ("import tensorflow as tf\nif (K := tf.keras):\n    pass\nK.x", "attribute tensorflow.keras.x"),
    ("import tensorflow as tf\nK = (\n    tf\n    .keras\n)\nK.x", "attribute tensorflow.keras.x"),
    ("import tensorflow as tf\ngetattr(tf, 'keras').x", "attribute tensorflow.keras.x"),
    (
        "import importlib\nK = importlib.import_module('tensorflow.keras')\nK.x",
        "attribute tensorflow.keras.x",
    ),
    ("tf = __import__('tensorflow.keras')\ntf.x", "attribute tensorflow.x"),
    (
        "from tensorflow import keras\nkeras.optimizers.legacy.SGD()",
        "attribute tensorflow.keras.optimizers.legacy.SGD",
    ),
    ("import tensorflow.compat.v1 as tf\ntf.keras.x()", "attribute tensorflow.compat.v1.keras.x"),
    ("try:\n    import keras as k\nexcept ImportError:\n    k = None\nk.x", "attribute keras.x"),
    ("def f():\n    global tf\n    import tensorflow as tf\nf()\ntf.keras", "attribute tensorflow.keras"),
    ("import tensorflow as tf\nclass C(tf.keras.Model):\n    y = tf.x", "attribute tensorflow.x"),
    ("import tensorflow as tf\nf'{tf.keras.x}'", "attribute tensorflow.keras.x"),
    ("import torch.nn.functional as F", "import torch.nn.functional"),
    ("from sklearn.svm import SVC, LinearSVC", "import sklearn.svm"),
    ("m.compile('adam', jit_compile=True)", "jit_compile compile=True"),
    ("J = False\nm.compile(jit_compile=J)", "jit_compile compile=False"),
    ("m.compile(jit_compile='auto')", "jit_compile compile=auto"),
    ("m.jit_compile = True", "jit_compile attribute=True"),
    ("import tensorflow as tf\n@tf.function(jit_compile=True)\ndef f(): pass", "jit_compile function=True"),
    ("import tensorflow as tf\ng = tf.function(f, jit_compile=True)", "jit_compile function=True"),
    (
        "from tensorflow import function as jit\n@jit(jit_compile=True)\ndef f(): pass",
        "jit_compile function=True",
    ),
    (
        "import intel_extension_for_tensorflow as itex\nitex.experimental_ops_override()",
        "attribute intel_extension_for_tensorflow.experimental_ops_override",
    ),
    (
        "import intel_extension_for_tensorflow as itex\nitex.ops.gelu(1)",
        "attribute intel_extension_for_tensorflow.ops.gelu",
    ),
    (
        "import tensorflow as tf\ntf.config.optimizer.set_jit('autoclustering')",
        "call tensorflow.config.optimizer.set_jit=autoclustering",
    ),
    (
        "import tensorflow as tf\ntf.config.optimizer.set_jit(True)",
        "call tensorflow.config.optimizer.set_jit=True",
    ),
    (
        "import tensorflow as tf\nwith tf.distribute.MirroredStrategy().scope(): pass",
        "call tensorflow.distribute.MirroredStrategy",
    ),
    ("import keras\nkeras.models.load_model('a/b.h5')", "loads load_model=a/b.h5"),
    ("from keras.models import load_model\nP = 'm.keras'\nload_model(P)", "loads load_model=m.keras"),
    ("model.save('m.keras')", "saves save=m.keras"),
    ("model.save(filepath='m')", "saves save=m"),
    ("import keras\nkeras.saving.save_model(m, 'm.h5')", "saves save_model=m.h5"),
]


@pytest.mark.parametrize(("code", "wanted"), SPELLINGS)
def test_spelling(code: str, wanted: str, tmp_path: Path) -> None:
    assert f"certain {wanted}" in told(read(tmp_path, code))


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("m.compile(jit_compile=flag())", "jit_compile compile"),
        ("m.compile(**options)", "jit_compile compile"),
        ("try:\n    J = f()\nexcept E:\n    J = True\nm.compile(jit_compile=J)", "jit_compile compile"),
        ("J = False\nif x:\n    J = True\nm.compile(jit_compile=J)", "jit_compile compile"),
        ("import os\nos.environ['A'] = x()", "variable A early"),
        ("import os\nos.environ.pop('A', None)", "variable A early"),
        ("import os\nos.environ['A'] += ' --b'", "variable A early"),
        ("import os\nV = {'A': '1'}\nV[x] = '2'\nos.environ.update(V)", "variable A early"),
        ("import os\nV = {'A': '1'}\nV.update(x)\nos.environ.update(V)", "variable A early"),
        ("import os\nV = {'A': '1', **x}\nos.environ.update(V)", "variable A early"),
        ("import os\nos.environ.update({'A': '1', x: '2'})", "variable A early"),
        ("import tensorflow as tf\nK = getattr(tf, 'keras', None)\nK.x", "attribute tensorflow.keras.x"),
        (
            "try:\n    import tf_keras as k\nexcept ImportError:\n    import keras as k\nk.x",
            "attribute keras.x",
        ),
        (
            "try:\n    import tf_keras as k\nexcept ImportError:\n    import keras as k\nk.x",
            "attribute tf_keras.x",
        ),
        ("if x:\n    import keras\nelse:\n    import tf_keras as keras\nkeras.x", "attribute keras.x"),
        ("import tensorflow as tf\ndef f(x: tf.keras.Model): pass", "attribute tensorflow.keras.Model"),
        ("import tensorflow as tf\nx: tf.keras.Model = f()", "attribute tensorflow.keras.Model"),
    ],
)
def test_what_is_computed_is_possible(code: str, wanted: str, tmp_path: Path) -> None:
    assert f"possible {wanted}" in told(read(tmp_path, code))


@pytest.mark.parametrize(
    "code",
    [
        "import keras as k\nk = 1\nk.x",
        "import keras as k\ndef f(k):\n    k.x",
        "import keras as k\ndef f():\n    k = 1\n    k.x\nf()",
        "import keras as k\n(lambda k: k.x)(1)",
        "import keras as k\n[k.x for k in y]",
        "import keras as k\nfor k in y:\n    pass\nk = 1\nk.x",
        "import keras\n'keras.x'  # keras.x",
        "import re\nre.compile('x', **y)\nre.compile('keras')",
        "import numpy as np\nnp.save('x', y)",
        "V = {'A': '1'}\nV.pop('A')\nN = 'A'\nN += 'B'",
        "import os\nos.environ[x] = '1'\nN = 'A'\nN += 'B'\nos.environ[N] = '1'",
        "import os\nif x:\n    N = 'A'\nos.environ[N + 'B'] = '1'",
    ],
)
def test_no_evidence(code: str, tmp_path: Path) -> None:
    other = {"certain import keras", "certain import numpy", "possible jit_compile compile"}
    assert told(read(tmp_path, code)) - other == set()


VARIABLES = [
    "import os\nos.environ['A'] = '1'",
    "import os as o\no.environ['A'] = '1'",
    "from os import environ\nenviron['A'] = '1'",
    "from os import environ as e\ne['A'] = '1'",
    "import os\ne = os.environ\ne['A'] = '1'",
    "import os\nN = 'A'\nos.environ[N] = str(1)",
    "import os\nos.environ.setdefault('A', '1')",
    "import os\nos.putenv('A', '1')",
    "import os\nos.environ.update({'A': '1'})",
    "import os\nos.environ.update(A='1')",
    "import os\nV = {'A': '1'}\nos.environ.update(V)",
    "import os\nos.environ |= {'A': '1'}",
]


@pytest.mark.parametrize("code", VARIABLES)
def test_variable(code: str, tmp_path: Path) -> None:
    assert told(read(tmp_path, code)) == {"certain variable A=1 early"}
    late = f"try:\n    import tensorflow\nexcept ImportError:\n    pass\n{code}"
    assert told(read(tmp_path, late), "variable") == {"certain variable A=1"}


@pytest.mark.parametrize(
    ("code", "variables", "value"),
    [
        ("os.environ.setdefault('KERAS_BACKEND', 'jax')", {}, "jax"),
        ("os.environ.setdefault('KERAS_BACKEND', 'jax')", {"KERAS_BACKEND": "torch"}, "torch"),
        ("os.environ.setdefault('KERAS_BACKEND', f())", {"KERAS_BACKEND": "torch"}, "torch"),
        ("os.environ['KERAS_BACKEND'] = 'jax'", {"KERAS_BACKEND": "torch"}, "jax"),
        ("E = os.environ\nE['KERAS_BACKEND'] = 'jax'\nE.setdefault('KERAS_BACKEND', 'torch')", {}, "jax"),
        ("E = os.environ\nE.setdefault('KERAS_BACKEND', 'jax')\nE['KERAS_BACKEND'] = 'torch'", {}, "torch"),
    ],
)
def test_a_default_is_set_only_where_there_is_nothing(
    code: str, variables: dict[str, str], value: str, tmp_path: Path
) -> None:
    reading = read(tmp_path, f"import os\n{code}\nimport keras\n")
    situation = with_reading(Situation(environment=variables), reading, None, [])
    assert situation.environment["KERAS_BACKEND"] == value


def test_a_default_that_comes_late_leaves_what_is_set(tmp_path: Path) -> None:
    reading = read(tmp_path, "import os, tensorflow\nos.environ.setdefault('TF_USE_LEGACY_KERAS', '1')\n")
    for variables, late in ({}, ["1"]), ({"TF_USE_LEGACY_KERAS": "0"}, []):
        situation = with_reading(Situation(environment=variables), reading, None, [])
        assert [e.value for e in situation.reading.evidence if e.kind == "variable"] == late


def test_early_is_before_any_backend_can_have_been_imported(tmp_path: Path) -> None:
    files = {
        "main.py": "import os, helper\nos.environ['A'] = '1'\n",
        "helper.py": "try:\n    import x\nexcept ImportError:\n    from transformers import y\n",
    }
    assert "certain variable A=1" in told(read(tmp_path, files))
    later = "import os\ndef f():\n    os.environ['A'] = '1'\nimport keras\n"
    assert "possible variable A=1" in told(read(tmp_path, later))


PACKAGES: dict[str, tuple[dict[str, str], set[str]]] = {
    "levels": (
        {
            "main.py": "import a.b.c\n",
            "a/__init__.py": "import keras",
            "a/b/__init__.py": "from . import d",
            "a/b/c.py": "from ..e import x",
            "a/b/d.py": "import tf_keras",
            "a/e.py": "import torch",
        },
        {"certain import keras", "certain import tf_keras", "certain import torch"},
    ),
    "not main": ({"main.py": "import a", "a.py": "if __name__ == '__main__':\n    import keras"}, set()),
    "least of the chain": (
        {"main.py": "if x:\n    import a", "a.py": "import b", "b.py": "import keras"},
        {"possible import keras"},
    ),
    "possible, then certain": (
        {
            "main.py": "try:\n    x\nexcept E:\n    import a\nimport b",
            "b.py": "import a",
            "a.py": "import keras",
        },
        {"certain import keras"},
    ),
    "imported in a function": (
        {
            "main.py": "from a import run\nrun()",
            "a.py": "def run():\n    from b import c\n    c()",
            "b.py": "def c():\n    import keras\ndef d():\n    import tf_keras\n",
        },
        {"certain import keras", "possible import tf_keras"},
    ),
    "called through its module": (
        {"main.py": "import a.b\na.b.run()", "a/__init__.py": "", "a/b.py": "def run():\n    import keras"},
        {"certain import keras"},
    ),
    "alias from another module": (
        {"main.py": "from compat import K\nK.layers", "compat.py": "from tensorflow import keras as K"},
        {
            "certain import tensorflow",
            "certain attribute tensorflow.keras",
            "certain attribute tensorflow.keras.layers",
        },
    ),
    "alias by way of a module": (
        {
            "main.py": "import a\na.b.tf.x",
            "a/__init__.py": "from . import b",
            "a/b.py": "import tensorflow as tf",
        },
        {"certain import tensorflow", "certain attribute tensorflow.x"},
    ),
    "star": (
        {"main.py": "from a import *\nk.x\n_k.y", "a.py": "import keras as k, keras as _k"},
        {"certain import keras", "certain attribute keras.x"},
    ),
    "cycle": (
        {
            "main.py": "import a",
            "a.py": "import b\nimport keras",
            "b.py": "import a\nfrom a import x\nimport torch",
        },
        {"certain import keras", "certain import torch"},
    ),
    "constant from a leaf": (
        {
            "main.py": "import os\nfrom names import TF_NAME\nos.environ[TF_NAME] = '1'",
            "names.py": "TF_NAME = 'A'",
        },
        {"certain variable A=1 early"},
    ),
    "leaf": (
        {
            "main.py": "import a",
            "a.py": "'''\nimport x\n'''\nimport torch as t, jax\nfrom scipy import y  # z",
        },
        {"certain import torch", "certain import jax", "certain import scipy"},
    ),
    "shadowing": ({"main.py": "import keras", "keras.py": "import torch"}, {"certain import torch"}),
    "namespace of a backend's name": (
        {"main.py": "import keras.layers", "keras/notes.py": "import torch"},
        {"certain import keras.layers"},
    ),
    "namespace": ({"main.py": "import a.b.c", "a/b/c.py": "import keras"}, {"certain import keras"}),
    "sys.path": (
        {
            "main.py": "import sys\nfrom pathlib import Path\nR = Path(__file__).parent / 'lib'\n"
            "sys.path.append(str(R))\nimport a",
            "lib/a.py": "import keras",
        },
        {"certain import keras"},
    ),
    "sys.path, os.path": (
        {
            "main.py": "import os, sys\nR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib')\n"
            "sys.path.insert(0, R)\nimport a",
            "lib/a.py": "import keras",
        },
        {"certain import keras"},
    ),
    "own module by import_module": (
        {
            "main.py": "from importlib import import_module\nimport_module('p.a')",
            "p/__init__.py": "",
            "p/a.py": "from importlib import import_module\nimport_module('p.b')",
            "p/b.py": "import keras",
        },
        {"certain import keras"},
    ),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_imports_are_followed(name: str, tmp_path: Path) -> None:
    files, wanted = PACKAGES[name]
    reading = read(tmp_path, files)
    assert told(reading) == wanted
    assert reading.complete, reading.unread


def test_evidence_comes_in_order_of_execution(tmp_path: Path) -> None:
    files = {
        "main.py": "import a\nimport d\ndef f():\n    import e\nimport g\nf()\n",
        "a.py": "import b\nfrom c import x\n",
        "b.py": "import first\n",
        "c.py": "import second\nif 1: import os\n",
    }
    assert [e.name for e in read(tmp_path, files).evidence] == ["first", "second", "d", "g", "e"]


def test_places_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reading = read(tmp_path, {"main.py": "import p\n", "p/__init__.py": "\nif x:\n    import keras\n"})
    assert [str(e.place) for e in reading.evidence] == [f"p{os.sep}__init__.py:3:5"]
    assert reading.files == ("main.py", f"p{os.sep}__init__.py")


def test_installed_packages_are_not_entered(tmp_path: Path) -> None:
    lay(tmp_path, {"site-packages/lib.py": "import keras", "src/own.py": "import tf_keras"})
    lay(tmp_path, {"app/main.py": "import lib, own"})
    path = [str(tmp_path / "site-packages"), str(tmp_path / "src")]
    program = Program("script", str(tmp_path / "app" / "main.py"), tmp_path / "app")
    assert told(read_program(program, path=path)) == {"certain import lib", "certain import tf_keras"}


@pytest.mark.parametrize(
    "code",
    [
        "import importlib\nimportlib.import_module(name)",
        "__import__('a' + b)",
        "import importlib\nimportlib.import_module('.b', __package__)",
        "exec(x)",
        "y = eval(x)",
        "import runpy\nrunpy.run_path('x')",
        "import sys\nsys.path.append(x)",
        "import sys\nsys.path += [x]",
        "import sys\nsys.path = x",
        "import sys\nsys.path[0] = x",
        "from . import a",
        "import p.missing",
        "def f():\n    exec(x)",
    ],
)
def test_what_cannot_be_followed_is_incomplete(code: str, tmp_path: Path) -> None:
    reading = read(tmp_path, {"main.py": code, "p/__init__.py": ""})
    assert reading.known
    assert not reading.complete
    assert [note for _, note in reading.unread]


BROKEN: dict[str, bytes] = {
    "syntax": b"import keras\ndef",
    "null": b"import keras\n\0",
    "binary": bytes(range(256)) * 8,
    "unknown coding": b"# coding: no-such\nimport keras\n",
    "not utf-8": b"x = '\xff'\nimport keras\n",
    "huge": b"import keras\n" + b"#" * (4 << 20),
    "deep parentheses": b"import keras\nx = " + b"(" * 5000,
    "deep expression": b"import keras\nx = " + b"-" * 50_000 + b"1",
    "deep attributes": b"import keras\nx = f(keras)" + b".a()" * 20_000,
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_unreadable_file_is_noted_and_passed_over(name: str, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"main.py": "import broken\nimport tf_keras\n"}
    files["broken.py"] = BROKEN[name]
    reading = read(tmp_path, files)
    assert "certain import tf_keras" in told(reading)
    assert not reading.complete
    assert [Path(place.file).name for place, _ in reading.unread] == ["broken.py"]


def test_a_broken_program_is_known_and_incomplete(tmp_path: Path) -> None:
    reading = read(tmp_path, "def\n")
    assert (reading.known, reading.complete) == (True, False)
    assert reading.unread[0][0].line == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    reading = read(tmp_path, "import pipe\nimport keras\n")
    assert told(reading) == {"certain import keras"}
    assert "not a regular file" in reading.unread[0][1]


def test_a_compiled_module_is_noted(tmp_path: Path) -> None:
    reading = read(
        tmp_path, {"main.py": "from p import fast", "p/__init__.py": "", "p/fast.abi3.so": b"\x7fELF\0"}
    )
    if sys.platform == "linux":
        assert [note for _, note in reading.unread] == ["it is a binary file, no Python source"]


@pytest.mark.parametrize("coding", ["utf-8-sig", "latin-1", "cp1252", "utf-8"])
def test_encodings(coding: str, tmp_path: Path) -> None:
    name = coding.removesuffix("-sig")
    code = f"# -*- coding: {name} -*-\nx = 'é'\nimport keras\nkeras.ops\n"
    reading = read(tmp_path, {"main.py": code.encode(coding)})
    assert told(reading) == {"certain import keras", "certain attribute keras.ops"}


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends(end: str, tmp_path: Path) -> None:
    reading = read(tmp_path, {"main.py": end.join(["import keras", "x = 1", "keras.ops", ""]).encode()})
    assert [e.place.line for e in reading.evidence] == [1, 3]


def cell(text: str, kind: str = "code") -> dict[str, object]:
    return {"cell_type": kind, "source": text.splitlines(keepends=True)}


def test_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = [
        cell("import nothing", "markdown"),
        cell("%env TF_USE_LEGACY_KERAS=1\n%env A {x}\n%run x.py\n!pip install a \\\n  b\nfiles = !ls"),
        cell("%%bash\nimport torch"),
        cell("%%time\nimport tensorflow as tf\n?tf"),
        cell("def f(:"),
        cell("x = (5\n  % 3\n  != 2)\nif x:\n    %matplotlib inline\ntf.keras\n"),
    ]
    lay(tmp_path, {"n.ipynb": json.dumps({"cells": cells})})
    reading = read_program(Program("notebook", "n.ipynb", tmp_path), path=[])
    assert [(brief(e), str(e.place)) for e in reading.evidence] == [
        ("certain variable TF_USE_LEGACY_KERAS=1 early", "n.ipynb:cell 2:1:1"),
        ("possible variable A early", "n.ipynb:cell 2:2:1"),
        ("certain import tensorflow", "n.ipynb:cell 4:2:1"),
        ("certain attribute tensorflow.keras", "n.ipynb:cell 6:6:1"),
    ]
    assert [str(place) for place, _ in reading.unread] == ["n.ipynb:cell 5:1", "n.ipynb:cell 2:3:1"]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"cells": 1}', '{"cells": [{"cell_type": "code"}]}', "[" * 9999]
)
def test_no_notebook(text: str, tmp_path: Path) -> None:
    lay(tmp_path, {"n.ipynb": text})
    reading = read_program(Program("notebook", str(tmp_path / "n.ipynb"), tmp_path), path=[])
    assert reading.evidence == ()
    assert len(reading.unread) == 1


def test_module_directory_and_code(tmp_path: Path) -> None:
    lay(tmp_path, {"p/__init__.py": "import first", "p/__main__.py": "from .a import run\nrun()"})
    lay(tmp_path, {"p/a.py": "def run():\n    import keras"})
    wanted = {"certain import first", "certain import keras"}
    assert told(read_program(Program("module", "p", tmp_path), path=[])) == wanted
    assert told(read_program(Program("module", "p.__main__", tmp_path), path=[])) == wanted
    lay(tmp_path, {"app/__main__.py": "import p.a\np.a.run()"})
    shutil.copytree(tmp_path / "p", tmp_path / "app" / "p")
    folder = tmp_path / "app"
    assert told(read_program(Program("directory", str(folder), folder), path=[])) == wanted
    code = Program("code", "import p.a\np.a.run()", tmp_path)
    assert told(read_program(code, path=[])) == wanted


@pytest.mark.parametrize("kind", ["script", "module", "directory", "notebook"])
def test_a_program_that_is_not_there_is_unknown(kind: str, tmp_path: Path) -> None:
    program = Program(kind, str(tmp_path / "none"), tmp_path)  # type: ignore[arg-type]
    reading = read_program(program, path=[], cache=tmp_path / "cache")
    assert (reading.known, reading.complete, reading.evidence) == (False, False, ())
    assert reading.unread


def test_a_zip_is_unknown(tmp_path: Path) -> None:
    lay(tmp_path, {"app/__main__.py": "import keras"})
    archive = Path(shutil.make_archive(str(tmp_path / "app"), "zip", tmp_path / "app"))
    reading = read_program(Program("directory", str(archive), archive), path=[])
    assert (reading.known, reading.evidence) == (False, ())
    assert [reason for _, reason in reading.unread] == ["a program in a zip is not read"]


FIND = [
    (["python", "-c", "x"], None, ("code", "x")),
    (["python", "-cx"], None, ("code", "x")),
    (["python", "-Bc", "x"], None, ("code", "x")),
    (["python", "-W", "ignore", "-m", "p.q", "x.py"], "p/q.py", ("module", "p.q")),
    (["python", "-X", "dev", "-Om", "p.q"], None, ("module", "p.q")),
    (["python", "s.py", "-c", "x"], "s.py", ("script", "s.py")),
    (["python", "-u", "s.py"], None, ("script", "s.py")),
    (["python", "d"], "d/__main__.py", ("directory", "d")),
    (["python", "n.ipynb"], "n.ipynb", ("notebook", "n.ipynb")),
    (["python"], None, None),
    (["python", "-"], None, None),
    (["python", "-i"], "<stdin>", None),
    (["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()"], None, None),
    (["python", "-m", "pytest"], pytest.__file__, None),
    (["python", "-m", "pytest"], None, None),
    (["python", "-m", "timeit"], None, None),
    (["python", str(Path(sys.prefix, "bin", "tool"))], str(Path(sys.prefix, "bin", "tool")), None),
]


@pytest.mark.parametrize(("words", "file", "wanted"), FIND)
def test_find_program(
    words: list[str],
    file: str | None,
    wanted: tuple[str, str] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    lay(tmp_path, {"d/__main__.py": "", "p/q.py": "", "s.py": "", "n.ipynb": ""})
    main = ModuleType("__main__")
    if file is not None:
        main.__file__ = file
    given = words[1:] or [""]
    found = find_program(main, given[-1:] if "d" in given else given, words)
    if wanted is None:
        assert found is None
        return
    assert found is not None
    target = str(tmp_path / wanted[1]) if wanted[0] not in ("code", "module") else wanted[1]
    assert (found.kind, found.target) == (wanted[0], target)
    assert found.folder == (tmp_path / "d" if wanted[0] == "directory" else tmp_path)


SEEN_FROM_INSIDE = """
import sys
sys.path.insert(0, {home!r})
from autoxla.lookahead import find_program
found = find_program(sys.modules["__main__"], sys.argv, sys.orig_argv)
print(found.kind, found.target)
"""


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["main.py", "-m", "x"], "script"),
        (["-m", "p.main"], "module"),
        (["d"], "directory"),
        (["d.zip"], "directory"),
    ],
)
def test_find_program_in_a_true_process(words: list[str], kind: str, tmp_path: Path) -> None:
    import autoxla

    code = SEEN_FROM_INSIDE.format(home=str(Path(autoxla.__file__).parent.parent))
    lay(tmp_path, dict.fromkeys(("main.py", "p/main.py", "d/__main__.py"), code))
    shutil.make_archive(str(tmp_path / "d"), "zip", tmp_path / "d")
    done = subprocess.run(
        [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    target = "p.main" if kind == "module" else str(tmp_path / words[0])
    assert done.stdout.split() == [kind, target], done.stderr


SCRIPT = """
#!/usr/bin/python
import sys
from {module} import main
if __name__ == '__main__':
    sys.argv[0] = sys.argv[0].removesuffix('.exe')
    sys.exit(main())
"""
SITE = "lib/site-packages"


def lay_tool(folder: Path, module: str, files: Mapping[str, str]) -> Path:
    """Install `files`, and the script ``mytool`` that calls a function of `module`; return the script."""
    lay(folder, {f"{SITE}/{file}": content for file, content in files.items()})
    lay(folder, {"bin/mytool": SCRIPT.format(module=module).lstrip()})
    return folder / "bin" / "mytool"


def find_installed(
    monkeypatch: pytest.MonkeyPatch, script: Path, *path: Path, words: list[str] | None = None
) -> Program | None:
    """Return what is found where a script, or the module in `words`, is the main program."""
    main = ModuleType("__main__")
    if words is None:
        main.__file__ = str(script)
    monkeypatch.setattr(sys, "prefix", str(script.parent.parent))
    monkeypatch.setattr(sys, "path", [str(script.parent), *map(str, path), *sys.path])
    return find_program(main, [str(script)], ["python", *(words or [str(script)])])


CLI = "def main():\n    import keras\n"
#: The module that the script calls, what is installed, and what is read then.
INSTALLED: dict[str, tuple[str, dict[str, str], set[str]]] = {
    "package": (
        "mytool.cli",
        {"mytool/__init__.py": "from . import a", "mytool/a.py": "import tf_keras", "mytool/cli.py": CLI},
        {"certain import tf_keras", "certain import keras"},
    ),
    "module": ("mytool", {"mytool.py": CLI}, {"certain import keras"}),
    "package beside it": (
        "core.cli",
        {"core/__init__.py": "", "core/cli.py": f"import extra\n{CLI}", "extra.py": "import tf_keras"},
        {"certain import extra", "certain import keras"},
    ),
    "another distribution": (
        "mytool",
        {"mytool.py": f"import lib\nimport lib2.sub\n{CLI}"},
        {"certain import lib", "certain import lib2.sub", "certain import keras"},
    ),
    "no backend": ("mytool", {"mytool.py": "def main():\n    import lib, torch"}, set()),
    "never a backend": (
        "mytool",
        {"mytool.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keras"},
        set(),
    ),
}


@pytest.mark.parametrize("name", INSTALLED)
def test_an_installed_program(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, files, wanted = INSTALLED[name]
    script = lay_tool(tmp_path, module, files)
    lay(
        tmp_path / SITE,
        {"lib.py": "import tf_keras", "lib2/__init__.py": "", "lib2/sub.py": "import tf_keras"},
    )
    path = [str(script.parent), str(tmp_path / SITE)]
    program = find_installed(monkeypatch, script, tmp_path / SITE)
    assert program is not None
    assert (program.kind, program.target) == ("script", str(script))
    for _ in range(2):
        reading = read_program(program, path=path, cache=tmp_path / "cache")
        assert (told(reading), reading.known) == (wanted, bool(wanted))
        assert wanted or reading.unread


def test_a_tool_in_a_folder_of_several_distributions_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = lay_tool(tmp_path, "firm.tool", {"firm/tool/__init__.py": CLI, "firm/other/__init__.py": ""})
    assert find_installed(monkeypatch, script, tmp_path / SITE) is None


@pytest.mark.parametrize("words", [["-m", "mytool"], ["-m", "mytool.run"]])
def test_an_installed_module(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "mytool/__init__.py": "",
        "mytool/__main__.py": "from . import run",
        "mytool/run.py": "import keras",
    }
    script = lay_tool(tmp_path, "mytool.run", files)
    program = find_installed(monkeypatch, script, tmp_path / SITE, words=words)
    assert program is not None
    assert (program.kind, program.target, program.installed) == ("module", words[1], True)
    assert told(read_program(program, path=[])) == {"certain import keras"}


@pytest.mark.parametrize("folder", ["bin", "home/bin"])
@pytest.mark.parametrize(
    ("module", "known"), [("mytool", True), ("pytest", False), ("ray.worker", False), ("tensorflow.x", False)]
)
def test_tools_are_unknown_wherever_their_script_is(
    module: str, folder: str, known: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = module.partition(".")[0]
    script = lay_tool(
        tmp_path, module, {f"{top}/__init__.py": CLI, f"{top}/worker.py": CLI, f"{top}/x.py": CLI}
    )
    place = tmp_path / folder / "mytool"
    place.parent.mkdir(parents=True, exist_ok=True)
    script.rename(place)
    program = find_installed(monkeypatch, place, tmp_path / SITE)
    assert (program is not None) is known


@pytest.mark.parametrize(
    "text",
    [
        "import sys\nfrom pkg_resources import load_entry_point\nif __name__ == '__main__':\n"
        "    sys.exit(load_entry_point('mytool', 'console_scripts', 'mytool')())",
        "__import__('pkg_resources').run_script('mytool', 'mytool')",
        "import sys\nfrom none.cli import main\nif __name__ == '__main__':\n    sys.exit(main())",
        "from mytool import main\n",
        "(",
        "\0",
        "#" * 5000,
    ],
)
def test_scripts_that_no_installer_writes_today_are_unknown(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = lay_tool(tmp_path, "mytool", {"mytool.py": CLI})
    lay(tmp_path, {"bin/mytool": text})
    assert find_installed(monkeypatch, script, tmp_path / SITE) is None


def test_an_editable_program_by_a_path_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = lay_tool(tmp_path, "mine.cli", {"mine.pth": str(tmp_path / "src"), "lib.py": "import tf_keras"})
    lay(tmp_path, {"src/mine/__init__.py": "", "src/mine/cli.py": f"import lib\n{CLI}"})
    program = find_installed(monkeypatch, script, tmp_path / SITE, tmp_path / "src")
    assert program is not None
    assert program.packages == {}
    reading = read_program(program, path=[str(tmp_path / SITE), str(tmp_path / "src")])
    assert told(reading) == {"certain import lib", "certain import keras"}


def test_an_editable_program_by_a_mapping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = lay_tool(tmp_path, "mine.cli", {"lib.py": "import tf_keras"})
    lay(tmp_path, {"src/mine/__init__.py": "", "src/mine/cli.py": f"import lib, a\n{CLI}"})
    lay(tmp_path, {"src/a.py": "import keras_core", "plain/main.py": "import mine.cli\nmine.cli.main()"})
    module = ModuleType("__editable___mine_1_0_finder")
    mapping = {"mine": str(tmp_path / "src" / "mine"), "a": str(tmp_path / "src" / "a.py")}
    module.MAPPING = mapping  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    finder = type("_EditableFinder", (), {"__module__": module.__name__, "find_spec": lambda *_: None})
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    program = find_installed(monkeypatch, script, tmp_path / SITE)
    plain = find_installed(monkeypatch, tmp_path / "plain" / "main.py", tmp_path / SITE)
    assert program is not None
    assert plain is not None
    wanted = {"certain import lib", "certain import keras_core", "certain import keras"}
    for found in (program, plain):
        assert told(read_program(found, cache=tmp_path / "cache")) == wanted
    # What is kept is told apart by what is the program's own.
    monkeypatch.setattr(sys, "meta_path", sys.meta_path[:-1])
    assert told(read_program(plain, cache=tmp_path / "cache")) == {"certain import mine.cli"}


def test_an_installed_program_in_a_true_process(tmp_path: Path) -> None:
    import autoxla

    code = SEEN_FROM_INSIDE.format(home=str(Path(autoxla.__file__).parent.parent))
    body = "".join(f"    {line}\n" for line in code.splitlines())
    seen = f"def main():\n{body}    from autoxla.lookahead import read_program\n"
    seen += "    print(read_program(found).evidence[-1].name)\n    return\n    import keras\n"
    venv.create(tmp_path, with_pip=False)
    site = next(tmp_path.glob("[Ll]ib/**/site-packages"))
    lay_tool(tmp_path, "mytool", {})
    lay(site, {"mytool.py": seen})
    folder = tmp_path / ("Scripts" if sys.platform == "win32" else "bin")
    command = [folder / "python", folder / "mytool"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.split() == ["script", str(folder / "mytool"), "keras"], done.stderr


def test_read_paths(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "a.py": "import keras\nkeras.x\nkeras.x\nif __name__ == '__main__':\n    import torch\n",
            "p/__init__.py": "",
            "p/b.py": "from . import c\nfrom .c import d\nimport p.c\nimport tf_keras\n",
            "p/c.py": "import jax",
            "n.ipynb": json.dumps({"cells": [cell("import keras")]}),
            "bad.py": "def",
            ".hidden/x.py": "",
            "env/pyvenv.cfg": "",
            "env/x.py": "",
            "build/x.py": "",
            "__pycache__/x.py": "",
            "notes.txt": "import keras",
        },
    )
    readings = read_paths([tmp_path, tmp_path / "a.py"])
    names = [file.relative_to(tmp_path).as_posix() for file in readings]
    assert names == ["a.py", "bad.py", "n.ipynb", "p/__init__.py", "p/b.py", "p/c.py"]
    assert [e.place.line for e in readings[tmp_path / "a.py"].evidence] == [1, 2, 5]
    assert told(readings[tmp_path / "p/b.py"]) == {"certain import tf_keras"}
    assert not readings[tmp_path / "p/b.py"].complete
    assert readings[tmp_path / "a.py"].complete


# The cache

TREE = {
    "main.py": "import p\nimport q\n",
    "p/__init__.py": "import keras\nkeras.x",
    "q.py": "import os\nexec(y)",
}


def changes(folder: Path) -> Mapping[str, str]:
    return {file.name: file.read_text(encoding="utf-8") for file in (folder / "cache").iterdir()}


def test_what_is_kept_equals_what_was_read(tmp_path: Path) -> None:
    cold = read(tmp_path, TREE, tmp_path / "cache")
    assert len(changes(tmp_path)) == 1
    assert read(tmp_path, TREE, tmp_path / "cache") == cold == read(tmp_path, TREE)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p/__init__.py", "import torch"),
        ("q/__init__.py", "import torch"),
        ("keras.py", "import torch"),
        ("main.py", "import torch"),
    ],
)
def test_a_change_is_seen(name: str, content: str, tmp_path: Path) -> None:
    read(tmp_path, TREE, tmp_path / "cache")
    reading = read(tmp_path, {**TREE, name: content}, tmp_path / "cache")
    assert "certain import torch" in told(reading)
    assert reading == read_program(Program("script", str(tmp_path / "main.py"), tmp_path), path=[])


def test_a_file_that_is_just_being_changed_is_not_kept(tmp_path: Path) -> None:
    lay(tmp_path, TREE)
    (tmp_path / "q.py").write_text("import keras", encoding="utf-8")
    read_program(Program("script", str(tmp_path / "main.py"), tmp_path), path=[], cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("damage", ["", "{}", "[]", "null", '{"key": 1}', "\0", "cut", "deep"])
def test_a_damaged_entry_is_not_believed(damage: str, tmp_path: Path) -> None:
    cold = read(tmp_path, TREE, tmp_path / "cache")
    entry = next((tmp_path / "cache").iterdir())
    text = entry.read_text(encoding="utf-8")
    changed = {"cut": text[:-9], "deep": "[" * 99_999}
    entry.write_text(changed.get(damage, damage), encoding="utf-8")
    assert read(tmp_path, TREE, tmp_path / "cache") == cold
    assert entry.read_text(encoding="utf-8") == text


def test_the_cache_is_bounded_and_may_be_unwritable(tmp_path: Path) -> None:
    for number in range(MOST_ENTRIES + 5):
        program = Program("code", f"import a{number}", tmp_path)
        read_program(program, path=[], cache=tmp_path / "cache")
    assert len(changes(tmp_path)) == MOST_ENTRIES
    lay(tmp_path, {"file": ""})
    assert told(read(tmp_path, TREE, tmp_path / "file")) == told(read(tmp_path, TREE))


# Programs in which there is nothing to follow

HEADS = st.sampled_from(
    [
        *("import tensorflow as tf", "import numpy as np", "import os, sys", "from tensorflow import data"),
        *(
            "import a",
            "from . import a",
            "import tf_agents.x as x",
            "from tensorflow import *",
            "import torch",
        ),
        *("'''import keras'''", "from __future__ import annotations", "import transformers", "import site"),
        *("import os; import sys", "from sys import path as p", "import tensorflow.math", "import json"),
    ]
)
BODIES = st.sampled_from(
    [
        *(
            "x = tf.constant(1)",
            "tf.config.set_visible_devices([])",
            "import jax",
            "# important",
            "sys.exit()",
        ),
        *("getattr(tf, 'ker' 'as').x", "getattr(tf, '\\x6beras').x", "getattr(tf, 'abs')", "p.append(x)"),
        *(
            "sys.path.append('lib')",
            "os.environ['A'] = '1'",
            "m.compile(**y)",
            "f = tf.function(f)",
            "exec(x)",
        ),
        *(
            "with tf.distribute.MirroredStrategy().scope(): pass",
            "def f():\n    import torch",
            "tf.\uff4beras.x",
        ),
        *(
            "tf.estimator.x",
            "tf.losses.x",
            "m.save('x')",
            "tf.config.optimizer.set_jit(True)",
            "def",
            "x = (1",
        ),
        *("@tf.function(jit_compile=True)\ndef f(): pass", "getattr(x, 'y', None)", "x = os.path.join('a')"),
    ]
)


def read_both(folder: Path, code: str) -> tuple[Reading | None, Reading]:
    """Return the reading without following, None where there is something to follow, and the other one."""
    lay(folder, {"main.py": code, "a.py": "import keras\n"})
    program = Program("script", str(folder / "main.py"), folder)
    plain = read_plain(program, Finder(folder, [], {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading_module, "read_plain", lambda *_: None)
        return plain, read_program(program, path=[])


@settings(deadline=None)
@given(st.lists(HEADS, min_size=1, max_size=4), st.lists(BODIES, max_size=3))
def test_what_is_not_followed_is_read_as_if_it_were(
    new_folder: Callable[[], Path], head: list[str], body: list[str]
) -> None:
    plain, followed = read_both(new_folder(), "\n".join([*head, *body]))
    if plain is None:
        return
    imports = tuple(e for e in followed.evidence if e.kind == "import")
    assert plain == Reading(imports, True, True, followed.files)
    assert (followed.complete, followed.unread) == (True, ())
    versions = {"tensorflow": (2, 21), "keras": (3, 15), "tf-keras": (2, 21), "transformers": (4, 40)}
    plans = [
        decide(with_reading(Situation(versions=versions), each, start, []))
        for each in (plain, followed)
        for start in (None, Start("tensorflow", None))
    ]
    assert plans[:2] == plans[2:]


@pytest.mark.parametrize(
    "code",
    [
        "'''A doc.'''\nimport tensorflow as tf\n\nprint(tf.constant(1))\n",
        "import tensorflow, sys\nm = [v for k, v in sys.modules.items() if getattr(v, '__file__', None)]\n",
        "import os\nfrom tensorflow import data, math as m\n\n\ndef main():\n    m.add(os.path.sep, 1)\n",
    ],
)
def test_a_program_with_nothing_to_follow(code: str, tmp_path: Path) -> None:
    plain, followed = read_both(tmp_path, code)
    assert plain is not None
    assert plain.evidence == tuple(e for e in followed.evidence if e.kind == "import")


# Properties

NAMES = st.sampled_from(["tf", "keras", "os", "K", "f", "x", "model", "sys", "importlib"])
ATTRIBUTES = st.sampled_from(
    ["keras", "layers", "environ", "compile", "save", "exit", "path", "optimizers", "legacy"]
)
MODULES = st.sampled_from(
    ["tensorflow", "keras", "tf_keras", "os", "sys", "tensorflow.keras", "torch", "importlib"]
)
TEXTS = st.sampled_from(["'keras'", "'a.h5'", "True", "None", "1", "'TF_USE_LEGACY_KERAS'", "f'{tf.x}'"])


def expressions() -> st.SearchStrategy[str]:
    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds("({}).{}".format, inner, ATTRIBUTES),
            st.builds("({})({}, jit_compile={})".format, inner, inner, inner),
            st.builds("getattr({}, {})".format, inner, TEXTS),
            st.builds("({})[{}]".format, inner, inner),
            st.builds("({} if {} else {})".format, inner, inner, inner),
            st.builds("[{} for x in {}]".format, inner, inner),
            st.builds("(lambda tf: {})".format, inner),
            st.builds("({} and {})".format, inner, inner),
            st.builds("(K := {})".format, inner),
            st.builds("importlib.import_module({})".format, inner),
        )

    chains = st.builds("{}.{}.{}".format, NAMES, ATTRIBUTES, ATTRIBUTES)
    return st.recursive(st.one_of(NAMES, TEXTS, chains), extend, max_leaves=5)


def blocks() -> st.SearchStrategy[str]:
    values = expressions()
    simple = st.one_of(
        st.builds("import {} as {}".format, MODULES, NAMES),
        st.builds("from {} import keras as {}".format, MODULES, NAMES),
        st.builds("{} = {}".format, NAMES, values),
        st.builds("{}.jit_compile = {}".format, NAMES, values),
        st.builds("os.environ[{}] = {}".format, values, values),
        st.builds("{}()".format, NAMES),
        values,
        st.sampled_from(["raise x", "sys.exit()", "pass", "from torch import *", "del x"]),
    )

    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        body = inner.map(lambda text: textwrap.indent(text, "    "))
        return st.one_of(
            st.builds("{}\n{}".format, inner, inner),
            st.builds("if {}:\n{}\nelse:\n{}".format, values, body, body),
            st.builds("for {} in {}:\n{}".format, NAMES, values, body),
            st.builds("try:\n{}\nexcept {}:\n{}\nfinally:\n{}".format, body, values, body, body),
            st.builds("def {}({}=1):\n{}".format, NAMES, NAMES, body),
            st.builds("class {}:\n{}".format, NAMES, body),
            st.builds("with {} as {}:\n{}".format, values, NAMES, body),
        )

    return st.recursive(simple, extend, max_leaves=12)


def read_code(code: str) -> Reading:
    return read_program(Program("code", code, Path("nowhere")), path=[])


@settings(max_examples=300, deadline=None)
@given(blocks())
@example("import tensorflow as os\nos.keras.keras\nimport tensorflow as tf")
def test_reading_is_independent_of_formatting(code: str) -> None:
    tree = ast.parse(code)
    bare = read_code(ast.unparse(tree))
    commented = read_code("# keras\n\n" + code.replace("\n", "  # tf\n") + "\n")
    original = read_code(code)
    assert [brief(e) for e in bare.evidence] == [brief(e) for e in commented.evidence]
    assert [brief(e) for e in original.evidence] == [brief(e) for e in commented.evidence]
    assert (bare.complete, len(bare.unread)) == (original.complete, len(original.unread))


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(), blocks().map(str.encode), st.text().map(lambda t: t.encode(errors="replace"))))
def test_any_bytes_can_be_read(new_folder: Callable[[], Path], data: bytes) -> None:
    folder = new_folder()
    for reading in (
        read(folder, {"main.py": "import other\nimport keras\n", "other.py": data}),
        read(folder, {"main.py": data}),
    ):
        assert reading.known
    notebook = Program("notebook", str(folder / "main.py"), folder)
    archive = Program("directory", str(folder / "main.py"), folder / "main.py")
    assert not read_program(notebook, path=[]).complete or b"cells" in data
    assert not read_program(archive, path=[]).known


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["main", "a", "b", "c"]), blocks(), min_size=2), st.data())
def test_several_modules(
    new_folder: Callable[[], Path], modules: dict[str, str], data: st.DataObject
) -> None:
    folder = new_folder()
    heads = st.lists(st.sampled_from(["import a", "from b import *", "from c import f, K", "import main"]))
    files = {f"{name}.py": "\n".join([*data.draw(heads), code]) for name, code in modules.items()}
    lone = {"main.py": "import a, b, c"}
    cold = read(folder, lone | files, folder / "cache")
    assert read(folder, lone | files, folder / "cache") == cold
    assert {e.grade for e in cold.evidence} <= {"certain", "possible"}


@pytest.mark.parametrize(("length", "is_complete"), [(50, True), (1500, False)])
def test_chains_of_imports_and_calls(length: int, is_complete: bool, tmp_path: Path) -> None:
    files = {f"m{n}.py": f"import m{n + 1}\n" for n in range(length)}
    calls = "\n".join(f"def f{n}():\n    f{n + 1}()" for n in range(length))
    files |= {
        "main.py": f"import m0\n{calls}\ndef f{length}():\n    import tf_keras\nf0()",
        f"m{length}.py": "import keras",
    }
    reading = read(tmp_path, files)
    assert reading.complete is is_complete
    if is_complete:
        assert told(reading) == {"certain import keras", "certain import tf_keras"}
    else:
        assert "it is nested too deeply" in {reason for _, reason in reading.unread}


def test_nothing_is_imported_executed_or_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = {
        "main.py": "import p, json.tool, this\nprint('\\d')\nopen('made', 'w')\nimport keras, tensorflow\n",
        "p/__init__.py": "import sys\nsys.exit(print('run'))\n",
    }
    lay(tmp_path, files)
    before = set(sys.modules)
    filters = [*warnings.filters]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reading = read(tmp_path, files)
    assert reading.complete
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    assert new <= set(sys.stdlib_module_names) - {"this"} | {"autoxla"}
    assert [*warnings.filters] == filters
    assert not list(tmp_path.glob("**/made"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("handler", "caught"),
    [
        ("except ImportError", True),
        ("except (ValueError, ModuleNotFoundError)", True),
        ("except AttributeError as error", True),
        ("except", True),
        ("except OSError", False),
        ("finally", False),
    ],
)
def test_what_the_program_can_do_without(handler: str, caught: bool, tmp_path: Path) -> None:
    code = f"try:\n    import tf_keras\n{handler}:\n    pass\nimport keras\n"
    program = Program("code", code, tmp_path)
    assert [(e.name, e.caught, e.grade) for e in read_program(program).evidence] == [
        ("tf_keras", caught, "certain"),
        ("keras", False, "certain"),
    ]


def test_used_again_outside_it_is_needed(tmp_path: Path) -> None:
    code = "try:\n    import tf_keras\nexcept ImportError:\n    pass\nimport tf_keras\n"
    evidence = read_program(Program("code", code, tmp_path)).evidence
    assert [e.caught for e in evidence] == [True, False]


def test_another_environment_on_the_path_is_not_the_programs(tmp_path: Path) -> None:
    lay(tmp_path, {"other/site-packages/keras/__init__.py": "import strange\n"})
    code = f"import sys\nsys.path.insert(0, {str(tmp_path / 'other' / 'site-packages')!r})\nimport keras\n"
    evidence = read_program(Program("code", code, tmp_path), path=[]).evidence
    assert [e.name for e in evidence] == ["keras"]
