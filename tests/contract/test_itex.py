"""ITEX as it is published, release 2.15: what comes of it without autoxla, and with.

The first half loads the plug-in many times from one import of TensorFlow (`plugin_double.wheel`) and compares
it with the double that the project's own tests run against. The second runs programs and commands with
autoxla.
"""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import plugin_double
from contract.environments import Environment
from contract.running import start, start_code
from plugin_double import drive_wheel
from programs import Outcome

OVERRIDE = {"ITEX_OPS_OVERRIDE": "1"}
STREAM = {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"}
LEVEL_1 = {"TF_XLA_FLAGS": "--tf_xla_auto_jit=1"}
LEVEL_2 = {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}
#: Booleans that abort the process on what they cannot read, in both builds.
STRICT = (
    "ITEX_AUTO_MIXED_PRECISION", "ITEX_CACHE_ONEDNN_OBJECT", "ITEX_ENABLE_ONEDNN_GRAPH",
    "ITEX_ENABLE_ONEDNN_LAYOUT_OPT", "ITEX_ENABLE_REMAPPER", "ITEX_LAYOUT_OPT", "ITEX_ONEDNN_GRAPH",
    "ITEX_ONEDNN_LAYOUT_OPT", "ITEX_OPS_OVERRIDE", "ITEX_REMAPPER", "ITEX_SHARDING",
    "ITEX_TF_CONSTANT_FOLDING",
)  # fmt: skip
#: The same in one build, with what the other one does: it does not read them while it is loaded.
STRICT_ON_CPU = ("ITEX_OMP_THREADPOOL", "TF_ENABLE_ONEDNN_OPTS")
STRICT_ON_GPU = ("ITEX_TILE_AS_DEVICE",)
#: What ITEX's own XLA sets, which the build for CPUs does not have.
OF_XLA = {"ITEX_ENABLE_MULTIPLE_STREAM", "ITEX_LAYOUT_OPT", "ITEX_REMAPPER", "MHA"}

TRAIN = """
import numpy
def train(keras):
    keras.utils.set_random_seed(1)
    first, last = keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)
    model = keras.Sequential([first, keras.layers.LayerNormalization(), last])
    model.compile("sgd", "mse")
    data = numpy.arange(24, dtype="float32").reshape(8, 3) / 24
    return model.fit(data, data[:, :1], epochs=2, verbose=0).history["loss"]
"""
TRAIN_TF_KERAS = TRAIN + "seen += train(tensorflow.keras)"
OWNER = "seen.append(tensorflow.keras.layers.Dense.__module__.partition('.')[0])\n"
NORMALISES = "seen.append(tensorflow.keras.layers.LayerNormalization.call.__qualname__)"
GENERATION = """
import keras
seen += [keras.__version__, tensorflow.keras.layers.Dense is keras.layers.Dense]
"""

#: Variables and code; both the wheel and the double load with them.
LOADS: dict[str, tuple[Mapping[str, str], str]] = {
    "default": ({}, TRAIN_TF_KERAS),
    "device": ({"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "True"}, ""),
    "stream executor": (STREAM, ""),
    "empty": ({"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": ""}, ""),
    "misspelt": ({"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "yes"}, ""),
    "level 1": (LEVEL_1, ""),
    "level 2, stream executor": ({**LEVEL_2, **STREAM}, TRAIN_TF_KERAS),
    "level 1, set": ({**LEVEL_1, "ITEX_REMAPPER": "TRUE", "MHA": "1"}, ""),
    "XLA disabled": ({"ITEX_DISABLE_XLA": "1"}, ""),
    "old beside new": ({"ITEX_ENABLE_REMAPPER": "yes", "ITEX_REMAPPER": "1"}, ""),
    **{name: ({name: "yes"}, "") for name in STRICT},
    **{f"override={value}": ({"ITEX_OPS_OVERRIDE": value}, "") for value in ("", "2", "0", "False")},
}
#: The same for the wheel alone: what is in the code has no double.
WHEEL_ONLY: dict[str, tuple[Mapping[str, str], str]] = {
    **{name: ({name: "yes"}, "") for name in (*STRICT_ON_CPU, *STRICT_ON_GPU)},
    "legacy": ({"TF_USE_LEGACY_KERAS": "1"}, OWNER + TRAIN_TF_KERAS),
    "override": (OVERRIDE, f"{TRAIN_TF_KERAS}\n{NORMALISES}"),
    "module": ({}, "import intel_extension_for_tensorflow as itex\nseen.append(itex.__version__)"),
    "generation": ({}, GENERATION),
    "flags": ({"TF_XLA_FLAGS": "--no_such_flag=1"}, ""),
}

#: What the build for GPUs says where there is none: the ops that it puts into the graph are for those alone.
NO_KERNEL = "No OpKernel was registered to support Op 'ITEXLayerNorm'"

row = pytest.mark.row


@pytest.fixture(scope="module")
def wheel() -> dict[str, plugin_double.Outcome]:
    """Load the plug-in in each way, without autoxla."""
    cases = {**LOADS, **WHEEL_ONLY}
    return dict(zip(cases, drive_wheel(list(cases.values())), strict=True))


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> dict[str, plugin_double.Outcome]:
    """Load the double's C side in the same ways."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    library = plugin_double.distribution(tmp_path_factory.mktemp("double"), "2.15.0.3")
    outcomes = plugin_double.evaluate(library, [variables for variables, _ in LOADS.values()])
    return dict(zip(LOADS, outcomes, strict=True))


def is_for_gpus(environment: Environment) -> bool:
    return environment.name.startswith("itex-xpu")


def read_state(outcome: plugin_double.Outcome) -> list[Any]:
    """Return what a program saw that lived to its end."""
    assert outcome.status == 0, outcome.printed[-2000:]
    seen: list[Any] = json.loads(outcome.state)
    return seen


def read_report(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def start_with(code: str, folder: Path, **variables: str) -> Outcome:
    """Run ``code`` under the launcher; its report is ``report.json``."""
    return start_code(code, folder, "-m", "autoxla", AUTOXLA_REPORT="report.json", **variables)


# ---- The plug-in itself ----


@row("ITEX: a misspelt switch aborts the process while TensorFlow is imported", needs={"itex", "TensorFlow"})
def test_strict_booleans(environment: Environment, wheel: Mapping[str, plugin_double.Outcome]) -> None:
    here: tuple[str, ...] = STRICT_ON_GPU if is_for_gpus(environment) else STRICT_ON_CPU
    elsewhere = {*STRICT_ON_GPU, *STRICT_ON_CPU}.difference(here)
    names = (*STRICT, *here)
    assert [wheel[name].status for name in names] == [-signal.SIGABRT] * len(names)
    said = [f"Failed to parse the env-var ${{{name}}} into bool: yes" for name in names]
    assert [text for name, text in zip(names, said, strict=True) if text not in wheel[name].printed] == []
    assert [wheel[name].status for name in elsewhere] == [0] * len(elsewhere)


@row("ITEX: the tests' double of release 2.15 does as the plug-in does", needs={"itex", "TensorFlow"})
def test_double(
    environment: Environment,
    wheel: Mapping[str, plugin_double.Outcome],
    double: Mapping[str, plugin_double.Outcome],
) -> None:
    for name, (variables, _) in LOADS.items():
        assert wheel[name].status == double[name].status, name
        absent = set() if is_for_gpus(environment) else OF_XLA - set(variables)
        expected = {key: value for key, value in double[name].variables.items() if key not in absent}
        assert wheel[name].variables == expected, name
        if is_for_gpus(environment) and wheel[name].status == 0:
            device = "PD" if "device type xpu_dummy" in wheel[name].printed else "NPD"
            assert f"device={device}" in double[name].state, name


@row("ITEX: Keras 2, tf_keras and the ops override train", needs={"itex", "TensorFlow", "Keras 2 by name"})
def test_keras_2(environment: Environment, wheel: Mapping[str, plugin_double.Outcome]) -> None:
    plain = read_state(wheel["default"])
    assert read_state(wheel["level 2, stream executor"]) == pytest.approx(plain)
    owner, *losses = read_state(wheel["legacy"])
    assert owner == "tf_keras"
    assert losses == pytest.approx(plain)
    assert read_state(wheel["module"])[0].startswith("2.15.")
    if is_for_gpus(environment):
        assert NO_KERNEL in wheel["override"].printed
        return
    *losses, call = read_state(wheel["override"])
    assert losses == pytest.approx(plain, rel=1e-3)
    assert "itex_layer_norm_call" in call


@row("ITEX: Keras 3 trains, without ITEX's module and ops override", needs={"itex", "TensorFlow", "Keras 3"})
def test_keras_3(wheel: Mapping[str, plugin_double.Outcome]) -> None:
    version, is_keras = read_state(wheel["generation"])
    assert (version[:2], is_keras) == ("3.", True)
    assert len(read_state(wheel["default"])) == 2
    assert read_state(wheel["legacy"])[0] == "tf_keras"
    assert read_state(wheel["override"])[-1] == "LayerNormalization.call"
    assert "NameError: name 'itex' is not defined" in wheel["override"].printed
    assert wheel["module"].status == 1
    assert "cannot import name 'utils' from 'keras.src.optimizers'" in wheel["module"].printed


@row("ITEX: TensorFlow 2.15 aborts on a flag that it does not know", needs={"itex", "TensorFlow"})
def test_unknown_flag(wheel: Mapping[str, plugin_double.Outcome]) -> None:
    assert wheel["flags"].status == -signal.SIGABRT
    assert "Unknown flag" in wheel["flags"].printed


# ---- Programs and commands with autoxla ----

PLAIN = "import json, tensorflow\nseen = []\n" + TRAIN_TF_KERAS + "\nprint(json.dumps(seen))\n"
KERAS_ALONE = (
    f"import keras\nimport json\n{TRAIN}"
    + """
seen = train(keras)
seen.append(keras.layers.LayerNormalization.call.__qualname__)
print(json.dumps(seen))
"""
)
KERAS_FIRST = "import keras\n" + PLAIN.replace("print", NORMALISES + "\nprint")


@row("ITEX: a plain program trains as without autoxla, which is silent", needs={"itex", "TensorFlow"})
def test_plain(environment: Environment, wheel: Mapping[str, plugin_double.Outcome], tmp_path: Path) -> None:
    outcome = start_with("import autoxla\n" + PLAIN, tmp_path)
    assert outcome.status == 0, outcome.err
    assert outcome.last == pytest.approx(read_state(wheel["default"]))
    told = [] if "Keras 3" not in environment.has else ["AX501"]
    report = read_report(tmp_path)
    assert ([f["code"] for f in report["findings"]], len(outcome.notices)) == (told, len(told))
    generation = 3 if "Keras 3" in environment.has else 2
    device = "npd" if is_for_gpus(environment) else "stock"
    assert (report["path"]["keras"], report["path"]["device"]) == (generation, device)
    assert report["settings"] == []


@row("ITEX: what aborts the process is cured, all of it at once", needs={"itex", "TensorFlow"})
def test_strict_booleans_are_cured(environment: Environment, tmp_path: Path) -> None:
    own = STRICT_ON_GPU if is_for_gpus(environment) else STRICT_ON_CPU
    names = {name for name in STRICT if "_ENABLE_" not in name} | set(own)
    wrong = dict.fromkeys(sorted(names), "off") | {"ITEX_REMAPPER": "yes", "ITEX_LAYOUT_OPT": ""}
    outcome = start_with(PLAIN, tmp_path, **wrong)
    assert (outcome.status, len(outcome.last)) == (0, 2), outcome.err
    report = read_report(tmp_path)
    # Once the new name is gone, the one of old is read.
    expected = dict.fromkeys(wrong, "0") | {"ITEX_REMAPPER": "1", "ITEX_LAYOUT_OPT": None}
    assert {each["variable"]: each["value"] for each in report["settings"]} == expected
    assert "AX213 error environment: ITEX_OPS_OVERRIDE='off'" in outcome.notices[0]


@row("ITEX: keras before tensorflow under the ops override", needs={"itex", "TensorFlow", "Keras 2 by name"})
def test_keras_first(environment: Environment, tmp_path: Path) -> None:
    plain = start_code(KERAS_FIRST, tmp_path, **OVERRIDE)
    assert (plain.status, "RecursionError: maximum recursion depth" in plain.err) == (1, True)
    # Without tf.keras it trains, and ITEX replaces nothing.
    alone = start_code(KERAS_ALONE, tmp_path, **OVERRIDE)
    assert (alone.status, alone.last[-1]) == (0, "LayerNormalization.call"), alone.err
    warned = start_with(KERAS_ALONE, tmp_path, **OVERRIDE)
    assert "AX101 warning program.py:1" in warned.notices[0]
    outcome = start_with(KERAS_FIRST, tmp_path, **OVERRIDE)
    assert "AX101 error program.py:1" in outcome.notices[0]
    if is_for_gpus(environment):
        assert NO_KERNEL in outcome.err
        return
    assert (outcome.status, len(outcome.notices)) == (0, 1), outcome.err
    assert "itex_layer_norm_call" in outcome.last[-1]


@row("ITEX: Keras 3 first under the ops override, and ITEX's module", needs={"itex", "TensorFlow", "Keras 3"})
def test_keras_3_survives(tmp_path: Path) -> None:
    outcome = start_with(KERAS_FIRST, tmp_path, **OVERRIDE)
    assert outcome.status == 0, outcome.err
    assert outcome.last[-1] == "LayerNormalization.call"
    codes = {each["code"] for each in read_report(tmp_path)["findings"]}
    assert ("AX501" in codes, "AX101" in codes) == (True, False)
    module = start_with("import intel_extension_for_tensorflow", tmp_path)
    assert (module.status, "cannot import name 'utils'" in module.err) == (1, True)
    assert "AX501" in module.notices[0]


@row("ITEX: tf_keras by the switch, auto-clustering 2 and the stream executor", needs={"itex", "TensorFlow"})
def test_legacy_and_clusters(tmp_path: Path) -> None:
    code = PLAIN.replace("print", OWNER + "print")
    variables = {"TF_USE_LEGACY_KERAS": "1", **LEVEL_2, **STREAM}
    outcome = start_with(code, tmp_path, **variables)
    assert (outcome.status, outcome.last[-1]) == (0, "tf_keras"), outcome.err
    report = read_report(tmp_path)
    assert report["settings"] == []
    assert not any(each["level"] == "error" for each in report["findings"])


def ask_doctor(folder: Path, *words: str) -> tuple[int, dict[str, dict[str, str]]]:
    """Return the doctor's status, and its lines by code."""
    outcome = start(["-m", "autoxla", "doctor", "--json", *words], folder)
    return outcome.status, {each["code"]: each for each in json.loads(outcome.out)}


@row("ITEX: doctor, explain and check say what is there", needs={"itex", "TensorFlow"})
def test_commands(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PLAIN, encoding="utf-8")
    status, lines = ask_doctor(tmp_path, "--import-check")
    assert (status, lines["AX870"]["state"]) == (0, "ok"), lines
    assert not any(each["state"] == "error" for each in lines.values())
    told = start(["-m", "autoxla", "explain", "--json", "program.py"], tmp_path).out
    generation = 3 if "Keras 3" in environment.has else 2
    assert json.loads(told)["path"]["keras"] == generation
    found = start(["-m", "autoxla", "check", "program.py"], tmp_path)
    assert (found.status, "AX501" in found.out) == (0, generation == 3)


@row("ITEX without oneAPI: TensorFlow cannot be imported, and the doctor says so beforehand", needs={"itex"})
def test_without_oneapi(environment: Environment, tmp_path: Path) -> None:
    if "TensorFlow" in environment.has:
        pytest.skip("not applicable: the plug-in finds all that it needs")
    missing = "NotFoundError: libimf.so: cannot open shared object file"
    plain = start_code(PLAIN, tmp_path)
    assert (plain.status, missing in plain.err, plain.notices) == (1, True, [])
    outcome = start_with(PLAIN, tmp_path)
    assert (outcome.status, missing in outcome.err, "AX180" in outcome.notices[-1]) == (1, True, True)
    status, lines = ask_doctor(tmp_path)
    assert (status, lines["AX871"]["state"]) == (1, "error")
    assert "libimf.so" in lines["AX871"]["message"]
    assert "intel-cmplr-lib-rt" in lines["AX871"]["remedy"]
    for words in (["check"], ["explain"]):
        done = start(["-m", "autoxla", *words, "program.py"], tmp_path)
        assert (done.status, "Traceback" in done.err) == (0, False)
