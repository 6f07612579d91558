"""What XLA compiled, kept from one run to the next: the folders and digests, and TensorFlow with them."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autoxla.compiled import is_whole, keep, prepare, run_folder
from autoxla.model import Evidence, Place, Reading, Settings, Situation
from autoxla.policies import decide
from programs import Outcome, clean_environment, run

ENTRY = b"\x0a\x02ab\x12\x03abc\x1a\x80\x01" + b"x" * 128
NAME = "xla_compile_cache__1__2__XLA_CPU_JIT.pb"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "xla" / "2.21.0-0123"


def begin(store: Path) -> Path:
    """Return the folder of a run that begins in this process."""
    folder = run_folder(store)
    prepare(folder)
    return folder


def compile_one(store: Path, content: bytes = ENTRY, name: str = NAME) -> int:
    """Run through a process that compiles one program; return how many entries were kept."""
    folder = begin(store)
    (folder / name).write_bytes(content)
    return keep(folder)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


# --- entries and their digests -----------------------------------------------------------------


def test_what_one_run_compiled_the_next_one_finds(store: Path) -> None:
    assert compile_one(store) == 1
    assert names(store) == [f"{NAME}.{hashlib.sha256(ENTRY).hexdigest()}"]
    folder = begin(store)
    assert names(folder) == [NAME]
    assert (folder / NAME).read_bytes() == ENTRY
    assert keep(folder) == 0
    assert len(names(store)) == 1


def test_only_this_user_can_look(store: Path) -> None:
    folder = begin(store)
    modes = {path.stat().st_mode & 0o777 for path in (folder, store, store.parent, store.parent.parent)}
    assert modes == {0o700}


@pytest.mark.parametrize("content", [ENTRY[:-1], b"", ENTRY + b"\0", b"y" + ENTRY[1:]])
def test_a_damaged_entry_is_dropped_before_tensorflow_sees_it(content: bytes, store: Path) -> None:
    compile_one(store)
    (entry,) = store.iterdir()
    entry.write_bytes(content)
    folder = run_folder(store)
    assert prepare(folder) == [entry.name]
    assert (names(folder), entry.exists()) == ([], False)


def test_a_link_is_no_entry(store: Path, tmp_path: Path) -> None:
    begin(store)
    (tmp_path / "theirs").write_bytes(ENTRY)
    (store / f"{NAME}.{hashlib.sha256(ENTRY).hexdigest()}").symlink_to(tmp_path / "theirs")
    assert names(begin(store)) == []
    assert (tmp_path / "theirs").read_bytes() == ENTRY


def test_half_an_entry_is_not_kept(store: Path) -> None:
    """A thread may still be writing when the process ends."""
    assert compile_one(store, ENTRY[:-1]) == 0
    assert names(store) == []


def test_what_is_no_entry_is_not_kept(store: Path) -> None:
    assert compile_one(store, name="notes.txt") == 0
    assert names(store) == []


def test_two_runs_that_compiled_the_same_leave_one_each(store: Path) -> None:
    other = ENTRY[:-1] + b"y"
    assert (compile_one(store), len(names(store))) == (1, 1)
    (store / f"{NAME}.{hashlib.sha256(other).hexdigest()}").write_bytes(other)
    folder = begin(store)
    assert names(folder) == [NAME]
    assert (folder / NAME).read_bytes() in (ENTRY, other)


def test_entries_are_bounded_over_all_releases(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_one(store)
    (old,) = store.iterdir()
    os.utime(old, (0, 0))
    monkeypatch.setattr("autoxla.compiled._MOST_BYTES", len(ENTRY))
    newer = store.with_name("2.20.0-0123")
    compile_one(newer)
    assert (names(store), len(names(newer))) == ([], 1)


def test_a_file_system_without_links(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    compile_one(store)
    monkeypatch.setattr(os, "link", refuse)
    folder = begin(store)
    assert (folder / NAME).read_bytes() == ENTRY
    keep(folder)
    assert len(names(store)) == 1


# --- processes ---------------------------------------------------------------------------------


def test_a_killed_process_leaves_nothing(store: Path) -> None:
    code = (
        "import os, sys, signal; from pathlib import Path; from autoxla.compiled import *\n"
        "folder = run_folder(Path(sys.argv[1])); prepare(folder)\n"
        "(folder / sys.argv[2]).write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    words = [sys.executable, "-c", code, str(store), NAME]
    assert subprocess.run(words, env=clean_environment(), check=False).returncode == -signal.SIGKILL
    (left,) = store.iterdir()
    folder = begin(store)
    assert (left.exists(), names(folder), names(store)) == (False, [], [folder.name])


def test_the_folder_of_a_living_process_stays(store: Path) -> None:
    folder = begin(store)
    living = folder.with_name(folder.name.replace(str(os.getpid()), str(os.getppid())))
    elsewhere = store / "run-ffffffff-1"
    for other in (living, elsewhere):
        other.mkdir()
        (other / NAME).write_bytes(b"being written")
    assert keep(begin(store)) == 0
    assert names(store) == sorted([living.name, elsewhere.name])


def test_the_folder_of_a_machine_long_gone_leaves(store: Path) -> None:
    begin(store)
    old = store / "run-ffffffff-1"
    old.mkdir()
    os.utime(old, (0, 0))
    begin(store)
    assert not old.exists()


def test_a_forked_child_keeps_nothing_for_its_parent(store: Path) -> None:
    folder = begin(store)
    elsewhere = folder.with_name(folder.name.replace(str(os.getpid()), str(os.getppid())))
    elsewhere.mkdir()
    (elsewhere / NAME).write_bytes(ENTRY)
    assert keep(elsewhere) == 0
    assert names(elsewhere) == [NAME]


def test_a_store_that_others_can_write_is_refused(store: Path) -> None:
    folder = begin(store)
    store.chmod(0o777)
    with pytest.raises(PermissionError, match="other users"):
        prepare(folder)


@given(st.binary(max_size=80))
@example(b"\xff" * 40)
@example(b"\x1a" + b"\xff" * 9 + b"\x01")
def test_any_bytes_are_whole_or_not(content: bytes) -> None:
    assert is_whole(content) in (True, False)


@given(st.integers(0, len(ENTRY) - 1))
def test_no_beginning_of_an_entry_is_whole(length: int) -> None:
    assert is_whole(ENTRY)
    assert not is_whole(ENTRY[:length])


# --- the rule ----------------------------------------------------------------------------------

FOLDER = "/c/xla/2.21.0-0123/run-ffffffff-1"
DIRECTORY = "--tf_xla_persistent_cache_directory="
OURS = f"--tf_xla_persistent_cache_device_types=CPU,XLA_CPU_JIT {DIRECTORY}{FOLDER}"
LATE = Evidence("variable", "XLA_FLAGS", "--x=1", "certain", Place("train.py", 9))


def situate(flags: str | None, *, folder: str | None = FOLDER, reading: Reading | None = None) -> Situation:
    return Situation(
        settings=Settings(xla_cache=True),
        versions={"tensorflow": (2, 21, 0)},
        environment={} if flags is None else {"TF_XLA_FLAGS": flags},
        xla_cache=folder,
        reading=reading or Reading(),
    )


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (None, OURS),
        ("--tf_xla_auto_jit=1", f"--tf_xla_auto_jit=1 {OURS}"),
        (f"{DIRECTORY}/mine", None),
        # Of the process that started this one: two must not share a folder.
        (OURS.replace("-1", "-2"), OURS),
    ],
)
def test_what_is_set(flags: str | None, expected: str | None) -> None:
    settings = decide(situate(flags)).settings
    assert [setting.value for setting in settings if setting.variable == "TF_XLA_FLAGS"] == (
        [] if expected is None else [expected]
    )


@pytest.mark.parametrize(
    ("situation", "code"),
    [
        (situate("/a/file"), "AX313"),
        (situate(None, reading=Reading((LATE,), known=True)), "AX313"),
        (situate(None, folder=None), "AX313"),
    ],
)
def test_what_is_not_set(situation: Situation, code: str) -> None:
    plan = decide(situation)
    assert [finding.code for finding in plan.findings if finding.code.startswith("AX31")] == [code]
    assert plan.settings == ()


# --- TensorFlow --------------------------------------------------------------------------------

PROGRAM = """
import autoxla
import json, os
import tensorflow as tf
@tf.function(jit_compile=True)
def step(x):
    return tf.reduce_sum(tf.sin(x) @ tf.cos(x))
value = float(step(tf.random.stateless_uniform((64, 64), (1, 2))))
folder = os.environ["TF_XLA_FLAGS"].rpartition("=")[2]
links = [entry.stat().st_nlink for entry in os.scandir(folder)]
print(json.dumps([value, links, folder]))
"""


def run_with_cache(folder: Path) -> Outcome:
    (folder / "pyproject.toml").write_text("[tool.autoxla]\nxla_cache = true\n", encoding="utf-8")
    (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    report = str(folder / "report.json")
    variables = {"AUTOXLA_CACHE": str(folder / "cache"), "AUTOXLA_REPORT": report}
    return run(["program.py"], folder, clean_environment(**variables))


@pytest.mark.tensorflow
def test_tensorflow_uses_what_an_earlier_run_compiled(tmp_path: Path) -> None:
    first = run_with_cache(tmp_path)
    second = run_with_cache(tmp_path)
    value, links, folder = first.last
    # The entry was written by the first run, and given to the second, which wrote none.
    assert (links, second.last[:2]) == ([1], [value, [2]]), first.err + second.err
    assert not Path(folder).exists()
    (entry,) = Path(folder).parent.iterdir()
    entry.write_bytes(entry.read_bytes()[:-1000])
    third = run_with_cache(tmp_path)
    assert (third.status, third.last[:2]) == (0, [value, [1]]), third.err
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {"AX313", "AX908"} <= {finding["code"] for finding in report["findings"]}


@pytest.mark.tensorflow
def test_a_cache_that_others_can_write_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    code = PROGRAM.replace('os.environ["TF_XLA_FLAGS"]', 'os.environ.get("TF_XLA_FLAGS", "=/var/empty")')
    code = code.split("links =")[0] + "print(json.dumps(folder))"
    (tmp_path / "pyproject.toml").write_text("[tool.autoxla]\nxla_cache = true\n", encoding="utf-8")
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    done = run(["program.py"], tmp_path, clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache")))
    assert (done.status, done.last) == (0, "/var/empty")
    assert ["AX313" in notice for notice in done.notices] == [True]
    assert list((tmp_path / "cache").iterdir()) == []


FORKING = """
import autoxla, json, os
import tensorflow as tf
mine = os.environ["TF_XLA_FLAGS"].rpartition("=")[2]
reader, writer = os.pipe()
if os.fork() == 0:
    applied = json.loads(os.environ["AUTOXLA_APPLIED"])["TF_XLA_FLAGS"][1]
    os.write(writer, json.dumps([os.environ["TF_XLA_FLAGS"], applied]).encode())
    raise SystemExit
os.wait()
flags, applied = json.loads(os.read(reader, 4096))
print(json.dumps([flags == applied, mine in flags, os.path.isdir(mine)]))
"""


@pytest.mark.tensorflow
def test_a_forked_child_has_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.autoxla]\nxla_cache = true\n", encoding="utf-8")
    (tmp_path / "program.py").write_text(FORKING, encoding="utf-8")
    done = run(["program.py"], tmp_path, clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache")))
    assert done.last == [True, False, True], done.err
