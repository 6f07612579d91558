"""The store of records: what it keeps, what it refuses, and many processes at once."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.cache import find_refusal, make_folder
from autoxla.situation.hardware import count_cores, digest, identity
from autoxla.store import Store
from programs import HOME

KEY = "0123456789abcdef"
DAY = 86_400
STRANGER = 12_345


def put(folder: Path, content: str | bytes, key: str = KEY) -> Path:
    """Write a file in the place of a record."""
    file = folder / f"{key}.json"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def record(key: str = KEY, **data: Any) -> str:
    return json.dumps({"schema": 1, "key": key, **data})


def reasons(folder: Path) -> list[str]:
    """Return why the record of `KEY` is left out."""
    store = Store(folder)
    assert store.read(KEY) is None
    return [reason for _, reason in store.ignored]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "cache" / "cures"
    make_folder(made)
    return made


# --- what is kept ------------------------------------------------------------------------------


def test_nothing_is_ignored_where_nothing_is(tmp_path: Path) -> None:
    assert reasons(tmp_path / "none") == []
    assert reasons(Path(os.devnull, "cures")) == []


def test_folders_are_made_for_this_user_alone(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        Store(tmp_path / "cache" / "cures").write(KEY, {})
    finally:
        os.umask(before)
    modes = [(tmp_path / name).stat().st_mode & 0o777 for name in ("cache", "cache/cures")]
    assert modes == [0o700, 0o700]
    assert (tmp_path / "cache/cures" / f"{KEY}.json").stat().st_mode & 0o777 == 0o600


def test_records_are_listed_last_used_first(folder: Path) -> None:
    for number in range(3):
        Store(folder).write(f"{number:016x}", {"number": number})
        os.utime(folder / f"{number:016x}.json", (number, number))
    put(folder, "no record", "f" * 16)
    assert [(r.data["number"], r.used) for r in Store(folder).list()] == [(2, 2), (1, 1), (0, 0)]


def test_removing(folder: Path) -> None:
    Store(folder).write(KEY, {})
    assert [Store(folder).remove(KEY), Store(folder).remove(KEY)] == [True, False]
    assert list(folder.iterdir()) == []


def test_a_use_is_noted_once_a_day(folder: Path) -> None:
    Store(folder).write(KEY, {})
    file, hour_ago = folder / f"{KEY}.json", time.time() - 3600
    os.utime(file, (hour_ago, hour_ago))
    Store(folder).read(KEY)
    recent = file.stat().st_mtime
    os.utime(file, (hour_ago, hour_ago - 2 * DAY))
    Store(folder).read(KEY)
    assert abs(recent - hour_ago) < 1
    assert time.time() - file.stat().st_mtime < DAY


def test_a_time_in_the_future_does_not_last(folder: Path) -> None:
    Store(folder).write(KEY, {})
    os.utime(folder / f"{KEY}.json", (0, time.time() + 1000 * DAY))
    Store(folder).read(KEY)
    assert (folder / f"{KEY}.json").stat().st_mtime < time.time() + DAY


def test_what_was_used_stays(folder: Path) -> None:
    store = Store(folder, most=3)
    for number in range(3):
        store.write(f"{number:016x}", {})
        os.utime(folder / f"{number:016x}.json", (number, number))
    store.read(f"{0:016x}")
    store.write(KEY, {})
    assert {r.key for r in store.list()} == {KEY, f"{0:016x}", f"{2:016x}"}


def test_all_records_together_are_bounded(folder: Path) -> None:
    for number in range(8):
        Store(folder, most_bytes=2000).write(f"{number:016x}", {"text": "x" * 500})
    assert len(list(Store(folder).list())) == 3


def test_a_record_that_could_not_be_read_again_is_not_written(folder: Path) -> None:
    with pytest.raises(OSError, match="too large"):
        Store(folder).write(KEY, {"text": "x" * (1 << 18)})
    with pytest.raises(ValueError, match="JSON"):
        Store(folder).write(KEY, {"interval": [float("nan")]})
    assert list(folder.iterdir()) == []


def test_unfinished_files_leave_after_a_day(folder: Path) -> None:
    old, new = (folder / f".{KEY}.json.0123abcd-{number}-0.tmp" for number in (1, 2))
    for file in (old, new):
        file.write_bytes(b"{")
    os.utime(old, (0, 0))
    Store(folder).write(KEY, {})
    assert (old.exists(), new.exists()) == (False, True)


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is no JSON"),
        (record()[:-1], "it is no JSON"),
        ("[" * 200_000, "it is no JSON"),
        (record(x=float("nan")), "it is no JSON"),
        (f'{{"schema": 1, "key": "{KEY}", "x": {"9" * 200_000}}}', "it is no JSON"),
        ("[]", "it is no record of its name"),
        (record("f" * 16), "it is no record of its name"),
        (record(schema=2), "it has another schema"),
        (record(x="x" * (1 << 18)), f"it has more than {1 << 18} bytes"),
    ],
)
def test_malformed_records_are_left_out(content: str, reason: str, folder: Path) -> None:
    put(folder, content)
    # Since 3.11 (and in late 3.10 releases) Python refuses integers of so many digits.
    is_long_integer_allowed = "999" in content and not hasattr(sys, "set_int_max_str_digits")
    assert is_long_integer_allowed or reasons(folder) == [reason]


def test_a_symbolic_link_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(record(), encoding="utf-8")
    (folder / f"{KEY}.json").symlink_to(tmp_path / "secret")
    assert reasons(folder) == [os.strerror(errno.ELOOP)]
    assert not Store(folder).remove(KEY)


def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path, folder: Path) -> None:
    Store(folder).write(KEY, {})
    (tmp_path / "link").symlink_to(folder)
    assert reasons(tmp_path / "link") == ["it is a symbolic link"]


def test_a_pipe_does_not_block(folder: Path) -> None:
    os.mkfifo(folder / f"{KEY}.json")
    assert reasons(folder) == ["it is no regular file"]


def test_a_file_that_others_can_write_is_left_out(folder: Path) -> None:
    put(folder, record()).chmod(0o666)
    assert reasons(folder) == ["it can be written by other users"]


@contextmanager
def owned_by_stranger(path: Path) -> Iterator[None]:
    """Give ``path`` to another user; where this user may not, take another user's name for the while."""
    if os.geteuid() == 0:
        os.chown(path, STRANGER, -1)
        yield
        return
    mine, patch = os.geteuid(), pytest.MonkeyPatch()
    patch.setattr(os, "geteuid", lambda: mine + 1)
    yield
    patch.undo()


def test_the_file_of_another_user_is_left_out(folder: Path) -> None:
    store = Store(folder)
    Store(folder).write(KEY, {})
    with owned_by_stranger(folder / f"{KEY}.json"):
        assert store.read(KEY) is None
    assert all("another user" in reason for _, reason in store.ignored)
    assert store.ignored


@pytest.mark.parametrize("level", ["cache", "cache/cures"])
def test_the_folder_of_another_user_is_refused(level: str, tmp_path: Path, folder: Path) -> None:
    Store(folder).write(KEY, {})
    store = Store(folder)
    with owned_by_stranger(tmp_path / level):
        assert store.read(KEY) is None
        with pytest.raises(PermissionError, match="another user"):
            store.write(KEY, {})


@pytest.mark.parametrize("level", ["cache", "cache/cures"])
@pytest.mark.parametrize(
    ("mode", "is_refused"), [(0o770, True), (0o777, True), (0o755, False), (0o1777, False)]
)
def test_a_folder_that_others_can_write_is_refused(
    level: str, mode: int, is_refused: bool, tmp_path: Path, folder: Path
) -> None:
    Store(folder).write(KEY, {})
    (tmp_path / level).chmod(mode)
    store = Store(folder)
    assert (store.read(KEY) is None) is is_refused
    assert [reason for _, reason in store.ignored] == (
        [f"{tmp_path / level} can be written by other users"] if is_refused else []
    )


def test_what_is_above_may_be_the_root_users() -> None:
    assert find_refusal(Path("/tmp/no such folder")) is None  # noqa: S108 - the folder is not used


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(new_folder: Callable[[], Path], content: bytes) -> None:
    folder = new_folder()
    put(folder, content)
    assert len(reasons(folder)) == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8) | st.sampled_from(["schema", "key"]), JSON, max_size=6))
def test_any_json_is_a_record_or_left_out(new_folder: Callable[[], Path], data: dict[str, Any]) -> None:
    folder = new_folder()
    put(folder, json.dumps({"key": KEY, "schema": 1, **data}))
    store = Store(folder)
    found = store.read(KEY)
    assert (found is None) == (len(store.ignored) == 1)
    assert found is None or found == {"key": KEY, "schema": 1, **data}


@given(st.dictionaries(st.text(max_size=8), JSON, max_size=6))
def test_what_can_be_written_comes_back(new_folder: Callable[[], Path], data: dict[str, Any]) -> None:
    folder = new_folder()
    try:
        Store(folder).write(KEY, data)
    except ValueError:  # a NaN or an infinity
        assert "NaN" in json.dumps(data) or "Infinity" in json.dumps(data)
        return
    assert Store(folder).read(KEY) == {**data, "key": KEY, "schema": 1}


# --- disks and processes -----------------------------------------------------------------------


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        Store(tmp_path / "file" / "cures").write(KEY, {})


def test_a_full_disk_leaves_the_old_record(folder: Path) -> None:
    Store(folder).write(KEY, {"text": "old"})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            Store(folder).write(KEY, {"text": "x" * 5000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert [file.name for file in folder.iterdir()] == [f"{KEY}.json"]
    assert (Store(folder).read(KEY) or {})["text"] == "old"


#: Writes the record that all write, and one of its own; says what it could not read.
WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from autoxla.store import Store
store, number = Store(Path(sys.argv[2])), int(sys.argv[3])
sys.stdin.read()
for turn in range(3):
    store.write("0123456789abcdef", {"number": number, "text": str(number) * 2000})
    store.write(f"{number:016x}", {"turn": turn})
    if store.read("0123456789abcdef") is None or store.ignored:
        print(store.ignored)
"""


def test_a_hundred_processes_write_at_once(folder: Path) -> None:
    words = [sys.executable, "-S", "-c", WORKER, str(HOME), str(folder)]
    workers = [
        subprocess.Popen([*words, str(number)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for number in range(100)
    ]
    for worker in workers:  # all start when their input ends
        assert worker.stdin is not None
        worker.stdin.close()
        worker.stdin = None
    assert {worker.communicate(timeout=120)[0] for worker in workers} == {""}
    assert {worker.returncode for worker in workers} == {0}
    assert {r.key for r in Store(folder).list()} == {KEY, *(f"{number:016x}" for number in range(100))}
    last = Store(folder).read(KEY) or {}
    assert last["text"] == str(last["number"]) * 2000
    assert len(list(folder.iterdir())) == 101


# --- the machine -------------------------------------------------------------------------------

CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R)  Xeon(R) Gold
flags\t\t: sse avx2 fpu

processor\t: 1
model name\t: Another
"""


def write_machine(root: Path, **files: str) -> Path:
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return root


def test_a_machine_is_the_same_each_time() -> None:
    assert identity() == identity()
    assert digest(identity()) == digest(identity())
    assert json.loads(json.dumps(identity())) == identity()


def test_what_a_machine_is_told_apart_by(tmp_path: Path) -> None:
    root = write_machine(
        tmp_path,
        proc__cpuinfo=CPUINFO,
        **{
            "proc__driver__nvidia__gpus__0000:01:00.0__information": "Model: \t\t NVIDIA H200\nIRQ: 1\n",
            "sys__class__drm__card0__device__vendor": "0x8086\n",
            "sys__class__drm__card0__device__device": "0x56c0\n",
            "sys__class__drm__card1__device__vendor": "0x1a03\n",
        },
    )
    found = identity({"CUDA_VISIBLE_DEVICES": "0,2", "ONEAPI_DEVICE_SELECTOR": "*:cpu"}, root=root)
    assert found["cpu"] == "Intel(R) Xeon(R) Gold"
    assert found["accelerators"] == ["0x8086:0x56c0", "NVIDIA H200"]
    assert found["masks"] == ["CUDA_VISIBLE_DEVICES=0,2", "ONEAPI_DEVICE_SELECTOR=*:cpu"]


def test_an_unknown_machine_is_one_too(tmp_path: Path) -> None:
    found = identity({}, root=tmp_path)
    assert (found["cpu"], found["accelerators"], found["masks"]) == ("", [], [])


@pytest.mark.parametrize(
    ("files", "is_limited"),
    [
        ({"proc__self__cgroup": "0::/a/b\n", "sys__fs__cgroup__a__cpu.max": "50000 100000\n"}, True),
        ({"proc__self__cgroup": "0::/../..\n", "sys__fs__cgroup__cpu.max": "max 100000\n"}, False),
        (
            {
                "proc__self__cgroup": "4:memory:/x\n3:cpu,cpuacct:/x\n",
                "sys__fs__cgroup__cpu__x__cpu.cfs_quota_us": "100000\n",
                "sys__fs__cgroup__cpu__x__cpu.cfs_period_us": "100000\n",
            },
            True,
        ),
        ({"proc__self__cgroup": "nonsense\n1:cpu\n"}, False),
    ],
)
def test_limits_of_control_groups_count(files: dict[str, str], is_limited: bool, tmp_path: Path) -> None:
    unlimited = count_cores(tmp_path)
    assert count_cores(write_machine(tmp_path, **files)) == (1 if is_limited else unlimited)
