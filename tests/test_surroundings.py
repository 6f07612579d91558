"""What goes wrong around autoxla changes neither what a program prints nor how it ends, and hangs nothing.

All cases, with those that take minutes, are run by ``python -m surroundings``.
"""

from __future__ import annotations

import _thread
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from autoxla.cache import Patience, make_folder
from autoxla.store import Store
from surroundings import compiling, double, inside, killing, mounts, outside, table
from surroundings.running import environment, lay, start

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the troubles are Linux' own")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not double.is_possible():
        pytest.skip("there is no compiler for the double")
    return double.build(tmp_path_factory.mktemp("double"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder that is this user's alone."""
    made = tmp_path / "work"
    made.mkdir(mode=0o700)
    return made


# --- the machine and its file systems


@pytest.mark.parametrize("name", outside.CASES)
def test_the_machine_fails(name: str, folder: Path, library: Path) -> None:
    pair = outside.CASES[name](outside.Place(folder, library))
    assert pair.is_same, pair.tell()
    assert pair.plain.out or pair.plain.status != 0
    assert "Traceback" not in pair.ours.err


@pytest.mark.parametrize("name", outside.ROOTS)
def test_a_real_mount_fails(name: str, folder: Path, library: Path) -> None:
    if not mounts.are_possible():
        pytest.skip("no mount may be made here")
    pair = outside.ROOTS[name](outside.Place(folder, library))
    assert pair.is_same, pair.tell()
    assert pair.ours.status == 7


def test_a_cache_that_never_answers_is_said_once(folder: Path, library: Path) -> None:
    pair = outside.CASES["the cache never answers (double), a cache from before"](
        outside.Place(folder, library)
    )
    assert pair.is_same, pair.tell()
    (line,) = pair.ours.notices
    assert line.startswith("autoxla: AX909 warning ")
    assert f"{folder / 'kept' / 'cache'} does not answer" in line


def test_a_real_mount_that_never_answers(folder: Path, library: Path) -> None:
    if not mounts.can_be_silent():
        pytest.skip("there is no FUSE to make such a mount by")
    (case,) = outside.FUSE.values()
    pair = case(outside.Place(folder, library))
    assert pair.is_same, pair.tell()
    assert [line.split()[1] for line in pair.ours.notices] == ["AX909"]


@pytest.mark.parametrize("command", ["explain program.py", "records list", "check program.py"])
def test_commands_end_where_the_cache_never_answers(command: str, folder: Path, library: Path) -> None:
    cache = folder / "cache"
    lay(folder)
    told = double.trouble(library, "silent", cache)
    seen = start([sys.executable, "-m", "autoxla", *command.split()], folder, environment(cache, **told))
    assert seen.status in (0, 1), seen
    assert "Traceback" not in seen.err


# --- one look for all


def test_an_answer_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[Path] = []

    def never(_: Patience, folder: Path) -> bool:
        waited.append(folder)
        return False

    monkeypatch.setattr(Patience, "wait_for", never)
    patience = Patience()
    assert [patience.ask(tmp_path / name) for name in "aab"] == [False, False, False]
    assert waited == [tmp_path / "a"]


def test_a_healthy_folder_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Patience()
    assert patience.ask(tmp_path)
    monkeypatch.setattr(Patience, "wait_for", lambda _, folder: False)
    assert not patience.ask(tmp_path)


def test_what_is_not_there_answers(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in (tmp_path / "none", tmp_path / "file" / "below", Path("a\0b"), tmp_path):
        assert Patience().ask(path)


def test_without_threads_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", start)
    assert Patience().ask(tmp_path)


# --- the state of the interpreter


#: With the other ways in, what changes the import system.
_IMPORTS = [name for name in inside.CHANGES if name.startswith(("sys.meta", "sys.mod", "importlib"))]


@pytest.mark.parametrize(
    ("name", "way"),
    [
        *((name, "launched") for name in inside.CHANGES),
        *((name, way) for name in _IMPORTS for way in inside.ways_of(name)[1:]),
    ],
)
def test_the_interpreter_is_changed(name: str, way: str, folder: Path) -> None:
    pair = inside.run_change(name, folder, way)
    assert pair.is_same, pair.tell()


# --- killed writers


@pytest.mark.parametrize("kill", [killing.kill_writers, killing.kill_readers_of_source])
def test_killed_writers_leave_no_halves(kill: Callable[[Path, int], killing.Toll], folder: Path) -> None:
    toll = kill(folder / "kept", 100)
    assert toll.records
    assert toll.damaged == 0
    assert toll.most_halves < toll.kills / 2
    assert toll.halves_at_end == 0


def test_a_half_of_another_machine_stays_for_a_day(folder: Path) -> None:
    make_folder(folder / "kept")
    half = folder / "kept" / f".{killing.KEYS[0]}.json.00000000-1-0.tmp"
    half.write_bytes(b"")
    store = Store(folder / "kept")
    store.write(killing.KEYS[0], {})
    assert half.exists()
    os.utime(half, (0, 0))
    store.write(killing.KEYS[0], {})
    assert not half.exists()


# --- while XLA compiles


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["fork, the child os._exit(4)"])
def test_what_happens_while_xla_compiles(name: str, folder: Path) -> None:
    pair = compiling.run_case(folder, name)
    assert pair.plain.out.startswith("now"), pair.tell()
    assert pair.is_same, pair.tell()


# --- the tables


def test_the_tables_are_those_of_the_results() -> None:
    page = table.PAGE.read_text(encoding="utf-8")
    assert table.renew(page) == page, "run python -m surroundings tables"


def test_every_case_was_run() -> None:
    groups = table.load(table.RESULTS)["groups"].values()
    kept = {case["case"] for group in groups for case in group}
    known = {*outside.CASES, *outside.ROOTS, *outside.FUSE, *inside.CHANGES, *compiling.CASES}
    assert known <= kept
    assert all(case["same"] for group in groups for case in group)
