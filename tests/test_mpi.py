"""Launchers that start one process a worker: real ``mpirun``, and the variables of the others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.situation.cluster import is_of_many, rank, runs_parts
from programs import Outcome, clean_environment, run

#: A worker with a keras that costs nothing; the plan is the same, since nothing of it is run.
LIGHT = """
import json, os, keras
print(json.dumps([int(os.environ["OMPI_COMM_WORLD_RANK"]), os.environ.get("TF_USE_LEGACY_KERAS")]))
"""
REAL = """
import json, os
import tensorflow as tf
from tensorflow.keras.optimizers import legacy
model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(2,))])
model.compile(legacy.SGD(0.1), "mse")
print(json.dumps([int(os.environ["OMPI_COMM_WORLD_RANK"]), type(model).__module__.split(".")[0]]))
"""


def mpirun(folder: Path, *words: str, workers: int = 3, **variables: str) -> Outcome:
    # Open MPI refuses root, and more workers than cores, unless told.
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", str(workers), sys.executable, *words]
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def lines_of(outcome: Outcome) -> list[list[object]]:
    """Return what the workers printed, by rank; their lines come in any order."""
    assert outcome.status == 0, outcome.err
    return sorted(json.loads(line) for line in outcome.out.splitlines())


@pytest.fixture
def light(tmp_path: Path) -> Path:
    (tmp_path / "keras.py").write_text("", encoding="utf-8")
    (tmp_path / "worker.py").write_text(LIGHT, encoding="utf-8")
    return tmp_path


def test_all_workers_run_on_one_plan_and_one_speaks(light: Path) -> None:
    outcome = mpirun(light, "-m", "autoxla", "worker.py", TF_USE_LEGACY_KERAS="yes")
    assert lines_of(outcome) == [[0, "1"], [1, "1"], [2, "1"]]
    assert len(outcome.notices) == 1
    assert "AX103 warning" in outcome.notices[0]


def test_each_worker_has_its_report(light: Path) -> None:
    report = str(light / "report.json")
    mpirun(light, "-m", "autoxla", "worker.py", TF_USE_LEGACY_KERAS="yes", AUTOXLA_REPORT=report)
    names = sorted(file.name for file in light.glob("report.json*"))
    assert names == ["report.json", "report.json.rank1", "report.json.rank2"]
    reports = [json.loads((light / name).read_text(encoding="utf-8")) for name in names]
    assert reports[0]["settings"][0]["value"] == "1"
    assert reports[1:] == [reports[0], reports[0]]


def test_a_child_of_a_worker_reports_beside_it(light: Path) -> None:
    child = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import keras'], check=True)\n"
    (light / "worker.py").write_text(LIGHT + child, encoding="utf-8")
    mpirun(light, "-m", "autoxla", "worker.py", workers=2, AUTOXLA_REPORT=str(light / "report"))
    names = {file.name.rstrip("0123456789") for file in light.glob("report*")}
    assert names == {"report", "report.", "report.rank", "report.rank1."}


def test_an_error_that_is_left_is_said_by_each(light: Path) -> None:
    """It may be one machine's alone, and then the first worker does not know it."""
    outcome = mpirun(light, "-m", "autoxla", "worker.py", TF_XLA_FLAGS="--tf_xla_auto_jit")
    assert len(outcome.notices) == 3
    assert all("AX301 error" in notice for notice in outcome.notices)


def test_bad_settings_are_said_once(light: Path) -> None:
    outcome = mpirun(light, "-m", "autoxla", "worker.py", AUTOXLA="fast")
    assert lines_of(outcome) == [[0, None], [1, None], [2, None]]
    assert len(outcome.notices) == 1


def test_a_silent_program_stays_silent(light: Path) -> None:
    outcome = mpirun(light, "-m", "autoxla", "worker.py")
    assert (len(lines_of(outcome)), outcome.err) == (3, "")


@pytest.mark.tensorflow
def test_with_tensorflow(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(REAL, encoding="utf-8")
    outcome = mpirun(tmp_path, "-m", "autoxla", "worker.py")
    assert lines_of(outcome) == [[0, "tf_keras"], [1, "tf_keras"], [2, "tf_keras"]]
    assert len(outcome.notices) == 1
    assert "AX112 warning worker.py:6:15" in outcome.notices[0]


TORCHRUN = {"LOCAL_RANK": "1", "WORLD_SIZE": "4"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"OMPI_COMM_WORLD_RANK": "0"}, 0),
        ({"OMPI_COMM_WORLD_RANK": "12"}, 12),
        ({"PMI_RANK": "3"}, 3),
        ({"PMIX_RANK": "3"}, 3),
        ({"HOROVOD_RANK": "2"}, 2),
        ({"SLURM_PROCID": "1"}, 1),
        ({"RANK": "5", **TORCHRUN}, 5),
        ({"RANK": "5"}, None),
        ({"RANK": "5", "LOCAL_RANK": "1"}, None),
        ({"SLURM_PROCID": "0", "OMPI_COMM_WORLD_RANK": "4"}, 4),
        ({"SLURM_PROCID": "1", "RANK": "0", **TORCHRUN}, 0),
        ({"SLURM_PROCID": "1", "OMPI_COMM_WORLD_RANK": "one"}, 1),
        ({"OMPI_COMM_WORLD_RANK": "-1"}, None),
        ({"OMPI_COMM_WORLD_RANK": "²"}, None),
        ({"OMPI_COMM_WORLD_RANK": ""}, None),
    ],
)
def test_rank(environ: dict[str, str], expected: int | None) -> None:
    assert rank(environ) == expected


@given(st.dictionaries(st.sampled_from(["RANK", "PMI_RANK", "SLURM_PROCID", *TORCHRUN]), st.text()))
def test_a_rank_is_a_number_of_the_environment(environ: dict[str, str]) -> None:
    found = rank(environ)
    assert found is None or found in {int(value) for value in environ.values() if value.isdecimal()}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()"], True),
        (["python", "program", "--multiprocessing-fork"], True),
        (["python", "-m", "joblib.externals.loky.backend.popen_loky_posix"], True),
        (["python", "/site-packages/ray/_private/workers/default_worker.py", "--node-id=1"], True),
        (["python", "default_worker.py"], False),
        (["python", "-m", "ray.train"], False),
    ],
)
def test_runs_parts(words: list[str], expected: bool) -> None:
    assert runs_parts(words) is expected


@pytest.mark.parametrize(
    "variables",
    [{"PMI_RANK": "1"}, {"HOROVOD_RANK": "1"}, {"SLURM_PROCID": "1"}, {"RANK": "1", **TORCHRUN}],
)
def test_other_launchers(variables: dict[str, str], light: Path) -> None:
    """What srun, horovodrun, torchrun and MPICH's mpirun put into the environment."""
    report = str(light / "report")
    environment = clean_environment(TF_USE_LEGACY_KERAS="yes", AUTOXLA_REPORT=report, **variables)
    (light / "worker.py").write_text("import os, keras\nprint(os.environ['TF_USE_LEGACY_KERAS'])\n")
    outcome = run(["-m", "autoxla", "worker.py"], light, environment)
    assert (outcome.out, outcome.err) == ("1\n", "")
    assert sorted(file.name for file in light.glob("report*")) == ["report.rank1"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "-c", "from multiprocessing.pool import ThreadPool"], False),
        (["python", "train.py", "loky.backend"], False),
        (["python", "-m", "joblib.externals.loky.backend.popen_loky_posix", "--process-name"], True),
        (["python", "-c", "from multiprocessing.forkserver import main; main(3)"], True),
    ],
)
def test_programs_that_only_name_a_pool_run_for_themselves(words: list[str], expected: bool) -> None:
    assert runs_parts(words) is expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"WORLD_SIZE": "1"}, False),
        ({"WORLD_SIZE": "2"}, True),
        ({"OMPI_COMM_WORLD_SIZE": "8"}, True),
        ({"SLURM_NTASKS": "many"}, False),
        ({"PMI_SIZE": ""}, False),
        (
            {"TF_CONFIG": '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'},
            True,
        ),
        ({"TF_CONFIG": '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}'}, False),
    ],
)
def test_who_is_one_of_many(environ: dict[str, str], expected: bool) -> None:
    """Such a worker chooses nothing by the clock, nor by what its machine alone remembers."""
    assert is_of_many(environ) is expected


@given(st.dictionaries(st.sampled_from(["WORLD_SIZE", "SLURM_NTASKS", "PMI_SIZE"]), st.text()))
def test_any_size_is_read(environ: dict[str, str]) -> None:
    assert is_of_many(environ) in (True, False)
