"""Workers of one ``tf.distribute`` job: real processes on loopback, and the parts that need none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.model import Plan, Setting, Situation
from autoxla.report import find_differing, fingerprint
from autoxla.situation.cluster import is_of_many, name_follower
from programs import Outcome, clean_environment, run, run_code

AUTOXLA = ("-m", "autoxla")
#: Seconds after which a group of workers counts as hanging.
LIMIT = 150

#: Says where it is, trains, and prints what it got.
TRAIN = """
import json, os, sys
import numpy as np
import tensorflow as tf
import tf_keras as keras
strategy = tf.distribute.MultiWorkerMirroredStrategy()
print("connected", flush=True)
keras.utils.set_random_seed(1)
x = np.arange(96, dtype="float32").reshape(24, 4) / 96
options = tf.data.Options()
options.autotune.enabled = False  # its threads may hold up the end of fit for seconds
options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(12).with_options(options)
with strategy.scope():
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(4,))])
    model.compile("sgd", "mse")
loss = model.fit(data, epochs=2, verbose=0).history["loss"]
planned = sys.modules["autoxla"].plan().jit_compile if "autoxla" in sys.modules else None
print(json.dumps({"loss": loss, "jit": model.jit_compile, "planned": planned}))
"""


@dataclass(frozen=True)
class Worker:
    """One process of a group. `files` lie in its folder, by name."""

    words: Sequence[str] = AUTOXLA
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


PLAIN = Worker(words=())


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def tf_config(ports: Sequence[int], index: int) -> str:
    addresses = [f"127.0.0.1:{port}" for port in ports]
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


def start(folder: Path, worker: Worker, config: str) -> subprocess.Popen[str]:
    for name, text in {"program.py": TRAIN, **worker.files}.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, *worker.words, "program.py"],
        cwd=folder,
        env=clean_environment(TF_CONFIG=config, **worker.variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_group(folder: Path, *workers: Worker) -> list[Outcome]:
    """Run one job; a worker that hangs is killed and makes the test fail."""
    ports = free_ports(len(workers))
    started: list[subprocess.Popen[str]] = []
    try:
        for index, worker in enumerate(workers):
            started.append(start(folder / str(index), worker, tf_config(ports, index)))
        texts = [process.communicate(timeout=LIMIT) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [Outcome(p.returncode, out, err) for p, (out, err) in zip(started, texts, strict=True)]


# --- Groups of real workers


@pytest.mark.tensorflow
def test_workers_that_are_alike_train_as_without_autoxla(tmp_path: Path) -> None:
    plain = run_group(tmp_path / "plain", PLAIN, PLAIN)
    both = run_group(tmp_path / "both", Worker(), Worker())
    assert [outcome.status for outcome in plain + both] == [0] * 4, plain[0].err + both[0].err
    assert [outcome.out for outcome in both] == [outcome.out for outcome in plain]
    assert [outcome.notices for outcome in both] == [[], []]


@pytest.mark.tensorflow
def test_the_first_worker_tells_which_others_differ(tmp_path: Path) -> None:
    """By their reports, which lie beside its own. Each worker keeps to its own plan."""
    report = tmp_path / "report.json"
    both = {"AUTOXLA_REPORT": str(report)}
    first = Worker(variables={"AUTOXLA_STEP": "graph", "TF_CPP_MIN_LOG_LEVEL": "1", **both})
    other = Worker(variables={"TF_XLA_FLAGS": "--tf_xla_max_cluster_size=9", **both})
    outcomes = run_group(tmp_path, first, other)
    assert [outcome.status for outcome in outcomes] == [0, 0], outcomes[1].err
    (line,) = [line for line in outcomes[0].notices if "AX601 warning" in line]
    assert f"{report}.worker1 against {report}" in line
    assert not [line for line in outcomes[1].notices if "AX601" in line]
    assert [outcome.last["planned"] for outcome in outcomes] == [False, None]
    findings = json.loads(report.read_text(encoding="utf-8"))["findings"]
    assert "AX601" in {finding["code"] for finding in findings}


MIRRORED = """
import inspect, json, sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
import tf_keras
import numpy as np
x = np.arange(64, dtype="float32").reshape(16, 4) / 64

def build(library):
    library.utils.set_random_seed(1)
    model = library.Sequential([library.layers.Dense(1)])
    model.build((None, 4))
    model.compile("sgd", "mse")
    return model

def train(library):
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = build(library)
    options = tf.data.Options()
    options.autotune.enabled = False
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(8).with_options(options)
    loss = model.fit(data, epochs=2, verbose=0).history["loss"]
    return [strategy.num_replicas_in_sync, bool(model.jit_compile), loss]

print(json.dumps([train(keras), train(tf_keras)]))
print(inspect.signature(tf.distribute.MultiWorkerMirroredStrategy))
print(inspect.signature(tf.distribute.MultiWorkerMirroredStrategy.__init__))
"""
ASK = """
from autoxla.hooks.keras_internals import in_strategy
answers = []
for library in (keras, tf_keras):
    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        answers += [in_strategy(None), model := build(library)][:1]
    answers += [in_strategy(model), in_strategy(build(library)), in_strategy(None)]
print(json.dumps(answers))
"""


def run_mirrored(folder: Path, code: str, *words: str, **variables: str) -> Outcome:
    (folder / "program.py").write_text(code, encoding="utf-8")
    return run([*words, "program.py"], folder, clean_environment(**variables))


@pytest.mark.tensorflow
def test_mirrored_replicas_train_the_same_and_are_known_as_such(tmp_path: Path) -> None:
    plain = run_mirrored(tmp_path, MIRRORED)
    assert plain.status == 0, plain.err
    outcome = run_mirrored(tmp_path, MIRRORED + ASK, *AUTOXLA)
    assert (outcome.status, outcome.notices) == (0, []), outcome.err
    assert outcome.out.splitlines()[:-1] == plain.out.splitlines()
    assert outcome.last == [True, True, False, False] * 2
    # XLA fails there, so the settings do not turn it on either.
    wanted = run_mirrored(tmp_path, MIRRORED, *AUTOXLA, AUTOXLA_STEP="xla")
    assert (wanted.status, wanted.out) == (0, plain.out), wanted.err
    assert sum("AX603 warning" in line for line in wanted.notices) == 1


# --- Without TensorFlow


def test_without_tensorflow_there_is_no_strategy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom autoxla.hooks.keras_internals import in_strategy\n"
        "print(in_strategy(object()), 'tensorflow' in sys.modules)\n"
    )
    assert run_code(code, tmp_path).out == "False False\n"


def config_of(jobs: object, job: object, index: object) -> Mapping[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": jobs, "task": {"type": job, "index": index}})}


@pytest.mark.parametrize(
    ("jobs", "job", "index", "expected"),
    [
        ({"worker": ["a:1", "b:1"]}, "worker", 0, True),
        ({"worker": ["a:1", "b:1"]}, "worker", "1", False),
        ({"chief": ["c:1"], "worker": ["a:1"]}, "worker", 0, False),
        ({"chief": ["c:1"], "worker": ["a:1"]}, "chief", 0, True),
        ({"worker": ["a:1"], "ps": ["p:1"]}, "ps", 0, False),
        ({"worker": ["a:1"]}, "evaluator", 0, False),
        ({}, "worker", 0, True),
    ],
)
def test_one_task_leads(jobs: object, job: str, index: object, expected: bool) -> None:
    assert (name_follower(config_of(jobs, job, index)) == "") is expected


def test_the_others_follow() -> None:
    jobs = {"worker": ["a:1", "b:1"], "ps": ["p:1"], "chief": ["c:1"]}
    assert name_follower(config_of(jobs, "worker", 1)) == "worker1"


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        ({"worker": ["a:1"], "ps": ["p:1"]}, False),
        ({"worker": ["a:1"], "chief": ["c:1"]}, True),
        ({"worker": ["a:1", "b:1"]}, True),
    ],
)
def test_only_those_count_that_train(jobs: object, expected: bool) -> None:
    assert is_of_many(config_of(jobs, "worker", 0)) is expected


def test_a_task_is_a_word_for_a_file_whatever_its_job_is_called() -> None:
    assert name_follower(config_of({"worker": ["a:1"]}, "../x", 3)) == "task3"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("worker"), inner),
    max_leaves=12,
)


@given(JSON, JSON, JSON)
def test_any_cluster_is_read_or_refused(jobs: object, job: object, index: object) -> None:
    environ = config_of(jobs, job, index)
    assert name_follower(environ) == "" or name_follower(environ).isidentifier()
    assert is_of_many(environ) in (True, False)


@given(st.text() | JSON.map(json.dumps) | st.sampled_from(["[" * 100_000, '{"task": {}}', "1" * 5000]))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert name_follower({"TF_CONFIG": text}) == ""
    assert not is_of_many({"TF_CONFIG": text})


@pytest.mark.parametrize("text", ["", "null", "{", "[]", '{"cluster": {"worker": ["a:1"]}}', "[" * 100_000])
def test_no_cluster(text: str) -> None:
    assert (name_follower({"TF_CONFIG": text}), is_of_many({"TF_CONFIG": text})) == ("", False)


@pytest.mark.parametrize("index", [-1, 0.5, None, "x", "1" * 5000, [0]])
def test_an_index_that_is_none(index: object) -> None:
    environ = config_of({"worker": ["a:1", "b:1"]}, "worker", index)
    assert (name_follower(environ), is_of_many(environ)) == ("", False)


SITUATION = Situation(versions={"keras": (3, 15, 1), "numpy": (2, 0)})


def fingerprint_of(**variables: str) -> str:
    return fingerprint(replace(SITUATION, environment=variables), Plan())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}),
        ({"XLA_FLAGS": "--xla_dump_to=/a --xla_a=1"}, {"XLA_FLAGS": "--xla_dump_to=/b --xla_a=1"}),
        ({"XLA_FLAGS": "--xla_dump_to=/a"}, {}),
        ({"XLA_FLAGS": "/one/file"}, {"XLA_FLAGS": "/another/file"}),
        ({"TF_USE_LEGACY_KERAS": "1"}, {"TF_USE_LEGACY_KERAS": "True"}),
        ({"TF_USE_LEGACY_KERAS": "0"}, {}),
    ],
)
def test_in_what_workers_may_differ(one: dict[str, str], other: dict[str, str]) -> None:
    assert fingerprint_of(**one) == fingerprint_of(**other)


@pytest.mark.parametrize(
    "variables",
    [
        {"TF_XLA_FLAGS": "--tf_xla_auto_jit=1"},
        {"XLA_FLAGS": "--xla_a=1"},
        {"TF_USE_LEGACY_KERAS": "1"},
        {"KERAS_BACKEND": "jax"},
        {"ITEX_DISABLE_XLA": "1"},
    ],
)
def test_in_what_workers_may_not_differ(variables: dict[str, str]) -> None:
    assert fingerprint_of(**variables) != fingerprint_of()


def test_releases_and_the_plan_are_in_the_fingerprint() -> None:
    own = fingerprint(SITUATION, Plan())
    assert fingerprint(replace(SITUATION, versions={"keras": (3, 10)}), Plan()) != own
    assert fingerprint(replace(SITUATION, versions={"keras": (3, 15, 1)}), Plan()) == own
    set_by_plan = Setting("TF_XLA_FLAGS", "--tf_xla_auto_jit=1", None, ("AX303",))
    assert fingerprint(SITUATION, Plan(jit_compile=False)) != own
    assert fingerprint(SITUATION, Plan(settings=(set_by_plan,))) != own


def test_reports_of_other_workers_are_compared(tmp_path: Path) -> None:
    report, own = tmp_path / "report.json", fingerprint(SITUATION, Plan())
    texts = {
        "rank1": json.dumps({"fingerprint": own}),
        "worker2": json.dumps({"fingerprint": "other"}),
        "rank3": "{",
        "rank4": json.dumps({"fingerprint": "an earlier job's"}),
        "4711": json.dumps({"fingerprint": "a child's"}),
        "rank5": json.dumps([]),
    }
    for ending, text in texts.items():
        (tmp_path / f"report.json.{ending}").write_text(text, encoding="utf-8")
    os.utime(tmp_path / "report.json.rank4", (1, 1))
    assert find_differing(report, SITUATION, Plan(), since=2) == [f"{report}.worker2"]
