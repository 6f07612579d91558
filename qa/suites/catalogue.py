"""Which suites there are."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from suites.running import Suite

CPYTHON = tuple(
    Suite(name, "regrtest", (name,))
    for name in (
        "test_importlib",
        "test_import",
        "test_runpy",
        "test_cmd_line_script",
        "test_pkgutil",
        "test_zipimport",
        "test_modulefinder",
        "test_multiprocessing_main_handling",
        "test_multiprocessing_spawn",
    )
)
#: Folders below ``keras/src``.
KERAS = ("trainers", "models", "callbacks", "saving", "layers/rnn", "layers/normalization")
#: Files below ``tf_keras``.
TF_KERAS = (
    "engine/compile_utils_test.py",
    "engine/functional_test.py",
    "engine/sequential_test.py",
    "engine/training_test.py",
    "callbacks_test.py",
    "layers/normalization/batch_normalization_test.py",
    "layers/normalization/layer_normalization_test.py",
    "layers/rnn/simple_rnn_test.py",
    "saving/serialization_lib_test.py",
)
#: An import within tf_keras, in the source, which the wheel has one level further down.
_IMPORT = re.compile(r"^(\s*)(from|import) tf_keras(?!\.protobuf)(?=[.\s])", re.MULTILINE)


def find_keras() -> list[Suite]:
    """Return the suites that the wheel of Keras ships. Raises ModuleNotFoundError where it is not there."""
    spec = find_spec("keras")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'keras'", name="keras")
    folder = Path(spec.origin).parent / "src"
    return [Suite(f"keras/src/{name}", "pytest", (str(folder / name),)) for name in KERAS]


def prepare_tf_keras(source: Path, folder: Path) -> list[Suite]:
    """Copy tests from the tree ``source`` to ``folder``, with imports as the wheel has its modules."""
    folder.mkdir(parents=True)
    suites = []
    for name in TF_KERAS:
        text = (source / "tf_keras" / name).read_text(encoding="utf-8")
        file = folder / name.replace("/", "_")
        file.write_text(_IMPORT.sub(r"\1\2 tf_keras.src", text), encoding="utf-8")
        suites.append(Suite(f"tf_keras/{name}", "pytest", (str(file),), {"SUITES_KERAS": "tf_keras"}))
    return suites
