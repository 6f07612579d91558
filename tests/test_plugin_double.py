"""The test double of ITEX's plug-in behaves as ITEX does: its C side alone, then inside real TensorFlow.

No test here involves autoxla: what a program meets without it is what the other tests cure. Expected
values are the transition table and the scenarios observed with ITEX's own class and Python files.
"""

import importlib.metadata
import importlib.util
import itertools
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from plugin_double import (
    COMPILE_MESSAGE,
    FATAL_MESSAGE,
    HOOK_MESSAGE,
    PREDICT_MESSAGE,
    build,
    clean_environment,
    distribution,
    drive,
    environment,
    evaluate,
    site_packages,
)

WARNING_1 = "Set TF_USE_LEGACY_KERAS=0 or ITEX_DISABLE_XLA=1 if your script does not use keras"
WARNING_2 = "ITEX XLA auto_jit is enabled! There will be performance drop"
LINES = {"warn1": WARNING_1, "warn2": WARNING_2, "fatal": FATAL_MESSAGE}

#: (npd, legacy, disable, auto jit) to the lines printed and, where the process lives, device and API.
TRANSITIONS = {
    (1, 0, 0, 0): "warn1 warn2 NPD xla",
    (1, 0, 0, 1): "warn2 NPD xla",
    (1, 0, 1, 0): "warn1 NPD itex",
    (1, 0, 1, 1): "warn2 NPD xla",
    (1, 1, 0, 0): "warn1 NPD itex",
    (1, 1, 1, 0): "NPD itex",
    (1, 1, 0, 1): "warn2 NPD xla",
    (1, 1, 1, 1): "warn2 NPD xla",
    (0, 0, 0, 0): "warn1 fatal",
    (0, 0, 0, 1): "fatal",
    (0, 0, 1, 0): "warn1 PD itex",
    (0, 0, 1, 1): "fatal",
    (0, 1, 0, 0): "warn1 PD itex",
    (0, 1, 1, 0): "PD itex",
    (0, 1, 0, 1): "fatal",
    (0, 1, 1, 1): "fatal",
}

#: Spellings of each variable by the class that ITEX's reader puts them in; None is "not set".
SPELLINGS: dict[str, dict[str | None, int]] = {
    "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": {None: 1, "1": 1, "True": 1, "0": 0, "": 0, "yes": 0, " 1": 0},
    "TF_USE_LEGACY_KERAS": {None: 0, "1": 1, "TRUE": 1, "0": 0, "": 0, "on": 0},
    "ITEX_DISABLE_XLA": {None: 0, "1": 1, "tRuE": 1, "False": 0, "": 0, "no": 0},
    "TF_XLA_FLAGS": {
        None: 0,
        "": 0,
        "--tf_xla_auto_jit=2": 1,
        "--tf_xla_auto_jit=1 --tf_xla_auto_jit=0": 0,
        "--tf_xla_auto_jit=fusible": 1,
        "--tf_xla_auto_jit=-1": 0,
    },
}

STRICT = (
    "ITEX_AUTO_MIXED_PRECISION",
    "ITEX_CACHE_ONEDNN_OBJECT",
    "ITEX_ENABLE_ONEDNN_GRAPH",
    "ITEX_ENABLE_ONEDNN_LAYOUT_OPT",
    "ITEX_ENABLE_REMAPPER",
    "ITEX_LAYOUT_OPT",
    "ITEX_OMP_THREADPOOL",
    "ITEX_ONEDNN_GRAPH",
    "ITEX_ONEDNN_LAYOUT_OPT",
    "ITEX_OPS_OVERRIDE",
    "ITEX_REMAPPER",
    "ITEX_SHARDING",
    "ITEX_TF_CONSTANT_FOLDING",
)
#: Set by C code in every case, unless it is set already.
CACHE = {"ITEX_CACHE_ONEDNN_OBJECT": "1"}

#: Values of TF_XLA_FLAGS to what TensorFlow makes of them: auto jit on, off, or the end of the process.
FLAGS = {
    "--tf_xla_auto_jit=1": "on",
    "--tf_xla_auto_jit=10": "on",
    "--tf_xla_auto_jit=+1": "on",
    "--tf_xla_auto_jit=fusible": "on",
    "--tf_xla_auto_jit=single-gpu(1)": "on",
    "--tf_xla_auto_jit=1 --tf_xla_auto_jit=single-gpu(0)": "on",
    "--tf_xla_auto_jit=0\n--tf_xla_auto_jit=2": "on",
    " \t--tf_xla_auto_jit=2 ": "on",
    '--tf_xla_auto_jit="2"': "on",
    "--tf_xla_auto_jit=' 2 '": "on",
    '--tf_xla_auto_jit="\\2': "on",
    "--tf_xla_cpu_global_jit --tf_xla_auto_jit=2": "on",
    "--tf_xla_auto_jit=1 stop --tf_xla_auto_jit=0": "on",
    "FILE": "on",
    "": "off",
    "--tf_xla_cpu_global_jit=true": "off",
    "--tf_xla_auto_jit=0": "off",
    "--tf_xla_auto_jit=-1": "off",
    "--tf_xla_auto_jit=single-gpu(0)": "off",
    "--tf_xla_auto_jit=2 --tf_xla_auto_jit=0": "off",
    "--tf_xla_cpu_global_jit stop --tf_xla_auto_jit=2": "off",
    "--tf_xla_auto_jit": "dies",
    "--tf_xla_auto_jit 2": "dies",
    "--tf_xla_auto_jit=": "dies",
    "--tf_xla_auto_jit=abc": "dies",
    "--tf_xla_auto_jit=FUSIBLE": "dies",
    "--tf_xla_auto_jit=2,--tf_xla_cpu_global_jit": "dies",
    "--tf_xla_auto_jit=3000000000": "dies",
    "--tf_xla_auto_jit=single-gpu(": "dies",
    "--tf_xla_auto_jit=single-gpu(x)": "dies",
    "-tf_xla_auto_jit=2": "dies",
    "tf_xla_auto_jit=2": "dies",
    " ": "dies",
    "/no/such/file": "dies",
}


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the double of ITEX's main; return its folder."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    folder = tmp_path_factory.mktemp("itex-main")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def library(double: Path) -> Path:
    return site_packages(double) / "tensorflow-plugins" / "libitex_gpu.so"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the double of a published wheel; return its folder."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    folder = tmp_path_factory.mktemp("itex-2.15")
    distribution(folder, "2.15.0.3")
    return folder


# ---- The C side alone ----


def combine_spellings() -> Iterator[tuple[dict[str, str], str]]:
    """Yield each combination of spellings with the outcome of its classes."""
    for chosen in itertools.product(*(variable.items() for variable in SPELLINGS.values())):
        given = zip(SPELLINGS, (spelling for spelling, _ in chosen), strict=True)
        variables = {name: spelling for name, spelling in given if spelling is not None}
        npd, legacy, disable, jit = (kind for _, kind in chosen)
        yield variables, TRANSITIONS[npd, legacy, disable, jit]


def test_each_combination_of_spellings_ends_as_the_transition_table_says(library: Path) -> None:
    combinations = list(combine_spellings())
    outcomes = evaluate(library, [variables for variables, _ in combinations])
    seen = []
    for outcome in outcomes:
        words = [word for word, line in LINES.items() if line in outcome.printed]
        state = dict(word.split("=") for word in outcome.state.split())
        seen.append((outcome.status, " ".join([*words, *(state[k] for k in ("device", "api") if state)])))
    expected = [(-signal.SIGABRT if "fatal" in row else 0, row) for _, row in combinations]
    assert len(combinations) > 1000
    assert [(c, s, e) for c, s, e in zip(combinations, seen, expected, strict=True) if s != e] == []


@pytest.mark.parametrize("name", STRICT)
def test_a_strict_boolean_aborts_on_what_it_cannot_read(library: Path, name: str) -> None:
    bad, good = ("yes", "", "on", "no", "2", " 1"), ("1", "0", "TRUE", "true", "False")
    # With XLA on C code sets the graph options' new names, and those of old are not read.
    outcomes = evaluate(library, [{name: value, "ITEX_DISABLE_XLA": "1"} for value in (*bad, *good)])
    assert [o.status for o in outcomes] == [-signal.SIGABRT] * len(bad) + [0] * len(good)
    messages = [f"Failed to parse the env-var ${{{name}}} into bool: {value}. " for value in bad]
    assert [m for m, o in zip(messages, outcomes, strict=False) if m not in o.printed] == []


def test_a_name_of_old_is_not_read_beside_the_new_one(library: Path) -> None:
    old = {"ITEX_ENABLE_REMAPPER": "yes", "ITEX_ENABLE_ONEDNN_LAYOUT_OPT": "yes"}
    one, both = {"ITEX_ENABLE_REMAPPER": "yes", "ITEX_REMAPPER": "0"}, {**old, "ITEX_ONEDNN_LAYOUT_OPT": "1"}
    cases = [one, both, {**both, "ITEX_REMAPPER": "1"}]
    outcomes = evaluate(library, [*({**case, "ITEX_DISABLE_XLA": "1"} for case in cases), both])
    assert [o.status for o in outcomes] == [0, -signal.SIGABRT, 0, 0]


def test_a_fatal_state_comes_before_a_strict_boolean(library: Path) -> None:
    (outcome,) = evaluate(library, [{"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0", "ITEX_OPS_OVERRIDE": "yes"}])
    assert (FATAL_MESSAGE in outcome.printed, "Failed to parse" in outcome.printed) == (True, False)


def test_c_code_sets_variables_where_xla_is_on_and_overwrites_none_but_its_flags(library: Path) -> None:
    by_default, kept, without_xla = evaluate(
        library,
        [
            {},
            {"ITEX_REMAPPER": "1", "ENABLE_PJRT_COMPATIBILITY": "0", "TF_XLA_FLAGS": "--tf_xla_auto_jit=2"},
            {"ITEX_DISABLE_XLA": "1"},
        ],
    )
    wrapper = {"ENABLE_PJRT_COMPATIBILITY": "1", "TF_XLA_FLAGS": "--tf_xla_use_device_api=true", **CACHE}
    graph = {"ITEX_REMAPPER": "0", "ITEX_LAYOUT_OPT": "0", "ITEX_ENABLE_MULTIPLE_STREAM": "1", "MHA": "0"}
    assert by_default.variables == {**wrapper, **graph}
    flags = "--tf_xla_auto_jit=2 --tf_xla_use_device_api=true"
    assert kept.variables == {
        **graph,
        **CACHE,
        "ITEX_REMAPPER": "1",
        "ENABLE_PJRT_COMPATIBILITY": "0",
        "TF_XLA_FLAGS": flags,
    }
    assert without_xla.variables == wrapper


def test_the_appended_flag_breaks_a_file_name(library: Path, tmp_path: Path) -> None:
    file = tmp_path / "flags"
    file.write_text("--tf_xla_auto_jit=2", encoding="ascii")
    (outcome,) = evaluate(library, [{"TF_XLA_FLAGS": str(file)}])
    assert outcome.status == 1
    assert f'Could not open file "{file} --tf_xla_use_device_api=true"' in outcome.printed


def read_flags(library: Path, function: str, folder: Path) -> dict[str, str]:
    """Return what ``function`` of ``library`` makes of each of `FLAGS`."""
    file = folder / "flags"
    file.write_text("\n --tf_xla_auto_jit=2\n", encoding="ascii")
    values = [str(file) if value == "FILE" else value for value in FLAGS]
    outcomes = drive(library, function, "after", [{"TF_XLA_FLAGS": value} for value in values])
    kinds = {(0, "1"): "on", (0, "0"): "off", (1, ""): "dies"}
    return {value: kinds[o.status, o.state] for value, o in zip(FLAGS, outcomes, strict=True)}


def test_the_double_reads_flags_as_tensorflow_is_said_to(library: Path, tmp_path: Path) -> None:
    assert read_flags(library, "itex_double_parse_auto_jit", tmp_path) == FLAGS


@pytest.mark.tensorflow
def test_tensorflow_reads_flags_as_it_is_said_to(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("tensorflow")
    assert spec is not None
    assert spec.origin is not None
    core = Path(spec.origin).with_name("libtensorflow_cc.so.2")
    assert read_flags(core, "TF_GetXlaAutoJitEnabled", tmp_path) == FLAGS


def test_the_release_2_15_has_no_fatal_state_but_strict_booleans(release: Path) -> None:
    library = site_packages(release) / "tensorflow-plugins" / "libitex_gpu.so"
    clustering = {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0", "TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}
    default, refused, clustered, bad = evaluate(
        library, [{}, {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"}, clustering, {"ITEX_OPS_OVERRIDE": ""}]
    )
    assert [default.status, refused.status, clustered.status, bad.status] == [0, 0, 0, -signal.SIGABRT]
    assert ["device=NPD" in o.state for o in (default, refused, clustered)] == [True, False, True]
    assert [default.printed, default.variables] == ["", CACHE]
    assert clustered.variables["TF_XLA_FLAGS"] == "--tf_xla_auto_jit=2"
    assert clustered.variables["ITEX_REMAPPER"] == "0"


def test_a_release_is_a_distribution_and_main_is_none(release: Path, double: Path) -> None:
    def versions(folder: Path) -> list[str]:
        return [d.version for d in importlib.metadata.distributions(path=[str(site_packages(folder))])]

    assert (versions(release), versions(double)) == (["2.15.0.3"], [])


# ---- Inside TensorFlow ----


def run_python(folder: Path, code: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run ``code`` in a process that has the double of ``folder``, sees no GPU and has no autoxla."""
    own = {"AUTOXLA": "off", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    own |= {"KERAS_HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**clean_environment(), **own, **environment(folder), **variables},
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )


MODEL = """
import numpy as np, tensorflow as tf, keras, os
data = np.ones((4, 2), "float32")
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
"""

#: Programs that end with `print("ALIVE")`: variables, code, message that ends them, status.
DEATHS: dict[str, tuple[Mapping[str, str], str, str, int]] = {
    "keras first": ({}, "import keras", HOOK_MESSAGE, 0),
    "from keras import layers first": ({}, "from keras import layers", HOOK_MESSAGE, 0),
    "keras.layers first": ({}, "import keras.layers", HOOK_MESSAGE, 0),
    "keras first, legacy": ({"TF_USE_LEGACY_KERAS": "1"}, "import keras", HOOK_MESSAGE, 0),
    "another backend": ({"KERAS_BACKEND": "jax"}, "import tensorflow", HOOK_MESSAGE, 0),
    "another backend, legacy": (
        {"KERAS_BACKEND": "jax", "TF_USE_LEGACY_KERAS": "1"},
        "import tensorflow",
        HOOK_MESSAGE,
        0,
    ),
    "stream executor": (
        {"ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"},
        "import tensorflow",
        FATAL_MESSAGE,
        -signal.SIGABRT,
    ),
    "an unknown flag comes first": (
        {"TF_XLA_FLAGS": "--no_such_flag=1", "ITEX_ENABLE_NEXTPLUGGABLE_DEVICE": "0"},
        "import tensorflow",
        "Unknown flag",
        1,
    ),
    "compile on a CPU": ({}, MODEL + "model.compile(loss='mse')", COMPILE_MESSAGE, 0),
    "predict without compile": ({}, MODEL + "model.predict(data)", PREDICT_MESSAGE, 0),
}

IDENTITY = "print(tf.keras.layers.Dense is keras.layers.Dense)\n"
INHERITED = """
import subprocess, sys
print(os.environ.get("TF_XLA_FLAGS"))
child = [sys.executable, "-S", "-c", "import os; print(os.environ['TF_XLA_FLAGS'])"]
sys.stdout.flush()
subprocess.run(child, check=True)
"""
TRAINED = """
os.environ["ITEX_DISABLE_XLA"] = "1"
model.compile(loss="mse")
model.fit(data, data[:, :1], verbose=0)
model.predict(data, verbose=0)
"""

#: Programs that live: variables, code, what they print before `ALIVE`.
LIVES: dict[str, tuple[Mapping[str, str], str, str]] = {
    "tensorflow first": ({}, MODEL + IDENTITY + INHERITED, "True\nNone\n--tf_xla_use_device_api=true\n"),
    "tf_keras first, legacy": ({"TF_USE_LEGACY_KERAS": "1"}, "import tf_keras, keras", ""),
    "ITEX first": ({}, "import intel_extension_for_tensorflow, keras", ""),
    "XLA disabled just before compile": ({}, MODEL + TRAINED, ""),
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", DEATHS)
def test_a_program_dies(double: Path, name: str) -> None:
    variables, code, message, status = DEATHS[name]
    done = run_python(double, f"{code}\nprint('ALIVE')", **variables)
    assert message in done.stdout + done.stderr
    assert (done.returncode, "ALIVE" in done.stdout) == (status, False)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", LIVES)
def test_a_program_lives(double: Path, name: str) -> None:
    variables, code, printed = LIVES[name]
    done = run_python(double, f"{code}\nprint('ALIVE')", **variables)
    assert (done.returncode, done.stdout) == (0, f"{printed}ALIVE\n")


GUARD = """
import importlib.util, os, sys
import tensorflow
from intel_extension_for_tensorflow.python import override_keras3 as guard

class Model:
    jit_compile = False

def quits(value):
    os.environ.pop("ITEX_DISABLE_XLA", None)
    if value is not None:
        os.environ["ITEX_DISABLE_XLA"] = value
    try:
        guard.quit_unless_compiled(Model, "")
    except SystemExit as end:
        return end.code is None
    return False

def is_exempt(flags):
    os.environ["TF_XLA_FLAGS"] = flags
    spec = importlib.util.spec_from_file_location("again", guard.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.AUTO_CLUSTERING

quitting = [quits(value) for value in (None, "0", "false", "1", "False", "", "no")]
flags = ("=1", "=10", " = 1", "=1 --tf_xla_auto_jit=0", "=2", "=fusible", "=0")
print(quitting, [is_exempt("--tf_xla_auto_jit" + text) for text in flags])
"""


@pytest.mark.tensorflow
def test_the_guard_reads_its_variables_by_its_own_spellings(double: Path) -> None:
    done = run_python(double, GUARD)
    quitting = [True, True, True, False, False, False, False]
    exempt = [True, True, True, True, False, False, False]
    assert done.stdout.split("\n")[-2] == f"{quitting} {exempt}"


@pytest.mark.tensorflow
def test_the_release_2_15_imports_keras_only_for_the_override_and_goes_on(release: Path) -> None:
    done = run_python(release, MODEL + "print('ALIVE')", ITEX_OPS_OVERRIDE="1")
    assert (done.returncode, done.stdout) == (0, "ALIVE\n")
    assert "cannot import name 'utils' from 'keras.src.optimizers'" in done.stderr
    assert "NameError: name 'itex' is not defined" in done.stderr


@pytest.mark.tensorflow
def test_the_release_2_15_leaves_keras_alone(release: Path) -> None:
    done = run_python(release, "import keras\n" + MODEL + "model.compile(loss='mse')\nprint('ALIVE')")
    assert (done.returncode, done.stdout) == (0, "ALIVE\n")
