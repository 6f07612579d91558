"""Saved models: what wrote them, what is said of a load that fails, and that each advice works."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.model import Saved
from autoxla.policies.saved_files import KERAS_2, advise
from autoxla.situation.saved_files import identify, identify_text
from programs import clean_environment, run, run_code

#: Written by Keras 2.13, 2.15 and 3.15; `make.py` beside them writes such files, `read.py` reads them.
FILES = Path(__file__).with_name("saved")

WRITERS = {
    "k2_13/sequential.keras": Saved("keras", 2, "2.13.1"),
    "k2_13/lambda.h5": Saved("h5", 2, "2.13.1", frozenset({"Lambda"})),
    "k2_15/functional.keras": Saved("keras", 2, "2.15.0", frozenset({"Functional"})),
    "k2_15/lambda.keras": Saved("keras", 2, "2.15.0", frozenset({"Lambda"})),
    "k2_15/conv.h5": Saved("h5", 2, "2.15.0"),
    "k2_15/rnn.json": Saved("json", 2, "2.15.0"),
    "k2_15/sequential": Saved("folder", 2, "2.15.0"),
    "k2_15/conv-checkpoint": Saved("checkpoint", 2),
    "k3_15/functional.keras": Saved("keras", 3, "3.15.1", frozenset({"Functional"})),
    "k3_15/functional.json": Saved("json", 3, "", frozenset({"Functional"})),
    "k3_15/sequential": Saved("folder", 3),
    # A pickle may be of anything, and says itself what it misses.
    "k2_15/tokenizer.pkl": None,
    "k2_15": None,
    "make.py": None,
    "missing": None,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_tells_what_wrote_it(name: str) -> None:
    assert identify(FILES / name) == WRITERS[name]


@given(
    content=st.binary(max_size=200),
    start=st.sampled_from([b"", b"PK\3\4", b"\x89HDF\r\n\x1a\nmodel_config", b"{"]),
)
def test_junk_is_nothing_known(content: bytes, start: bytes, new_folder: object) -> None:
    file = new_folder() / "junk"  # type: ignore[operator]
    file.write_bytes(start + content)
    found = identify(file)
    assert found is None or found.release == ""


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.keras")
    assert identify(tmp_path / "model.keras") is None


def test_only_the_beginning_of_a_long_file_is_read(tmp_path: Path) -> None:
    text = (FILES / "k2_15" / "rnn.json").read_text()
    (tmp_path / "long.json").write_text("{" + " " * (1 << 20) + text[1:])
    assert identify(tmp_path / "long.json") is None
    assert identify_text("json", [text.encode()]) == WRITERS["k2_15/rnn.json"]


K3, TF_KERAS = (3, 15, 1), (2, 21, 0)


@pytest.mark.parametrize(
    ("saved", "reader", "error", "told"),
    [
        (Saved("keras", 2, "2.15.0"), K3, "", KERAS_2),
        (Saved("json", 2, "2.15.0"), K3, "Could not locate class 'Sequential'", KERAS_2),
        (Saved("folder", 2, "2.15.0"), K3, "", f"TFSMLayer(…{KERAS_2}"),
        (Saved("folder", 3), K3, "", "TFSMLayer("),
        (Saved("folder", 3), TF_KERAS, "", None),
        (Saved("keras", 2, "2.15.0", frozenset({"Lambda"})), K3, "", f"{KERAS_2}, and pass safe_mode=False"),
        (Saved("keras", 2, "2.13.1"), K3, "", "TensorFlow 2.13 and save it as .h5"),
        (Saved("keras", 2, "2.13.1"), (2, 13, 1), "", None),
        (Saved("keras", 3, "3.15.1"), TF_KERAS, "", "load_model() of Keras 3"),
        (Saved("keras", 2, "2.22.0"), TF_KERAS, "", "it takes TensorFlow and tf_keras 2.22, or later"),
        (Saved("h5", 2, "2.22.0"), K3, "", "it takes TensorFlow and tf_keras 2.22, or later"),
        (Saved("keras", 3, "3.15.1"), (3, 3, 3), "", "pip install 'keras>=3.15.1'"),
        (Saved("keras", 3, "3.3.3"), K3, "", None),
        (Saved("h5", 2, "2.15.0"), K3, "Unknown layer: 'Scale'. Please", "custom_objects={'Scale': Scale}"),
        (
            Saved("h5", 2, "2.13.1"),
            K3,
            "bad marshal data (unknown type code)",
            "bytecode of another release of Python",
        ),
        # Keras, or a known error, names the argument that helps.
        (Saved("h5", 2, "2.15.0"), K3, "by passing `safe_mode=False`", None),
        (Saved("h5", 2, "2.15.0"), K3, "Could not deserialize 'keras.metrics.mse'", None),
    ],
)
def test_advice(saved: Saved, reader: tuple[int, ...], error: str, told: str | None) -> None:
    advice = advise(saved, reader=reader, tf_keras=TF_KERAS, error=error)
    if told is None:
        assert advice is None
    else:
        begin, _, end = told.partition("…")
        assert advice is not None
        assert begin in advice
        assert advice.endswith(end) or end in advice


def test_a_file_that_the_source_names_is_looked_at(tmp_path: Path) -> None:
    shutil.copytree(FILES / "k2_15" / "sequential", tmp_path / "old")
    shutil.copy(FILES / "k2_15" / "functional.keras", tmp_path / "own.keras")
    program = (
        "import keras\nmodel = keras.models.load_model('old')\n"
        "model.save('own.keras')\nkeras.models.load_model('own.keras')\nkeras.models.load_model('missing.keras')\n"
    )
    (tmp_path / "serve.py").write_text(program)
    done = run(["-m", "autoxla", "check", "serve.py"], tmp_path, clean_environment())
    lines = done.out.splitlines()
    assert lines[0].startswith("serve.py:2:") and "AX199 warning old was written by Keras 2.15.0" in lines[0]
    assert "TFSMLayer" in lines[0]
    # Its own file, which it writes anew, is not one of them.
    assert not any("own.keras" in line for line in lines)
    quiet = run(["-m", "autoxla", "check", "serve.py"], tmp_path, clean_environment(AUTOXLA_KERAS="legacy"))
    assert "AX199" not in quiet.out


#: The Keras of each column and each row of the recorded outcomes, and the tf_keras beside it.
READERS = {
    "k3_0": ((3, 0), (2, 16)), "k3_3": ((3, 3), (2, 16)), "k3_8": ((3, 8), (2, 16)),
    "k3_15": ((3, 15), (2, 21)), "k2_15": ((2, 15), (2, 15)), "alias_16": ((2, 16), (2, 16)),
    "alias_21": ((2, 21), (2, 21)),
}  # fmt: skip
WROTE = {
    "k2_13": "2.13.1", "k2_15": "2.15.0", "tfk2_16": "2.16.0", "tfk2_21": "2.21.0", "k3_0": "3.0.5",
    "k3_3": "3.3.3", "k3_8": "3.8.0", "k3_15": "3.15.1",
}  # fmt: skip
KINDS = {".keras": "keras", ".h5": "h5", ".json": "json", "-checkpoint": "checkpoint", "": "folder"}


def read_outcomes() -> dict[tuple[str, str, str, str], str]:
    """Return what came of each file that was tried, by reader, writer, way and file: ok, differs or fails."""
    recorded = json.loads((FILES / "outcomes.json").read_text())
    return {
        (reader, writer, way, file): outcome
        for reader, writers in recorded.items()
        for writer, ways in writers.items()
        for way, outcomes in ways.items()
        for outcome, files in outcomes.items()
        for file in files.split()
    }


def test_the_recorded_trials_prove_the_advice() -> None:
    outcomes, told = read_outcomes(), set()
    for (reader, writer, way, file), outcome in outcomes.items():
        stem, kind = next((file.removesuffix(end), kind) for end, kind in KINDS.items() if file.endswith(end))
        # What needs an argument besides is tried above and below; a pickle says itself what it misses.
        is_told = way in ("plain", "weights") and not file.endswith((".pkl", "weights.h5"))
        # Keras 3.0 writes no whole files of that model, and reads none.
        is_whole = (writer, stem) != ("k3_0", "recurrent") and (reader, stem) != ("k3_0", "recurrent")
        if outcome != "fails" or not is_told or stem in ("own", "trained") or not is_whole:
            continue
        parts = frozenset({"Lambda"} if stem == "lambda" else ())
        is_2 = WROTE[writer] < "3"
        if parts and (kind in ("h5", "json") or is_2 == (READERS[reader][0] < (3,))):
            continue
        named = "" if kind == "checkpoint" else WROTE[writer]
        saved = Saved(kind, 2 if is_2 else 3, named, parts)  # type: ignore[arg-type]
        version, tf_keras = READERS[reader]
        advice = advise(saved, reader=version, tf_keras=tf_keras, error="")
        if advice is None:
            assert (saved.kind, saved.generation) == ("folder", 3), (reader, writer, file)
            continue
        alias = "k2_15" if tf_keras == (2, 15) else f"alias_{tf_keras[1]}"
        if advice.startswith("keras.layers.TFSMLayer"):
            assert outcomes[reader, writer, "TFSMLayer", file] == "ok"
        if advice.endswith("safe_mode=False"):
            assert outcomes[alias, writer, "unsafe", file] == "ok"
        elif KERAS_2 in advice:
            assert outcomes[alias, writer, way, file] == "ok", (reader, writer, file)
        elif "save it as .h5" in advice:
            assert outcomes[alias, writer, "plain", f"{stem}.h5"] in ("ok", "fails" if parts else "ok")
        elif "it takes TensorFlow" in advice:
            assert outcomes[f"alias_{WROTE[writer][2:4]}", writer, way, file] == "ok" or parts
        elif "keras>=" in advice or "of Keras 3" in advice:
            assert outcomes["k3_15", writer, way, file] == "ok" or parts, (
                reader,
                writer,
                file,
            )
        told.add(advice)
    assert len(told) >= 8


LOADING = """
import json, pickle, sys
import keras
from autoxla.hooks.error_hints import find_hint

class Scale(keras.layers.Layer):
    def __init__(self, factor=2.0, **options):
        super().__init__(**options)
        self.factor = factor
    def call(self, x):
        return x * self.factor

def json_of(name):
    return keras.models.model_from_json(open(name).read())
def weights_of(name):
    stack = keras.layers.Conv2D(2, 3), keras.layers.DepthwiseConv2D(2), keras.layers.BatchNormalization()
    more = keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(1)
    model = keras.Sequential([keras.Input((6, 6, 1)), *stack, *more])
    model.load_weights(name)
    return model
def layer_of(name):
    return keras.Sequential([keras.layers.TFSMLayer(name, call_endpoint="serving_default")])

load = keras.models.load_model
for name, source in json.load(open("loads.json")):
    try:
        exec(f"thing = {source}")
        outcome = "loaded", type(thing).__module__.partition(".")[0], None
    except Exception as error:
        hint = find_hint(error)
        setting = hint.setting and dict(hint.setting) if hint else None
        outcome = (hint.code if hint else "-", hint.text if hint else str(error)[:300], setting)
    print("\\n=>", json.dumps([name, *outcome]))
"""
LEGACY = {"AUTOXLA_KERAS": "legacy"}
#: How each file is loaded, what is said of it under Keras 3, and how it is loaded then, in tf_keras where a
#: setting says so.
LOADS: dict[str, tuple[str, str, dict[str, str] | None, str]] = {
    "k2_15/functional.keras": ("load(name)", "AUTOXLA_KERAS=legacy", LEGACY, "load(name)"),
    "k2_15/conv.h5": ("load(name)", "AUTOXLA_KERAS=legacy", LEGACY, "load(name)"),
    "k2_15/rnn.json": ("json_of(name)", "AUTOXLA_KERAS=legacy", LEGACY, "json_of(name)"),
    "k2_15/conv-checkpoint": ("weights_of(name)", "AUTOXLA_KERAS=legacy", LEGACY, "weights_of(name)"),
    "k2_15/sequential": ("load(name)", "TFSMLayer", LEGACY, "load(name)"),
    "k2_15/lambda.keras": ("load(name)", "and pass safe_mode=False", None, "load(name, safe_mode=False)"),
    "k3_15/sequential": ("load(name)", "TFSMLayer", None, "layer_of(name)"),
    "k2_15/own.keras": (
        "load(name)",
        "custom_objects={'Scale': Scale}",
        None,
        "load(name, {'Scale': Scale})",
    ),
    "k2_15/own.h5": ("load(name)", "custom_objects={'Scale': Scale}", None, "load(name, {'Scale': Scale})"),
    "k2_13/sequential.keras": ("load(name)", "load it with TensorFlow 2.13 and save it as .h5", None, ""),
}
WITH_TF_KERAS = [name for name, (_, told, setting, _) in LOADS.items() if setting or "safe_mode" in told]


def load_all(folder: Path, sources: dict[str, str], **variables: str) -> dict[str, list[object]]:
    """Load files in one process, and return what came of each: [code, text, setting]."""
    (folder / "loads.json").write_text(json.dumps(list(sources.items())))
    (folder / "load.py").write_text(LOADING)
    done = run(["-m", "autoxla", "load.py"], folder, clean_environment(**variables))
    assert done.status == 0, done.err
    lines = [json.loads(line[2:]) for line in done.out.splitlines() if line.startswith("=>")]
    return {name: outcome for name, *outcome in lines}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(FILES, tmp_path_factory.mktemp("saved"), dirs_exist_ok=True))


@pytest.mark.tensorflow
def test_a_load_that_fails_is_told_how_the_file_is_read(folder: Path) -> None:
    outcomes = load_all(folder, {name: source for name, (source, *_) in LOADS.items()})
    for name, (_, told, setting, _) in LOADS.items():
        code, text, found = outcomes[name]
        assert (code, found) == ("AX147", setting), (name, outcomes[name])
        writer = WRITERS.get(name) or Saved("keras", 2, "2.15.0")
        subject = "the configuration" if name.endswith(".json") else Path(name).name
        begin = f"{subject} was written by Keras {writer.release or writer.generation}, and this is keras 3"
        assert str(text).startswith(begin)
        assert told in str(text)


@pytest.mark.tensorflow
def test_the_advice_works(folder: Path) -> None:
    plain = {name: remedy for name, (*_, remedy) in LOADS.items() if name not in WITH_TF_KERAS and remedy}
    assert {name: outcome[:2] for name, outcome in load_all(folder, plain).items()} == {
        name: ["loaded", "keras"] for name in plain
    }
    legacy = {name: LOADS[name][3] for name in WITH_TF_KERAS}
    legacy["k2_15/tokenizer.pkl"] = "pickle.load(open(name, 'rb'))"
    assert {name: outcome[:2] for name, outcome in load_all(folder, legacy, **LEGACY).items()} == {
        name: ["loaded", "tf_keras"] for name in legacy
    }
    # The other way for a SavedModel of Keras 2.
    layers = {"k2_15/sequential": "layer_of(name)"}
    assert load_all(folder, layers)["k2_15/sequential"][0] == "loaded"


@pytest.mark.tensorflow
def test_tf_keras_is_told_of_files_of_keras_3(folder: Path) -> None:
    files = {"k3_15/functional.keras": "load(name)", "k3_15/functional.json": "json_of(name)"}
    for name, (code, text, setting) in load_all(folder, files, **LEGACY).items():
        assert (code, setting) == ("AX147", None), (name, text)
        assert "load it with keras.models.load_model() of Keras 3" in str(text)
    assert {outcome[0] for outcome in load_all(folder, files).values()} == {"loaded"}


@pytest.mark.tensorflow
def test_a_pickle_is_told_from_an_import(folder: Path) -> None:
    load = "import pickle, tensorflow\nthing = pickle.load(open('k2_15/tokenizer.pkl', 'rb'))\n"
    (folder / "unpickle.py").write_text(load)
    told = run(["-m", "autoxla", "unpickle.py"], folder, clean_environment())
    assert (
        "AX147 what is unpickled was written by Keras 2: start the program with AUTOXLA_KERAS=legacy"
        in told.err
    )
    (folder / "imports.py").write_text("import tensorflow\nimport keras.src.preprocessing.text\n")
    other = run(["-m", "autoxla", "imports.py"], folder, clean_environment())
    assert ("AX163" in other.err, "AX147" in other.err) == (True, False)


@pytest.mark.tensorflow
def test_an_uncaught_error_names_the_file_and_the_way(folder: Path) -> None:
    code = "import tensorflow as tf\ntf.keras.models.load_model('k2_15/functional.keras')"
    done = run_code(f"import autoxla\n{code}", folder)
    assert done.status == 1
    assert "autoxla: AX147 functional.keras was written by Keras 2.15.0, and this is keras 3" in done.err
    assert "set TF_USE_LEGACY_KERAS=1" in done.err
    assert run_code(code, folder, TF_USE_LEGACY_KERAS="1").status == 0
