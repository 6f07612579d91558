"""The trial within ``fit``: that nothing is lost by it, who is left alone, and what it does when things fail.

What decides is forced in most of these programs (`trial_parity.force`), since which path is faster on the
day must not decide whether a test passes.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from programs import HOME, Outcome, clean_environment, run, run_code

PARITY = Path(__file__).with_name("trial_parity.py")
SCENARIOS = {
    "basic": True,
    "class_weight": True,
    "sample_weight": True,
    "unknown length": True,
    "steps_per_epoch": True,
    "EarlyStopping": True,
    "stop_training": True,
    "KeyboardInterrupt": True,
    "checkpoint": True,
    "train_on_batch": True,
    "evaluate and predict": True,
    "train_step": True,
    "LR schedule": True,
    "two inputs": True,
    "mixed precision": True,
    "other data": True,
    "short fits": True,
    "by its handle": False,
    "steps_per_execution": False,
    "run_eagerly": False,
    "sparse": False,
    "numpy_function": False,
}
pytestmark = pytest.mark.tensorflow


def start(folder: Path, code: str, **variables: str) -> Outcome:
    """Run ``code`` as a program under the launcher; ``trial_parity`` can be imported in it."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    path = os.pathsep.join([str(HOME), str(PARITY.parent)])
    # A cache of its own: what one program taught must not reach another.
    kept = {"PYTHONPATH": path, "AUTOXLA_CACHE": str(folder / "cache")}
    environment = clean_environment(**{**kept, **variables})
    return run(["-m", "autoxla", "program.py"], folder, environment, limit=300)


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what all scenarios left behind in one generation of Keras."""
    folder = tmp_path_factory.mktemp("parity")
    environment = clean_environment(AUTOXLA_DEBUG="1", TF_CPP_MIN_LOG_LEVEL="3")
    outcome = run(["-m", "autoxla", str(PARITY), request.param], folder, environment, limit=600)
    assert outcome.status == 0, outcome.err[-3000:]
    assert "AX901" not in outcome.err
    return {"generation": request.param, **outcome.last}


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost(results: dict[str, Any], name: str) -> None:
    """Weights, iterations, metrics and callbacks are those of a run without a trial."""
    plain, trial = results[name]["plain"], results[name]["trial"]
    assert plain["outcome"] is None
    # Keras 2 keeps no trace of a step over a batch, and another one would run the program's Python again.
    switches = SCENARIOS[name] and results["generation"] == "keras"
    assert (trial["outcome"] == "switched to xla") == switches, trial["obstacle"]
    assert trial["own_function"]
    assert trial["calls"] == plain["calls"]
    # At the end of a data set of unknown length the graph may count an iteration more, XLA never does.
    if name != "unknown length":
        assert trial["iterations"] == plain["iterations"]
    tolerance = 2e-2 if name == "mixed precision" else 1e-5
    for ours, theirs in zip(trial["weights"], plain["weights"], strict=True):
        assert ours == pytest.approx(theirs, rel=tolerance, abs=tolerance)
    assert trial["history"].keys() == plain["history"].keys()
    for key, values in plain["history"].items():
        assert trial["history"][key] == pytest.approx(values, rel=10 * tolerance, abs=10 * tolerance)
    for ours, theirs in zip(trial.get("losses", []), plain.get("losses", []), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)
    assert trial.get("reached") == plain.get("reached")


def test_every_scenario_is_tested(results: dict[str, Any]) -> None:
    assert results.keys() - {"generation"} == SCENARIOS.keys()


COMMON = """
import json, sys
import trial_parity as p
from autoxla.runtime import current
from autoxla.hooks.boundary import FAULTS
from autoxla.trial import driver
keras = p.keras
p.force()
x, y = p.data()
def fit(model, **options):
    model.fit(x, y, **{"batch_size": 8, "epochs": 4, "verbose": 0, "shuffle": False, **options})
    kept = vars(model).get("_autoxla_driver")
    return kept.entry.get("outcome") if kept else None
def end(*facts):
    trials = [t.get("outcome") for t in current().trials]
    print(json.dumps({"facts": facts, "trials": trials, "faults": [f[0] for f in FAULTS.kept]}))
"""

ALONE = """
facts = {}
facts["explicit True"] = fit(p.make(jit_compile=True))
facts["explicit False"] = fit(p.make(jit_compile=False))
model = p.make(); model.jit_compile = True
facts["assigned"] = fit(model)
with p.tf.distribute.OneDeviceStrategy("/cpu:0").scope():
    model = p.make()
facts["strategy"] = fit(model)
facts["source"] = fit(p.make())
model = p.make(); model.layers[0].seed = 3
facts["layer"] = fit(model)
p.tf.random.set_seed(1)
model = p.make()
facts["global"] = fit(model)
facts["steps"] = int(model.optimizer.iterations.numpy())
p.tf.config.experimental.enable_op_determinism()
facts["determinism"] = fit(p.make())
end(facts, [f.message for f in current().findings])
"""


def test_who_is_left_alone(tmp_path: Path) -> None:
    """No switch where the program chose, has several devices, or is meant to repeat."""
    outcome = start(tmp_path, COMMON + ALONE)
    assert outcome.status == 0, outcome.err[-2000:]
    facts, messages = outcome.last["facts"]
    assert outcome.last["faults"] == []
    assert facts.pop("steps") == 48
    told = "nothing is switched in a program that is seeded ({})"
    line = next(n for n, text in enumerate((COMMON + ALONE).splitlines(), 1) if ".seed = 3" in text)
    assert facts.pop("source").endswith(f"program.py:{line})")
    assert facts.pop("layer").startswith(told.format("layer dense")[:-1])
    assert facts.pop("global") == told.format("tf.random.set_seed")
    assert set(facts.values()) == {None}
    assert any("is not switched while it runs" in message for message in messages)


@pytest.mark.parametrize(
    ("variables", "project"),
    [({"AUTOXLA": "fix"}, ""), ({"AUTOXLA": "observe"}, ""), ({}, "[tool.autoxla]\ntrial = false\n")],
)
def test_trials_can_be_switched_off(variables: dict[str, str], project: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
    code = COMMON + "import autoxla.trial\nend(fit(p.make()), 'autoxla.trial.hooks' in sys.modules)"
    outcome = start(tmp_path, code, **variables)
    assert outcome.status == 0, outcome.err[-2000:]
    assert outcome.last["facts"][0] is None
    assert outcome.last["trials"] == []


FAULTS = """
import autoxla.trial.driver as d
def broken(*_):
    raise RuntimeError("made up")
model = p.make()
first = fit(model)
d.find_obstacle = broken
fit(p.make())
d.find_obstacle = lambda *_: None
d.find_step, kept = broken, d.find_step
fit(p.make())
d.find_step = kept
d.judge, kept = broken, d.judge
fit(p.make())
d.judge = kept
d.Decisions.keep = broken
fit(p.make())
class Failing:
    def __init__(self, run):
        self.run, self.calls, self.check = run, 0, run.check
    def __call__(self, batch):
        self.calls += 1
        if self.calls > 4:
            raise p.tf.errors.InternalError(None, None, "made up")
        return self.run(batch)
take_up = d.Driver._take_up
def take_up_failing(self, dispatch):
    self._compiled = Failing(self._compiled)
    take_up(self, dispatch)
d.Driver._take_up = take_up_failing
model = p.make()
failed = fit(model)
end(first, failed, int(model.optimizer.iterations.numpy()))
"""


def test_faults_end_the_trial_and_nothing_else(tmp_path: Path) -> None:
    """What breaks in a trial is one line; a batch on which XLA fails trains the model all the same."""
    outcome = start(tmp_path, COMMON + FAULTS, AUTOXLA_CACHE=os.devnull)
    assert outcome.status == 0, outcome.err[-2000:]
    first, failed, iterations = outcome.last["facts"]
    assert first == "switched to xla"
    assert failed == "the step failed under XLA: made up"
    assert iterations == 48
    assert outcome.last["faults"] == ["trial"] * 3
    assert sum("AX901" in line for line in outcome.notices) == 1


SHAPES = """
def rows():
    for _ in range(30):
        yield x[:8], y[:8]
    for size in range(1, 9):
        for _ in range(3):
            yield x[:size], y[:size]
specs = (p.tf.TensorSpec((None, p.WIDTH), p.tf.float32), p.tf.TensorSpec((None, 3), p.tf.float32))
model = p.make()
model.fit(p.tf.data.Dataset.from_generator(rows, output_signature=specs), verbose=0)
outcome = vars(model)["_autoxla_driver"].entry["outcome"]
end(outcome, [f.code for f in current().findings], int(model.optimizer.iterations.numpy()))
"""


def test_a_stream_of_shapes_ends_xla(tmp_path: Path) -> None:
    outcome = start(tmp_path, COMMON + SHAPES)
    assert outcome.status == 0, outcome.err[-2000:]
    text, codes, iterations = outcome.last["facts"]
    assert "shapes of batches" in text
    assert codes.count("AX701") == codes.count("AX703") == 1
    assert iterations >= 54
    assert sum("AX703" in line for line in outcome.notices) == 1


RECORDS = """
outcome = fit(p.make())
model = p.make()
again = fit(model)
entry = {k: v for k, v in vars(model)["_autoxla_driver"].entry.items() if k != "samples"}
end(outcome, again, entry, [f.code for f in current().findings])
"""


def test_a_record_makes_the_winner_the_goal(tmp_path: Path) -> None:
    """The second model, and a second process, switch without a race."""
    first = start(tmp_path, COMMON + RECORDS)
    assert first.status == 0, first.err[-2000:]
    outcome, again, entry, codes = first.last["facts"]
    assert outcome == again == "switched to xla"
    assert "pairs" not in entry
    assert codes == ["AX701", "AX704"]
    second = start(tmp_path, COMMON + RECORDS)
    assert second.last["facts"][3] == ["AX704"]
    records = list((tmp_path / "cache" / "decisions").glob("*.json"))
    assert len(records) == 1
    record = json.loads(records[0].read_text())
    assert record["winner"] == "xla"
    assert record["program"] == "program.py"
    assert record["nodes"] > 100


OTHERS = """
facts = {}
made = []
def wide(width):
    layers = [keras.layers.Input((p.WIDTH,)), keras.layers.Dense(width), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    return model
for width in (16, 64):
    model = wide(width)
    fit(model)
    made.append(vars(model)["_autoxla_driver"].entry["key"])
facts["widths"] = len(set(made))
model = wide(16)
fit(model, batch_size=5)
facts["batch"] = vars(model)["_autoxla_driver"].entry["key"] == made[0]

model = p.make()
model.make_train_function()
kept, calls = model.train_function, []
def own(iterator):
    calls.append(1)
    return kept(iterator)
model.train_function = own
fit(model)
facts["own function"] = len(calls)

model = p.make()
model.jit_compile = True
current().left_open[model] = True
facts["graph"] = fit(model)
entry = vars(model)["_autoxla_driver"].entry
facts["entry"] = {name: entry.get(name) for name in ("incumbent", "winner")}
end(facts)
"""


def test_what_is_told_apart(tmp_path: Path) -> None:
    """Widths, sizes of batches, functions of the program's own; and the graph as XLA's challenger."""
    outcome = start(tmp_path, COMMON + OTHERS)
    assert outcome.status == 0, outcome.err[-2000:]
    facts = outcome.last["facts"][0]
    assert facts["widths"] == 2
    assert not facts["batch"]
    assert facts["own function"] == 48
    assert facts["graph"].startswith("the plain graph needs another trace")
    assert facts["entry"] == {"incumbent": "xla", "winner": None}
    assert outcome.last["faults"] == []


RECURRENT = """
model = keras.Sequential([
    keras.layers.Input((None, 3)),
    keras.layers.Bidirectional(keras.layers.GRU(4)),
    keras.layers.Dense(3),
])
model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
x, y = x[:80].reshape(-1, 6, 1).repeat(3, 2), y[:80]
end(fit(model))
"""


def test_a_loop_that_xla_cannot_take_from_the_trace_is_not_traced_for_it(tmp_path: Path) -> None:
    """Another trace would read the program's Python state a second time."""
    outcome = start(tmp_path, COMMON + RECURRENT)
    assert outcome.status == 0, outcome.err[-2000:]
    assert "a second time" in outcome.last["facts"][0] or "TensorList" in outcome.last["facts"][0]


CHECKED = """
import tensorflow as tf
layers = keras.layers
def train(x, y, *middle, loss="mse", first=()):
    model = keras.Sequential([*first, *middle, layers.Flatten(), layers.Dense(3)])
    model.compile("adam", loss)
    model.fit(x, y, batch_size=8, epochs=4, verbose=0)
    return vars(model)["_autoxla_driver"].entry["outcome"]
def divide(x):
    return x * tf.cast(7 // tf.cast(x, tf.int32), tf.float32)
def by_size(x):
    return x * tf.cast(7 // tf.shape(x)[1], tf.float32)
def check(x):
    return tf.debugging.check_numerics(x, "bad")
labels = y.argmax(1)
sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
facts = {
    "plain": train(x, y),
    "label": train(x, labels, loss=sparse),
    "token": train(x + 1, y, layers.Embedding(9, 4)),
    "division": train(x + 3, y, layers.Lambda(divide)),
    "division by size": train(x, y, layers.Lambda(by_size)),
    "check": train(x, y, layers.Lambda(check)),
}
end(facts)
"""


def test_no_switch_where_xla_would_drop_a_check(tmp_path: Path) -> None:
    """Where TensorFlow raises for a batch, XLA must not train on it; what hangs on shapes is harmless."""
    outcome = start(tmp_path, COMMON + CHECKED)
    assert outcome.status == 0, outcome.err[-2000:]
    facts = outcome.last["facts"][0]
    assert facts.pop("plain") == facts.pop("division by size") == "switched to xla"
    operations = {
        "label": "SparseSoftmaxCrossEntropyWithLogits", "token": "GatherV2", "division": "FloorDiv",
        "check": "CheckNumerics",
    }  # fmt: skip
    told = "TensorFlow checks an operand of {} in each step, XLA would not"
    assert facts == {name: told.format(operation) for name, operation in operations.items()}


FORWARD = """
import numpy as np
from autoxla.trial import economics, forward
from autoxla.trial.executables import Copies
from autoxla.trial.steps import find_step
driver.Decisions.find = lambda *_: None
forward.Dispatch = p.Waiting
economics.pays_forward = lambda *_: True
gains = economics.Prior(0.9, 0.7, measured=True)
plain = p.make(jit_compile=False)
fit(plain)
facts = {}
def train(name, prior, pays=True, race=forward.Forward.race):
    economics.expect_by_forward = lambda *_: prior
    driver.pays, forward.Forward.race = lambda *_: pays, race
    model = p.make()
    outcome = fit(model)
    entry = vars(model)["_autoxla_driver"].entry
    same = [np.allclose(a, b, rtol=1e-4, atol=1e-4) for a, b in zip(model.get_weights(), plain.get_weights())]
    steps = int(model.optimizer.iterations.numpy())
    facts[name] = [outcome, "forward_ms" in entry, "compile_s" in entry, all(same), steps]
train("gains", gains)
train("loses", None)
train("too late", gains, pays=False)
def broken(self):
    raise RuntimeError("made up")
train("broken", gains, race=broken)
def none(*_):
    raise ValueError("no half")
driver.Forward = none
train("none", gains)
# The half is the model's own loss in training, on copies.
model = p.make()
model.fit(x[:8], y[:8], batch_size=8, verbose=0)
specs = (p.tf.TensorSpec((None, x.shape[1]), p.tf.float32), p.tf.TensorSpec((None, 3), y.dtype))
step = find_step(model, model.train_function, specs)
before = model.get_weights()
half = p.tf.function(forward.cut(step.concrete, Copies(step.concrete).captured))
ends = half(p.tf.constant(x[:8]), p.tf.constant(y[:8]))
total, rows = sorted(map(float, ends))
facts["copies"] = all((a == b).all() for a, b in zip(before, model.get_weights()))
facts["loss"] = [total / rows, float(model.compute_loss(x[:8], y[:8], model(x[:8], training=True)))]
end(facts)
"""


def test_the_forward_half_is_tried_first(tmp_path: Path) -> None:
    """Where it gains, the whole step is compiled, where it loses, never; training is the same."""
    outcome = start(tmp_path, COMMON + FORWARD)
    assert outcome.status == 0, outcome.err[-2000:]
    facts = outcome.last["facts"][0]
    assert facts["gains"] == ["switched to xla", True, True, True, 48]
    assert facts["loses"][0].startswith("graph kept: the forward pass takes")
    assert facts["loses"][1:] == [True, False, True, 48]
    assert "make up for its compile" in facts["too late"][0]
    assert facts["too late"][1:] == [True, False, True, 48]
    assert facts["broken"][1:] == [False, False, True, 48]
    assert facts["none"] == ["switched to xla", False, True, True, 48]
    assert outcome.last["faults"] == ["trial"]
    assert facts["copies"] is True
    assert facts["loss"][0] == pytest.approx(facts["loss"][1], rel=1e-4)


HALVES = """
import json, sys, time
import numpy as np
import tensorflow as tf
from autoxla.trial.forward import Forward
from autoxla.trial.steps import find_step
keras = __import__(sys.argv[1])
layers = keras.layers
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
class Nested(layers.Layer):
    @tf.function
    def twice(self, x):
        return 2 * tf.nn.relu(x)
    def call(self, x):
        return self.twice(x)
class TwoTapes(keras.Model):
    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(8), layers.Dense(3)
    def call(self, x):
        return self.second(self.first(x))
    def train_step(self, data):
        losses = []
        for part in (self.first, self):
            with tf.GradientTape() as tape:
                losses.append(tf.reduce_mean(part(data[0]) ** 2))
            variables = part.trainable_variables
            for variable, slope in zip(variables, tape.gradient(losses[-1], variables)):
                variable.assign_sub(0.01 * slope)
        return {"loss": losses[0] + losses[1]}
def make(*middle, first=None):
    first = first or [layers.Input((8,)), layers.Dense(16, activation="relu")]
    model = keras.Sequential([*first, *middle, layers.Dense(3)])
    model.compile("adam", loss)
    return model
def half(model, x):
    data = tf.data.Dataset.from_tensor_slices((x, np.arange(32) % 3)).batch(8)
    model.fit(data, verbose=0)
    step = find_step(model, model.train_function, data.element_spec)
    before = model.get_weights()
    forward = Forward(step.concrete, tf.nest.flatten(next(iter(data))))
    while not forward.poll():
        time.sleep(0.01)
    pairs = forward.race()
    forward.release()
    same = all((a == b).all() for a, b in zip(before, model.get_weights()))
    return [len(pairs) > 0, same]
rows = np.random.rand(32, 8).astype("float32")
words = [layers.Input((4,), dtype="int32"), layers.Embedding(50, 8), layers.GlobalAveragePooling1D()]
two = TwoTapes()
two.compile("sgd")
facts = {
    "random": half(make(layers.Dropout(0.3), layers.BatchNormalization()), rows),
    "embedding": half(make(first=words), (rows[:, :4] * 50).astype("int32")),
    "nested function": half(make(Nested()), rows),
    "two tapes": half(two, rows),
}
keras.mixed_precision.set_global_policy("mixed_float16")
facts["mixed precision"] = half(make(), rows)
print(json.dumps(facts))
"""


@pytest.mark.parametrize("package", ["keras", "tf_keras"])
def test_the_forward_half_of_unusual_steps(package: str, tmp_path: Path) -> None:
    """It runs, and leaves the weights alone: those of BatchNormalization, too."""
    outcome = run_code(HALVES.replace("sys.argv[1]", repr(package)), tmp_path, AUTOXLA="off")
    assert outcome.status == 0, outcome.err[-3000:]
    assert len(outcome.last) == 5
    assert all(fact == [True, True] for fact in outcome.last.values())


EXIT = """
import os
from autoxla.trial import background, executables
driver.Background, driver.Dispatch = background.Background, executables.Dispatch
inputs = keras.layers.Input((16, 16, 3))
layer = inputs
for _ in range(6):
    layer = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(layer)
    layer = keras.layers.BatchNormalization()(layer)
model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(layer)))
model.compile("adam", keras.losses.CategoricalCrossentropy(from_logits=True))
images = p.np.ones((8, 16, 16, 3), "float32")
class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        kept = vars(self.model)["_autoxla_driver"]
        if kept._run == kept._watch_compile:
            print("compiling", flush=True)
            {how}
model.fit(images, y[:8], batch_size=8, epochs=500, verbose=0, callbacks=[Stop()])
print("trained")
"""


@pytest.mark.parametrize(
    ("how", "status"), [("self.model.stop_training = True", 0), ("sys.exit(3)", 3), ("1 / 0", 1)]
)
def test_exit_while_xla_compiles(tmp_path: Path, how: str, status: int) -> None:
    """The thread that compiles holds nobody up and ends with the process."""
    outcome = start(tmp_path, COMMON + EXIT.replace("{how}", how))
    assert outcome.out.startswith("compiling")
    assert outcome.status == status, outcome.err[-2000:]
    assert "terminate called" not in outcome.err


def test_an_exception_in_a_step_shows_no_frame_of_ours(tmp_path: Path) -> None:
    code = (
        COMMON
        + """
import traceback
model = p.make()
fit(model)
try:
    model.fit(x, y + 1000, batch_size=8, verbose=0)
except Exception as error:
    frames = [f.filename for f in traceback.extract_tb(error.__traceback__)]
    end(type(error).__name__, [name for name in frames if "autoxla" in name and "program" not in name])
else:
    end("none", [])
"""
    )
    outcome = start(tmp_path, code)
    assert outcome.status == 0, outcome.err[-2000:]
    # XLA and the CPU kernel treat labels out of range differently: NaN or an error; neither is ours.
    assert outcome.last["facts"][1] == []


DROPPED = """
import gc, json, time, weakref
import tensorflow as tf
from autoxla.trial import executables

weights = tf.Variable(tf.ones((100, 100)))

@tf.function(jit_compile=True)
def multiply(x):
    return x @ weights

@tf.function
def fail(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, 0.0)]):
        return tf.identity(x)

def dispatch(function):
    x = tf.ones((100, 100))
    return executables.Dispatch(function.get_concrete_function(tf.TensorSpec(x.shape)), [x])

def wait():
    deadline = time.monotonic() + 60
    while executables._running and time.monotonic() < deadline:
        executables._reap()
        time.sleep(0.01)

first = weakref.ref(dispatch(multiply))
gc.collect()
facts = [first() is not None, len(executables._running)]
wait()
gc.collect()
facts += [first() is None, len(executables._running)]
failed = dispatch(fail)
wait()
for _ in range(2):
    try:
        failed.poll()
    except tf.errors.InvalidArgumentError as error:
        facts.append(type(error).__name__)
left = dispatch(multiply)  # runs when the interpreter ends
print(json.dumps(facts))
"""


def test_what_runs_stays_until_it_is_done(tmp_path: Path) -> None:
    """Whoever drops it; and who still waits for it hears how it ended."""
    outcome = start(tmp_path, DROPPED)
    assert outcome.status == 0, outcome.err
    assert outcome.last == [True, 1, True, 0, "InvalidArgumentError", "InvalidArgumentError"]
