"""``--quiet``: of a command errors and results, of a program errors that are left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from autoxla import commands
from autoxla.store import Store
from programs import HOME, Outcome, clean_environment, run

NEEDS_2 = "import tensorflow as tf\nadam = tf.keras.optimizers.legacy.Adam()\n"
NEEDS_BOTH = f"import keras\n{NEEDS_2}tf.keras.ops\n"
#: A TensorFlow that costs nothing to import.
FAKE = "class keras:\n    class optimizers:\n        class legacy:\n            Adam = dict\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with programs, and ``site-packages`` with a TensorFlow that looks real."""
    site = tmp_path / "site-packages"
    for name, version in {"tensorflow": "2.21.0", "keras": "3.15.1", "tf_keras": "2.21.0"}.items():
        metadata = site / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (site / "tensorflow.py").write_text(FAKE)
    (site / "keras.py").write_text("")
    (tmp_path / "old.py").write_text(NEEDS_2)
    (tmp_path / "both.py").write_text(NEEDS_BOTH)
    (tmp_path / "bare.py").write_text(f"import keras\n{NEEDS_2}")
    return tmp_path


def autoxla(folder: Path, *words: str, **variables: str) -> Outcome:
    path = f"{folder / 'site-packages'}{os.pathsep}{HOME}"
    return run(["-m", "autoxla", *words], folder, clean_environment(PYTHONPATH=path, **variables))


def codes(text: str) -> list[str]:
    return [word for word in text.split() if word.startswith("AX") and word[2:].isdigit()]


# --- a program


CHILD = "import subprocess, sys\nsubprocess.run([sys.executable, 'old.py'], check=True)\n"


@pytest.mark.parametrize("before", [[], ["run"]])
def test_a_program_and_its_children_are_quiet(before: list[str], project: Path) -> None:
    (project / "parent.py").write_text(CHILD)
    loud = autoxla(project, *before, "parent.py")
    quiet = autoxla(project, "--quiet", *before, "parent.py")
    assert codes(loud.err) == ["AX112"]
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")


def test_quiet_changes_nothing_else(project: Path) -> None:
    (project / "show.py").write_text(f"import os\n{NEEDS_2}print(os.environ['TF_USE_LEGACY_KERAS'])\n")
    assert autoxla(project, "--quiet", "show.py").out == "1\n"


@pytest.mark.parametrize(("value", "count"), [("1", 0), ("True", 0), ("", 1), ("0", 1), ("false", 1)])
def test_the_variable_does_the_same(value: str, count: int, project: Path) -> None:
    assert len(autoxla(project, "old.py", AUTOXLA_QUIET=value).notices) == count


def test_an_error_that_is_left_is_said(project: Path) -> None:
    outcome = autoxla(project, "--quiet", "both.py")
    assert codes(outcome.err) == ["AX113"]


def test_a_setting_that_cannot_be_is_said(project: Path) -> None:
    assert codes(autoxla(project, "--quiet", "old.py", AUTOXLA="fast").err) == ["AX902"]


def test_the_log_of_a_program_is_quiet_too(project: Path) -> None:
    (project / "log.py").write_text(f"import logging\nlogging.basicConfig()\n{NEEDS_2}")
    assert "AX112 warning" in autoxla(project, "log.py").err
    assert autoxla(project, "--quiet", "log.py").err == ""


KNOWN = """
from autoxla import runtime
from autoxla.hooks import error_hints, uncaught
error_hints.HAS_NOTES = False  # as up to Python 3.10
uncaught.register(runtime.current())
raise ValueError("Could not interpret optimizer identifier: <keras.src.optimizers.adam.Adam object>")
"""


def test_the_note_on_an_error_that_nobody_caught_is_quiet_too(project: Path) -> None:
    path = f"{project / 'site-packages'}{os.pathsep}{HOME}"
    loud, quiet = (
        run(["-c", KNOWN], project, clean_environment(PYTHONPATH=path, **variables))
        for variables in ({}, {"AUTOXLA_QUIET": "1"})
    )
    assert (codes(loud.err), codes(quiet.err)) == (["AX134"], [])
    logging = f"import logging\nlogging.basicConfig(format='logged %(message)s')\n{KNOWN}"
    logged = run(["-c", logging], project, clean_environment(PYTHONPATH=path))
    assert "logged AX134" in logged.err


def test_the_letter_in_front_of_a_program_is_pythons(project: Path) -> None:
    assert codes(autoxla(project, "-q", "old.py").err) == ["AX112"]


# --- the commands

#: By command, words with which it has something to say beside what was asked for.
WORDS = {
    "check": [["old.py"]],
    "doctor": [["old.py"]],
    "env": [["old.py"]],
    "explain": [["old.py"]],
    "migrate": [["--to", "legacy", "--write", "bare.py"]],
    "records": [["list"], ["clear"]],
    "rule": [["AX103"]],
    "site": [["status"], ["disable"]],
}


@pytest.mark.parametrize("command", sorted(set(commands.MODULES) - {"heal", "tune"}))
def test_each_command_takes_it_in_front_and_behind(command: str, project: Path) -> None:
    for words in WORDS[command]:
        loud = autoxla(project, command, *words, TERM="xterm-256color")
        assert "\x1b" not in loud.out + loud.err
        front = autoxla(project, "--quiet", command, *words)
        behind = autoxla(project, command, *words, "-q")
        assert front.status == behind.status == loud.status
        assert (front.out, front.err) == (behind.out, behind.err)
        assert "AX902" not in front.err


def test_check(project: Path) -> None:
    outcome = autoxla(project, "check", "-q", "old.py", "both.py")
    assert (outcome.status, codes(outcome.out)) == (1, ["AX113"])
    outcome = autoxla(project, "check", "-q", "--format", "json", "old.py", "both.py")
    assert [finding["code"] for finding in json.loads(outcome.out)] == ["AX113"]
    outcome = autoxla(project, "check", "-q", "old.py")
    assert (outcome.status, outcome.out) == (0, "")


def test_doctor(project: Path) -> None:
    (project / "keras.py").write_text("")
    outcome = autoxla(project, "doctor", "--quiet", "old.py")
    assert outcome.status == 1
    assert outcome.out.splitlines()[0].startswith("error ")
    assert not [line for line in outcome.out.splitlines() if not line.startswith(("error ", " "))]
    states = {line["state"] for line in json.loads(autoxla(project, "doctor", "-q", "--json", "old.py").out)}
    assert states == {"error"}
    assert autoxla(project, "doctor", "-q", "--verbose").status == 2


def test_explain(project: Path) -> None:
    cured, left = autoxla(project, "explain", "-q", "old.py"), autoxla(project, "explain", "-q", "both.py")
    assert (cured.status, cured.out) == (0, "")
    assert (left.status, codes(left.out)) == (0, ["AX113"])
    bad = autoxla(project, "explain", "-q", TF_XLA_FLAGS="--tf_xla_auto_jit")
    assert (bad.status, codes(bad.out)) == (2, ["AX301"])
    page = autoxla(project, "explain", "-q", "--html", "plan.html", "old.py")
    assert (page.out, (project / "plan.html").exists()) == ("", True)
    assert "findings" in json.loads(autoxla(project, "explain", "-q", "--json", "old.py").out)


def test_env_prints_its_settings_and_no_remark(project: Path) -> None:
    loud, quiet = autoxla(project, "env", "old.py"), autoxla(project, "env", "-q", "old.py")
    assert (quiet.out, quiet.err) == (loud.out, "")
    assert "AX112" in loud.err
    assert "AX113" in autoxla(project, "env", "-q", "both.py").err


def test_migrate_leaves_out_its_count(project: Path) -> None:
    outcome = autoxla(project, "migrate", "--to", "legacy", "-q", "bare.py")
    assert (outcome.status, outcome.err) == (1, "")
    assert outcome.out.startswith("--- bare.py")
    assert "AX902" in autoxla(project, "migrate", "--to", "legacy", "-q", "missing.py").err


def test_records(project: Path) -> None:
    cache = project / "cache"
    given = {"AUTOXLA_CACHE": str(cache)}
    assert autoxla(project, "records", "-q", "list", **given).out == ""
    Store(cache / "cures").write("a" * 16, {"program": "train.py"})
    (cache / "cures" / f"{'b' * 16}.json").write_text("{")
    listed = autoxla(project, "records", "list", "-q", **given)
    assert (len(listed.out.splitlines()), listed.err) == (1, "")
    cleared = autoxla(project, "records", "-q", "clear", **given)
    assert (cleared.status, cleared.out, cleared.err) == (0, "", "")
    assert not (cache / "cures" / f"{'a' * 16}.json").exists()


def test_site_says_its_state_in_one_line(project: Path) -> None:
    outcome = autoxla(project, "site", "status", "-q")
    assert outcome.out == "autoxla is not active in new interpreters of this environment\n"


@pytest.mark.tensorflow
def test_tune_says_only_why_the_program_fails(project: Path) -> None:
    program = "import keras\nraise SystemExit('no data')\n"
    (project / "fails.py").write_text(program)
    words = ["-m", "autoxla", "tune", "-q", "--budget", "60s", "--paths", "graph", "fails.py"]
    outcome = run(words, project, clean_environment(AUTOXLA_CACHE=str(project / "cache")))
    assert (outcome.status, outcome.out) == (1, "")
    assert "no data" in outcome.err
    assert all(line.startswith("autoxla: ") for line in outcome.err.splitlines())


def test_tune_says_why_a_program_fails_that_wrote_nothing(project: Path) -> None:
    (project / "ends.py").write_text("")
    outcome = autoxla(
        project, "tune", "-q", "ends.py", AUTOXLA_CACHE=str(project / "cache"), TMPDIR=str(project)
    )
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith("autoxla: default: it ended without a training step")
