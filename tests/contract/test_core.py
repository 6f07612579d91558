"""What needs no TensorFlow: the environment, the launcher, reading programs, a Keras nobody knows."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from contract.environments import OWN, Environment
from contract.running import IS_INSTALLED, TESTS, start, start_code

#: Distributions by the words that environments are declared with.
DISTRIBUTIONS = {
    "TensorFlow": ("tensorflow", "tensorflow-cpu"),
    "Keras": ("keras",),
    "tf_keras": ("tf-keras",),
    "JAX": ("jax",),
    "PyTorch": ("torch",),
    "itex": ("intel-extension-for-tensorflow",),
}


def find_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@pytest.mark.row("The environment is what it is declared to be")
def test_environment(environment: Environment) -> None:
    """Every release that is pinned, nothing that is not declared, and autoxla installed as users do."""
    releases = {name: (find_version(name) or "").partition("+")[0] for name in environment.pins}
    assert releases == environment.pins
    assert (f"{sys.version_info[0]}.{sys.version_info[1]}" in environment.pythons) or environment.name == OWN
    for word, names in DISTRIBUTIONS.items():
        is_there = any(find_version(name) for name in names)
        is_declared = word in environment.has
        # The plug-in without its libraries takes TensorFlow with it, which is installed all the same.
        if is_declared or (environment.name != OWN and "itex" not in environment.has):
            assert is_there == is_declared, word
    if environment.name != OWN:
        assert IS_INSTALLED


PROGRAM = """
import json, os, subprocess, sys
print(json.dumps([sys.argv, __name__, __file__, sys.path[0], os.getcwd()]))
print("to stderr", file=sys.stderr)
child = [sys.executable, "-c", "import sys; print(sorted(m for m in sys.modules if m == 'autoxla'))"]
if len(sys.argv) > 1:
    print(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    sys.exit(3)
raise ValueError("made up")
"""


@pytest.mark.row("Launcher: output, status and traceback of a program without TensorFlow are as without")
def test_launcher(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    plain = start(["program.py"], tmp_path)
    assert start(["-m", "autoxla", "program.py"], tmp_path) == plain
    assert (plain.status, "ValueError: made up" in plain.err) == (1, True)
    outcome = start(["-m", "autoxla", "program.py", "--one", "two"], tmp_path)
    assert outcome.status == 3, outcome.err
    assert json.loads(outcome.out.splitlines()[0])[0] == ["program.py", "--one", "two"]
    assert outcome.out.splitlines()[1] == "['autoxla']"


#: What a site folder says is installed; nothing of it can be imported.
DESCRIBED = {"tensorflow": "2.21.0", "keras": "3.15.1", "tf_keras": "2.21.0"}


def describe(folder: Path) -> str:
    """Return a path with a folder in which `DESCRIBED` are installed, as far as their metadata says."""
    for name, release in DESCRIBED.items():
        metadata = folder / "site" / f"{name}-{release}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n", encoding="utf-8")
    own = [] if IS_INSTALLED else [str(TESTS.parent)]
    return os.pathsep.join([str(folder / "site"), *own])


CONFLICT = (
    "import tensorflow as tf\nadam = tf.keras.optimizers.legacy.Adam(0.1)\nmean = tf.keras.ops.mean([1.0])\n"
)
LEGACY = "import tensorflow as tf\noptimizer = tf.keras.optimizers.legacy.Adam(0.1)\n"


@pytest.mark.row("Reading: `check` finds a conflict of generations, with its line")
def test_check(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(CONFLICT, encoding="utf-8")
    outcome = start(["-m", "autoxla", "check", "train.py"], tmp_path, PYTHONPATH=describe(tmp_path))
    assert outcome.status == 1, outcome.err
    assert outcome.out.startswith("train.py:2:8 AX113 error")


@pytest.mark.row("Reading: `explain` follows an import and plans for what it finds")
def test_look_ahead(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text(LEGACY, encoding="utf-8")
    (tmp_path / "train.py").write_text("import helper\n", encoding="utf-8")
    words = ["-m", "autoxla", "explain", "--json", "train.py"]
    outcome = start(words, tmp_path, PYTHONPATH=describe(tmp_path))
    assert outcome.status == 0, outcome.err
    plan = json.loads(outcome.out)
    assert [(each["variable"], each["value"]) for each in plan["settings"]] == [("TF_USE_LEGACY_KERAS", "1")]
    assert plan["path"]["keras"] == 2


def write_keras(folder: Path, layout: str, trainer: str) -> str:
    """Write a Keras that nobody knows: ``trainer`` is a class in ``keras.src.<layout>``."""
    module = folder / "site" / "keras" / "src" / layout.replace(".", "/")
    module.parent.mkdir(parents=True)
    for package in [module.parent, *module.parent.parents]:
        if package.is_relative_to(folder / "site" / "keras"):
            (package / "__init__.py").write_text("", encoding="utf-8")
    module.with_suffix(".py").write_text(trainer, encoding="utf-8")
    face = f"from keras.src.{layout} import Trainer\nclass Model(Trainer):\n    jit_compile = None\n"
    (folder / "site" / "keras" / "__init__.py").write_text(face, encoding="utf-8")
    own = [] if IS_INSTALLED else [str(TESTS.parent)]
    return os.pathsep.join([str(folder / "site"), *own])


USE = """
import autoxla
import json
import keras
from autoxla.runtime import current
model = keras.Model()
getattr(model, "compile", lambda *_: None)("sgd", "mse")
model.fit([1])
print(json.dumps([entry["requested"] for entry in current().compiles]))
"""
COMPILE = "    def compile(self, optimizer, loss, jit_compile='auto'):\n        pass\n"
LOADING = "    def compile_from_config(self, config):\n        pass\n"
FIT = "    def fit(self, x):\n        pass\n"


@pytest.mark.row("A Keras nobody knows: {title}")
@pytest.mark.parametrize(
    ("title", "layout", "methods", "compiles", "said"),
    [
        ("methods are missing; one line, the program runs", "trainers.trainer", FIT, [], "compile()"),
        ("`compile` takes other arguments; one line, the program runs", "trainers.trainer",
         FIT + LOADING + COMPILE.replace(", jit_compile='auto'", ""), [], "compile()"),
        ("its modules are elsewhere; hooked there", "training.loop", FIT + LOADING + COMPILE, [None], None),
        ("nothing is where it was; one line, the program runs", "training.loop", FIT, [], "compile()"),
    ],
    ids=["missing", "arguments", "moved", "nothing"],
)  # fmt: skip
def test_unknown_keras(
    title: str, layout: str, methods: str, compiles: list[None], said: str | None, tmp_path: Path
) -> None:
    path = write_keras(tmp_path, layout, f"class Trainer:\n{methods}")
    outcome = start_code(USE, tmp_path, PYTHONPATH=path)
    assert outcome.status == 0, outcome.err
    assert outcome.last == compiles
    notices = [line for line in outcome.notices if "AX904" in line]
    assert len(notices) == (said is not None)
    assert all(f"has no {said}" in line for line in notices)
    assert "AX901" not in outcome.err
