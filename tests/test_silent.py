"""What Keras 2 did and Keras 3 leaves undone without an error: in the source, and while a program runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoxla.hooks.keras_internals import SET_IN_VAIN
from autoxla.model import Finding, Settings, Situation, Usage
from autoxla.policies import decide
from autoxla.policies.usage import summarise
from programs import Outcome, clean_environment, run, run_code
from test_lookahead import read
from test_usage import VERSIONS

HEAD = "import sys\nimport tensorflow as tf\n"
NET = (
    "net = tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(1)])\n"
    'net.compile("sgd", "mse", metrics=["mae", "mape"])\n'
)


def find(folder: Path, code: str, codes: tuple[str, ...] = ("AX195", "AX196", "AX197")) -> list[Finding]:
    """Return what the source of a program tells under current releases."""
    reading = read(folder, code)
    usage = summarise(reading, VERSIONS, Usage())
    plan = decide(Situation(versions=VERSIONS, settings=Settings(), reading=reading, usage=usage))
    return [finding for finding in plan.findings if finding.code in codes]


#: Lines behind `HEAD` and `NET`, with what is told of the last one.
CERTAIN = {
    "rate of an optimizer": ("o = tf.keras.optimizers.SGD(0.1)\no.lr = 0.2", "AX195"),
    "rate of a model's optimizer": ("net.optimizer.lr = 0.2", "AX195"),
    "by setattr": ("setattr(net.optimizer, 'lr', 0.2)", "AX195"),
    "in a function": ("def slow(o):\n    o.lr = 0.2\nslow(net.optimizer)", "AX195"),
    "of a container": ("parts = {'a': tf.keras.optimizers.SGD()}\nparts['a'].lr = 0.2", "AX195"),
    "name of a model": ("net._name = 'student'", "AX195"),
}
#: What may be an object of Keras 3.
POSSIBLE = {
    "in a callback": (
        "class Slow(tf.keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None): self.model.optimizer.lr = 0.2",
        "AX195",
    ),
    "under a condition": ("if len(sys.argv) > 3: net.optimizer.lr = 0.2", "AX195"),
    "guarded by hasattr": ("if hasattr(net.optimizer, 'lr'): net.optimizer.lr = 0.2", "AX195"),
    "names of layers": ("for layer in net.layers: layer._name = 'x' + layer.name", "AX195"),
    "dictionary of metrics": (
        "print(dict(zip(net.metrics_names, net.evaluate([[1.0]], [1.0]))))",
        "AX196",
    ),
    "names that are only shown": ("print(net.metrics_names)", "AX196"),
    "own model": (
        "class Own(tf.keras.Model):\n    pass\nprint(dict(zip(Own().metrics_names, [1.0])))",
        "AX196",
    ),
}
QUIET = {
    "rate by its name": "net.optimizer.learning_rate = 0.2",
    "other objects": "class Settings: pass\ns = Settings()\ns.lr = 0.2\ns._name = 'x'",
    "own attribute": "class Slow:\n    def __init__(self, lr): self.lr = lr\nSlow(0.1)",
    "arguments": "import argparse\nargs = argparse.ArgumentParser().parse_args()\nargs.lr = 0.2",
    "evaluated by name": "print(net.evaluate([[1.0]], [1.0], return_dict=True))",
    "own list of names": "metrics_names = ['loss']\nprint(dict(zip(metrics_names, [1.0])))",
    "hard_sigmoid without a file": "tf.keras.layers.Dense(1, activation='hard_sigmoid')",
    "tf_keras": "import tf_keras\no = tf_keras.optimizers.SGD()\no.lr = 0.2",
}


@pytest.mark.parametrize("name", CERTAIN)
def test_what_certainly_does_nothing_is_a_warning(name: str, tmp_path: Path) -> None:
    line, code = CERTAIN[name]
    program = HEAD + NET + line
    (finding,) = find(tmp_path, program)
    assert (finding.code, finding.level, finding.grade) == (code, "warning", "certain")
    told = program.splitlines()[(finding.place.line or 0) - 1]
    assert "lr" in told or "_name" in told or "names" in told


@pytest.mark.parametrize("name", POSSIBLE)
def test_what_may_do_nothing_is_an_info(name: str, tmp_path: Path) -> None:
    line, code = POSSIBLE[name]
    (finding,) = find(tmp_path, HEAD + NET + line)
    assert (finding.code, finding.level, finding.grade) == (code, "info", "possible")


@pytest.mark.parametrize("name", QUIET)
def test_what_works_is_quiet(name: str, tmp_path: Path) -> None:
    assert find(tmp_path, HEAD + NET + QUIET[name]) == []


def test_an_attribute_of_keras_2_under_the_switch_is_quiet(tmp_path: Path) -> None:
    legacy = "o = tf.keras.optimizers.legacy.SGD(0.1)\no.lr = 0.2\n"
    assert find(tmp_path, HEAD + legacy + "print(dict(zip(tf.keras.Sequential().metrics_names, [])))") == []


@pytest.mark.parametrize(
    "layer", ["Dense(1, activation='hard_sigmoid')", "Activation('hard_sigmoid')", "Dense(1, 'hard_sigmoid')"]
)
def test_hard_sigmoid_beside_a_file_is_an_info(layer: str, tmp_path: Path) -> None:
    line = f"net.add(tf.keras.layers.{layer})\nnet.load_weights('old.h5')"
    (finding,) = find(tmp_path, HEAD + NET + line)
    assert (finding.code, finding.level, finding.place.line) == ("AX197", "info", 5)


# --- While a program runs

DATA = "import numpy as np\nx = np.random.rand(16, 4).astype('float32')\ny = x[:, :1]\n"
#: Programs that go wrong without a word; what stands last in each is the line that is told.
TOLD = {
    "rate, set by a callback": (
        "AX195",
        """
class Slow(tf.keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.change(self.model.optimizer)
    def change(self, optimizer):
        optimizer.lr = 0.0  # told
net.fit(x, y, verbose=0, epochs=3, callbacks=[Slow()])
assert net.optimizer.learning_rate > 0
""",
    ),
    "rate, set by a function that gets an optimizer": (
        "AX195",
        """
def set_rate(optimizer, rate):
    optimizer.lr = rate  # told
set_rate(net.optimizer, 0.0)
""",
    ),
    "rate, set by a function that gets an array": (
        "AX195",
        """
class Odd:
    def __eq__(self, other):
        raise RuntimeError
def train(data, optimizer):
    optimizer.lr = 0.0  # told
for data in (x, tf.constant(x), Odd()):
    train(data, net.optimizer)
""",
    ),
    "names of layers": (
        "AX195",
        """
for layer in net.layers:
    layer._name = "student_" + layer.name  # told
assert not net.layers[0].name.startswith("student")
""",
    ),
    "names of metrics": (
        "AX196",
        """
def report(model):
    return dict(zip(model.metrics_names, model.evaluate(x, y, verbose=0)))  # told
for model in sorted([net, net], key=id):
    assert "mape" not in report(model)
""",
    ),
}


def run_with_autoxla(code: str, folder: Path, **variables: str) -> Outcome:
    (folder / "program.py").write_text(code, encoding="utf-8")
    return run(["-m", "autoxla", "program.py"], folder, clean_environment(**variables))


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", TOLD)
def test_what_does_nothing_is_told_once_with_its_line(name: str, tmp_path: Path) -> None:
    code, lines = TOLD[name]
    program = HEAD + DATA + NET + lines
    outcome = run_with_autoxla(program, tmp_path)
    assert outcome.status == 0, outcome.err
    (notice,) = outcome.notices
    line = next(at for at, text in enumerate(program.splitlines(), 1) if text.endswith("# told"))
    assert notice.startswith(f"autoxla: {code} warning program.py:{line}:")
    assert f"; {SET_IN_VAIN['lr'][1]}" in notice or code == "AX196" or "assign name" in notice


@pytest.mark.tensorflow
def test_what_is_an_objects_own_affair_is_not_told(tmp_path: Path) -> None:
    program = """
class Own(tf.keras.optimizers.SGD):
    def __init__(self, lr):
        super().__init__(lr)
        self.lr = lr
class Named(tf.keras.layers.Dense):
    def __init__(self, name):
        super().__init__(1)
        self._name = name
class Halved(tf.keras.optimizers.SGD):
    def halve(self):
        self.lr = float(self.learning_rate) / 2
class Quarter(Halved):
    def halve(self):
        super().halve()
Quarter(0.1).halve()
class Other(tf.keras.optimizers.SGD):
    lr = property(lambda self: self.learning_rate, lambda self, rate: setattr(self, "learning_rate", rate))
assert Own(0.1).lr == 0.1 and Named("x")._name == "x"
other = Other(0.1)
setattr(other, "".join("lr"), 0.5)
assert float(other.learning_rate) == 0.5
def names(model):
    return [name for name in getattr(model, "metrics" + "_names") if name != "compile_metrics"]
assert names(net) == ["loss"]
net.layers[0]._name = net.layers[0].name
try:
    net.layers[0].variables = 3
except AttributeError as error:
    import traceback
    assert "autoxla" not in "".join(traceback.format_tb(error.__traceback__))
"""
    outcome = run_with_autoxla(HEAD + DATA + NET + program, tmp_path)
    assert (outcome.status, outcome.notices) == (0, []), outcome.err


@pytest.mark.tensorflow
def test_the_remedies_work(tmp_path: Path) -> None:
    """Each as it is printed: the attribute of Keras 3, the values by their names, the layer made anew."""
    program = """
optimizer = net.optimizer
optimizer.learning_rate = 0.0
before = net.get_weights()[0]
net.fit(x, y, verbose=0)
assert (before == net.get_weights()[0]).all()
assert sorted(net.evaluate(x, y, verbose=0, return_dict=True)) == ["loss", "mae", "mape"]
net.name = "student"
assert net.name == net.get_config()["name"] == "student"
layer = tf.keras.layers.Dense(1, dtype="mixed_float16")
layer.autocast = False
layer(x)
wide = tf.keras.models.clone_model(net, input_tensors=tf.keras.Input((None, 4)))
assert wide.input_shape == (None, None, 4)
"""
    outcome = run_code(HEAD + DATA + NET + program, tmp_path)
    assert outcome.status == 0, outcome.err
    assert set(SET_IN_VAIN) == {"lr", "_autocast", "_batch_input_shape", "_name"}


MAKE = """
import tf_keras
import numpy as np
model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Dense(3, activation="hard_sigmoid")])
model.save("old.h5")
model.save("old.keras")
model.save_weights("weights.h5")
model.save_weights("weights_by.h5")
np.save("x.npy", np.ones((2, 4)))
np.save("y.npy", model.predict(np.ones((2, 4)), verbose=0))
"""
LOAD = """
import keras, sys
import numpy as np
def load(file):
    if not file.startswith("weights"):
        return keras.models.load_model(file, compile=False)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="hard_sigmoid")])
    if file.startswith("weights_by"):
        keras.saving.load_weights(model=model, filepath=file)
    else:
        model.load_weights(file)
    return model
for file in sys.argv[1:]:
    print(np.allclose(load(file).predict(np.load("x.npy"), verbose=0), np.load("y.npy"), atol=1e-5))
"""


@pytest.mark.tensorflow
def test_hard_sigmoid_of_keras_2_is_told_and_the_alias_computes_it(tmp_path: Path) -> None:
    assert run_code(MAKE, tmp_path).status == 0
    (tmp_path / "load.py").write_text(LOAD, encoding="utf-8")
    files = ["old.h5", "old.keras", "weights.h5", "weights_by.h5"]
    for file in files:
        outcome = run(["-m", "autoxla", "load.py", file], tmp_path, clean_environment())
        assert outcome.out == "False\n", outcome.err
        (notice,) = outcome.notices
        assert "AX197 warning load.py" in notice
        assert "AUTOXLA_KERAS=legacy" in notice
    environment = clean_environment(AUTOXLA_KERAS="legacy")
    outcome = run(["-m", "autoxla", "load.py", *files[:3]], tmp_path, environment)
    assert outcome.out == "True\n" * 3, outcome.err


@pytest.mark.tensorflow
def test_hard_sigmoid_of_keras_3_is_not_told(tmp_path: Path) -> None:
    make = (
        MAKE.replace("tf_keras", "keras").replace("weights.h5", "x.weights.h5").replace("_by", "_by.weights")
    )
    assert run_code(make, tmp_path).status == 0
    (tmp_path / "load.py").write_text(LOAD, encoding="utf-8")
    outcome = run(["-m", "autoxla", "load.py", "old.h5", "old.keras"], tmp_path, clean_environment())
    assert (outcome.out, outcome.notices) == ("True\n" * 2, []), outcome.err


#: What stands at the places where something is hung, and how often a step passes there.
LOOK = """
from keras.src.layers.layer import Layer
from keras.src.optimizers.base_optimizer import BaseOptimizer
from keras.src.trainers.trainer import Trainer
def look():
    found = [Layer.__setattr__, BaseOptimizer.__setattr__, vars(Trainer)["metrics_names"].fget]
    return [f"{each.__code__.co_filename}:{each.__name__}" for each in found]
"""


@pytest.mark.tensorflow
def test_observe_and_uninstall_leave_keras_as_it_is(tmp_path: Path) -> None:
    plain = run_code(f"import json, keras\n{LOOK}\nprint(json.dumps(look()))", tmp_path).last
    program = f"import json, keras, autoxla\n{LOOK}\nprint(json.dumps(look()))"
    assert run_with_autoxla(program, tmp_path, AUTOXLA="observe").last == plain
    program = f"import json, keras, autoxla\n{LOOK}\nhung = look()\nautoxla.uninstall()\n"
    hung, left = run_with_autoxla(program + "print(json.dumps([hung, look()]))", tmp_path).last
    assert all("hooks/keras.py" in each for each in hung[:2])
    assert left == plain


@pytest.mark.tensorflow
def test_a_step_does_not_pass_what_is_hung(tmp_path: Path) -> None:
    program = f"""
import json
{LOOK}
counts = []
def count(owner):
    original = owner.__setattr__
    def counting(self, name, value):
        counts.append(name)
        original(self, name, value)
    owner.__setattr__ = counting
count(Layer), count(BaseOptimizer)
def passed(steps):
    counts.clear()
    net.fit(np.tile(x, (steps, 1)), np.tile(y, (steps, 1)), verbose=0, batch_size=16)
    return len(counts)
passed(1)
print(json.dumps([passed(1), passed(20)]))
"""
    few, many = run_with_autoxla(HEAD + DATA + NET + program, tmp_path).last
    assert few == many
