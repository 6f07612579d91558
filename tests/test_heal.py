"""Healing: marks, candidates, the search over invented programs, and real programs end to end."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import plugin_double
from autoxla.commands.heal import _write_cure
from autoxla.cures import keep
from autoxla.model import (
    Cure,
    Evidence,
    FlagNames,
    Hardware,
    KerasConfig,
    Place,
    Plugin,
    Reading,
    Situation,
    Usage,
)
from autoxla.paths.candidates import find_candidates
from autoxla.paths.cells import convert
from autoxla.paths.children import Children, Run
from autoxla.paths.listing import DEFAULT, Paths
from autoxla.paths.listing import Path as ExecutionPath
from autoxla.paths.marks import BEYOND, Frame, Mark, is_later, read_mark, read_progress
from autoxla.paths.search import Attempt, Look, Search, chance
from autoxla.paths.watch import is_own
from autoxla.planning import WATCH, assemble
from autoxla.running import subject_from
from autoxla.situation.environment import UNCURED

# Benchmarks are not installed. At the end, so that autoxla is the installed one.
sys.path.append(str(Path(__file__).parents[1]))

from dying_programs import BUGS, CASES, CHANGING, Case, make_environment_without
from healing.__main__ import PAGE, RESULTS, render
from programs import HOME, clean_environment, run

VERSIONS = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}
CPU = Situation(versions=VERSIONS, hardware=Hardware("none"), backends=frozenset({"tensorflow"}))
SWITCH, ALIAS = (
    ExecutionPath(n, variables={"AUTOXLA_KERAS": v}) for n, v in (("switch", "2"), ("alias", "legacy"))
)
FLAGS = ExecutionPath("flags", variables={"XLA_FLAGS": None}, signs=("XLA_FLAGS",), is_below=True)


# Marks


def frames(*lines: int, file: str = "train.py") -> tuple[Frame, ...]:
    """Return a stack of the program's own code, each function called at one of ``lines``."""
    return tuple(Frame(file, line, f"f{depth}") for depth, line in enumerate(lines))


ERROR = Mark("exception", "ValueError", "bad shape (3, 4) at 0x7f00", frames(10, 3), is_python=True)


@pytest.mark.parametrize("message", ["bad shape (5, 16) at 0x7fab", "bad shape (3, 4) at 0xff"])
def test_numbers_and_addresses_make_no_other_death(message: str) -> None:
    assert ERROR.is_same(replace(ERROR, message=message, steps=7))


def test_paths_make_no_other_death() -> None:
    one, other = (replace(ERROR, message=f"no file /tmp/{name}/x.h5 here") for name in ("a1", "b2"))
    assert one.is_same(other)


def test_an_abort_in_a_thread_of_c_is_the_same_as_in_a_line() -> None:
    line = Mark("signal", "SIGABRT", "Unknown flags in XLA_FLAGS", frames(10, 3))
    assert line.is_same(replace(line, stack=()))
    assert replace(line, stack=()).is_same(line)
    assert not line.is_same(replace(line, stack=frames(10, 4)))
    assert not ERROR.is_same(replace(ERROR, stack=()))


@pytest.mark.parametrize(
    "changed",
    [
        {"what": "TypeError"},
        {"message": "another thing"},
        {"stack": frames(10, 4)},
        {"kind": "status"},
    ],
)
def test_another_exception_message_or_line_is_another_death(changed: dict[str, Any]) -> None:
    assert not ERROR.is_same(replace(ERROR, **changed))


@pytest.mark.parametrize(
    ("one", "other", "later"),
    [
        ((11,), (10,), True),
        ((9,), (10,), False),
        ((10,), (10,), False),
        ((10, 4), (10, 3), True),
        ((10, 2), (10, 3), False),
        ((11, 1), (10, 3), True),
        ((10, 3), (10,), True),
        ((10,), (10, 3), False),
        ((10,), (), False),
    ],
)
def test_lines_tell_which_moment_is_later(one: Sequence[int], other: Sequence[int], later: bool) -> None:
    assert is_later(frames(*one), frames(*other)) is later


def test_lines_of_different_code_tell_nothing() -> None:
    assert not is_later(frames(20, file="a.py"), frames(10, file="b.py"))
    assert not is_later((Frame("a.py", 20, "f"),), (Frame("a.py", 10, "g"),))


@given(st.lists(st.integers(1, 50), max_size=5), st.lists(st.integers(1, 50), max_size=5))
def test_no_two_moments_are_each_later_than_the_other(one: list[int], other: list[int]) -> None:
    assert not (is_later(frames(*one), frames(*other)) and is_later(frames(*other), frames(*one)))


AUTOGRAPH = """in user code:

    File "/x/ag.py", line 5, in step  *
        return x * opt.lr

    AttributeError: 'Adam' object has no attribute 'lr'
"""

GRAPH = """Graph execution error:

Detected at node loss/Softmax defined at (most recent call last):
  File "/x/train.py", line 9, in <module>

  File "/x/keras/training.py", line 399, in fit

label 3 is outside of [0, 3)
\t [[{{node loss/Softmax}}]] [Op:__inference_multi_step_on_iterator_919]
"""


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (AUTOGRAPH, "'Adam' object has no attribute 'lr'"),
        ("Exception encountered when calling Scale.call().\n\n\x1b[1mno lr\x1b[0m\n\nArguments", "no lr"),
        (GRAPH, "label 3 is outside of [0, 3)"),
        ("a\x1b]0;b\x07c", "a?]0;b?c"),
    ],
)
def test_a_mark_shows_the_cause_and_moves_no_cursor(message: str, shown: str) -> None:
    assert str(Mark("exception", "AttributeError", message)) == f"AttributeError: {shown}"


def test_a_mark_is_one_line() -> None:
    mark = Mark("exception", "ValueError", "first\nsecond", frames(10, 3), steps=4)
    assert str(mark) == "ValueError at train.py:3 after 4 steps: first"


# What a child leaves


def watched(folder: Path, code: str, limit: float = 30.0, look: Look | None = None) -> Run:
    """Run ``code`` as heal does, without a candidate."""
    (folder / "program.py").write_text(code, encoding="utf-8")
    return Children([str(folder / "program.py")], folder, variables={}, probe=WATCH).run(
        DEFAULT, {}, limit, look
    )


def mark_of(folder: Path, code: str) -> Mark | None:
    return read_mark(watched(folder, code))


def place(mark: Mark | None) -> tuple[int, str]:
    assert mark is not None
    return mark.stack[-1].line, mark.stack[-1].function


def test_an_exception_is_seen_with_its_line(tmp_path: Path) -> None:
    mark = mark_of(tmp_path, "import json\ndef f():\n    json.loads('{')\nf()\n")
    assert mark is not None
    assert (mark.kind, mark.what, place(mark)) == ("exception", "JSONDecodeError", (3, "f"))
    assert (mark.is_loaded, mark.is_python) == (False, True)


def test_an_excepthook_of_the_program_hides_nothing(tmp_path: Path) -> None:
    mark = mark_of(tmp_path, "import sys\nsys.excepthook = lambda *a: None\nraise KeyError(1)\n")
    assert mark is not None
    assert (mark.what, place(mark)) == ("KeyError", (3, "<module>"))


def test_a_signal_is_seen_with_its_line(tmp_path: Path) -> None:
    mark = mark_of(tmp_path, "import os\ndef f():\n    os.abort()\nf()\n")
    assert mark is not None
    assert (mark.kind, mark.what, place(mark)) == ("signal", "SIGABRT", (3, "f"))


def test_a_line_of_the_log_is_no_last_word(tmp_path: Path) -> None:
    said = "no such flag\nWARNING: All log messages before\nI0000 00:00:17 cpu.cc:1] x\n"
    said += "2026-01-01 10:00:00.1: I tensorflow/core/x.cc:2] y"
    mark = mark_of(tmp_path, f"import os\nos.write(2, {said.encode()!r})\nos.abort()\n")
    assert mark is not None
    assert mark.message == "no such flag"


@pytest.mark.parametrize("end", ["os.abort()", "time.sleep(60)"])
@pytest.mark.parametrize("is_loaded", [True, False])
def test_what_ends_without_python_tells_whether_keras_was_loaded(
    end: str, is_loaded: bool, tmp_path: Path
) -> None:
    (tmp_path / "keras.py").touch()
    code = f"import os, time\n{'import keras' if is_loaded else ''}\n{end}\n"
    mark = read_mark(watched(tmp_path, code, look=Look(1.5, None)))
    assert mark is not None
    assert (mark.kind, mark.is_loaded) == ("signal" if "abort" in end else "hang", is_loaded)


def test_ctrl_c_ends_a_watched_program_as_it_ends_others(tmp_path: Path) -> None:
    assert watched(tmp_path, "raise KeyboardInterrupt\n").status == -signal.SIGINT


def test_an_error_without_text_is_seen(tmp_path: Path) -> None:
    code = "class Bad(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise Bad\n"
    run = watched(tmp_path, code)
    mark = read_mark(run)
    assert mark is not None
    assert (mark.what, mark.message, place(mark)) == ("Bad", "", (4, "<module>"))
    assert "autoxla" not in run.err


def test_a_process_outlives_the_folder(tmp_path: Path) -> None:
    """It began to be watched before the folder went, and starts another one behind that."""
    folder = tmp_path / "gone"
    folder.mkdir()
    (tmp_path / "program.py").write_text(
        f"import shutil, subprocess, sys\nshutil.rmtree({str(folder)!r})\n"
        "sys.exit(subprocess.call([sys.executable, '-m', 'autoxla', 'run', '-c', 'print(1)']))\n",
        encoding="utf-8",
    )
    done = run(["-m", "autoxla", "run", "program.py"], tmp_path, clean_environment(**{WATCH: f"{folder}/x"}))
    assert (done.status, done.out, done.err) == (0, "1\n", "")


def test_the_user_s_faulthandler_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONFAULTHANDLER", "1")
    run = watched(tmp_path, "import os\nos.abort()\n")
    assert "Fatal Python error: Aborted" in run.err


def test_functions_that_autograph_makes_are_not_the_program_s() -> None:
    assert not is_own("/t/__autograph_generated_fileq9.py")
    assert is_own("/t/autograph.py")


def test_the_interpreter_s_options_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-W", "error", "-m", "autoxla", "heal", "x.py"])
    mark = mark_of(tmp_path, "import warnings\nwarnings.warn('now an error')\n")
    assert mark is not None
    assert mark.what == "UserWarning"


def test_a_status_is_seen_with_the_last_line(tmp_path: Path) -> None:
    mark = mark_of(tmp_path, "import sys\nsys.exit('no luck')\n")
    assert mark is not None
    assert (mark.kind, mark.what, mark.message, mark.stack) == ("status", "status 1", "no luck", ())


def test_what_ends_well_has_no_mark(tmp_path: Path) -> None:
    assert mark_of(tmp_path, "print('well')\n") is None


#: A library that ends the process as ITEX does: its C code has Python run text.
QUITTING = """
import ctypes
def compile(said="no jit compile, please"):
    print(said)
    ctypes.pythonapi.PyRun_SimpleString(b"quit()")
"""


def add_library(folder: Path, **sources: str) -> Path:
    """Write modules below a folder whose name tells that they are no program's own; return it."""
    site = folder / "elsewhere" / "site-packages"
    site.mkdir(parents=True)
    for name, source in sources.items():
        (site / f"{name}.py").write_text(source, encoding="utf-8")
    return site


def test_the_silent_end_of_itex_is_a_death(tmp_path: Path) -> None:
    site = add_library(tmp_path, itex=QUITTING)
    mark = mark_of(tmp_path, f"import sys\nsys.path.append({str(site)!r})\nimport itex\nitex.compile()\n")
    assert mark is not None
    assert (mark.kind, mark.message, place(mark)) == ("quiet", "no jit compile, please", (4, "<module>"))


def test_a_program_may_quit(tmp_path: Path) -> None:
    assert mark_of(tmp_path, "print('well')\nquit()\n") is None


def test_an_exception_in_a_process_below_is_the_death(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text("x = 1\nraise LookupError('below')\n", encoding="utf-8")
    code = "import subprocess, sys\nsys.exit(subprocess.call([sys.executable, 'work.py'], cwd={!r}))\n"
    mark = mark_of(tmp_path, code.format(str(tmp_path)))
    assert mark is not None
    assert (mark.what, Path(mark.stack[-1].file).name, mark.stack[-1].line) == ("LookupError", "work.py", 2)


def test_a_program_sees_no_thread_of_the_watch(tmp_path: Path) -> None:
    code = "import threading\nassert threading.active_count() == 1, threading.enumerate()\n"
    assert mark_of(tmp_path, code) is None


def test_the_line_of_a_live_program_is_seen(tmp_path: Path) -> None:
    seen = []

    class Looking(Look):
        def __call__(self, name: Path, process: int, wall: float) -> str:
            seen.append(read_progress(name, process))
            return "seen" if len(seen[-1].stack) > 1 else ""

    run = watched(tmp_path, "import time\ndef wait():\n    time.sleep(60)\nwait()\n", look=Looking(60, None))
    assert (run.status, run.ended) == (None, "seen")
    assert [frame.line for frame in seen[-1].stack] == [4, 3]


def test_what_does_not_move_hangs(tmp_path: Path) -> None:
    run = watched(tmp_path, "import time\ntime.sleep(60)\n", look=Look(1.5, None))
    mark = read_mark(run)
    assert mark is not None
    assert (mark.kind, place(mark)) == ("hang", (2, "<module>"))


def test_what_prints_moves(tmp_path: Path) -> None:
    """It prints in one line of its own, and a file has a buffer."""
    code = "import time\nfor i in range(12): time.sleep(0.5); print(i)\n"
    assert watched(tmp_path, code, look=Look(3.0, None)).status == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell")
def test_what_computes_moves(tmp_path: Path) -> None:
    before, began = read_progress(tmp_path / "x", os.getpid()), time.process_time()
    while time.process_time() < began + 1.2:
        pass
    assert read_progress(tmp_path / "x", os.getpid()).busy > before.busy


def test_what_lives_behind_the_mark_passes(tmp_path: Path) -> None:
    file = str(tmp_path / "program.py")
    mark = Mark("exception", "ValueError", stack=(Frame(file, 2, "<module>"),))
    dead = Run(1, "", tmp_path, 1, "", "", 0.1)
    look = Look(60, Attempt(DEFAULT, dead, mark, 1, lived=0.1))
    run = watched(tmp_path, "import time\nx = 1\ntime.sleep(60)\n", look=look)
    assert (run.ended, read_mark(run)) == (BEYOND, None)


def test_what_lives_in_front_of_the_mark_is_waited_for(tmp_path: Path) -> None:
    file = str(tmp_path / "program.py")
    mark = Mark("exception", "ValueError", stack=(Frame(file, 4, "<module>"),))
    look = Look(60, Attempt(DEFAULT, Run(1, "", tmp_path, 1, "", "", 0.1), mark, 1, lived=0.1))
    run = watched(tmp_path, "import time\nx = 1\ntime.sleep(60)\n1 / 0\n", limit=4.0, look=look)
    assert run.ended == "no result within 4 s"


# The search, over invented programs


class Program:
    """A program that dies by ``dies(variables, number of the run)``, None for a run that lives."""

    def __init__(self, folder: Path, dies: Callable[[Mapping[str, str | None], int], Mark | None]) -> None:
        self.folder, self.dies = folder, dies
        self.now, self.order = 0.0, list[str]()

    def run(self, path: ExecutionPath, limit: float, look: Look) -> Run:
        mark = self.dies(path.variables, len(self.order))
        self.order.append(path.name)
        self.now += 1.0
        name = self.folder / f"run-{len(self.order)}.heal"
        if mark is None:
            return Run(0, "", name, 1, "", "", 1.0)
        facts = {
            "types": [mark.what],
            "message": mark.message,
            "stack": [tuple(frame) for frame in mark.stack],
            "loaded": mark.is_loaded,
        }
        Path(f"{name}.1.death").write_text(ascii(facts), encoding="utf-8")
        Path(f"{name}.steps").write_bytes(b"." * mark.steps)
        return Run(1, "", name, 1, "", mark.message, 1.0)

    def heal(self, *paths: ExecutionPath, budget: float = 1000.0) -> Search:
        search = Search(
            self.run,
            lambda mark: Paths(paths, {}),
            budget=budget,
            clock=lambda: self.now,
            tell=lambda path, attempt: None,
        )
        search.search()
        return search


KERAS_ERROR = replace(ERROR, what="TypeError")


def needs(value: str, mark: Mark = KERAS_ERROR) -> Callable[[Mapping[str, str | None], int], Mark | None]:
    return lambda variables, number: None if variables.get("AUTOXLA_KERAS") == value else mark


def test_a_program_that_ends_well_is_run_once(tmp_path: Path) -> None:
    program = Program(tmp_path, lambda variables, number: None)
    assert (program.heal(SWITCH).end, program.order) == ("it ends well", ["default"])


def test_a_cure_is_found_and_confirmed(tmp_path: Path) -> None:
    program = Program(tmp_path, needs("2"))
    search = program.heal(SWITCH, ALIAS)
    assert (search.end, search.confirmed) == ("cured", SWITCH)
    order = "default switch switch default switch default default switch"
    assert program.order == order.split()


def test_what_the_death_names_is_confirmed_less_often(tmp_path: Path) -> None:
    named = replace(SWITCH, signs=("AUTOXLA_KERAS=2",))
    program = Program(tmp_path, needs("2", replace(ERROR, message="set AUTOXLA_KERAS=2")))
    assert program.heal(named).end == "cured"
    assert program.order == ["default", "switch", "switch", "default"]


def test_a_notice_at_the_start_names_nothing(tmp_path: Path) -> None:
    named = replace(SWITCH, signs=("AUTOXLA_KERAS=2",))
    for line, says in (
        ("AX101 warning train.py:3: x; AUTOXLA_KERAS=2", False),
        ("AX169 AUTOXLA_KERAS=2", True),
    ):
        died = Run(1, "", tmp_path, 1, "", f"autoxla: {line}\n", 1.0)
        assert Attempt(DEFAULT, died, ERROR, 1, 1.0).says(named) is says


@pytest.mark.parametrize("period", [2, 3, 4])
def test_a_program_that_dies_in_a_rhythm_has_no_cure(period: int, tmp_path: Path) -> None:
    for ends in itertools.product((True, False), repeat=period):

        def dies(_: Mapping[str, str | None], number: int, ends: Sequence[bool] = ends) -> Mark | None:
            return ERROR if ends[number % period] else None

        assert Program(tmp_path, dies).heal(SWITCH, ALIAS).end != "cured"


def test_a_candidate_that_changes_nothing_counts_as_another_death(tmp_path: Path) -> None:
    program = Program(tmp_path, needs("legacy", ERROR))
    search = program.heal(replace(SWITCH, name="x"), replace(SWITCH, name="y"), ALIAS)
    assert program.order == [
        "default",
        "x",
        "y",
        "alias",
        *["alias", "default", "alias", "default", "default", "alias"],
    ]
    assert search.end == "cured"


def test_nothing_helps_against_a_bug(tmp_path: Path) -> None:
    program = Program(tmp_path, lambda variables, number: ERROR)
    search = program.heal(SWITCH, ALIAS)
    assert (search.end, search.cure, len(program.order)) == ("nothing helps", None, 3)


def test_a_death_before_any_backend_is_no_settings_fault(tmp_path: Path) -> None:
    program = Program(tmp_path, lambda variables, number: replace(ERROR, is_loaded=False))
    search = program.heal(SWITCH, ALIAS)
    assert (search.end, program.order) == ("nothing helps", ["default"])
    assert "before it had imported Keras" in search.impossible["AUTOXLA_KERAS=2"]


def test_operations_are_left_alone_where_python_failed(tmp_path: Path) -> None:
    program = Program(tmp_path, needs("2"))
    search = program.heal(FLAGS, SWITCH)
    assert "flags" not in program.order
    assert "none of them failed" in search.impossible["XLA_FLAGS unset"]


def test_what_the_error_names_is_tried_first(tmp_path: Path) -> None:
    named = replace(ALIAS, signs=("AUTOXLA_KERAS=legacy",))
    program = Program(
        tmp_path, needs("legacy", replace(KERAS_ERROR, message="start with AUTOXLA_KERAS=legacy"))
    )
    program.heal(SWITCH, named)
    assert program.order[1] == named.name


def test_two_causes_are_cured_together_and_by_no_more(tmp_path: Path) -> None:
    home = ExecutionPath("home", variables={"KERAS_HOME": "/x"})
    backend = ExecutionPath("backend", variables={"KERAS_BACKEND": "jax"})
    later = replace(KERAS_ERROR, message="later", stack=frames(20))

    def dies(variables: Mapping[str, str | None], number: int) -> Mark | None:
        if "KERAS_HOME" not in variables:
            return KERAS_ERROR
        return None if variables.get("AUTOXLA_KERAS") == "2" else later

    program = Program(tmp_path, dies)
    search = program.heal(backend, home, SWITCH)
    assert search.cure is not None
    assert (search.end, search.cure.name) == ("cured", "home + switch")
    assert search.cure.variables == {"KERAS_HOME": "/x", "AUTOXLA_KERAS": "2"}


def test_what_is_not_needed_is_taken_out(tmp_path: Path) -> None:
    """The first setting leads further by itself, and is not needed in the end."""
    paths = [ExecutionPath(name, variables={name: "1"}) for name in ("A", "B", "C")]

    def dies(variables: Mapping[str, str | None], number: int) -> Mark | None:
        if {"B", "C"} <= variables.keys():
            return None
        return replace(KERAS_ERROR, stack=frames(10 + ("A" in variables) + ("".join(variables) == "AB")))

    search = Program(tmp_path, dies).heal(*paths)
    assert search.cure is not None
    assert (search.end, search.cure.name) == ("cured", "B + C")


def test_the_alias_is_reduced_to_the_switch_where_that_is_enough(tmp_path: Path) -> None:
    program = Program(
        tmp_path, lambda variables, number: None if "AUTOXLA_KERAS" in variables else KERAS_ERROR
    )
    assert program.heal(ALIAS, SWITCH).cure == SWITCH
    program = Program(tmp_path, needs("legacy"))
    assert program.heal(ALIAS, SWITCH).cure == ALIAS


def test_what_came_nearest_is_told(tmp_path: Path) -> None:
    later = replace(ERROR, message="later", steps=40)
    program = Program(tmp_path, lambda variables, number: later if variables else ERROR)
    search = program.heal(SWITCH)
    assert search.nearest is not None
    assert (search.end, search.nearest.path, search.nearest.mark) == ("nothing helps", SWITCH, later)


def test_a_budget_ends_the_search(tmp_path: Path) -> None:
    search = Program(tmp_path, needs("2")).heal(SWITCH, budget=3.5)
    assert (search.end, search.cure, search.confirmed) == ("out of budget", SWITCH, None)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_program_that_dies_at_random_has_no_cure(share: float, tmp_path: Path) -> None:
    """Every sequence of deaths and lives: those that look like a cure are as unlikely as is allowed."""
    likelihood = 0.0
    for ends in itertools.product((True, False), repeat=10):
        if not ends[0]:
            continue

        def dies(_: Mapping[str, str | None], number: int, ends: Sequence[bool] = ends) -> Mark | None:
            return ERROR if ends[number % 10] else None

        program = Program(tmp_path, dies)
        if program.heal(SWITCH, ALIAS).end == "cured":
            likelihood += share ** (sum(ends) - 1) * (1 - share) ** (10 - sum(ends))
    assert likelihood < 0.02


def test_chance_is_greatest_at_its_own_share() -> None:
    assert chance(2, 2) == 1 / 16
    assert chance(4, 3) < 0.01 < chance(3, 3)


def test_changed_lines_are_shown_and_times_are_not(tmp_path: Path) -> None:
    outs = {"default": "a 1\nat {}\nsame\n", "switch": "a 2\nat {}\nsame\nmore\n"}
    program = Program(tmp_path, needs("2"))
    stock, count = program.run, itertools.count()
    search = Search(
        lambda path, limit, look: replace(stock(path, limit, look), out=outs[path.name].format(next(count))),
        lambda mark: Paths((SWITCH,), {}),
        budget=100,
        clock=lambda: 0.0,
        tell=lambda path, attempt: None,
    )
    search.search()
    assert search.find_changed_output() == [("a 1", "a 2")]


# The candidates


def candidates(situation: Situation, environ: Mapping[str, str] = {}, died_in: Sequence[str] = ()) -> Paths:
    there = replace(situation, environment={**situation.environment, **environ})
    return find_candidates(there, environ, "x86_64", Path("/c"), died_in)


def names(situation: Situation, environ: Mapping[str, str] = {}) -> list[str]:
    return [path.name for path in candidates(situation, environ).possible]


def reading(*modules: str, complete: bool = True, **variables: str) -> Reading:
    evidence = [Evidence("import", name, None, "certain", Place("train.py", 1)) for name in modules]
    evidence += [
        Evidence("variable", n, v, "certain", Place("train.py", 1), early=True) for n, v in variables.items()
    ]
    return Reading(tuple(evidence), complete=complete, known=True)


TF_KERAS = replace(CPU, reading=reading("tensorflow.keras"), usage=Usage(tf_keras_api=True))
BARE = replace(CPU, reading=reading("keras"), usage=Usage(keras=3))


def test_a_program_through_tf_keras_has_the_switch() -> None:
    found = candidates(TF_KERAS)
    assert [path.name for path in found.possible] == ["switch", "onednn-off"]
    assert "imports no keras" in found.impossible["AUTOXLA_KERAS=legacy"]
    assert "it is so already" in found.impossible["AUTOXLA_KERAS=3"]


def test_a_program_with_keras_alone_has_the_alias() -> None:
    found = candidates(BARE)
    assert [path.name for path in found.possible] == ["alias", "onednn-off"]
    assert "does not go through tf.keras" in found.impossible["AUTOXLA_KERAS=2"]


def test_a_program_that_could_not_be_read_has_both() -> None:
    assert names(replace(BARE, reading=reading("keras", complete=False)))[:2] == ["alias", "switch"]
    assert names(replace(CPU, reading=reading("tensorflow", "mylib")))[:2] == ["switch", "alias"]


def test_a_death_in_a_file_that_was_not_read_leaves_both_open() -> None:
    found = candidates(BARE, died_in=["/elsewhere/work.py"])
    assert [path.name for path in found.possible][:2] == ["alias", "switch"]


def test_tf_keras_that_is_not_there_is_named_with_its_release() -> None:
    found = candidates(replace(TF_KERAS, versions={"tensorflow": (2, 21, 0), "keras": (3, 15, 1)}))
    assert "switch" not in [path.name for path in found.possible]
    assert found.impossible["AUTOXLA_KERAS=2"] == "tf_keras is not installed: pip install 'tf-keras==2.21.*'"
    old = candidates(replace(TF_KERAS, versions={**VERSIONS, "tf-keras": (2, 15, 0)}))
    assert (
        "2.15 is not for this TensorFlow: pip install 'tf-keras==2.21.*'" in old.impossible["AUTOXLA_KERAS=2"]
    )


def test_a_switch_that_is_on_has_its_opposite() -> None:
    found = candidates(TF_KERAS, {"TF_USE_LEGACY_KERAS": "1"})
    path = next(path for path in found.possible if path.name == "keras-3")
    assert path.variables == {"TF_USE_LEGACY_KERAS": None, "AUTOXLA_KERAS": "3"}
    assert "TF_USE_LEGACY_KERAS unset AUTOXLA_KERAS=2" in found.impossible


def test_what_the_program_sets_itself_is_not_tried() -> None:
    own = replace(
        BARE, reading=reading("keras", KERAS_BACKEND="torch"), backends=frozenset({"tensorflow", "torch"})
    )
    own = replace(own, environment={"KERAS_BACKEND": "torch"})
    assert "the program sets KERAS_BACKEND itself" in candidates(own).impossible["KERAS_BACKEND=tensorflow"]


def test_other_backends_only_where_the_source_allows_them() -> None:
    several = frozenset({"tensorflow", "jax", "torch"})
    assert {"jax", "torch"} <= set(names(replace(BARE, backends=several)))
    found = candidates(replace(TF_KERAS, backends=several))
    assert found.impossible["KERAS_BACKEND=jax"] == "the program imports tensorflow itself"
    assert candidates(BARE).impossible["KERAS_BACKEND=jax"] == "jax is not installed"


@pytest.mark.parametrize(
    ("config", "tried"),
    [
        (KerasConfig("keras.json", "tensorflow"), False),
        (KerasConfig("keras.json", "tensorflow", others={"floatx": "float32"}), False),
        (KerasConfig("keras.json", "tensorflow", others={"floatx": "float16"}), True),
        (KerasConfig("keras.json", error="it is not JSON"), True),
        (KerasConfig("keras.json", "theano"), True),
    ],
)
def test_keras_json_goes_out_of_the_way_where_it_says_something(config: KerasConfig, tried: bool) -> None:
    assert ("keras-json" in names(replace(BARE, keras_config=config))) is tried


def values(situation: Situation, environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return the values of the one variable of each candidate that has something to do with XLA's flags."""
    paths = [path for path in candidates(situation, environ).possible if "FLAGS" in "".join(path.variables)]
    return {path.name: value for path in paths for value in path.variables.values()}


def test_unknown_flags_are_taken_out() -> None:
    flags = {"XLA_FLAGS": "--xla_old=true --xla_dump_to=/d"}
    strange = replace(BARE, flag_names={"XLA_FLAGS": FlagNames(("xla_dump_to",), {"xla_old": ""})})
    assert values(strange, flags) == {"known-xla_flags": "--xla_dump_to=/d", "no-xla_flags": None}
    assert values(strange, {"XLA_FLAGS": "--xla_old"}) == {"known-xla_flags": None}


def test_clusters_are_turned_off() -> None:
    flags = {"TF_XLA_FLAGS": "--tf_xla_auto_jit=2"}
    assert values(BARE, flags) == {"no-clusters-tf_xla_flags": "--tf_xla_auto_jit=0", "no-tf_xla_flags": None}


def test_packages_have_their_variables() -> None:
    found = candidates(replace(CPU, reading=reading("segmentation_models", "transformers")))
    variables = [dict(path.variables) for path in found.possible]
    assert {"SM_FRAMEWORK": "tf.keras"} in variables
    assert {"USE_TF": "0"} in variables


def test_the_order_of_imports_is_tried_where_a_plug_in_may_mind() -> None:
    plugged = replace(BARE, plugins=(Plugin("other", "libother.so"),), importing="keras")
    assert "tensorflow-first" in names(plugged)
    assert "changes nothing" in candidates(BARE).impossible["AUTOXLA_IMPORT_FIRST=tensorflow"]
    later = replace(plugged, importing="tensorflow")
    assert "no keras before tensorflow" in candidates(later).impossible["AUTOXLA_IMPORT_FIRST=tensorflow"]


def test_itex_has_its_own() -> None:
    itex = replace(
        BARE, plugins=(Plugin("itex", "libitex_gpu.so"),), hardware=Hardware("present", frozenset({"xpu"}))
    )
    found = candidates(itex)
    assert {"itex-no-xla", "itex-stream"} <= {path.name for path in found.possible}
    assert "AUTOXLA_KERAS=legacy" in found.impossible


def test_a_candidate_that_does_nothing_is_left_out() -> None:
    assert "where there is no accelerator" in candidates(BARE).impossible["AUTOXLA_STEP=graph"]
    gpu = replace(BARE, hardware=Hardware("present", frozenset({"cuda"})))
    assert "graph" in names(gpu)
    assert "onednn-off" not in names(gpu)
    own = replace(gpu, usage=Usage(keras=3, jit_compile=True))
    assert "jit_compile=True, which stands" in candidates(own).impossible["AUTOXLA_STEP=graph"]


# How a cure is written


def test_a_cure_is_written_for_each_place() -> None:
    lines = _write_cure(ALIAS, ["train.py", "a b"])
    assert lines["shell"] == ["AUTOXLA_KERAS=legacy python -m autoxla train.py 'a b'"]
    assert lines["pyproject"] == ["[tool.autoxla]", 'keras = "legacy"']
    assert lines["program"] == ["import autoxla", "autoxla.configure(keras='legacy')"]


def test_a_variable_that_goes_is_taken_out_everywhere() -> None:
    lines = _write_cure(FLAGS, ["train.py"])
    assert lines["shell"] == ["env -u XLA_FLAGS python -m autoxla train.py"]
    assert "pyproject" not in lines
    assert lines["program"] == ["import os", "os.environ.pop('XLA_FLAGS', None)"]


# The command


#: A program whose tensorflow is an empty stand-in, and which lives under Keras 2 only.
OLD = """
import os, sys
sys.modules["tensorflow.stand_in"] = os
print("begins")
if os.environ.get("AUTOXLA_KERAS") != "2":
    raise TypeError(f"this is Keras 3 at {id(os):#x}; set TF_USE_LEGACY_KERAS=1")
print("trained")
"""


def heal(folder: Path, *words: str, **variables: str) -> Any:
    """Return what ``heal --json`` printed."""
    own = {"AUTOXLA_CACHE": str(folder / "cache"), **variables}
    done = run(["-m", "autoxla", "heal", "--yes", "--json", *words], folder, clean_environment(**own))
    assert done.status in (0, 1), done.err
    return json.loads(done.out)


def test_nobody_is_asked_without_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    done = run(["-m", "autoxla", "heal", "train.py"], tmp_path)
    assert done.status == 2
    assert "pass --yes" in done.err
    assert not (tmp_path / "ran").exists()


def test_bad_usage_is_status_2(tmp_path: Path) -> None:
    done = run(["-m", "autoxla", "heal"], tmp_path)
    assert (done.status, "name the program to heal" in done.err) == (2, True)


def write_notebook(folder: Path, *cells: str) -> None:
    """Write ``train.ipynb``, whose first cell is text."""
    told = [{"cell_type": "code", "source": cell} for cell in cells]
    content = {"cells": [{"cell_type": "markdown", "source": "# Training"}, *told]}
    (folder / "train.ipynb").write_text(json.dumps(content), encoding="utf-8")


def test_a_notebook_is_healed_and_its_first_cell_told(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("rate = 0.1\n", encoding="utf-8")
    (tmp_path / "below").mkdir()
    magics = "!pip install more\n%env OWN=is set\n%env X=$Y\n%run beside.py --epochs 3\n"
    first = f"{magics}import os, sys, beside\nassert os.environ['OWN'] == 'is set'"
    second = f"def train():{textwrap.indent(OLD, '    ')}\ntrain()"
    write_notebook(tmp_path, first, "%%bash\nls", second)
    told = heal(tmp_path / "below", "../train.ipynb", "--epochs", "3")
    death = told["runs"][0]["death"]
    assert death.startswith("TypeError at train.ipynb:cell 4:6: this is Keras 3 at"), death
    assert told["cure"] == {
        "variables": {"AUTOXLA_KERAS": "2"},
        "cell": ["import autoxla", "autoxla.configure(keras='2')"],
    }
    left_out = ["2:1: !pip install more", "2:3: %env X=$Y", "2:4: %run beside.py --epochs 3", "3:1: %%bash"]
    assert told["left_out"] == [f"train.ipynb:cell {line}" for line in left_out]
    assert told["record"] is None


def test_a_later_cell_is_a_later_moment(tmp_path: Path) -> None:
    stacks = []
    for number, cell in enumerate(("1 / 0", "x = 1")):
        folder = tmp_path / str(number)
        folder.mkdir()
        write_notebook(folder, cell, "[][0]")
        program, _ = convert(folder / "train.ipynb", folder)
        mark = read_mark(Children([program], folder, variables={}, probe=WATCH).run(DEFAULT, {}, 30.0))
        assert mark is not None
        stacks.append(tuple(frame._replace(file=Path(frame.file).name) for frame in mark.stack))
    assert is_later(stacks[1], stacks[0])


def test_what_is_no_notebook_is_bad_usage(tmp_path: Path) -> None:
    (tmp_path / "train.ipynb").write_text("[]", encoding="utf-8")
    done = run(["-m", "autoxla", "heal", "--yes", "train.ipynb"], tmp_path)
    assert (done.status, "no notebook that can be read" in done.err) == (2, True)


def test_tune_refuses_a_notebook(tmp_path: Path) -> None:
    (tmp_path / "train.ipynb").write_text("{}", encoding="utf-8")
    done = run(["-m", "autoxla", "tune", "train.ipynb"], tmp_path)
    assert (done.status, "nbconvert" in done.err) == (2, True)


def test_a_cure_is_told_and_kept(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(OLD, encoding="utf-8")
    environment = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"))
    done = run(["-m", "autoxla", "heal", "--yes", "train.py", "--epochs", "3"], tmp_path, environment)
    assert done.status == 0
    assert "the program lives under AUTOXLA_KERAS=2" in done.out
    assert "  in the shell:         AUTOXLA_KERAS=2 python -m autoxla train.py --epochs 3" in done.out
    assert "kept for its next runs" in done.out
    assert len(list((tmp_path / "cache" / "cures").iterdir())) == 1


def test_quiet_tells_the_cure_alone(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(OLD, encoding="utf-8")
    environment = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"))
    done = run(["-m", "autoxla", "--quiet", "heal", "--yes", "train.py"], tmp_path, environment)
    assert done.out.startswith("the program lives under AUTOXLA_KERAS=2 (")
    assert (done.status, done.err) == (0, "")


def test_nothing_is_kept_where_nothing_helps(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(OLD.replace('"2"', '"none"'), encoding="utf-8")
    told = heal(tmp_path, "train.py")
    assert (told["end"], told["cure"], told["record"]) == ("nothing helps", None, None)
    assert "this is Keras 3" in Path(told["log"]).read_text(encoding="utf-8")
    assert not (tmp_path / "cache" / "cures").exists()


def test_json_has_the_cure_for_each_place(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(OLD, encoding="utf-8")
    assert heal(tmp_path, "train.py")["cure"].keys() == {"variables", "shell", "pyproject", "program"}


@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_a_death_of_no_setting_is_told_in_short(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("raise OSError('\\x1b[31mno disk')\n", encoding="utf-8")
    done = run(["-m", "autoxla", "heal", "--yes", *options, "train.py"], tmp_path)
    last = done.out.splitlines()[-1]
    died = "of OSError at train.py:1: no disk (1 run, "
    assert f"before it had imported Keras or TensorFlow, {died}" in last
    assert "what the runs wrote" not in done.err
    assert "\x1b" not in done.out + done.err


def test_a_closed_stdout_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "train.py").touch()
    code = f"exec {sys.executable} -m autoxla heal --yes train.py >&-"
    done = subprocess.run(
        ["sh", "-c", code], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert "Traceback" not in done.stderr


#: Runs a command at a terminal, which is its standard input as well. Where the tests run in the background of
#: a shell, Ctrl-C is ignored, and what they start would ignore it, too.
TERMINAL = """
import os, pty, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""


def type_at(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], *, after: bytes, keys: bytes
) -> tuple[int, str]:
    """Run ``command`` at a terminal, type ``keys`` once it has shown ``after``; return status and output."""
    words = [sys.executable, "-c", TERMINAL, *command]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=folder, env=dict(environ), stdin=pipe, stdout=pipe) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        shown = b""
        while after not in shown and (more := process.stdout.read1()):  # type: ignore[attr-defined]
            shown += more
        process.stdin.write(keys)
        process.stdin.flush()
        shown += process.stdout.read()
        return process.wait(60), shown.decode()


@pytest.mark.parametrize(("keys", "status", "said"), [(b"\x03", 130, ""), (b"n\n", 1, "autoxla: not run")])
def test_the_question_may_be_denied(keys: bytes, status: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("open('ran', 'w')\n", encoding="utf-8")
    words = [sys.executable, "-m", "autoxla", "heal", "train.py"]
    ended, shown = type_at(words, tmp_path, clean_environment(), after=b"[y/N]", keys=keys)
    assert (ended, said in shown, "Traceback" in shown) == (status, True, False)
    assert not (tmp_path / "ran").exists()


#: A plug-in of TensorFlow that needs a whole Keras, as ITEX does.
PLUGGED = {"keras": "import tensorflow\nlayers = 1\n", "tensorflow": "import keras\nkeras.layers\n"}


def test_the_order_of_imports_may_cure(tmp_path: Path) -> None:
    site = add_library(tmp_path, **PLUGGED)
    (site / "tensorflow-plugins").mkdir()
    (site / "tensorflow-plugins" / "libother.so").touch()
    (tmp_path / "train.py").write_text("import keras\nprint(keras.layers)\n", encoding="utf-8")
    path = f"{site}{os.pathsep}{HOME}"
    told = heal(tmp_path, "train.py", PYTHONPATH=path)
    assert told["cure"]["variables"] == {"AUTOXLA_IMPORT_FIRST": "tensorflow"}
    assert told["cure"]["program"] == ["import autoxla", "autoxla.configure(import_first='tensorflow')"]
    environment = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"), PYTHONPATH=path)
    done = run(["-m", "autoxla", "train.py"], tmp_path, environment)
    assert (done.status, done.out) == (0, "1\n"), done.err


def test_a_module_and_code_are_programs_too(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(OLD, encoding="utf-8")
    assert heal(tmp_path, "-m", "train")["cure"]["variables"] == {"AUTOXLA_KERAS": "2"}
    assert heal(tmp_path, "-c", OLD)["cure"]["variables"] == {"AUTOXLA_KERAS": "2"}


@pytest.mark.parametrize("bug", BUGS)
def test_no_false_cure(bug: str, healing: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(CHANGING.format(seed=0) + BUGS[bug], encoding="utf-8")
    for _ in range(5):
        told = heal(tmp_path, "train.py", PYTHONPATH=healing["PYTHONPATH"])
        assert told["cure"] is None
        assert told["end"] in ("nothing helps", "at random", "it ends well")


@pytest.mark.parametrize(
    ("variables", "has_trial"),
    [({}, True), ({WATCH: "/x"}, True), ({UNCURED: "1"}, True), ({WATCH: "/x", UNCURED: "1"}, False)],
)
def test_a_child_of_heal_alone_has_no_trial(
    variables: dict[str, str], has_trial: bool, tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text("import keras\n", encoding="utf-8")
    environ = {"AUTOXLA_CACHE": str(tmp_path / "cache"), **variables}
    assert assemble(subject_from([str(tmp_path / "train.py")]), environ).situation.settings.trial is has_trial


# The launcher, where heal is on


@pytest.fixture
def healing(tmp_path: Path) -> dict[str, str]:
    """Return the variables under which the launcher heals, and programs find an empty tensorflow."""
    path = os.pathsep.join([str(add_library(tmp_path, tensorflow="", itex=QUITTING)), str(HOME)])
    return clean_environment(PYTHONPATH=path, AUTOXLA_CACHE=str(tmp_path / "cache"), AUTOXLA_HEAL="1")


#: Lives where autoxla has set what it says.
NEEDY = """
import os, sys, tensorflow
print("begins", sys.stdin.read())
if os.environ.get("AUTOXLA_KERAS") != "2":
    raise TypeError("this is Keras 3")
print("trained")
"""


def test_a_program_that_dies_is_healed_and_runs_again(healing: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(NEEDY, encoding="utf-8")
    done = run(["-m", "autoxla", "train.py"], tmp_path, healing)
    assert (done.status, done.out) == (0, "begins \nbegins \ntrained\n"), done.err
    assert "lives under AUTOXLA_KERAS=2, and starts anew" in done.err
    again = run(["-m", "autoxla", "train.py"], tmp_path, healing)
    assert (again.status, again.out) == (0, "begins \ntrained\n"), again.err


def test_a_silent_end_is_healed(healing: dict[str, str], tmp_path: Path) -> None:
    """ITEX's: the status is 0, and no exception tells of it."""
    (tmp_path / "train.py").write_text(NEEDY.replace("raise TypeError", "import itex; itex.compile"), "utf-8")
    done = run(["-m", "autoxla", "train.py"], tmp_path, healing)
    assert (done.status, done.out) == (0, "begins \nthis is Keras 3\nbegins \ntrained\n"), done.err
    assert "end with status 0 at train.py:5: a library called quit()" in done.err


def test_the_settings_of_the_project_ask_for_it(healing: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(NEEDY, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool.autoxla]\nheal = true\n", encoding="utf-8")
    asked = {name: value for name, value in healing.items() if name != "AUTOXLA_HEAL"}
    assert run(["-m", "autoxla", "train.py"], tmp_path, {**asked, "AUTOXLA_HEAL": "0"}).status == 1
    assert run(["-m", "autoxla", "train.py"], tmp_path, asked).status == 0


def test_what_nothing_heals_ends_as_it_did(healing: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(NEEDY.replace('"2"', '"none"'), encoding="utf-8")
    done = run(["-m", "autoxla", "train.py"], tmp_path, healing)
    assert (done.status, done.out) == (1, "begins \n")
    assert "no cure was found" in done.err


@pytest.mark.parametrize("code", ["sys.exit(7)", "os.kill(os.getpid(), 9)", "1 / 0", ""])
def test_an_end_that_is_no_backends_is_passed_through(
    code: str, healing: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(f"import os, sys\n{code}\n", encoding="utf-8")
    plain = run(["train.py"], tmp_path, healing)
    done = run(["-m", "autoxla", "train.py"], tmp_path, healing)
    assert done.status == plain.status
    assert done.notices == []


def test_streams_are_passed_through(healing: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import sys\nprint(sys.stdin.read())\n", encoding="utf-8")
    words = [sys.executable, "-m", "autoxla", "train.py"]
    done = subprocess.run(
        words, cwd=tmp_path, env=healing, input="typed", capture_output=True, text=True, check=True
    )
    assert done.stdout == "typed\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_signals_are_passed_through(number: signal.Signals, healing: dict[str, str], tmp_path: Path) -> None:
    code = f"""
import pathlib, signal, sys, time
signal.signal({number:d}, lambda *_: sys.exit(5))
pathlib.Path("ready").touch()
time.sleep(60)
"""
    (tmp_path / "train.py").write_text(code, encoding="utf-8")
    words = [sys.executable, "-m", "autoxla", "train.py"]
    # Out of the foreground, where a key's signal is not passed on.
    with subprocess.Popen(words, cwd=tmp_path, env=healing, start_new_session=True) as process:
        while process.poll() is None and not (tmp_path / "ready").exists():
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(60) == 5


def run_under(healing: dict[str, str], folder: Path, source: str, **variables: str) -> Any:
    """Run ``source`` as the program once a cure, ``AUTOXLA_KERAS=2``, is kept for it."""
    (folder / "train.py").write_text(source, encoding="utf-8")
    subject = subject_from([str(folder / "train.py")])
    cure = Cure({"AUTOXLA_KERAS": "2"}, "TypeError: this is Keras 3", "heal")
    keep(subject, assemble(subject, healing).situation, cure, healing)
    return run(["-m", "autoxla", "train.py"], folder, {**healing, **variables})


def test_a_death_under_a_cure_is_not_repeated(healing: dict[str, str], tmp_path: Path) -> None:
    done = run_under(healing, tmp_path, "import tensorflow\nprint('begins')\nraise KeyError('its own')\n")
    assert (done.status, done.out) == (1, "begins\n")
    assert "run again" not in done.err


def test_a_signal_under_a_cure_drops_it(healing: dict[str, str], tmp_path: Path) -> None:
    dies = "if os.environ.get('AUTOXLA_KERAS') == '2':\n    os.abort()\n"
    done = run_under(healing, tmp_path, f"import os, tensorflow\n{dies}print('trained')\n")
    assert "died under AUTOXLA_KERAS=2, which is dropped" in done.err
    assert "it ended well this time (1 run)" in done.err
    assert run(["-m", "autoxla", "train.py"], tmp_path, healing).out == "trained\n"


def test_a_cure_that_cannot_be_kept_is_used(healing: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(NEEDY, encoding="utf-8")
    done = run(["-m", "autoxla", "train.py"], tmp_path, {**healing, "AUTOXLA_CACHE": os.devnull})
    assert (done.status, done.out) == (0, "begins \nbegins \ntrained\n"), done.err


@pytest.mark.parametrize(
    "variables",
    [{"AUTOXLA": "observe"}, {"AUTOXLA": "off"}, {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, {}],
)
def test_it_is_not_healed_where_nothing_may_be_changed(
    variables: dict[str, str], healing: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(NEEDY, encoding="utf-8")
    if not variables:
        (tmp_path / "pyproject.toml").write_text("[tool.autoxla]\nmode = 'observe'\n", encoding="utf-8")
    done = run(["-m", "autoxla", "train.py"], tmp_path, {**healing, **variables})
    assert (done.status, done.out) == (1, "begins \n")
    assert "run again" not in done.err


def test_the_log_of_a_search_that_failed_is_named(healing: dict[str, str], tmp_path: Path) -> None:
    code = NEEDY.replace('"2"', '"none"').replace("Keras 3", "keras 3")
    (tmp_path / "train.py").write_text(code, encoding="utf-8")
    done = run(["-m", "autoxla", "train.py"], tmp_path, healing)
    last = done.err.splitlines()[-1]
    assert last.startswith("autoxla: no cure was found (")
    assert "this is keras 3" in Path(last.rpartition(" ")[2]).read_text(encoding="utf-8")
    assert "tries the settings" not in done.err


#: Is told to stop, and dies of that as of an error; the runs of heal wait.
TOLD = """
import os, pathlib, signal, sys, tensorflow, time
def stop(*_):
    raise TypeError("told to stop")
signal.signal(signal.SIGTERM, stop)
print("begins", flush=True)
if "AUTOXLA_UNCURED" not in os.environ and "now" in sys.argv:
    stop()
pathlib.Path("ready").touch()
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [([], 1, ""), (["now"], -signal.SIGTERM, "autoxla: interrupted (no run was over)")],
    ids=["program", "search"],
)
def test_what_is_told_to_stop_is_not_run_again(
    words: list[str], status: int, said: str, healing: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(TOLD, encoding="utf-8")
    command = [sys.executable, "-m", "autoxla", "train.py", *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, env=healing, stdout=pipe, stderr=pipe, text=True) as process:
        while process.poll() is None and not (tmp_path / "ready").exists():
            time.sleep(0.05)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "begins\n"), err
    assert said in err


def test_a_key_reaches_the_program_once(healing: dict[str, str], tmp_path: Path) -> None:
    code = """
import signal, time
count = 0
def on(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, on)
print("ready", flush=True)
until = time.monotonic() + 1.5
while time.monotonic() < until:
    time.sleep(0.1)
print("counted", count)
"""
    (tmp_path / "train.py").write_text(code, encoding="utf-8")
    command = ["sh", "-c", f"exec {sys.executable} -m autoxla train.py </dev/null"]
    _, shown = type_at(command, tmp_path, healing, after=b"ready", keys=b"\x03")
    assert "counted 1" in shown


# Real programs


def heal_case(case: Case, folder: Path, **variables: str) -> Any:
    case.write(folder)
    return heal(folder, *case.words, HOME=str(folder), **case.variables, **variables)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "name",
    [
        '`add_weight("w", shape)`',
        "`predict(workers=4)`",
        "an unknown name in `XLA_FLAGS`",
        "`keras.json` of Theano",
    ],
)
def test_a_real_program_is_healed(name: str, tmp_path: Path) -> None:
    told = heal_case(CASES[name], tmp_path)
    assert CASES[name].outcome in (told["end"], told["cure"] and told["cure"]["variables"]), told
    assert told["found_after"] <= 3


def test_the_page_has_what_was_measured_and_nothing_was_claimed_falsely() -> None:
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert render(results) in PAGE.read_text(encoding="utf-8")
    assert results["cases"].keys() == CASES.keys()
    assert all(row["is right"] for row in results["cases"].values())
    assert sum(sum(ends.values()) for ends in results["bugs"].values()) == 50
    assert all("cured" not in ends for ends in results["bugs"].values())
    ends = [row["end"] for row in results["cases"].values()]
    figures = (
        f"{len(ends)} programs",
        f"cured {ends.count('cured')}",
        f"{ends.count('it ends well')} run under",
    )
    told = (PAGE.parents[1] / "docs" / "heal.md").read_text(encoding="utf-8")
    assert [figure for figure in figures if figure not in told] == []


@pytest.fixture(scope="session")
def itex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("itex")
    plugin_double.build(folder)
    return folder


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.needs == "itex"])
def test_what_dies_under_itex_lives_or_is_told(name: str, itex: Path, tmp_path: Path) -> None:
    """All but two of them die without autoxla alone: `test_shim_itex` shows that."""
    case = CASES[name]
    told = heal_case(case, tmp_path, **plugin_double.environment(itex, HOME))
    cure = told["cure"] and told["cure"]["variables"]
    assert case.outcome in (told["end"], cure), told
    first = told["runs"][0]
    assert first["lives"] is (told["end"] == "it ends well")
    assert first["lives"] or first["death"].startswith("end with status 0 at train.py:")


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("line", "is_cured"), [("layers.Dense(1)", True), ("optimizers.legacy.SGD(0.1)", False)]
)
def test_what_is_not_installed_is_named(line: str, is_cured: bool, tmp_path: Path) -> None:
    interpreter = make_environment_without("tf_keras", tmp_path / "environment")
    (tmp_path / "train.py").write_text(f"import tensorflow as tf\nprint(tf.keras.{line})\n", encoding="utf-8")
    variables = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"), TF_USE_LEGACY_KERAS="1")
    done = subprocess.run(
        [interpreter, "-m", "autoxla", "heal", "--yes", "train.py"],
        cwd=tmp_path,
        env={name: value for name, value in variables.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (0 if is_cured else 1), done.stderr
    assert ("env -u TF_USE_LEGACY_KERAS" in done.stdout) is is_cured
    release = ".".join(importlib.metadata.version("tensorflow").split(".")[:2])
    assert f"tf_keras is not installed: pip install 'tf-keras=={release}.*'" in done.stdout
