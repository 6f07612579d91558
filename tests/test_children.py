"""Processes below one under autoxla: pools, pytest-xdist, exec, other programs; each plans for itself.

Where it says *double*, ``tensorflow`` is an empty stand-in among installed packages: planning needs
only its import, and the distributions that the plan is made from are the real ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from programs import HOME, Outcome, clean_environment, run

DOUBLE = """
class Anything:
    def __getattr__(self, name): return self
    def __call__(self, *args): return self
keras = Anything()
"""
#: What a program sees of its plan.
STATE = """
import json, os
def state():
    import tensorflow
    import autoxla
    applied = json.loads(os.environ.get("AUTOXLA_APPLIED", "{}"))
    settings = {s.variable: s.previous for s in autoxla.plan().settings}
    value = os.environ.get("TF_USE_LEGACY_KERAS")
    return dict(value=value, applied=applied, settings=settings, pid=os.getpid())
"""
#: Two workers wait for each other, so that neither does the work of both.
MEET = """
def meet(folder, number):
    import pathlib, time
    (pathlib.Path(folder) / str(os.getpid())).touch()
    for _ in range(3000):
        if len(list(pathlib.Path(folder).iterdir())) == number:
            return
        time.sleep(0.01)
"""
#: Kept by no plan: TensorFlow ignores it without a word.
MISSPELT = {"TF_USE_LEGACY_KERAS": "yes"}
RESPELT = {"TF_USE_LEGACY_KERAS": ["yes", "1"]}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the variables with which programs find the double, and a cache of their own."""
    folder = tmp_path / "elsewhere" / "site-packages"
    folder.mkdir(parents=True)
    (folder / "tensorflow.py").write_text(DOUBLE)
    (tmp_path / "met").mkdir()
    path = os.pathsep.join([str(folder), str(HOME)])
    return clean_environment(PYTHONPATH=path, AUTOXLA_CACHE=str(tmp_path / "cache"))


def launch(words: list[str], folder: Path, environment: dict[str, str], **variables: str) -> Outcome:
    outcome = run(["-m", "autoxla", *words], folder, {**environment, **variables})
    assert outcome.status == 0, outcome.err
    return outcome


POOL = f"""
import sys
{STATE}
{MEET}
def work(number):
    meet("met", 2)
    return state()
if __name__ == "__main__":
    if sys.argv[1] == "joblib":
        import joblib
        found = joblib.Parallel(2)(joblib.delayed(work)(number) for number in range(2))
    else:
        import concurrent.futures, multiprocessing
        context = multiprocessing.get_context(sys.argv[1])
        with concurrent.futures.ProcessPoolExecutor(2, context) as pool:
            found = list(pool.map(work, range(2)))
    print(json.dumps(found))
"""
METHODS = ["fork", "spawn", "forkserver", "joblib"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("first", ["import tensorflow", ""], ids=["planned-before", "planned-in-workers"])
def test_pools(tmp_path: Path, environment: dict[str, str], method: str, first: str) -> None:
    """With a double. Workers have their program's plan, the user's value is remembered, one word is said."""
    (tmp_path / "program.py").write_text(f"{first}\n{POOL}")
    outcome = launch(["program.py", method], tmp_path, environment, **MISSPELT)
    assert len({worker["pid"] for worker in outcome.last}) == 2
    assert [worker["value"] for worker in outcome.last] == ["1", "1"]
    assert [worker["applied"] for worker in outcome.last] == [RESPELT, RESPELT]
    assert len(outcome.notices) == 1, outcome.err
    assert outcome.err.splitlines() == outcome.notices
    assert outcome.notices[0].startswith("autoxla: AX103 ")
    assert "loky" not in outcome.notices[0]


@pytest.mark.parametrize("method", METHODS)
def test_pools_without_a_finding_are_silent(tmp_path: Path, environment: dict[str, str], method: str) -> None:
    """With a double."""
    (tmp_path / "program.py").write_text(POOL)
    outcome = launch(["program.py", method], tmp_path, environment)
    assert [(worker["value"], worker["applied"]) for worker in outcome.last] == [(None, {}), (None, {})]
    assert outcome.err == ""


TEST = f"""{STATE}{MEET}
def test_state():
    meet("met", 2)
    open(f"out-{{os.getpid()}}", "w").write(json.dumps(state()))
"""


def test_pytest_xdist(tmp_path: Path, environment: dict[str, str]) -> None:
    """With a double."""
    (tmp_path / "test_state.py").write_text(TEST)
    words = [
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "-n",
        "2",
        "--dist",
        "each",
        "test_state.py",
    ]
    outcome = launch(words, tmp_path, environment, **MISSPELT)
    found = [json.loads(file.read_text()) for file in tmp_path.glob("out-*")]
    assert [(worker["value"], worker["applied"]) for worker in found] == [("1", RESPELT), ("1", RESPELT)]
    assert len(outcome.notices) == 1, outcome.err


LEGACY = f"{STATE}\nimport tensorflow as tf\ntf.keras.optimizers.legacy.Adam()\nprint(json.dumps(state()))\n"
MODERN = f"{STATE}\nimport tensorflow as tf\ntf.keras.ops.add(1, 2)\nprint(json.dumps(state()))\n"
#: The value that a program sees, and what its plan set, with what was there.
Seen = tuple[object, object]
LEGACY_PLAN: Seen = ("1", {"TF_USE_LEGACY_KERAS": None})
MODERN_PLAN: Seen = (None, {})


def plans(outcome: Outcome) -> list[Seen]:
    states = [json.loads(line) for line in outcome.out.splitlines()]
    return [(state["value"], state["settings"]) for state in states]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Return a folder with two programs whose plans differ."""
    (tmp_path / "legacy.py").write_text(LEGACY)
    (tmp_path / "modern.py").write_text(MODERN)
    return tmp_path


RUN = "import subprocess, sys\nsys.stdout.flush()\nsubprocess.run([sys.executable, {name!r}], check=True)\n"


def test_two_programs_of_a_parent_that_needs_nothing(programs: Path, environment: dict[str, str]) -> None:
    """With a double. As from one shell: each has its plan, and its word."""
    code = "".join(RUN.format(name=name) for name in ("legacy.py", "modern.py", "legacy.py"))
    outcome = launch(["-c", code], programs, environment)
    assert plans(outcome) == [LEGACY_PLAN, MODERN_PLAN, LEGACY_PLAN]
    assert [notice.split()[1] for notice in outcome.notices] == ["AX112", "AX112"]


def test_two_programs_of_a_parent_with_a_plan(programs: Path, environment: dict[str, str]) -> None:
    """With a double. What the parent's plan set is not the children's, and they keep quiet."""
    children = "".join(RUN.format(name=name) for name in ("modern.py", "legacy.py"))
    (programs / "parent.py").write_text(LEGACY + children)
    outcome = launch(["parent.py"], programs, environment)
    assert plans(outcome) == [LEGACY_PLAN, MODERN_PLAN, LEGACY_PLAN]
    assert len(outcome.notices) == 1


def test_what_the_parent_itself_chooses_is_the_user_s(programs: Path, environment: dict[str, str]) -> None:
    """With a double."""
    parent = f"{LEGACY}os.environ['TF_USE_LEGACY_KERAS'] = '0'\n{RUN.format(name='modern.py')}"
    (programs / "parent.py").write_text(parent)
    assert plans(launch(["parent.py"], programs, environment)) == [LEGACY_PLAN, ("0", {})]


@pytest.mark.parametrize(
    "call", ["os.execv(sys.executable, words)", "os.execvpe(words[0], words, os.environ)"]
)
def test_exec_plans_anew(programs: Path, environment: dict[str, str], call: str) -> None:
    """With a double. The same process is another program, and what was said of it is said."""
    parent = f"{LEGACY}import sys\nsys.stdout.flush()\nwords = [sys.executable, 'modern.py']\n{call}\n"
    (programs / "parent.py").write_text(parent)
    outcome = launch(["parent.py"], programs, environment)
    assert plans(outcome) == [LEGACY_PLAN, MODERN_PLAN]
    assert len(outcome.notices) == 1


def test_a_program_that_starts_itself_again(programs: Path, environment: dict[str, str]) -> None:
    """With a double."""
    again = """
import sys
sys.stdout.flush()
if len(sys.argv) == 1:
    os.execv(sys.executable, [*sys.orig_argv, "again"])
"""
    (programs / "parent.py").write_text(LEGACY + again)
    outcome = launch(["parent.py"], programs, environment)
    assert plans(outcome) == [LEGACY_PLAN, LEGACY_PLAN]
    assert len(outcome.notices) == 1


@pytest.mark.tensorflow
def test_real_programs_get_their_own_generation(tmp_path: Path) -> None:
    child = "import tensorflow as tf\ntf.keras.ops.add(1, 2)\nprint(tf.keras.Model.__module__.split('.')[0])"
    (tmp_path / "child.py").write_text(child)
    (tmp_path / "parent.py").write_text(
        "import tensorflow as tf\ntf.keras.optimizers.legacy.Adam()\n"
        "print(tf.keras.Model.__module__.split('.')[0])\n" + RUN.format(name="child.py")
    )
    outcome = launch(["parent.py"], tmp_path, clean_environment())
    assert outcome.out.split() == ["tf_keras", "keras"]
    assert [notice.split()[1] for notice in outcome.notices] == ["AX112"]


def test_a_program_is_no_part(tmp_path: Path, environment: dict[str, str]) -> None:
    """What a test of pytest-xdist starts is a program again; so is one that only uses a pool."""
    code = (
        "import multiprocessing, os, subprocess, sys\nfrom autoxla.situation.cluster import part_number\n"
        "print(part_number(os.environ))"
    )
    outcome = run(["-c", code], tmp_path, {**environment, "PYTEST_XDIST_WORKER": "gw0"})
    assert (outcome.out, outcome.err) == ("None\n", "")
