"""What cannot be noise of the costs: modules, a ratio of two finders, instructions; and what figures say.

No time is compared with a limit here. The limits are about twice what was measured, so that another release
of Python passes and a new import at the start does not.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from autoxla.store import Store
from installations import CHECKOUT, build_wheel, install_wheel, make_environment
from programs import clean_environment

# Benchmarks are not installed. At the end, so that autoxla is the installed one.
sys.path.append(str(CHECKOUT))

import benchmarks
from benchmarks import __main__ as command
from benchmarks import imports, instructions, judging, lookahead, records, targets
from benchmarks.startup import Start
from benchmarks.targets import Figure, Target

#: Of an active start: two were measured.
MOST_MODULES = 8
#: One search in vain, over that of a finder that returns None: 1.6 was measured, and 7 of wrapt's.
MOST_OF_A_MISS = 3.0
#: Instructions of a start over those of a bare one: 1.04 and 1.11 were measured, which is 0.3 and 0.8 ms.
MOST_INACTIVE, MOST_ACTIVE = 1.08, 1.2
#: Counts of the same start differ by what the system hands over: paths, the process's number.
REPEATS = 0.002


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Start]:
    """Return a bare start and those of an environment with autoxla, all with their bytecode written."""
    bare, shim = tmp_path_factory.mktemp("bare"), tmp_path_factory.mktemp("shim")
    for root in (bare, shim):
        make_environment(root)
    install_wheel(shim, build_wheel(tmp_path_factory.mktemp("wheel")))
    found = {
        "bare": Start(bare / "bin" / "python"),
        "inactive": Start(shim / "bin" / "python"),
        "active": Start(shim / "bin" / "python", variables={"AUTOXLA_ACTIVE": "1"}),
    }
    for start in found.values():
        start.start()
    return found


def test_an_inactive_start_loads_no_module_more(starts: dict[str, Start]) -> None:
    assert starts["inactive"].modules() - starts["bare"].modules() == set()


def test_an_active_start_loads_few_modules_more(starts: dict[str, Start]) -> None:
    more = starts["active"].modules() - starts["bare"].modules()
    assert "autoxla" in more
    assert len(more) <= MOST_MODULES


def test_a_search_in_vain_costs_little_more_than_none() -> None:
    finders = {"none": imports.TrivialFinder(), "ours": imports.make_ours()}
    runs = {name: partial(imports.time_miss, finder) for name, finder in finders.items()}
    measured = benchmarks.interleave(runs, 25)
    assert min(measured["ours"]) / min(measured["none"]) <= MOST_OF_A_MISS


@pytest.mark.skipif(sys.platform == "darwin", reason="valgrind does not run on this system")
def test_a_start_takes_few_instructions_more(starts: dict[str, Start]) -> None:
    if shutil.which("valgrind") is None:
        pytest.fail("valgrind counts the instructions: apt-get install valgrind")
    counts = {name: instructions.count(start) for name, start in starts.items()}
    again = instructions.count(starts["bare"])
    assert abs(again / counts["bare"] - 1) <= REPEATS
    assert 1 < counts["inactive"] / counts["bare"] <= MOST_INACTIVE
    assert counts["inactive"] / counts["bare"] < counts["active"] / counts["bare"] <= MOST_ACTIVE


# --- what figures say --------------------------------------------------------------------------

LEVEL = [1.0 + 0.001 * (number % 5) for number in range(25)]
SLOWER = [1.1 * value for value in LEVEL]


def test_a_median_has_an_interval_where_there_are_values_enough() -> None:
    found = judging.estimate(LEVEL)
    assert found["low"] <= found["median"] <= found["high"]
    assert judging.estimate([1.0, 2.0, 3.0]) == {"median": 2.0, "low": None, "high": None}


def test_what_is_added_is_taken_round_by_round() -> None:
    """The load of a round is in both: it is not in their difference."""
    base = [float(number % 7) + 1 for number in range(25)]
    row = benchmarks.summarise({"bare": base, "active": [value + 0.5 for value in base]})["active"]
    assert (row["added min"], row["added median"], row["low"], row["high"]) == (0.5, 0.5, 0.5, 0.5)


def test_a_process_that_waits_takes_no_time_of_the_processor() -> None:
    clock, processor = benchmarks.time_processes({"sleep": partial(subprocess.run, ["sleep", "0.3"])}, 2)
    assert min(clock["sleep"]) >= 300
    assert 0 < max(processor["sleep"]) < 150


@pytest.mark.parametrize(
    ("other", "noisy"), [(LEVEL, False), (SLOWER, True), ([value / 1.1 for value in LEVEL], True)]
)
def test_the_same_twice_tells_a_noisy_machine(other: list[float], noisy: bool) -> None:
    assert judging.judge_noise(LEVEL, other, 0.02)["noisy"] is noisy


def test_few_rounds_tell_nothing_of_the_machine() -> None:
    assert judging.judge_noise([1.0, 1.0], [1.0, 1.0], 0.02)["noisy"] is None


@pytest.mark.parametrize(
    ("now", "noisy", "verdict"),
    [
        (LEVEL, False, "no difference"),
        ([1.005 * value for value in LEVEL], False, "no difference"),
        (SLOWER, False, "worse by 10.0%"),
        ([0.9 * value for value in LEVEL], False, "better by 10.0%"),
        (SLOWER, True, "too noisy to tell"),
        (SLOWER[:3], False, "too few rounds to tell"),
    ],
)
def test_only_intervals_apart_are_a_change(now: list[float], noisy: bool, verdict: str) -> None:
    line = judging.change_line("x", judging.estimate(LEVEL), judging.estimate(now), noisy=noisy)
    assert line.endswith(f"  {verdict}")


def figures(**data: Any) -> dict[str, Any]:
    about = {"date": "2026-01-02", "machine": {"cpu": "c", "cores": 2}, "noise": {"noisy": False}}
    return {**about, "measured": {"bare": LEVEL, "active": LEVEL}, **data}


def test_changes_are_those_of_ratios_to_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A machine that is slower as a whole has changed the first variant and no other."""
    judging.show_changes(figures(), figures(measured={"bare": SLOWER, "active": SLOWER}))
    verdicts = [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()[2:]]
    assert verdicts == ["worse by 10.0%", "no difference"]


@pytest.mark.parametrize("machine", [{"cpu": "c", "cores": 4}, None])
def test_two_machines_are_not_compared(machine: object, capsys: pytest.CaptureFixture[str]) -> None:
    judging.show_changes(figures(machine=machine), figures())
    assert capsys.readouterr().out.splitlines()[-1] == "another machine: too different to tell"


@pytest.mark.parametrize(
    ("figure", "verdict"),
    [
        (Figure(0.2, 0.2, 0.1, 0.3), "met"),
        (Figure(0.31, 0.4, 0.35, 0.5), "missed"),
        (Figure(0.2, 0.2, 0.1, 0.31), "too noisy to tell"),
        (Figure(0.4, 0.2, 0.1, 0.3), "too noisy to tell"),
        (Figure(None, 0.2, 0.1, 0.3), "met"),
        (Figure(0.2, 0.2, None, None), "too few rounds to tell"),
    ],
)
def test_a_limit_is_met_where_minima_and_median_say_so(figure: Figure, verdict: str) -> None:
    target = Target("x", 0.3, "ms", "startup", lambda _: figure)
    assert targets.judge(target, figure) == verdict


# --- single benchmarks -------------------------------------------------------------------------


def fill(folder: Path, count: int) -> None:
    store = Store(folder)
    for number in range(count):
        data: dict[str, object] = {
            "number": number,
            "turn": records.WRITES - 1,
            "text": f"{number}-{records.WRITES - 1} " * 50,
        }
        store.write(f"{number:016x}", data)
        store.write(records.SHARED, data)


def test_whole_records_are_no_fault(tmp_path: Path) -> None:
    fill(tmp_path / "cache", 3)
    assert records.check_store(tmp_path / "cache", 3) == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        (f"{1:016x}.json", None, "record 1 is lost or not the last one"),
        (f"{1:016x}.json", '{"schema": 1, "key": "', "record 1 is lost or not the last one"),
        (f"{records.SHARED}.json", "{}", "the shared record is damaged"),
        (".half.tmp", "x", "left over: .half.tmp"),
    ],
)
def test_a_lost_or_damaged_record_is_a_fault(tmp_path: Path, name: str, text: str | None, fault: str) -> None:
    folder = tmp_path / "cache"
    fill(folder, 3)
    (folder / name).unlink(missing_ok=True)
    if text is not None:
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    assert fault in records.check_store(folder, 3)


def test_made_up_modules_have_a_hundred_lines(tmp_path: Path) -> None:
    lookahead.make_program(tmp_path / "program", 3)
    lengths = [len(file.read_text().splitlines()) for file in (tmp_path / "program").glob("stage_*.py")]
    assert [length for length in lengths if not 99 <= length <= 101] == []
    assert len(lengths) == 3


def test_one_benchmark_as_it_is_run(tmp_path: Path) -> None:
    """Ten processes on one cache, with figures kept and compared with themselves."""
    file = tmp_path / "records.json"
    words = [sys.executable, "-m", "benchmarks", "records", "--quick", "--rounds", "1", "--json", str(file)]
    environment = clean_environment(
        PYTHONPATH=os.pathsep.join([clean_environment()["PYTHONPATH"], str(CHECKOUT)])
    )
    for more in ([], ["--against", str(file)]):
        done = subprocess.run(
            [*words, *more], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    kept = json.loads(file.read_text())
    assert (kept["processes"], kept["faults"], kept["noise"]["noisy"]) == (10, [], None)
    assert {"date", "python", "versions", "machine", "load", "measured"} < kept.keys()
    assert "hostname" not in kept["machine"]
    assert done.stdout.count("too few rounds to tell") == 1 + len(kept["measured"])


def test_an_unknown_benchmark_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["no_such"]) == 2
    assert ", ".join((*command.BENCHMARKS, *command.LONG)) in capsys.readouterr().out


def test_every_benchmark_is_there() -> None:
    names = (*command.BENCHMARKS, *command.LONG)
    assert [name for name in names if not list(Path(command.__file__).parent.glob(f"{name}*"))] == []
    assert set(command.PACKAGES) <= set(names)
    assert {target.file for target in targets.TARGETS} <= command.BENCHMARKS.keys()
