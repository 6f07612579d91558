"""What cures a program is kept, used, dropped and learned; the last line of a program that dies.

Most programs run with stand-ins for tensorflow, keras and tf_keras; the distributions that count are the real
ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from autoxla.cache import key_of
from autoxla.cures import keep, open_cures, read_cure
from autoxla.lookahead import Program
from autoxla.model import Cure
from autoxla.planning import assemble
from autoxla.running import subject_from, subject_of
from autoxla.store import Store
from programs import HOME, Outcome, clean_environment, run

TELL = """
import os
import tensorflow
print(os.environ.get("TF_USE_LEGACY_KERAS"), os.environ.get("XLA_FLAGS"))
"""
KERAS_2 = Cure({"AUTOXLA_KERAS": "2"}, "TypeError: no such argument", "heal")
HEAL = "autoxla: python -m autoxla heal"
#: A program that dies of an error that one setting cures, unless ``tf.keras`` is Keras 2.
DIES = """
import os, sys
import tensorflow
from autoxla.hooks import error_hints
error_hints.find_hint = lambda error: error_hints.Hint("AX160", "A hint.", {"AUTOXLA_KERAS": "2"})
if os.environ.get("TF_USE_LEGACY_KERAS") != "1" or {"--always", "--other"} & {*sys.argv}:
    raise ImportError("keras has no such optimizer" if "--other" not in sys.argv else "no such layer")
print("trained")
"""


class Project:
    """A folder with stand-ins of the packages and programs, and a cache."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        for name in ("tensorflow", "keras", "tf_keras"):
            (folder / f"{name}.py").write_text("def fail(error):\n    raise error\n", encoding="utf-8")
        self.write(TELL)

    def write(self, source: str, name: str = "train.py") -> None:
        """Write a program."""
        (self.folder / name).write_text(source, encoding="utf-8")

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a run."""
        return clean_environment(AUTOXLA_CACHE=str(self.cache), **variables)

    def run(self, *words: str, **variables: str) -> Outcome:
        """Run a program under the launcher."""
        return run(["-m", "autoxla", *(words or ("train.py",))], self.folder, self.environment(**variables))

    def keep(self, cure: Cure = KERAS_2, **variables: str) -> str | None:
        """Keep a cure of ``train.py``, as heal does."""
        subject, environ = subject_from([str(self.folder / "train.py")]), self.environment(**variables)
        return keep(subject, assemble(subject, environ).situation, cure, environ)

    def record(self) -> Mapping[str, object] | None:
        """Return what is kept of ``train.py``."""
        key = key_of(subject_from([str(self.folder / "train.py")]))
        return open_cures(self.environment()).read(key or "")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


# --- A cure that is kept


def test_a_run_starts_with_it_and_says_why(project: Project) -> None:
    project.keep()
    outcome = project.run()
    assert outcome.out == "1 None\n"
    (line,) = outcome.notices
    assert line.startswith("autoxla: AX911 info train.py: AUTOXLA_KERAS=2, because `heal` found that it dies")
    assert "TypeError: no such argument" in line


def test_it_is_said_with_the_setting_alone_in_the_report(project: Project) -> None:
    project.keep()
    project.run(AUTOXLA_REPORT="report.json")
    report = json.loads((project.folder / "report.json").read_text(encoding="utf-8"))
    because = {each["variable"]: (each["previous"], each["because"]) for each in report["settings"]}
    assert because == {"AUTOXLA_KERAS": (None, ["AX911"]), "TF_USE_LEGACY_KERAS": (None, ["AX105"])}


def test_it_holds_over_edits_and_other_arguments(project: Project) -> None:
    project.keep()
    project.write(f"{TELL}# edited\n")
    assert project.run("train.py", "--epochs", "5").out == "1 None\n"


def test_another_program_is_not_cured(project: Project) -> None:
    project.keep()
    project.write(TELL, "serve.py")
    assert project.run("serve.py").out == "None None\n"


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_some_modes_do_not_use_it(mode: str, project: Project) -> None:
    project.keep()
    outcome = project.run(AUTOXLA=mode)
    assert (outcome.out, outcome.notices) == ("None None\n", [])


def test_a_process_may_be_left_uncured(project: Project) -> None:
    project.keep()
    assert project.run(AUTOXLA_UNCURED="1").out == "None None\n"


@pytest.mark.parametrize(
    "variables", [{"AUTOXLA_KERAS": "3"}, {"TF_USE_LEGACY_KERAS": "0"}], ids=["setting", "switch"]
)
def test_what_the_user_set_stands_and_explain_says_so(variables: dict[str, str], project: Project) -> None:
    project.keep()
    told = project.run("explain", "train.py", **variables).out
    ((name, value),) = variables.items()
    assert f"train.py AX913 info AUTOXLA_KERAS=2 cured it, but {name}={value!r} is set" in told
    assert project.run(**variables).out == f"{variables.get('TF_USE_LEGACY_KERAS')} None\n"


@pytest.mark.parametrize("variable", ["AUTOXLA_KERAS", "TF_USE_LEGACY_KERAS"])
def test_keras_2_is_not_given_to_a_program_that_was_changed_and_needs_keras_3(
    variable: str, project: Project
) -> None:
    value = {"AUTOXLA_KERAS": "2", "TF_USE_LEGACY_KERAS": "1"}[variable]
    # Only what is installed is TensorFlow's.
    site = project.folder / "site-packages"
    site.mkdir()
    for name in ("tensorflow", "keras", "tf_keras"):
        (project.folder / f"{name}.py").rename(site / f"{name}.py")
    names = "class keras:\n    class layers:\n        DenseFeatures = 1\n    class ops:\n        mean = 1\n"
    (site / "tensorflow.py").write_text(names, encoding="utf-8")
    path = {"PYTHONPATH": f"{site}{os.pathsep}{HOME}"}
    project.keep(Cure({variable: value}, "TypeError: no such argument", "heal"), **path)
    project.write(f"{TELL}tensorflow.keras.ops.mean\n")
    told = project.run("explain", "train.py", **path).out
    reason = "tensorflow.keras.ops.mean exists in Keras 3 only (train.py:5:1)"
    assert f"train.py AX913 info {variable}={value} cured it, but {reason}" in told
    assert project.run(**path).out == "None None\n"
    # It is still used where that is not certain, or something else needs Keras 2.
    project.write(f"import sys\n{TELL}if sys.argv[1:]: tensorflow.keras.ops.mean\n")
    assert project.run(**path).out == "1 None\n"
    project.write(f"{TELL}tensorflow.keras.ops.mean\ntensorflow.keras.layers.DenseFeatures\n")
    assert project.run(**path).out == "1 None\n"


def test_what_the_program_or_its_project_sets_stands(project: Project) -> None:
    project.keep()
    (project.folder / "pyproject.toml").write_text("[tool.autoxla]\nkeras = '3'\n", encoding="utf-8")
    assert project.run().out == "None None\n"
    (project.folder / "pyproject.toml").unlink()
    project.write("import os\nos.environ['TF_USE_LEGACY_KERAS'] = '0'\n" + TELL)
    assert "AX913" in project.run("explain", "train.py").out
    assert project.run().out == "0 None\n"


def test_the_user_s_own_deadly_value_gives_way_and_another_one_does_not(project: Project) -> None:
    project.keep(Cure({"XLA_FLAGS": None}, "aborted", "heal"), XLA_FLAGS="--xla_unknown=1")
    outcome = project.run(XLA_FLAGS="--xla_unknown=1")
    assert outcome.out == "None None\n"
    assert "AX911 info train.py: XLA_FLAGS unset, because" in outcome.err
    assert project.run(XLA_FLAGS="--xla_cpu_enable_fast_math=true").out.endswith("fast_math=true\n")
    assert project.run().notices == []


@pytest.mark.parametrize("change", ["release", "removal"])
def test_other_releases_drop_it_and_that_is_said_once(change: str, project: Project) -> None:
    project.keep()
    (file,) = (project.cache / "cures").iterdir()
    record = json.loads(file.read_text(encoding="utf-8"))
    record["versions"] |= {"tf-keras": "2.20.0"} if change == "release" else {"jax": "0.4.1"}
    file.write_text(json.dumps(record), encoding="utf-8")
    assert "cured it and is dropped: it was found with" in project.run("explain", "train.py").out
    assert project.record() is not None
    outcome = project.run()
    assert outcome.out == "None None\n"
    assert "AX913 warning train.py: AUTOXLA_KERAS=2 cured it and is dropped" in outcome.err
    assert project.record() is None
    assert project.run().notices == []


def test_a_worker_of_a_job_needs_what_env_prints(project: Project) -> None:
    project.keep()
    worker = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}
    assert project.run(**worker).out == "None None\n"
    printed = json.loads(project.run("env", "--format", "json", "train.py").out)
    assert project.run(**worker, **printed).out == "1 None\n"


def test_a_program_that_it_starts_is_not_cured(project: Project) -> None:
    project.write(TELL, "serve.py")
    project.write(f"{TELL}import subprocess, sys\nsubprocess.run([sys.executable, 'serve.py'])\n")
    project.keep()
    assert project.run(PYTHONUNBUFFERED="1").out == "1 None\nNone None\n"


def test_its_worker_processes_run_as_it_does(project: Project) -> None:
    project.write(
        "import multiprocessing\nimport tensorflow\nfrom worker import work\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        print(pool.apply(work))\n"
    )
    project.write(
        "import os\nimport tensorflow\ndef work():\n    return os.environ.get('AUTOXLA_KERAS')\n", "worker.py"
    )
    project.keep()
    assert project.run().out == "2\n"


@pytest.mark.parametrize(
    "variables",
    [
        {"LD_PRELOAD": "x.so"},
        {"AUTOXLA_KERAS": "4"},
        {"XLA_FLAGS": "a\nb"},
        {"ITEX_VERBOSE": "x"},
        {},
        [],
    ],
)
def test_a_record_sets_nothing_else(variables: object, tmp_path: Path) -> None:
    store = Store(tmp_path)
    record = {"origin": "heal", "mark": "", "code": "", "variables": variables}
    assert read_cure(store, "a" * 16, record) is None
    assert store.ignored[0][1] == "it is no cure"


def test_a_cured_run_loads_nothing_but_what_tells_of_the_cure(project: Project) -> None:
    project.write("import sys\nimport tensorflow\nprint(*(m for m in sys.modules if 'autoxla' in m))\n")
    # The second run finds what was read of the program.
    _, usual = (project.run(AUTOXLA_KERAS="2").out.split() for _ in range(2))
    project.keep()
    cured = project.run().out.split()
    assert "autoxla.store" in usual  # the reader of records, which the reading needs, too
    assert set(cured) - set(usual) == {"autoxla.cures", "autoxla.policies.cures"}


# --- Learning


def test_a_run_that_dies_teaches_the_next_one(project: Project) -> None:
    project.write(DIES)
    first, second = project.run(), project.run("train.py", "--epochs", "5")
    assert first.status == 1
    assert "AX914 info train.py: AX160 is cured by AUTOXLA_KERAS=2; done: the next run starts" in first.err
    assert (second.status, second.out) == (0, "trained\n")
    assert "because an earlier run died without it: ImportError: keras has no such" in second.notices[0]


def test_a_thread_that_dies_teaches_the_next_run(project: Project) -> None:
    thread = "import threading\nthreading.Thread(target=exec, args=(SOURCE, {})).start()\n"
    project.write(f"import autoxla\nSOURCE = {DIES!r}\n{thread}")
    assert "AX914 info train.py: AX160 is cured by AUTOXLA_KERAS=2" in project.run().err
    assert project.run().out == "trained\n"


def test_an_error_without_text_is_learned_from_all_the_same(project: Project) -> None:
    mute = "class MuteError(ImportError):\n    def __str__(self):\n        raise RuntimeError\n"
    project.write(mute + DIES.replace('ImportError("keras has no such optimizer")', "MuteError"))
    outcome = project.run()
    assert "AX901" not in outcome.err
    assert "AX914 info train.py" in outcome.err


def test_what_dies_in_the_same_way_again_is_dropped_for_good(project: Project) -> None:
    project.write(DIES)
    project.run("train.py", "--always")
    second = project.run("train.py", "--always")
    assert "AX913 warning train.py: the program died under AUTOXLA_KERAS=2" in second.err
    assert "dropped for good" in second.err
    project.write(f"{DIES}# edited\n")
    third = project.run("train.py", "--always")
    assert not any(code in third.err for code in ("AX911", "AX913", "AX914"))


def test_what_heal_found_and_a_run_disproved_is_not_learned(project: Project) -> None:
    project.write(DIES)
    project.keep()
    assert "dropped for good" in project.run("train.py", "--always").err
    project.write(f"{DIES}# edited\n")
    outcome = project.run()
    assert outcome.status == 1
    assert "AX914" not in outcome.err
    assert project.keep() is not None  # heal may find it again
    assert project.run().out == "trained\n"


def test_the_launcher_starts_anew_with_what_the_run_learned(project: Project) -> None:
    project.write(DIES)
    outcome = project.run(AUTOXLA_HEAL="1")
    assert (outcome.status, outcome.out) == (0, "trained\n"), outcome.err
    assert "run again" not in outcome.err


def test_another_death_leaves_what_was_learned(project: Project) -> None:
    project.write(DIES)
    project.run("train.py")
    assert "AX913" not in project.run("train.py", "--other").err
    assert project.run().out == "trained\n"


def test_what_was_dropped_is_listed(project: Project) -> None:
    project.write(DIES)
    project.run("train.py", "--always")
    project.run("train.py", "--always")
    assert "train.py, dropped: AUTOXLA_KERAS=2" in project.run("records", "list").out


def test_explain_tells_of_the_cure_once(project: Project) -> None:
    project.keep(Cure({"AUTOXLA_KERAS": "2"}, "TypeError: no such argument.", "heal"))
    told = project.run("explain", "train.py").out
    assert "TypeError: no such argument\n      done: start with" in told
    assert "AX105 info" not in told


def test_a_cure_of_heal_is_dropped_where_keras_ends_the_program(project: Project) -> None:
    project.write("import tensorflow\ntensorflow.fail(ValueError('no shape'))\n")
    project.keep()
    assert "AX913 warning train.py: the program died under AUTOXLA_KERAS=2" in project.run().err
    assert "AX911" not in project.run().err


def test_a_cure_stays_where_the_program_dies_of_its_own(project: Project) -> None:
    project.write("import tensorflow\nraise ValueError('a typing error')\n")
    project.keep()
    assert "AX913" not in project.run().err
    assert "AX911" in project.run().err


@pytest.mark.parametrize("variables", [{"AUTOXLA_KERAS": "3"}, {"TF_USE_LEGACY_KERAS": "0"}, {"RANK": "0"}])
def test_nothing_is_learned_against_the_user_or_for_a_job(
    variables: dict[str, str], project: Project
) -> None:
    project.write(DIES)
    job = {"LOCAL_RANK": "0", "WORLD_SIZE": "2"} if "RANK" in variables else {}
    assert "AX914" not in project.run(**variables, **job).err
    assert project.record() is None


def test_nothing_is_learned_where_the_setting_changes_nothing(project: Project) -> None:
    project.write(DIES.replace('"AUTOXLA_KERAS": "2"', '"AUTOXLA_KERAS": "3"'))
    assert "AX914" not in project.run().err


def test_heal_may_keep_what_a_run_disproved(project: Project) -> None:
    project.write(DIES)
    project.run("train.py", "--always")
    project.run("train.py", "--always")
    assert project.keep(Cure({"AUTOXLA_KERAS": "2"}, "ImportError", "learned", "AX160")) is None
    assert project.keep() is not None
    assert project.run().out == "trained\n"


def test_a_program_that_another_one_starts_learns_for_itself(project: Project) -> None:
    project.write(DIES, "serve.py")
    call = "subprocess.call([sys.executable, 'serve.py'])"
    project.write(f"import subprocess, sys, keras\nsys.exit({call} or {call})\n")
    assert project.run().status == 1
    second = project.run()
    assert (second.status, second.out) == (0, "trained\n" * 2)
    (line,) = second.notices
    assert line.startswith("autoxla: AX911 info serve.py: AUTOXLA_KERAS=2, because an earlier run died")


def test_a_cell_is_told_what_to_put_first(project: Project) -> None:
    cell = "\n".join(line for line in DIES.splitlines() if "import os" not in line)
    project.write(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance(colors='NoColor')\n"
        "for cell in ('%load_ext autoxla', 'import os, sys', " + repr(cell) + "):\n"
        "    shell.run_cell(cell, store_history=True)\n"
    )
    outcome = run(
        ["train.py"], project.folder, project.environment(IPYTHONDIR=str(project.folder / "ipython"))
    )
    line = "autoxla: %env AUTOXLA_KERAS=2 in front of the first cell, after a restart of IPython, cures this"
    assert line in outcome.err.splitlines()
    assert not (project.cache / "cures").exists()


# --- The last line


@pytest.mark.parametrize("words", [("train.py", "--rate", "a b"), ("-m", "train", "--rate", "a b")])
def test_the_last_line_names_heal_with_the_program_s_words(words: tuple[str, ...], project: Project) -> None:
    project.write("import tensorflow\ntensorflow.fail(RuntimeError('x'))\n")
    last = project.run(*words).err.splitlines()[-1]
    assert last == f"{HEAL} {' '.join(words[:-1])} 'a b' tries the settings under which it may run"


@pytest.mark.parametrize(
    "source",
    [
        "import tensorflow\nraise RuntimeError('its own')\n",
        "import tensorflow, sys\nsys.exit(3)\n",
        "import tensorflow\nraise KeyboardInterrupt\n",
        "import tensorflow\ntry:\n    tensorflow.fail(ValueError())\nexcept ValueError:\n    pass\n",
    ],
    ids=["own", "exit", "interrupt", "handled"],
)
def test_there_is_none_for_other_ends(source: str, project: Project) -> None:
    project.write(source)
    assert HEAL not in project.run().err


@pytest.mark.parametrize(
    "error", ["FileNotFoundError('x')", "ValueError('File not found: filepath=x.keras.')"]
)
def test_there_is_none_for_a_file_that_is_missing(error: str, project: Project) -> None:
    project.write(f"import tensorflow\ntensorflow.fail({error})\n")
    assert HEAL not in project.run().err


def test_there_is_none_where_the_launcher_heals(project: Project, tmp_path: Path) -> None:
    project.write("import tensorflow\ntensorflow.fail(RuntimeError('x'))\n")
    assert HEAL not in project.run(AUTOXLA_WATCH=str(tmp_path / "run")).err


def test_there_is_none_where_the_error_is_known(project: Project) -> None:
    project.write(DIES.replace(', {"AUTOXLA_KERAS": "2"}', ""))
    assert HEAL not in project.run().err


def test_quiet_and_observe_silence_it(project: Project) -> None:
    project.write("import tensorflow\ntensorflow.fail(RuntimeError('x'))\n")
    assert HEAL not in project.run("--quiet", "run", "train.py").err
    assert HEAL not in project.run(AUTOXLA="observe").err
    assert HEAL not in project.run(AUTOXLA_UNCURED="1").err


def test_it_is_said_once_a_process_tree(project: Project) -> None:
    project.write("import tensorflow\ntensorflow.fail(RuntimeError('x'))\n", "serve.py")
    project.write(
        "import subprocess, sys, tensorflow\n"
        "for _ in range(3):\n    subprocess.call([sys.executable, 'serve.py'])\n"
        "tensorflow.fail(RuntimeError('x'))\n"
    )
    lines = [line for line in project.run().notices if line.startswith(HEAL)]
    assert lines == [f"{HEAL} serve.py tries the settings under which it may run"]
    assert project.run().err.count(HEAL) == 1


def test_there_is_none_without_a_setting_to_try(project: Project) -> None:
    """The user chose all that heal could."""
    project.write("import tensorflow\ntensorflow.fail(RuntimeError('x'))\n")
    chosen = {"AUTOXLA_KERAS": "2", "AUTOXLA_STEP": "graph", "KERAS_BACKEND": "tensorflow"}
    assert HEAL not in project.run(**chosen).err


# --- With the packages


RUN_SUB = """
import argparse

def train(args):
    import work
    work.work()

parser = argparse.ArgumentParser()
parser.add_argument("command")
args = parser.parse_args()
{"train": train, "about": lambda args: print("a trainer")}[args.command](args)
"""
WORK = """
import numpy as np
from tensorflow.keras import Sequential
from tensorflow.keras.layers import Dense
from tensorflow.keras.optimizers.legacy import Adam

def work():
    net = Sequential([Dense(1)])
    net.compile(Adam(1e-3), "mse")
    net.fit(np.zeros((8, 2)), np.zeros(8), verbose=0)
    print("trained")
"""
BEHIND_IF = "import sys\nif '--about' not in sys.argv:\n    import work\n    work.work()\n"
PARENT = "import subprocess, sys, keras\nsys.exit(subprocess.call([sys.executable, 'behind_if.py']))\n"


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "words",
    [("behind_if.py",), ("run_sub.py", "train"), ("parent.py",), ("-m", "trainer")],
    ids=["if", "argparse", "child", "package"],
)
def test_a_program_whose_source_does_not_tell_lives_from_the_second_run_on(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    for name, source in (("run_sub", RUN_SUB), ("work", WORK), ("behind_if", BEHIND_IF), ("parent", PARENT)):
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
    (tmp_path / "trainer").mkdir()
    (tmp_path / "trainer" / "__main__.py").write_text(BEHIND_IF, encoding="utf-8")
    environment = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"))
    first, second = (run(["-m", "autoxla", *words], tmp_path, environment) for _ in range(2))
    assert first.status == 1
    assert "AX914 info" in first.err, first.err
    assert (second.status, second.out.splitlines()[-1:]) == (0, ["trained"]), second.err


@pytest.mark.parametrize("installed", [True, False])
def test_an_installed_module_has_its_cure_wherever_it_is_started(
    installed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = set()
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        keys.add(key_of(subject_of(Program("module", "mytool.run", folder, installed=installed), [])))
    assert None not in keys
    assert len(keys) == (1 if installed else 2)
