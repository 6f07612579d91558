"""``python -m autoxla doctor`` in environments that are broken: the cause comes first, the remedy helps.

Each is an environment of its own on disk, with an interpreter. Its TensorFlow and Keras are stand-ins that
do at their import what the real ones were seen to do. A test sees the import fail, asks ``doctor``, does
what that says, and sees the import work.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from autoxla.commands.diagnosis.packages import Scene, check_requirements, take_inventory
from autoxla.lookahead import Program, read_program
from autoxla.planning import with_reading
from installations import Site, build_library, make_environment
from programs import clean_environment

TENSORFLOW = """\
import ctypes, os, pathlib, sys
import google.protobuf, numpy, wrapt
from tensorflow import core
here = pathlib.Path(__file__).parent
if core.release != "2.16":
    raise ImportError("modules of one release, and libraries of another")
if numpy.release >= 2:
    raise ImportError("numpy.core.umath failed to import")
if google.protobuf.release < 4:
    raise ImportError("cannot import name 'builder' from 'google.protobuf.internal'")
named = os.environ.get("TF_PLUGGABLE_DEVICE_LIBRARY_PATH")
for library in [named] if named else sorted((here.parent / "tensorflow-plugins").glob("*.so")):
    ctypes.CDLL(str(library))
flags = os.environ.get("TF_XLA_FLAGS", "").split()
if any(flag.partition("=")[0] != "--tf_xla_min_cluster_size" for flag in flags):
    os.abort()
def __getattr__(name):
    if name != "keras":
        raise AttributeError(name)
    if os.environ.get("TF_USE_LEGACY_KERAS") in ("1", "true", "True"):
        import tf_keras as keras
    else:
        import keras
        assert keras.release >= 3, "module has no attribute"
    return keras
"""
KERAS = """\
import json, os, pathlib
release = 3
file = pathlib.Path.home() / ".keras" / "keras.json"
said = json.loads(file.read_text()) if file.exists() else {}
backend = os.environ.get("KERAS_BACKEND") or said.get("backend", "tensorflow")
if backend == "torch":
    import torch
elif backend != "tensorflow":
    raise ValueError(f"Unable to import backend : {backend}")
"""
NEEDS = ("numpy<2.0.0,>=1.23.5", "protobuf<5.0.0,>=3.20.3", "wrapt>=1.11.0", "keras>=3.0.0")
TF_KERAS = "import tensorflow as tf\ntf.keras.layers\n"
NAMES = ("tf_xla_auto_jit", "tf_xla_min_cluster_size", "tf_xla_max_cluster_size")


class Environment(Site):
    """A virtual environment that works, to be broken. `variables` are those of its programs."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.folder = make_environment(root / "venv")
        self.variables: dict[str, str] = {}
        # Where autoxla is installed, other packages are, too.
        for name in ("autoxla", "packaging"):
            spec = importlib.util.find_spec(name)
            assert spec is not None
            assert spec.submodule_search_locations is not None
            (root / "tools").mkdir(exist_ok=True)
            (root / "tools" / name).symlink_to(spec.submodule_search_locations[0])
        self.add("tensorflow", "2.16.1", TENSORFLOW, *NEEDS)
        (self.folder / "tensorflow/core.py").write_text('release = "2.16"\n')
        self.add("keras", "3.3.3", KERAS)
        self.add("tf_keras", "2.16.0", "release = 2\n")
        self.add("numpy", "1.26.4", "release = 1\n")
        self.add("wrapt", "1.16.0", "")
        self.install("protobuf", "4.25.3")
        (self.folder / "google/protobuf").mkdir(parents=True)
        (self.folder / "google/protobuf/__init__.py").write_text("release = 4\n")

    def add(self, package: str, version: str, code: str, *requires: str) -> None:
        """Install a distribution whose package has this code."""
        self.install(package.replace("_", "-"), version, *requires, owns=package)
        (self.folder / package / "__init__.py").write_text(code)

    def remove(self, name: str) -> None:
        """Take a distribution away, as pip does: its package, and its metadata."""
        for folder in (*self.folder.glob(f"{name}-*.dist-info"), self.folder / name):
            shutil.rmtree(folder, ignore_errors=True)

    def exchange(self, package: str, version: str, code: str) -> None:
        """Install another release in the place of the one that is there."""
        self.remove(package)
        self.add(package, version, code)

    def start(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the environment's interpreter in the program's folder, autoxla switched off."""
        paths = [*filter(None, [self.variables.get("PYTHONPATH")]), str(self.root / "tools")]
        own = {"HOME": str(self.home), "PYTHONPATH": os.pathsep.join(paths), "AUTOXLA": "off"}
        # Bytecode of a module that is exchanged within a second would be taken for that of the new one.
        return subprocess.run(
            [str(self.root / "venv/bin/python"), "-B", *words],
            cwd=self.program,
            env=clean_environment(**{**self.variables, **own}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def works(self) -> bool:
        """Return whether a program that uses tf.keras starts."""
        return self.start("-c", "import tensorflow; tensorflow.keras").returncode == 0

    def build_plugin(self) -> None:
        """Add a plug-in of TensorFlow that needs a library of oneAPI's."""
        needed = self.root / "oneapi/lib/libimf.so"
        build_library(needed, "int needed(void) { return 1; }", "-Wl,-soname,libimf.so")
        source = "int needed(void); int plugin(void) { return needed(); }"
        options = (f"-L{needed.parent}", "-l:libimf.so")
        build_library(self.folder / "tensorflow-plugins/libplugin.so", source, *options)


Deed = Callable[[Environment], object]


@dataclass(frozen=True)
class Case:
    """What breaks an environment, the code that names it, the remedy in words and as a deed.

    `program` is the source of the one that ``doctor`` is asked about, empty for none.
    """

    broken: Deed
    code: str
    remedy: str
    repair: Deed
    variables: dict[str, str] = field(default_factory=dict)
    program: str = ""


def write(name: str, text: str = "") -> Deed:
    """Return what writes a file below the root of an environment."""

    def act(environment: Environment) -> None:
        file = environment.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return act


def unlink(name: str) -> Deed:
    return lambda environment: (environment.root / name).unlink()


def assign(**variables: str) -> Deed:
    return lambda environment: environment.variables.update(variables)


def remove(name: str) -> Deed:
    return lambda environment: environment.remove(name)


def unset(name: str) -> Deed:
    return lambda environment: environment.variables.pop(name)


def lose_oneapi(environment: Environment) -> None:
    environment.build_plugin()
    folder = environment.root / "oneapi"
    (folder / "setvars.sh").write_text(f"export LD_LIBRARY_PATH={folder}/lib\n")
    environment.variables["ONEAPI_ROOT"] = str(folder)


def source_setvars(environment: Environment) -> None:
    """Take over what the script exports."""
    script = environment.root / "oneapi/setvars.sh"
    shell = ["sh", "-c", f'. "{script}" && printf %s "$LD_LIBRARY_PATH"']
    done = subprocess.run(shell, capture_output=True, text=True, check=True)
    environment.variables["LD_LIBRARY_PATH"] = done.stdout


def lose_wheel(environment: Environment) -> None:
    environment.build_plugin()


def install_wheel(environment: Environment) -> None:
    library = environment.root / "venv/lib/libimf.so"
    shutil.copyfile(environment.root / "oneapi/lib/libimf.so", library)
    environment.variables["LD_LIBRARY_PATH"] = str(library.parent)


def build_flags(environment: Environment) -> None:
    """Let the environment's TensorFlow have the names of flags where the real one has them."""
    listed = ", ".join(f'"{name}"' for name in NAMES)
    library = environment.folder / "tensorflow/libtensorflow_framework.so.2"
    build_library(library, f"const char *const names[] = {{{listed}}};")


def clobber(environment: Environment) -> None:
    environment.install("tensorflow-cpu", "2.15.0", owns="tensorflow")
    (environment.folder / "tensorflow/core.py").write_text('release = "2.15"\n')


def install_one(environment: Environment) -> None:
    environment.remove("tensorflow")
    environment.remove("tensorflow_cpu")
    environment.add("tensorflow", "2.16.1", TENSORFLOW, *NEEDS)
    (environment.folder / "tensorflow/core.py").write_text('release = "2.16"\n')


def uninstall_half(environment: Environment) -> None:
    """Uninstall tensorflow-cpu beside tensorflow: the files that both list are gone."""
    for file in environment.folder.glob("tensorflow/*.py"):
        file.unlink()


def leave_folder(environment: Environment) -> None:
    environment.remove("tensorflow")
    (environment.folder / "tensorflow").mkdir()
    (environment.folder / "tensorflow/core.py").touch()


def install_protobuf(version: str) -> Deed:
    def act(environment: Environment) -> None:
        for folder in environment.folder.glob("protobuf-*.dist-info"):
            shutil.rmtree(folder)
        environment.install("protobuf", version)
        text = f"release = {version.partition('.')[0]}\n"
        (environment.folder / "google/protobuf/__init__.py").write_text(text)

    return act


def install(package: str, version: str, code: str) -> Deed:
    return lambda environment: environment.exchange(package, version, code)


def break_plugin(environment: Environment) -> None:
    write(f"{environment.folder.relative_to(environment.root)}/tensorflow-plugins/libplugin.so")(environment)


def remove_plugin(environment: Environment) -> None:
    (environment.folder / "tensorflow-plugins/libplugin.so").unlink()


CASES = {
    "oneAPI is not sourced": Case(lose_oneapi, "AX871", "source {root}/oneapi/setvars.sh", source_setvars),
    "oneAPI is not installed": Case(lose_wheel, "AX871", "pip install intel-cmplr-lib-rt", install_wheel),
    "a plug-in that is no library": Case(break_plugin, "AX873", "remove", remove_plugin),
    "a plug-in that is named and gone": Case(
        assign(TF_PLUGGABLE_DEVICE_LIBRARY_PATH="/gone/libitex.so"),
        "AX841",
        "unset TF_PLUGGABLE_DEVICE_LIBRARY_PATH",
        unset("TF_PLUGGABLE_DEVICE_LIBRARY_PATH"),
    ),
    "a flag is misspelt": Case(
        build_flags,
        "AX851",
        "write --tf_xla_min_cluster_size",
        assign(TF_XLA_FLAGS="--tf_xla_min_cluster_size=4"),
        {"TF_XLA_FLAGS": "--tf_xla_min_clustersize=4"},
    ),
    "a flag in the other variable": Case(
        build_flags,
        "AX851",
        "move --xla_dump_to to XLA_FLAGS",
        assign(TF_XLA_FLAGS="", XLA_FLAGS="--xla_dump_to=/tmp"),
        {"TF_XLA_FLAGS": "--xla_dump_to=/tmp"},
    ),
    "theano in keras.json": Case(
        write("home/.keras/keras.json", '{"backend": "theano"}'),
        "AX402",
        "correct keras.json",
        write("home/.keras/keras.json", '{"backend": "tensorflow"}'),
    ),
    "a list in keras.json": Case(
        write("home/.keras/keras.json", "[1]"),
        "AX832",
        "correct or remove",
        unlink("home/.keras/keras.json"),
    ),
    "theano in KERAS_BACKEND": Case(
        assign(KERAS_BACKEND="theano"), "AX402", "set KERAS_BACKEND to", assign(KERAS_BACKEND="tensorflow")
    ),
    "a backend that is not installed": Case(
        assign(KERAS_BACKEND="torch"), "AX401", "set KERAS_BACKEND to one", assign(KERAS_BACKEND="tensorflow")
    ),
    "two TensorFlows, one on the other": Case(
        clobber, "AX812", "pip uninstall tensorflow tensorflow-cpu", install_one
    ),
    "one of two TensorFlows uninstalled": Case(
        uninstall_half, "AX815", "pip install --force-reinstall --no-deps tensorflow==2.16.1", install_one
    ),
    "a folder left behind": Case(leave_folder, "AX818", "pip install tensorflow", install_one),
    "NumPy 2 for NumPy 1": Case(
        install("numpy", "2.1.0", "release = 2\n"),
        "AX882",
        "pip install 'numpy<2.0.0,>=1.23.5'",
        install("numpy", "1.26.4", "release = 1\n"),
    ),
    "a protobuf that is too old": Case(
        install_protobuf("3.19.6"),
        "AX882",
        "pip install 'protobuf<5.0.0,>=3.20.3'",
        install_protobuf("4.25.3"),
    ),
    "a module that TensorFlow needs is missing": Case(
        remove("wrapt"), "AX881", "pip install 'wrapt>=1.11.0'", install("wrapt", "1.16.0", "")
    ),
    "Keras is missing": Case(
        remove("keras"),
        "AX881",
        "pip install 'keras>=3.0.0'",
        install("keras", "3.3.3", KERAS),
        program=TF_KERAS,
    ),
    "Keras 2 for Keras 3": Case(
        install("keras", "2.15.0", "release = 2\n"),
        "AX882",
        "pip install 'keras>=3.0.0'",
        install("keras", "3.3.3", KERAS),
        program=TF_KERAS,
    ),
    "the switch without tf_keras": Case(
        remove("tf_keras"),
        "AX104",
        "pip install tf-keras",
        install("tf_keras", "2.16.0", "release = 2\n"),
        {"TF_USE_LEGACY_KERAS": "1"},
    ),
    "keras.py beside the program": Case(
        write("work/keras.py", "print('mine')\n"), "AX821", "rename", unlink("work/keras.py")
    ),
    "tensorflow.py beside the program": Case(
        write("work/tensorflow.py", ""), "AX821", "rename", unlink("work/tensorflow.py")
    ),
    "a module of Python's beside the program": Case(
        write("work/pathlib.py", ""), "AX823", "rename", unlink("work/pathlib.py")
    ),
}
#: What only most programs stumble over: no error to `doctor`.
WARNINGS = ("AX823",)


def first_problem(text: str) -> tuple[str, str]:
    """Return the code of the first problem that ``doctor`` printed, and its remedy."""
    found = re.search(r"^(?:error|warning) +(AX\d{3}) .*\n +-> (.*)$", text, re.MULTILINE)
    return ("", "") if found is None else (found[1], found[2])


@pytest.mark.parametrize("name", CASES)
def test_the_cause_comes_first_and_the_remedy_helps(name: str, tmp_path: Path) -> None:
    case, environment = CASES[name], Environment(tmp_path)
    environment.variables.update(case.variables)
    case.broken(environment)
    assert not environment.works()
    words = ["train.py"] if case.program else []
    for word in words:
        (environment.program / word).write_text(case.program)
    told = environment.start("-m", "autoxla", "doctor", *words)
    code, remedy = first_problem(told.stdout)
    assert (code, told.stderr) == (case.code, "")
    assert told.returncode == (0 if code in WARNINGS else 1)
    assert case.remedy.format(root=tmp_path) in remedy
    case.repair(environment)
    assert environment.works()
    after = environment.start("-m", "autoxla", "doctor", *words)
    assert (after.returncode, first_problem(after.stdout), after.stderr) == (0, ("", ""), "")


def test_an_environment_that_is_not_broken(tmp_path: Path) -> None:
    environment = Environment(tmp_path)
    told = environment.start("-m", "autoxla", "doctor")
    assert environment.works()
    assert (told.returncode, first_problem(told.stdout), told.stderr) == (0, ("", ""), "")


# --- requirements that are not met, and whether TensorFlow fails with that


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def states(scene: Scene) -> list[str]:
    """Return the states of what is said of requirements."""
    return [line.state for line in check_requirements(scene)]


@pytest.mark.parametrize(
    ("release", "requirement", "installed", "state"),
    [
        ("2.19.1", "numpy<2.2.0,>=1.26.0", "2.3.4", "warning"),
        ("2.22.0", "numpy<2.3,>=2.1", "2.3.4", "warning"),
        ("2.17.0", "numpy<2.0.0,>=1.26.0", "2.0.2", "error"),
        ("2.21.0", "ml-dtypes<1.0.0,>=0.5.1", "0.5.0", "warning"),
        ("2.21.0", "ml-dtypes<1.0.0,>=0.5.1", "0.4.1", "error"),
        ("2.16.1", "protobuf<5.0.0,>=4.25.3", "4.25.1", "warning"),
    ],
)
def test_an_error_is_what_tensorflow_fails_with(
    release: str, requirement: str, installed: str, state: str, site: Site
) -> None:
    site.install("tensorflow-cpu", release, requirement)
    site.install(re.match(r"[a-z-]+", requirement)[0], installed)  # type: ignore[index]
    assert states(site.scene()) == [state]


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (None, "warning"),
        ("import tensorflow\n", "warning"),
        ("import tf_keras\n", "warning"),
        ("import keras\n", "error"),
        ("import tensorflow as tf\ntf.keras.Input\n", "error"),
        ("from tensorflow import keras\n", "error"),
    ],
)
@pytest.mark.parametrize("installed", ["", "2.15.0"])
def test_keras_is_an_error_where_the_program_needs_it(
    code: str | None, state: str, installed: str, site: Site
) -> None:
    site.install("tensorflow", "2.21.0", "keras>=3.12.0")
    site.install("tf-keras", "2.21.0")
    if installed:
        site.install("keras", installed)
    scene = site.scene()
    if code is not None:
        file = site.program / "train.py"
        file.write_text(code)
        reading = read_program(Program("script", str(file), site.program), path=scene.path)
        scene = replace(scene, situation=with_reading(scene.situation, reading, None, scene.path))
    assert states(scene) == [state]


@pytest.mark.parametrize("is_first", [True, False])
def test_only_the_tensorflow_that_is_found_first_fails(is_first: bool, site: Site) -> None:
    other = Site(site.root / "other")
    site.install("tensorflow-cpu", "2.21.0")
    other.install("tensorflow", "2.15.0", "numpy<2.0.0,>=1.23.5")
    site.install("numpy", "2.3.4")
    folders = [str(other.folder), str(site.folder)] if is_first else [str(site.folder), str(other.folder)]
    scene = replace(site.scene(), inventory=take_inventory(folders))
    assert states(scene) == ["error" if is_first else "warning"]


def test_a_tensorflow_without_its_files_is_not_the_first(site: Site) -> None:
    other = Site(site.root / "other")
    other.install("tensorflow", "2.15.0", "numpy<2.0.0,>=1.23.5", owns="tensorflow")
    (other.folder / "tensorflow/__init__.py").unlink()
    site.install("tensorflow", "2.21.0")
    site.install("numpy", "2.3.4")
    scene = replace(site.scene(), inventory=take_inventory([str(other.folder), str(site.folder)]))
    assert states(scene) == ["warning"]
