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

from autoxla.compiled import Compiled, clear, keep
from autoxla.model import Evidence, Place, Reading, Settings, Situation
from autoxla.policies import decide
from programs import Outcome, clean_environment, run

ENTRY = b"\x0a\x02ab\x12\x03abc\x1a\x80\x01" + b"x" * 128
NAME = "xla_compile_cache__1__2__XLA_CPU_JIT.pb"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "xla" / "2.21.0-0123"


def compile_one(folder: Path, content: bytes = ENTRY, name: str = NAME) -> None:
    """Run through a process that compiles one program."""
    compiled = Compiled(folder, {})
    (folder / name).write_bytes(content)
    compiled.finish({})


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


# --- entries and their digests -----------------------------------------------------------------


def test_what_one_run_compiled_the_next_one_finds(folder: Path) -> None:
    compile_one(folder)
    assert (folder / f"{NAME}.sha256").read_text() == hashlib.sha256(ENTRY).hexdigest()
    assert Compiled(folder, {}).dropped == []
    assert (folder / NAME).read_bytes() == ENTRY


def test_only_this_user_can_look(folder: Path) -> None:
    Compiled(folder, {})
    modes = {path.stat().st_mode & 0o777 for path in (folder, folder.parent, folder.parent.parent)}
    assert modes == {0o700}


@pytest.mark.parametrize("content", [ENTRY[:-1], b"", ENTRY + b"\0", b"y" + ENTRY[1:]])
def test_a_damaged_entry_is_dropped_before_tensorflow_sees_it(content: bytes, folder: Path) -> None:
    compile_one(folder)
    (folder / NAME).write_bytes(content)
    assert Compiled(folder, {}).dropped == [NAME]
    assert names(folder) == []


def test_a_link_is_no_entry(folder: Path, tmp_path: Path) -> None:
    compile_one(folder)
    (tmp_path / "theirs").write_bytes(ENTRY)
    (folder / NAME).unlink()
    (folder / NAME).symlink_to(tmp_path / "theirs")
    Compiled(folder, {})
    assert names(folder) == []
    assert (tmp_path / "theirs").read_bytes() == ENTRY


def test_what_two_processes_compiled_at_once_is_whole(folder: Path) -> None:
    first, second = Compiled(folder, {}), Compiled(folder, {})
    for process, content in ((first, ENTRY), (second, ENTRY[:-1] + b"y")):
        (folder / NAME).write_bytes(content)
        os.utime(folder / NAME, (4e9, 4e9))
        process.finish({})
    assert Compiled(folder, {}).dropped == []


@pytest.mark.parametrize("changed", ["XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS"])
def test_what_was_compiled_under_other_variables_is_not_kept(changed: str, folder: Path) -> None:
    compiled = Compiled(folder, {})
    (folder / NAME).write_bytes(ENTRY)
    compiled.finish({changed: "1"})
    assert Compiled(folder, {}).dropped == []
    assert names(folder) == []


def test_entries_are_bounded_over_all_releases(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_one(folder)
    os.utime(folder / f"{NAME}.sha256", (0, 0))
    os.utime(folder / NAME, (0, 0))
    monkeypatch.setattr("autoxla.compiled._MOST_BYTES", len(ENTRY))
    newer = folder.with_name("2.20.0-0123")
    compile_one(newer)
    assert (names(folder), len(names(newer))) == ([], 2)


def test_what_is_cleared(folder: Path) -> None:
    compile_one(folder)
    (folder / "mine.txt").write_text("")
    assert clear(folder.parent) == 1
    assert names(folder) == ["mine.txt"]


# --- processes ---------------------------------------------------------------------------------


def test_what_a_killed_process_left_is_not_loaded(folder: Path) -> None:
    code = (
        "import os, sys, signal; from pathlib import Path; from autoxla.compiled import Compiled\n"
        "folder = Path(sys.argv[1]); Compiled(folder, {})\n"
        "(folder / sys.argv[2]).write_bytes(b'half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    words = [sys.executable, "-c", code, str(folder), NAME]
    assert subprocess.run(words, env=clean_environment(), check=False).returncode == -signal.SIGKILL
    assert Compiled(folder, {}).dropped == []
    assert names(folder) == []


def test_what_is_left_of_a_write_goes_after_a_day(folder: Path) -> None:
    Compiled(folder, {})
    for name, time in (("old.tmp", 0), ("new.tmp", None)):
        (folder / name).write_bytes(b"half")
        if time is not None:
            os.utime(folder / name, (time, time))
    keep(folder)
    assert names(folder) == ["new.tmp"]


def test_a_child_leaves_what_its_parent_compiled(folder: Path) -> None:
    parent = Compiled(folder, {})
    (folder / NAME).write_bytes(ENTRY)
    Compiled(folder, {"TF_XLA_FLAGS": f"--tf_xla_persistent_cache_directory={folder}"}).finish({})
    parent.finish({})
    assert names(folder) == [NAME, f"{NAME}.sha256"]


def test_a_folder_that_others_can_write_is_refused(folder: Path) -> None:
    Compiled(folder, {})
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="other users"):
        Compiled(folder, {})


# --- the rule ----------------------------------------------------------------------------------

FOLDER = "/c/xla/2.21.0-0123"
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
        # Of the process that started this one.
        (OURS, None),
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
entries = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}
print(json.dumps([value, {name: time for name, time in entries.items() if name.endswith(".pb")}, folder]))
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
    # The second run wrote none anew.
    assert len(first.last[1]) == 1
    assert second.last == first.last, first.err + second.err
    (name,) = first.last[1]
    entry = Path(first.last[2]) / name
    entry.write_bytes(entry.read_bytes()[:-1000])
    third = run_with_cache(tmp_path)
    assert (third.status, third.last[0]) == (0, first.last[0]), third.err
    assert third.last[1] != first.last[1]
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert {"AX313", "AX908"} <= {finding["code"] for finding in report["findings"]}


@pytest.mark.tensorflow
def test_a_cache_that_others_can_write_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    code = PROGRAM.replace('os.environ["TF_XLA_FLAGS"]', 'os.environ.get("TF_XLA_FLAGS", "=/var/empty")')
    code = code.split("entries =")[0] + "print(json.dumps(folder))"
    (tmp_path / "pyproject.toml").write_text("[tool.autoxla]\nxla_cache = true\n", encoding="utf-8")
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    done = run(["program.py"], tmp_path, clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache")))
    assert (done.status, done.last) == (0, "/var/empty")
    assert ["AX313" in notice for notice in done.notices] == [True]
    assert list((tmp_path / "cache").iterdir()) == []
