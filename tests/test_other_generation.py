"""Errors over what only the other generation of Keras has: said where it is so, with a cure that works."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autoxla.cures import keep
from autoxla.hooks import other_generation
from autoxla.hooks.keras_sources import Source
from autoxla.hooks.other_generation import find_fitting_release, find_way
from autoxla.model import Cure
from autoxla.planning import assemble
from autoxla.running import subject_from
from programs import clean_environment, run, run_code

#: What dies under Keras 3 and lives under Keras 2, with the code and a part of the hint.
CURED = """
AX169 K.optimizers.Adam().lr => has keras.optimizers.Adam.lr,
AX169 Callback().run() => has keras.optimizers.SGD.lr,
AX169 model().fit(x, y, verbose=0, workers=2, use_multiprocessing=False) => takes workers in keras.Model.fit,
AX169 model().predict(x, verbose=0, workers=2) => takes workers in keras.Model.predict,
AX169 model().evaluate(x, y, verbose=0, workers=2) => takes workers in keras.Sequential.evaluate,
AX169 model().predict_generator(iter([x]), steps=1) => has keras.Sequential.predict_generator,
AX169 K.callbacks.ModelCheckpoint("a.keras", period=2) => takes period in keras.callbacks.ModelCheckpoint,
AX169 K.layers.experimental.preprocessing.Rescaling(2.0) => has keras.layers.experimental,
AX169 K.backend.learning_phase() => has keras.backend.learning_phase,
AX169 K.layers.Dense(1, weights=[x[:4, :1], y[0]]) => takes weights in keras.layers.Dense,
AX169 K.layers.LSTM(2, time_major=True) => takes time_major in keras.layers.LSTM,
AX169 Sized(batch_input_shape=(1, 4)) => takes batch_input_shape in keras.Layer,
AX169 K.Input((4,)).get_shape() => has keras.KerasTensor.get_shape,
AX169 K.Input((4,)).shape.as_list() => a TensorShape in Keras 2, which has as_list,
AX169 Sized()(x) => a TensorShape in Keras 2, which has ndims,
AX165 Weighted()(x) => the first argument of add_weight is the shape
AX169 functional().predict_generator(iter([x]), steps=1) => has keras.Model.predict_generator,
AX169 functional().predict(x, verbose=0, workers=2) => takes workers in keras.Model.predict,
AX169 Updated()(x) => has keras.Layer.add_update,
AX169 K.metrics.Mean().reset_states() => has keras.metrics.Mean.reset_states,
AX169 model().layers[0].output_shape => has keras.layers.Dense.output_shape,
AX169 model().weights[0].read_value() => a tf.Variable in Keras 2, which has read_value,
AX146 model().save_weights("weights.hdf5") => Name the file so
AX146 K.callbacks.ModelCheckpoint("best.hdf5", save_weights_only=True) => Name the file so
AX146 K.callbacks.ModelCheckpoint("best.hdf5") => Name the file so
AX144 model().save("folder") => write a SavedModel with model.export()
AX145 model().save("folder", save_format="tf") => Drop save_format
AX138 tf.reduce_sum(K.Input((4,))) => a TensorFlow function takes no symbolic tensor;
AX160 K.optimizers.legacy.Adam() => Keras 3 has no legacy optimizers
AX165 Counted() => the first argument of add_weight is the shape
AX165 two(metrics=["mae"]) => Keras 3 wants metrics for each
AX165 K.layers.Dense(1, name="a/b") => Keras 3 takes no / in a name
AX166 Measured()(x) => Layers of Keras 3 have no add_metric
AX166 model().optimizer.variables() => write optimizer.variables
"""
#: What no generation has, what both have, and what somebody else means.
QUIET = """
K.optimizers.Adam(lr=.1, nonsense=2).x
K.optimizers.Adam(lr=.1)
K.optimizers.SGD(lr=.5, momentum=.9)
K.optimizers.Adam().get_updates
K.layers.Dense(2, nonsense=1)
K.callbacks.EarlyStopping(nonsense=1)
K.Model(input=1, output=2)
model().nonsense
model().to_yaml()
K.utils.np_utils
K.Input((4,)).shape.nonsense
x.shape.as_list()
model().weights[0].nonsense
Reader()(x)
Reader()._updates
K.Input((4,), 2, shape=(4,))
K.layers.Layer(1, 2, 3, 4, 5, 6)
ModelCheckpoint("a.keras", period=2)
Own().fit(workers=2)
two(metrics=[["mae"], ["mae"], ["mae"]])
model().variables()
from keras.mixed_precision import experimental
EarlyStopping(nonsense=2)
"""
PROGRAM = """
import json, linecache, sys
import numpy as np, tensorflow as tf
from autoxla.hooks.error_hints import find_hint
{imports}

x, y = np.zeros((8, 4), "float32"), np.zeros((8, 1), "float32")
def model():
    made = K.Sequential([K.Input((4,)), K.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made
def functional():
    inputs = K.Input((4,))
    return K.Model(inputs, K.layers.Dense(1)(inputs))
class Callback(K.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        self.model.optimizer.lr
    def run(self):
        model().fit(x, y, verbose=0, callbacks=[self])
class Sized(K.layers.Layer):
    def build(self, input_shape):
        assert input_shape.ndims == 2
    def call(self, inputs):
        return inputs
class Weighted(K.layers.Layer):
    def build(self, input_shape):
        self.w = self.add_weight("w", shape=[4, 1])
    def call(self, inputs):
        return tf.matmul(inputs, self.w)
class Updated(K.layers.Layer):
    def call(self, inputs):
        self.add_update([])
        return inputs
class Counted(K.metrics.Metric):
    def __init__(self):
        super().__init__()
        self.count = self.add_weight("count", initializer="zeros")
    def update_state(self, *_): pass
    def result(self): return self.count
class Measured(K.layers.Layer):
    def call(self, inputs):
        self.add_metric(tf.reduce_mean(inputs), name="m")
        return inputs
def two(**options):
    inputs = K.Input((4,))
    made = K.Model(inputs, [K.layers.Dense(1)(inputs), K.layers.Dense(1)(inputs)])
    made.compile("sgd", loss="mse", **options)
    made.fit(x, [y, y], verbose=0)
class Reader(K.layers.Layer):
    def call(self, inputs):
        return inputs * self.nonsense
class Own:
    def fit(self): pass
class EarlyStopping(K.callbacks.EarlyStopping):
    def __init__(self): pass

for source in json.load(open("scenarios.json")):
    try:
        with open("source.py", "w") as file:
            file.write(source)
        linecache.checkcache()
        exec(compile(source, "source.py", "exec"))
        outcome = ["no error", "", None]
    except Exception as error:
        hint = find_hint(error)
        outcome = [hint.code, hint.text, hint.setting] if hint else ["-", str(error), None]
    print("\\n=>", json.dumps([source, *outcome]))
print("\\n=>", json.dumps(["tf_keras", str("tf_keras" in sys.modules), "", None]))
"""
SCENARIOS = [(line[:5], *line[6:].split(" => ")) for line in CURED.strip().splitlines()]
SWITCH = "set TF_USE_LEGACY_KERAS=1 before tensorflow is imported, or AUTOXLA_KERAS=2"
ALIAS = "start the program with AUTOXLA_KERAS=legacy, which makes keras tf_keras"
Outcomes = dict[str, tuple[str, str, "dict[str, str] | None"]]


def find_outcomes(folder: Path, imports: str, sources: list[str], **variables: str) -> Outcomes:
    """Return the code, hint and setting of each source, all in one process; the code of none is no error."""
    (folder / "scenarios.json").write_text(json.dumps(sources))
    (folder / "program.py").write_text(PROGRAM.replace("{imports}", imports))
    done = run(["-m", "autoxla", "program.py"], folder, clean_environment(**variables))
    assert done.status == 0, done.err
    lines = [json.loads(line[2:]) for line in done.out.splitlines() if line.startswith("=>")]
    return {source: (code, text, setting) for source, code, text, setting in lines}


KINDS = [("K = tf.keras", "2", SWITCH), ("import keras as K", "legacy", ALIAS)]


@pytest.mark.tensorflow
@pytest.mark.parametrize(("imports", "value", "cure"), KINDS, ids=["tf.keras", "keras"])
def test_what_only_keras_2_has_is_said_and_cured(tmp_path: Path, imports: str, value: str, cure: str) -> None:
    sources = [source for _, source, _ in SCENARIOS]
    outcomes = find_outcomes(tmp_path, imports, sources)
    assert outcomes["tf_keras"][0] == "False"
    for code, source, text in SCENARIOS:
        assert outcomes[source][0] == code, (source, outcomes[source])
        assert text in outcomes[source][1]
        assert cure in outcomes[source][1]
        assert outcomes[source][2] == {"AUTOXLA_KERAS": value}
    cured = find_outcomes(tmp_path, imports, sources, AUTOXLA_KERAS=value)
    assert cured.pop("tf_keras")[0] == "True"
    assert {source: told for source, told in cured.items() if told[0] != "no error"} == {}


@pytest.mark.tensorflow
def test_what_no_generation_has_is_not_said(tmp_path: Path) -> None:
    own = "import keras as K\nclass ModelCheckpoint:\n    def __init__(self, filepath): pass\n"
    outcomes = find_outcomes(tmp_path, own, QUIET.strip().splitlines())
    del outcomes["tf_keras"]
    said = {source: told for source, told in outcomes.items() if told[0] == "AX169" or told[2] is not None}
    assert said == {}
    assert "no error" not in {told[0] for told in outcomes.values()}


@pytest.mark.tensorflow
def test_what_only_keras_3_has_is_said_under_keras_2(tmp_path: Path) -> None:
    code = "import tensorflow as tf\ntf.keras.ops.mean([1.0])"
    outcome = run_code(f"import autoxla\n{code}", tmp_path, TF_USE_LEGACY_KERAS="1")
    assert outcome.err.splitlines()[-1] == (
        "autoxla: AX169 Keras 3 has keras.ops, Keras 2 does not: leave TF_USE_LEGACY_KERAS and AUTOXLA_KERAS "
        "unset."
    )
    assert run_code(code, tmp_path).status == 0


@pytest.mark.tensorflow
def test_a_part_of_a_path_that_only_keras_3_has_is_not_said(tmp_path: Path) -> None:
    code = "import autoxla\nfrom tensorflow.keras.wrappers.scikit_learn import KerasClassifier"
    (tmp_path / "program.py").write_text(code)
    outcome = run(["program.py"], tmp_path, clean_environment(TF_USE_LEGACY_KERAS="1"))
    assert "AX169" not in outcome.err
    assert "autoxla: AX164 Neither Keras 3 nor tf_keras has this." in outcome.err


@pytest.mark.tensorflow
def test_keras_2_has_a_version_where_autoxla_chose_it(tmp_path: Path) -> None:
    program = (
        "import tensorflow as tf\nprint(tf.keras.__version__[:2])\ntf.keras.optimizers.legacy.SGD()\n"
        "import autoxla\nautoxla.uninstall()\nprint(hasattr(tf.keras, '__version__'))\n"
    )
    (tmp_path / "program.py").write_text(program)
    for settings, status, out in (
        ({}, 0, "2.\nFalse\n"),
        ({"AUTOXLA_KERAS": "2"}, 0, "2.\nFalse\n"),
        ({"TF_USE_LEGACY_KERAS": "1"}, 1, ""),
    ):
        outcome = run(["-m", "autoxla", "program.py"], tmp_path, clean_environment(**settings))
        assert (outcome.status, outcome.out) == (status, out), outcome.err
        assert "AX113" not in outcome.err


@pytest.mark.tensorflow
def test_what_a_cure_set_is_not_said_to_be_unset(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import tensorflow as tf\ngetattr(tf.keras, 'o' + 'ps')", encoding="utf-8"
    )
    environ = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"))
    subject = subject_from([str(tmp_path / "program.py")])
    cure = Cure({"AUTOXLA_KERAS": "2"}, "TypeError: no such argument", "heal")
    keep(subject, assemble(subject, environ).situation, cure, environ)
    assert run(["-m", "autoxla", "program.py"], tmp_path, {**environ, "AUTOXLA_KERAS": "3"}).status == 0
    outcome = run(["-m", "autoxla", "program.py"], tmp_path, environ)
    assert "start the program with AUTOXLA_KERAS=3, which goes before what cured it once" in outcome.err


@pytest.mark.tensorflow
def test_what_the_program_needs_is_not_advised_against(tmp_path: Path) -> None:
    legacy = "import autoxla\nimport tensorflow as tf\ntf.keras.optimizers.legacy.Adam()\n"
    outcome = run_code(f"{legacy}getattr(tf.keras, 'o' + 'ps')", tmp_path)
    assert "autoxla: AX112 " in outcome.err
    assert "AttributeError: module " in outcome.err
    assert "AX169" not in outcome.err


#: As if tf_keras were not there.
WITHOUT = """
import keras as K
from autoxla.hooks import other_generation as other
locate, find_versions = other.locate, other.find_versions
other.locate = lambda name, path: None if name == "tf_keras" else locate(name, path)
other.find_versions = lambda path: {k: v for k, v in find_versions(path).items() if k != "tf-keras"}
"""
#: Of which TensorFlow's own copy of Keras 2 knows nothing, or which is no part of a class.
UNKNOWN = ("K.layers.experimental", "K.backend")


@pytest.mark.tensorflow
def test_without_tf_keras_it_is_said_how_to_install_it(tmp_path: Path) -> None:
    quiet = QUIET.strip().splitlines()
    outcomes = find_outcomes(tmp_path, WITHOUT, [*(source for _, source, _ in SCENARIOS), *quiet])
    assert {outcomes[source][0] for source in quiet} <= {"-", "AX165", "AX166", "AX163", "AX164", "no error"}
    mixed = outcomes["from keras.mixed_precision import experimental"][1]
    assert mixed.startswith("Neither Keras 3 nor tf_keras has this module.")
    compared = [each for each in SCENARIOS if each[0] == "AX169" and not each[1].startswith(UNKNOWN)]
    for code, source, text in compared:
        assert outcomes[source][0] == code, (source, outcomes[source])
        assert text in outcomes[source][1]
    assert {told[2] for told in outcomes.values()} == {None}
    release = outcomes["K.optimizers.Adam().lr"][1].partition(": ")[2]
    assert release.startswith("pip install 'tf-keras==2.")
    assert release.endswith(f".*'; then {ALIAS}.")


@pytest.mark.tensorflow
def test_a_tf_keras_of_another_release_is_told(tmp_path: Path) -> None:
    """The package is a double, which fails as the real one of 2.15 does beside TensorFlow 2.21."""
    (tmp_path / "tf_keras").mkdir()
    failing = "import tensorflow.compat.v2 as tf\ntf.__internal__.register_load_context_function_of_old\n"
    (tmp_path / "tf_keras" / "__init__.py").write_text(failing)
    (tmp_path / "tf_keras-2.15.0.dist-info").mkdir()
    metadata = "Metadata-Version: 2.1\nName: tf-keras\nVersion: 2.15.0\n"
    (tmp_path / "tf_keras-2.15.0.dist-info" / "METADATA").write_text(metadata)
    outcome = run_code("import autoxla, tf_keras", tmp_path)
    said = "autoxla: AX186 The installed tf_keras was made for another release of TensorFlow: pip install "
    assert outcome.err.splitlines()[-1].startswith(f"{said}'tf-keras==2.")


@pytest.mark.tensorflow
def test_the_error_of_a_cell_has_its_note(tmp_path: Path) -> None:
    code = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance(colors="NoColor")
for cell in ("%load_ext autoxla", "import tensorflow as tf", "tf.keras.optimizers.Adam().lr"):
    shell.run_cell(cell, store_history=True)
"""
    outcome = run(["-c", code], tmp_path, clean_environment(IPYTHONDIR=str(tmp_path / "ipython")))
    assert f"autoxla: AX169 Keras 2 has keras.optimizers.Adam.lr, Keras 3 does not: {SWITCH}." in outcome.out


# --- The ways to the other generation

FITTING = {"tensorflow": (2, 21, 0), "tf-keras": (2, 21, 0), "keras": (3, 15, 1)}


def way_of(monkeypatch: pytest.MonkeyPatch, source: str, folder: Path, **versions: tuple[int, ...]) -> object:
    """Return how a program whose failing function is ``source`` gets Keras 2."""
    monkeypatch.setattr(other_generation, "find_versions", lambda _: {**FITTING, **versions})
    file = folder / f"train_{len(list(folder.iterdir()))}.py"  # its lines are cached by its name
    file.write_text(f"{source}\nraise ValueError\n")
    with pytest.raises(ValueError, match="") as caught:
        exec(compile(file.read_text(), str(file), "exec"), {"__name__": "train"})  # noqa: S102
    caught.value.__traceback__ = caught.value.__traceback__ and caught.value.__traceback__.tb_next
    way = find_way(caught.value, "keras")
    return way and (way.text, way.setting)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder, and put empty packages in the place of those that programs import."""
    for name in ("tensorflow", "keras", "tf_keras"):
        (tmp_path / f"{name}.py").write_text("")
    for name in ("TF_USE_LEGACY_KERAS", "AUTOXLA_KERAS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_imports_choose_the_way(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = {
        "import tensorflow as tf": (SWITCH, {"AUTOXLA_KERAS": "2"}),
        "from tensorflow.keras import layers": (SWITCH, {"AUTOXLA_KERAS": "2"}),
        "import tensorflow as tf, keras": (ALIAS, {"AUTOXLA_KERAS": "legacy"}),
        "import tf_keras": (
            "take it from tf_keras, or move the source: python -m autoxla migrate --to legacy",
            None,
        ),
    }
    for source, way in ways.items():
        assert way_of(monkeypatch, f"if False:\n    {source}", empty) == way


def test_what_is_set_already_stands(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = "if False:\n    import tensorflow as tf"
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    assert way_of(monkeypatch, source, empty) == (SWITCH, None)
    monkeypatch.setenv("AUTOXLA_KERAS", "3")
    monkeypatch.delenv("TF_USE_LEGACY_KERAS")
    assert way_of(monkeypatch, source, empty) == (SWITCH, None)


def test_a_release_that_does_not_fit_is_installed_first(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    way = way_of(monkeypatch, "if False:\n    import keras", empty, **{"tf-keras": (2, 15, 0)})
    assert way == (f"pip install 'tf-keras==2.21.*'; then {ALIAS}", None)
    assert find_fitting_release() == "pip install 'tf-keras==2.21.*'"


# --- What the source of a package shows

PACKAGE = {
    "__init__": "from made import layers\nfrom made.src.base import Base\n",
    "layers/__init__": "from made.src.dense import Dense\nfrom made.src.dense import Dense as Other\n",
    "src/__init__": "",
    "src/base": """
class Base(elsewhere.Thing):
    known = 1
    def __init__(self, name=None, **kwargs):
        self.kept = name
        self.first = kwargs.get("weights")
        self._take(kwargs)
        if kwargs.pop("refused", None):
            raise ValueError
        kwargs.pop("unused", None)
    def _take(self, options):
        self.taken = options.pop("handed", None)
        self.rate = options.pop("lr", None)
    def gone(self):
        \"\"\"Say that it went.\"\"\"
        raise NotImplementedError
    def add(self, name, shape=None, *, dtype=None):
        other.stored = 1
        self.late = 1
""",
    "src/dense": """
from made.src import base
class Dense(base.Base):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
    if True:
        def chosen(self): pass
class Closed(base.Base):
    def __init__(self, **kwargs):
        self.mine = kwargs.get("mine")
        super().__init__()
def function(x, *, y): pass
""",
}


@pytest.fixture
def made(tmp_path: Path) -> Source:
    """Return a small package's source."""
    for name, text in PACKAGE.items():
        file = tmp_path / "made" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return Source(tmp_path / "made")


def test_public_names_are_found(made: Source) -> None:
    names = ("layers", "layers.Dense", "layers.Other", "Base", "layers.Base", "layers.Dense.units", "nothing")
    found = [made.find(name) for name in names]
    assert [getattr(each and each.node, "name", each and each.module) for each in found] == [
        *("made.layers", "Dense", "Dense", "Base"),
        *(None, None, None),
    ]


def test_attributes_are_found(made: Source) -> None:
    dense = made.find("layers.Dense")
    assert dense is not None
    names = ("known", "kept", "add", "chosen", "first", "gone", "stored", "late", "taken", "nothing")
    assert [name for name in names if made.has(dense, name)] == ["known", "kept", "add", "chosen", "first"]


def test_arguments_are_found(made: Source) -> None:
    dense, closed, function = (made.find(f"src.dense.{name}") for name in ("Dense", "Closed", "function"))
    assert dense is not None and closed is not None and function is not None
    names = ("units", "name", "weights", "handed", "lr", "refused", "unused", "nothing", "mine")
    assert [name for name in names if made.takes(dense, "__init__", name)] == [
        "units",
        "name",
        "weights",
        "handed",
    ]
    assert [name for name in names if made.takes(closed, "__init__", name)] == ["mine"]
    assert [name for name in ("x", "y", "z") if made.takes(function, "", name)] == ["x", "y"]
    assert not made.takes(dense, "gone", "name")


def test_a_file_that_is_no_python_is_left_out(made: Source, tmp_path: Path) -> None:
    (tmp_path / "made" / "src" / "base.py").write_text("class (")
    dense = made.find("layers.Dense")
    assert dense is not None
    assert not made.has(dense, "known")
