"""`autoxla.ray`: real Ray on this machine, a driver and its workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from installations import build_wheel, copy_checkout, install_wheel, make_environment
from programs import Outcome, clean_environment, run

LEGACY = "from tensorflow.keras.layers import DenseFeatures\n"
START = """
import json, os, sys
import autoxla.ray
import ray
environment = autoxla.ray.runtime_env("train.py", env_vars={"MINE": "1"})
ray.init(runtime_env=environment, num_cpus=2, include_dashboard=False, object_store_memory=80_000_000)
"""
TASKS = (
    START
    + """
def look():
    import os, sys
    # Others may stand in front, such as the one of setuptools.
    finder = next((n for n in (type(f).__name__ for f in sys.meta_path) if n == "AutoxlaFinder"), "none")
    first = os.environ.get("TF_USE_LEGACY_KERAS")
    import keras  # the empty one beside the driver: only the plan is of interest
    import autoxla
    names = "TF_USE_LEGACY_KERAS", "MINE", "AUTOXLA_APPLIED"
    findings = [finding.code for finding in autoxla.plan().findings]
    return [os.getpid(), finder, first, *map(os.environ.get, names), findings]

@ray.remote
class Actor:
    def look(self):
        return look()

@ray.remote
def child():
    import subprocess, sys
    code = "import os, keras; print(os.environ.get('TF_USE_LEGACY_KERAS'))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()

actors = [Actor.remote() for _ in range(2)]
found = ray.get([actor.look.remote() for actor in actors])
del actors
found.append(ray.get(ray.remote(look).remote()))
print(json.dumps([os.getpid(), found, ray.get(child.remote())]))
ray.shutdown()
"""
)
TRAIN = """
import json, os
import numpy as np
import ray.train
import tensorflow as tf
from tensorflow.keras.layers import DenseFeatures
from tensorflow.keras.optimizers import legacy

def run(folder):
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(4,))])
        model.compile(legacy.SGD(0.1), "mse")
    x = np.arange(64, dtype="float32").reshape(16, 4) / 64
    data = tf.data.Dataset.from_tensor_slices((x, x[:, :1])).batch(8)
    losses = model.fit(data, epochs=2, verbose=0).history["loss"]
    rank = ray.train.get_context().get_world_rank()
    with open(f"{folder}/{rank}.json", "w") as stream:
        json.dump([tf.keras.Sequential.__module__, strategy.num_replicas_in_sync, losses], stream)
"""
TRAINER = (
    START
    + """
from ray.train import RunConfig, ScalingConfig
from ray.train.tensorflow import TensorflowTrainer

def loop(folder):
    import train
    train.run(folder["name"])

here = os.getcwd()
trainer = TensorflowTrainer(
    loop,
    train_loop_config={"name": here},
    scaling_config=ScalingConfig(num_workers=2),
    run_config=RunConfig(storage_path=here),
)
trainer.fit()
ray.shutdown()
"""
)


@pytest.fixture
def ray_variables() -> Iterator[dict[str, str]]:
    """Return what keeps Ray to itself; its sockets need a short path."""
    with tempfile.TemporaryDirectory(prefix="ray") as folder:
        yield {"RAY_TMPDIR": folder, "HOME": folder, "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keras.py").write_text("", encoding="utf-8")
    (tmp_path / "train.py").write_text(LEGACY, encoding="utf-8")
    return tmp_path


def drive(python: Path, folder: Path, code: str, variables: dict[str, str]) -> Outcome:
    (folder / "driver.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [str(python), "driver.py"],
        cwd=folder,
        env=clean_environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


def prepare_checkout(folder: Path) -> tuple[Path, str]:
    return Path(sys.executable), str(copy_checkout(folder).parent)


def prepare_wheel(folder: Path) -> tuple[Path, str]:
    """Return the Python of an environment with the wheel in it, and Ray borrowed from this one."""
    root = folder / "environment"
    site = make_environment(root)
    install_wheel(root, build_wheel(folder))
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return root / "bin" / "python", ""


@pytest.mark.parametrize("prepare", [prepare_checkout, prepare_wheel])
def test_tasks_and_actors_are_configured_first(
    prepare: Callable[[Path], tuple[Path, str]],
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    ray_variables: dict[str, str],
) -> None:
    python, path = prepare(tmp_path_factory.mktemp("autoxla"))
    outcome = drive(python, folder, TASKS, ray_variables | {"PYTHONPATH": path})
    driver, found, child = outcome.last
    memory = json.dumps({"TF_USE_LEGACY_KERAS": [None, "1"]})
    assert [entry[1:] for entry in found] == [["AutoxlaFinder", "1", "1", "1", memory, []]] * 3
    assert driver not in {entry[0] for entry in found}
    assert found[0][0] != found[1][0]
    # Another program below a worker is planned for itself.
    assert child == "None"
    assert [line for line in outcome.err.splitlines() if "autoxla:" in line] == outcome.notices
    assert len(outcome.notices) == 1
    assert "AX112 warning train.py:1:1" in outcome.notices[0]
    assert "done: set TF_USE_LEGACY_KERAS=1" in outcome.notices[0]


@pytest.mark.tensorflow
def test_the_workers_of_a_tensorflow_trainer(folder: Path, ray_variables: dict[str, str]) -> None:
    (folder / "keras.py").unlink()
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    report = {"AUTOXLA_REPORT": "report.json"}
    outcome = drive(Path(sys.executable), folder, TRAINER, ray_variables | report)
    found = [json.loads((folder / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    assert found[0] == found[1]
    assert found[0][0].startswith("tf_keras.")
    assert found[0][1] == 2
    assert found[0][2][1] < found[0][2][0]
    assert len([line for line in outcome.err.splitlines() if "autoxla:" in line]) == 1
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("report.json.*")]
    compiles = [report["compile"] for report in reports if report["compile"]]
    assert len(compiles) == 2
    assert {report["path"]["keras"] for report in reports if report["compile"]} == {2}


def environment_of(folder: Path, call: str, **variables: str) -> Outcome:
    code = f"import autoxla.ray, json\nprint(json.dumps(autoxla.ray.runtime_env({call})))\n"
    (folder / "driver.py").write_text(code, encoding="utf-8")
    return run(["driver.py"], folder, clean_environment(**variables))


def test_the_fields_of_the_user_stay(folder: Path) -> None:
    call = "'train.py', working_dir='.', pip=['x'], env_vars={'TF_USE_LEGACY_KERAS': '0', 'A': 'b'}"
    environment = environment_of(folder, call).last
    assert (environment["working_dir"], environment["pip"]) == (".", ["x"])
    assert environment["env_vars"]["TF_USE_LEGACY_KERAS"] == "0"
    assert environment["env_vars"]["A"] == "b"
    assert environment["env_vars"]["AUTOXLA_ACTIVE"] == "1"


def test_the_path_of_the_user_stays_behind_ours(folder: Path) -> None:
    _, path = prepare_checkout(folder)
    outcome = environment_of(folder, "env_vars={'PYTHONPATH': '/theirs'}", PYTHONPATH=path)
    entries = outcome.last["env_vars"]["PYTHONPATH"].split(os.pathsep)
    assert entries == [f"{path}/autoxla/launch/private", "/theirs"]


def test_the_settings_of_the_driver_travel(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.autoxla]\nmode = "fix"\n', encoding="utf-8")
    outcome = environment_of(folder, "", AUTOXLA_KERAS="2", AUTOXLA_REPORT="report", KERAS_BACKEND="numpy")
    variables = outcome.last["env_vars"]
    assert (variables["AUTOXLA"], variables["AUTOXLA_KERAS"]) == ("fix", "2")
    assert variables["AUTOXLA_REPORT"] == str(folder / "report")
    assert variables["KERAS_BACKEND"] == "numpy"
    # To ask for trials by name is more than to have them by default.
    assert "AUTOXLA_TRIAL" not in variables


@pytest.mark.parametrize(("value", "sent"), [("true", "1"), ("0", "0"), ("seeded", "seeded")])
def test_a_choice_of_trials_travels_as_text(value: str, sent: str, folder: Path) -> None:
    assert environment_of(folder, "", AUTOXLA_TRIAL=value).last["env_vars"]["AUTOXLA_TRIAL"] == sent


def test_devices_of_the_driver_do_not_travel(folder: Path) -> None:
    variables = environment_of(folder, "", CUDA_VISIBLE_DEVICES="3", KERAS_HOME="/mine").last["env_vars"]
    assert {"CUDA_VISIBLE_DEVICES", "KERAS_HOME"}.isdisjoint(variables)


def test_a_driver_that_imported_keras_is_not_too_late_for_its_workers(folder: Path) -> None:
    outcome = environment_of(folder, "(__import__('keras'), 'train.py')[1]")
    assert outcome.last["env_vars"]["TF_USE_LEGACY_KERAS"] == "1"
    assert "done: set TF_USE_LEGACY_KERAS=1" in outcome.notices[-1]


def test_the_driver_says_its_plan_once(folder: Path) -> None:
    code = "import autoxla.ray\nautoxla.ray.runtime_env()\nautoxla.ray.runtime_env()\nimport keras\n"
    (folder / "driver.py").write_text(code, encoding="utf-8")
    outcome = run(["driver.py"], folder, clean_environment(TF_USE_LEGACY_KERAS="yes"))
    assert (outcome.status, len(outcome.notices)) == (0, 1)


@pytest.mark.parametrize(
    ("variables", "notices"),
    [({"AUTOXLA": "off"}, []), ({"AUTOXLA": "fast"}, ["autoxla: AX902 error environment: AUTOXLA='fast'"])],
)
def test_without_autoxla_the_fields_come_back_alone(
    variables: dict[str, str], notices: list[str], folder: Path
) -> None:
    outcome = environment_of(folder, "pip=['x']", **variables)
    assert outcome.last == {"pip": ["x"]}
    assert [line.split(":", 3)[:3] for line in outcome.notices] == [n.split(":", 3)[:3] for n in notices]


@pytest.mark.parametrize(
    ("call", "error"),
    [("'missing.py'", "FileNotFoundError: missing.py"), ("env_vars=['A=1']", "TypeError: env_vars=['A=1']")],
)
def test_bad_arguments(call: str, error: str, folder: Path) -> None:
    outcome = environment_of(folder, call)
    assert outcome.status == 1
    assert error in outcome.err


def test_ray_is_not_imported(folder: Path) -> None:
    code = "import sys, autoxla.ray\nautoxla.ray.runtime_env('train.py')\nprint('ray' in sys.modules)\n"
    assert run(["-c", code], folder).out == "False\n"
