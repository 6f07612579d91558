"""Other people's suites: the comparison sees what differs, and a selection of them sees no autoxla."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from installations import build_wheel
from suites import table
from suites.__main__ import find_differences, keep, make_row
from suites.catalogue import CPYTHON, TF_KERAS, find_keras, prepare_tf_keras
from suites.comparing import Difference, compare
from suites.forced import read_trials
from suites.running import Run, Suite, is_available, read_report, run_suite, summarise, this_python
from suites.ways import PLAIN, SOURCES, Way, find_site, make_environment, make_ways

SHORT = ("test_modulefinder", "test_pkgutil", "test_zipimport", "test_importlib")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> dict[str, Way]:
    return make_ways(this_python(), tmp_path_factory.mktemp("ways"), wheel, frameworks=False)


@pytest.fixture(scope="module")
def framework_ways(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> dict[str, Way]:
    return make_ways(sys.executable, tmp_path_factory.mktemp("frameworks"), wheel, frameworks=True)


def make_run(status: int = 0, **tests: str) -> Run:
    return Run(status, {name: Counter([outcome]) for name, outcome in tests.items()}, 1.0, "")


def test_what_repeats_itself_is_a_difference_and_what_does_not_is_unsteady() -> None:
    plain = [make_run(a="passed", b="passed", c="skipped"), make_run(a="passed", b="failed", c="skipped")]
    other = [make_run(a="failed", b="passed", c="skipped", d="passed")] * 2
    found = compare(plain, other)
    assert [(each.test, each.is_certain) for each in found] == [("a", True), ("b", False), ("d", True)]
    assert found[2].plain == ("absent", "absent")


def test_another_exit_status_is_a_difference() -> None:
    assert find_differences([make_run(0)], [make_run(2)]) == [Difference("exit status", ("0",), ("2",))]


def test_a_report_is_read_whichever_runner_wrote_it(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite><testcase name="test.m.C.good" status="run" result="completed"/>'
        '<testcase name="test.m.C.bad"><error type="E">x</error></testcase>'
        '<testcase name="test.m.C.bad"/>'
        '<testcase classname="m.C" name="left_out"><skipped/></testcase></testsuite></testsuites>'
    )
    found = {name: summarise(outcomes) for name, outcomes in read_report(report).items()}
    assert found == {"test.m.C.good": "passed", "test.m.C.bad": "failed", "m.C.left_out": "skipped"}


def test_rows_take_the_place_of_earlier_ones(tmp_path: Path) -> None:
    file, suite = tmp_path / "rows.json", Suite("s", "regrtest", ("s",))
    for other in (make_run(a="failed"), make_run(a="passed")):
        keep(file, make_row(suite, "Python", "launcher", [make_run(a="passed")], [other]))
    (row,) = json.loads(file.read_text())
    assert (row["tests"], row["passed"], row["differences"]) == (1, 1, [])


def test_a_hook_that_breaks_something_is_seen(tmp_path: Path, wheel: Path) -> None:
    """Were it not, a suite without differences would say nothing."""
    plain = Way(make_environment(this_python(), tmp_path / "plain"))
    broken = make_environment(this_python(), tmp_path / "broken", wheel)
    hook = "import modulefinder; modulefinder.ModuleFinder.scan_opcodes = lambda *_: iter(())"
    (find_site(broken) / "sitecustomize.py").write_text(hook)
    suite = Suite("test_modulefinder", "regrtest", ("test_modulefinder",))
    runs = [run_suite(suite, way, tmp_path / name) for name, way in (("1", plain), ("2", Way(broken)))]
    found = find_differences(runs[:1], runs[1:])
    assert len(found) > 5
    assert ("passed",) in {each.plain for each in found}


def test_autoxla_is_there_where_it_should_be(
    ways: dict[str, Way], framework_ways: dict[str, Way], tmp_path: Path
) -> None:
    expected = {PLAIN: False, "inactive": False, "site hook": True, "launcher": True}
    assert {name: way.is_active(tmp_path) for name, way in ways.items()} == expected
    expected["trials forced"] = True
    assert {name: way.is_active(tmp_path) for name, way in framework_ways.items()} == expected


@pytest.mark.parametrize("name", SHORT)
def test_suites_of_the_standard_library(name: str, ways: dict[str, Way], tmp_path: Path) -> None:
    assert is_available(this_python(), name)
    suite = next(suite for suite in CPYTHON if suite.name == name)
    runs = {way: run_suite(suite, ways[way], tmp_path / way) for way in ways}
    assert runs[PLAIN].count("passed") > 10, runs[PLAIN].tail
    for run in runs.values():
        assert find_differences([runs[PLAIN]], [run]) == [], run.tail


@pytest.mark.tensorflow
def test_suites_of_keras(framework_ways: dict[str, Way], tmp_path: Path) -> None:
    """Two files: one builds models in many ways, the other trains."""
    folder = Path(find_keras()[0].targets[0]).parent
    files = ("models/sequential_test.py", "callbacks/early_stopping_test.py")
    suite = Suite("Keras", "pytest", tuple(str(folder / file) for file in files))
    runs = {
        way: run_suite(suite, framework_ways[way], tmp_path / way)
        for way in (PLAIN, "site hook", "trials forced")
    }
    assert runs[PLAIN].count("passed") > 10, runs[PLAIN].tail
    for run in runs.values():
        assert find_differences([runs[PLAIN]], [run]) == [], run.tail
    trials = read_trials(runs["trials forced"].tail)
    assert trials is not None
    assert (trials["faults"], trials["won"] > 0) == (0, True)


def test_tests_of_tf_keras_are_moved_to_where_its_wheel_has_its_modules(tmp_path: Path) -> None:
    source = tmp_path / "source" / "tf_keras"
    text = (
        "import tf_keras as keras\nfrom tf_keras.engine import a\nfrom tf_keras import b\nimport tf_keras_x\n"
    )
    for name in TF_KERAS:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text + "from tf_keras.protobuf import c\n")
    suites = prepare_tf_keras(source.parent, tmp_path / "tests")
    moved = Path(suites[0].targets[0]).read_text().splitlines()
    assert moved == [
        "import tf_keras.src as keras",
        "from tf_keras.src.engine import a",
        "from tf_keras.src import b",
        "import tf_keras_x",
        "from tf_keras.protobuf import c",
    ]


def test_the_page_shows_what_was_found() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    assert table.renew(page) == page


def test_the_command_says_what_it_found(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "suites", "cpython", "--only", "test_modulefinder", "--way", "inactive"]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, SOURCES))}
    done = subprocess.run(words, env=own, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert "test_modulefinder, inactive" in done.stdout
    assert "0 differ, 0 unsteady" in done.stdout
