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

from programs import HOME, Outcome, clean_environment, run

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


def start(folder: Path, code: str, *arguments: str, **variables: str) -> Outcome:
    """Run ``code`` as a program under the launcher; ``trial_parity`` can be imported in it."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    path = os.pathsep.join([str(HOME), str(PARITY.parent)])
    # A cache of its own: what one program taught must not reach another.
    kept = {"PYTHONPATH": path, "AUTOXLA_CACHE": str(folder / "cache")}
    environment = clean_environment(**{**kept, **variables})
    return run(["-m", "autoxla", "program.py", *arguments], folder, environment, limit=300)


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
    assert (trial["outcome"] == "switched to xla") == SCENARIOS[name], trial["outcome"]
    assert trial["own_function"]
    assert trial["calls"] == plain["calls"]
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
    assert messages == []


DEVICES = """
import importlib
from types import SimpleNamespace
from autoxla.trial import eligibility, survey
tf = p.tf
model = p.make()
facts = [eligibility.find_obstacle(model, current())]
real = tf.config.list_physical_devices
gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
tf.config.list_physical_devices = lambda kind=None: [*real(kind), gpu]
facts += [eligibility.find_obstacle(model, current()), fit(model)]
library = importlib.import_module("tensorflow.python.client.device_lib")
library.list_local_devices = lambda: [SimpleNamespace(name="/device:GPU:0", memory_limit=1000)]
tf.config.experimental.get_memory_info = lambda name: {"GPU:0": {"current": 600, "peak": 700}}[name]
facts.append(survey.free_on_device("/job:localhost/replica:0/task:0/device:GPU:0"))
end(*facts)
"""


def test_no_trial_beside_an_accelerator_unless_asked_for(tmp_path: Path) -> None:
    """What is free is asked of the device."""
    for project, told in (("", "an accelerator is present"), ("[tool.autoxla]\ntrial = true\n", None)):
        (tmp_path / "pyproject.toml").write_text(project, encoding="utf-8")
        outcome = start(tmp_path, COMMON + DEVICES)
        assert outcome.status == 0, outcome.err[-2000:]
        before, obstacle, trained, free = outcome.last["facts"]
        assert (before, free) == (None, 400)
        assert obstacle is told if told is None else told in obstacle
        assert trained == (None if told else "switched to xla")


FLAGS = """
from autoxla.trial import eligibility
model = p.make()
outcome = fit(model)
end(outcome, eligibility.find_obstacle(model, current()))
"""


def test_no_trial_where_xla_would_end_the_process(tmp_path: Path) -> None:
    """By a flag that this build does not have, from the start or set in the program."""
    flag = "--xla_gpu_enable_triton_softmax_fusion=true"
    outcome = start(tmp_path, COMMON + FLAGS, XLA_FLAGS=flag)
    assert outcome.status == 0, outcome.err[-2000:]
    trained, obstacle = outcome.last["facts"]
    assert trained is None
    assert "xla_gpu_enable_triton_softmax_fusion" in obstacle
    late = f"import os\nos.environ['XLA' + '_FLAGS'] = {flag!r}\n"
    outcome = start(tmp_path, COMMON + late + FLAGS)
    assert outcome.status == 0, outcome.err[-2000:]
    assert outcome.last["facts"][0] is None


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
        self.run, self.calls = run, 0
    def __call__(self, batch):
        self.calls += 1
        if self.calls > 4:
            raise p.tf.errors.InternalError(None, None, "made up")
        return self.run(batch)
class Racing(d.Racing):
    def __init__(self, driver, known, challenger):
        challenger.compiled = Failing(challenger.compiled)
        super().__init__(driver, known, challenger)
d.Racing = Racing
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
specs = (p.tf.TensorSpec((None, p.WIDTH), p.tf.float32), p.tf.TensorSpec((None,), p.tf.int64))
model = p.make()
model.fit(p.tf.data.Dataset.from_generator(rows, output_signature=specs), verbose=0)
outcome = vars(model)["_autoxla_driver"].entry["outcome"]
end(outcome, [f.code for f in current().findings], int(model.optimizer.iterations.numpy()))
"""


def test_a_stream_of_shapes_ends_xla(tmp_path: Path) -> None:
    outcome = start(tmp_path, COMMON + SHAPES)
    assert outcome.status == 0, outcome.err[-2000:]
    text, codes, iterations = outcome.last["facts"]
    assert "of another shape" in text
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
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
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
    assert facts["graph"] == "switched to graph"
    assert facts["entry"] == {"incumbent": "xla", "winner": "graph"}
    assert outcome.last["faults"] == []


RECURRENT = """
import tensorflow as tf
calls = []
class Counting(keras.Sequential):
    def call(self, *args, **kwargs):
        calls.append(1)
        return super().call(*args, **kwargs)
rows = p.np.sin(p.np.arange(64 * 6 * 3) * 0.7).reshape(64, 6, 3).astype("float32")
def data(**options):
    return tf.data.Dataset.from_tensor_slices((rows, y[:64])).batch(8, **options)
def train(middle, data, **options):
    keras.utils.set_random_seed(1)
    model = Counting([keras.layers.Input((None, 3)), *middle(), keras.layers.Dense(3)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), **options)
    calls.clear()
    model.fit(data, epochs=6, verbose=0)
    kept = vars(model).get("_autoxla_driver")
    outcome = kept.entry.get("outcome") if kept else None
    return outcome, len(calls), model.get_weights()
driver.find_seed = driver.find_global_seed = lambda *_: None
layers = {
    "GRU": lambda: [keras.layers.GRU(4)],
    "LSTM in a sequence": lambda: [keras.layers.LSTM(4, return_sequences=True), keras.layers.GRU(4)],
    "both ways": lambda: [keras.layers.Bidirectional(keras.layers.GRU(4))],
    "masked": lambda: [keras.layers.Masking(), keras.layers.LSTM(4)],
    "a cell": lambda: [keras.layers.RNN(keras.layers.LSTMCell(4))],
}
if sys.argv[1] == "tf_keras":  # one make of loop for all
    layers = {"masked": layers["masked"]}
facts = {}
for name, middle in layers.items():
    for kind, rest in (("whole", {"drop_remainder": True}), ("open", {})):
        outcome, count, weights = train(middle, data(**rest))
        _, plainly, plain = train(middle, data(**rest), jit_compile=False)
        same = all(p.np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in zip(weights, plain))
        facts[f"{name}, {kind}"] = [outcome, count == plainly, same]
end(facts)
"""


@pytest.mark.parametrize("generation", ["keras", "tf_keras"])
def test_loops_are_compiled_from_the_trace_that_is_there(generation: str, tmp_path: Path) -> None:
    """The program's Python runs as often as without a trial, if the trace knows the batch's size or not.

    The layers of tf_keras have lists without a bound in their loops: these stay with Keras' own function.
    """
    outcome = start(tmp_path, COMMON + RECURRENT, generation)
    assert outcome.status == 0, outcome.err[-2000:]
    assert outcome.last["faults"] == []
    assert len(outcome.last["facts"][0]) == {"keras": 10, "tf_keras": 2}[generation]
    for name, fact in outcome.last["facts"][0].items():
        assert fact[1:] == [True, True], name
        is_compiled = generation == "keras"
        assert fact[0] == "switched to xla" if is_compiled else "XLA cannot compile" in fact[0], name


EXIT = """
import os
from autoxla.trial import background, executables
class Held(executables.Dispatch):
    polls = 0  # a compile that takes some time, however fast the machine is
    def poll(self):
        Held.polls += 1
        return super().poll() and Held.polls > 50
driver.begin_beside, driver.Dispatch = background.begin_beside, Held
inputs = keras.layers.Input((16, 16, 3))
layer = inputs
for _ in range(6):
    layer = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(layer)
    layer = keras.layers.BatchNormalization()(layer)
model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(layer)))
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
images = p.np.ones((8, 16, 16, 3), "float32")
class Stop(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        kept = vars(self.model)["_autoxla_driver"]
        if {moment}:
            print("now", flush=True)
            {how}
model.fit(images, y[:8], batch_size=8, epochs=500, verbose=0, callbacks=[Stop()])
print("trained")
"""


#: When the program ends: while a thread looks at the step, makes the challenger, or TensorFlow compiles it.
MOMENTS = {
    "surveying": "type(kept.state).__name__ == 'Surveying'",
    "making": "type(kept.state).__name__ == 'Compiling' and not kept.state._job.done()",
    "compiling": "type(kept.state).__name__ == 'Compiling' and kept.state._job.done()",
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(
    ("how", "status"), [("self.model.stop_training = True", 0), ("sys.exit(3)", 3), ("1 / 0", 1)]
)
def test_exit_while_a_thread_works(tmp_path: Path, how: str, status: int, moment: str) -> None:
    """Neither crashes nor hangs the process, and the compile holds nobody up."""
    code = EXIT.replace("{how}", how).replace("{moment}", MOMENTS[moment])
    outcome = start(tmp_path, COMMON + code)
    assert outcome.out.startswith("now")
    assert outcome.status == status, outcome.err[-2000:]
    assert "terminate called" not in outcome.err
    assert "AX901" not in outcome.err


@pytest.mark.parametrize("mode", ["auto", "fix"])
def test_an_exception_in_a_step_shows_no_frame_of_ours(mode: str, tmp_path: Path) -> None:
    """Neither in the traceback nor where TensorFlow says that a node was defined."""
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
    ours = [name for name in frames if "autoxla" in name and "program" not in name]
    lines = [line for line in str(error).splitlines() if "autoxla/" in line]
    end(ours, "Detected at node" in str(error), lines)
"""
    )
    outcome = start(tmp_path, code, AUTOXLA=mode)
    assert outcome.status == 0, outcome.err[-2000:]
    assert outcome.last["facts"] == [[], True, []]


DROPPED = """
import gc, json, time, weakref
import tensorflow as tf
from autoxla.runtime import current
from autoxla.trial import executables

running = current().of(executables.Running)
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
    while running and time.monotonic() < deadline:
        running.reap()
        time.sleep(0.01)

first = weakref.ref(dispatch(multiply))
gc.collect()
facts = [first() is not None, len(running)]
wait()
gc.collect()
facts += [first() is None, len(running)]
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
