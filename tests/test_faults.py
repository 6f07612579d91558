"""A fault within autoxla changes nothing that a program prints, nor its status, nor what it trains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autoxla.hooks import boundary
from faults import running, table
from faults.running import Verdict
from faults.scenarios import FOLDER
from faults.switch import VARIABLE
from programs import HOME, Outcome, clean_environment, run_code

#: Real processes: the way from the first import to the end, and what stands around a training.
REAL = (
    ("keras, auto", "autoxla.runtime:Runtime.begin"),
    ("keras, auto", "autoxla.policies:decide"),
    ("keras, auto", "autoxla.runtime:Runtime.add_compile"),
    ("keras, auto", "autoxla.hooks.finder:AutoxlaFinder.begin"),
    ("keras, auto", "autoxla.hooks.wrapping:wrap"),
    ("keras, error", "autoxla.hooks.error_hints:find_hint"),
    ("keras, error", "autoxla.hooks.wrapping:leave_no_frame"),
    ("keras, exit", "autoxla.runtime:Runtime.finish"),
    ("keras, launcher", "autoxla.runtime:current"),
    ("tf_keras", "autoxla.runtime:current"),
)


def leaks(verdicts: list[Verdict]) -> list[str]:
    """Return what a program knew of, but for functions around which nothing stands."""
    known = [verdict for verdict in verdicts if verdict.site not in running.OUTERMOST]
    return [f"{v.scenario}: {v.site}, {v.kind}: {v.leak}" for v in known if v.leak]


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    """Return what came of an error in each function that a program with the stand-ins reaches."""
    sites = running.list_reached("whole")
    return running.inject_all([("whole", site, "raise RuntimeError") for site in sites])


def test_an_error_in_any_function_leaves_the_program_as_it_was(verdicts: list[Verdict]) -> None:
    assert leaks(verdicts) == []


def test_the_errors_took_place_and_were_told(verdicts: list[Verdict]) -> None:
    """Every function fails when it is made to; what is not told is an error that has an answer."""
    assert [verdict.site for verdict in verdicts if not verdict.fired] == []
    assert len(verdicts) > 150
    told = [verdict for verdict in verdicts if "AX901" in verdict.said]
    assert len(told) > 0.8 * len(verdicts)


@pytest.mark.tensorflow
def test_an_error_in_a_process_with_tensorflow() -> None:
    found = running.inject_all([(scenario, site, "raise RuntimeError") for scenario, site in REAL])
    assert [verdict.site for verdict in found if not verdict.fired] == []
    assert leaks(found) == []


@pytest.mark.tensorflow
def test_an_error_within_a_trial() -> None:
    """Training with a fault in a function of the trial: the weights are those of training without one."""
    sites = running.list_reached_in_training("keras", "forced")
    chosen = [site for site in sites if site.startswith("autoxla.trial")]
    # The others have their turn in the whole table.
    found = running.train("keras", "forced", chosen[::3], ["raise RuntimeError"])
    assert len([verdict for verdict in found if verdict.fired]) > 12
    assert leaks(found) == []


def ask_for_the_plan(folder: Path, site: str) -> subprocess.CompletedProcess[str]:
    """Run a program that calls autoxla itself, with an error in ``site``."""
    environment = clean_environment(PYTHONPATH=f"{FOLDER / 'site'}:{HOME}")
    environment[VARIABLE] = json.dumps(
        {"site": site, "kind": "raise RuntimeError", "fired": str(folder / "fired")}
    )
    words = [sys.executable, "-c", "import autoxla; print(autoxla.plan())"]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def test_the_switch_makes_a_function_fail(tmp_path: Path) -> None:
    done = ask_for_the_plan(tmp_path, "autoxla.runtime:plan")
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError: injected\n")
    assert (tmp_path / "fired").read_text() == "autoxla.runtime:plan\n"


def test_the_switch_leaves_the_others_alone(tmp_path: Path) -> None:
    done = ask_for_the_plan(tmp_path, "autoxla.runtime:configure")
    assert (done.returncode, done.stdout[:5]) == (0, "Plan(")
    assert not (tmp_path / "fired").exists()


def test_a_leak_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other output is a leak: here, what the program is allowed to print is something else."""
    left = running.Left(0, "something else\n", "", ())
    monkeypatch.setattr(running, "allowed", lambda _: {"without": left, "with": left})
    verdict = running.inject("exit", "autoxla.activation:begin", "raise RuntimeError")
    assert verdict.fired
    assert verdict.leak.startswith("differs in status, out")


def run_with_stubs(code: str, folder: Path, **variables: str) -> Outcome:
    """Run ``code``, which breaks something of autoxla's own, on the stand-ins."""
    path = f"{FOLDER / 'stubs'}:{HOME}"
    return run_code(code, folder, **{"PYTHONPATH": path, **variables})


BROKEN = """\
import os
from autoxla import runtime
def broken(*_):
    raise OSError("broken")
runtime.{name} = broken
import keras
print(keras.__name__, os.environ.get("TF_USE_LEGACY_KERAS"), sorted(runtime.plan().alias))
"""


@pytest.mark.parametrize(
    ("name", "left"), [("json", "keras None []\n"), ("say_plan", "tf_keras 1 ['keras']\n")]
)
def test_a_plan_is_carried_out_as_a_whole_or_not_at_all(name: str, left: str, tmp_path: Path) -> None:
    """What is set is taken back where the rest cannot be done; what cannot be told is done."""
    outcome = run_with_stubs(BROKEN.format(name=name), tmp_path, AUTOXLA_KERAS="legacy")
    assert (outcome.status, outcome.out) == (0, left), outcome.err
    assert [line.split()[1] for line in outcome.notices] == ["AX901"]


def test_what_a_fault_says_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    boundary.say("a\x1b[1m", OSError("b\x07\n\u202ec"), first=True)
    said = capsys.readouterr().err
    assert said.startswith("autoxla: AX901 error a?[1m: OSError: b? ?c; ")
    assert said.count("\n") == 1


def test_the_page_is_as_made() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    assert page == table.renew(page)


def test_no_fault_of_the_last_run_was_seen_by_a_program() -> None:
    assert table.load().leaks == []
