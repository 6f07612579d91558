"""``python -m autoxla records``, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autoxla import commands
from autoxla.commands.records import describe
from autoxla.store import Store
from programs import Outcome, clean_environment, run

DECISION = {
    "program": "train.py",
    "model": "MobileNetV2",
    "winner": "graph",
    "graph_ms": 58.71,
    "xla_ms": 334.2,
    "compile_s": 14.4,
    "nodes": 10904,
    "machine": {"cpu": "a"},
    "interval": [0.1, 0.2],
}
CURE = {
    "program": "train.py",
    "origin": "heal",
    "code": "",
    "mark": "TypeError: an unknown argument",
    "variables": {"AUTOXLA_KERAS": "2"},
}
Records = Callable[..., Outcome]
FIRST, SECOND = "3f9a" + "0" * 28, "3f9b" + "0" * 28


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache folder with two decisions and what one program taught."""
    folder = tmp_path / "cache"
    Store(folder / "decisions").write(FIRST, DECISION)
    Store(folder / "decisions").write(SECOND, {"winner": "xla"})
    Store(folder / "cures").write("c" * 32, CURE)
    return folder


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Records:
    """Return the command, as a call."""

    def call(cache: Path, *words: str) -> Outcome:
        monkeypatch.setenv("AUTOXLA_CACHE", str(cache))
        status = commands.run("records", list(words))
        return Outcome(status, *capsys.readouterr())

    return call


def count(cache: Path) -> int:
    return len(list(cache.glob("*/*.json")))


def test_the_list_is_plain_where_nobody_looks(cache: Path) -> None:
    environment = clean_environment(AUTOXLA_CACHE=str(cache))
    done = run(["-m", "autoxla", "records", "list"], cache.parent, environment)
    assert (done.status, done.err) == (0, "")
    rows = done.out.splitlines()
    assert len(rows) == 3
    says = "train.py, MobileNetV2, graph won (graph 58.7 ms, xla 334 ms, compile 14.4 s), nodes=10904"
    assert any(row.startswith("3f9a00000000  decisions  ") and says in row for row in rows)
    assert any("cures" in row and "train.py, AUTOXLA_KERAS=2, origin=heal" in row for row in rows)
    assert "\x1b" not in done.out


def test_the_list_as_json(cache: Path, records: Records) -> None:
    data = json.loads(records(cache, "list", "--json").out)
    assert {(entry["kind"], entry["key"][:4]) for entry in data} == {
        ("decisions", "3f9a"),
        ("decisions", "3f9b"),
        ("cures", "cccc"),
    }
    assert next(e for e in data if e["key"] == FIRST)["data"] == DECISION


def test_there_may_be_none(tmp_path: Path, records: Records) -> None:
    done = records(tmp_path / "none", "list")
    assert (done.status, done.out, done.err) == (0, f"no records in {tmp_path / 'none'}\n", "")
    assert json.loads(records(tmp_path / "none", "list", "--json").out) == []
    assert not (tmp_path / "none").exists()


def draw(cache: Path, **variables: str) -> str:
    """Return what the list looks like on a terminal."""
    terminal, end = os.openpty()
    environment = clean_environment(AUTOXLA_CACHE=str(cache), TERM="xterm", COLUMNS="160", **variables)
    words = [sys.executable, "-m", "autoxla", "records", "list"]
    subprocess.run(words, env=environment, stdout=end, timeout=60, check=True)
    os.close(end)
    with os.fdopen(terminal, "rb", buffering=0) as stream:
        return stream.read(65_536).decode()


def test_on_a_terminal_there_is_a_table(cache: Path) -> None:
    shown = draw(cache)
    assert "MobileNetV2" in shown
    assert "says" in shown
    colourless = draw(cache, NO_COLOR="1")
    assert "MobileNetV2" in colourless
    assert "\x1b[3" not in colourless


@pytest.mark.parametrize("key", ["3f9a", "3F9A", FIRST])
def test_the_beginning_of_a_key_suffices(key: str, cache: Path, records: Records) -> None:
    done = records(cache, "show", key)
    assert done.status == 0
    assert "MobileNetV2" in done.out
    assert json.loads(records(cache, "show", key, "--json").out)["data"] == DECISION


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["show", "3f9"], "the beginning of 2 keys"),
        (["show", "ffff"], "no record 'ffff'"),
        (["show", ""], "no record ''"),
        (["show"], "KEY"),
        (["clear", "3f9a", "ffff"], "no record 'ffff'"),
        (["clear", "3f9a", "--all"], "keys or --all"),
        (["list", "3f9a"], "unrecognized"),
        (["lis"], "invalid choice"),
        ([], "required"),
        (["list", "--js"], "unrecognized"),
    ],
)
def test_what_is_not_understood(words: list[str], reason: str, cache: Path, records: Records) -> None:
    done = records(cache, *words)
    assert (done.status, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert done.err.startswith("autoxla: AX902 error arguments: ")
    assert reason in done.err
    assert count(cache) == 3


def test_help_is_help(cache: Path) -> None:
    done = run(["-m", "autoxla", "records", "--help"], cache.parent)
    assert (done.status, done.err) == (0, "")
    assert "clear" in done.out


def test_clearing_some(cache: Path, records: Records) -> None:
    done = records(cache, "clear", "3f9a", FIRST)
    assert (done.status, done.out, count(cache)) == (0, "1 record(s) removed\n", 2)


def test_clearing_leaves_what_is_not_ours(cache: Path, tmp_path: Path, records: Records) -> None:
    (tmp_path / "theirs").write_text("{}", encoding="utf-8")
    (cache / "decisions" / ("d" * 16 + ".json")).symlink_to(tmp_path / "theirs")
    (cache / "decisions" / "notes.txt").write_text("mine", encoding="utf-8")
    (cache / "decisions" / ("e" * 16 + ".json")).write_text("damaged", encoding="utf-8")
    done = records(cache, "clear")
    assert (done.status, done.out) == (0, "4 record(s) removed\n")
    assert sorted(file.name for file in cache.glob("*/*")) == ["d" * 16 + ".json", "notes.txt"]
    assert (tmp_path / "theirs").read_text(encoding="utf-8") == "{}"


def test_clearing_what_was_compiled(cache: Path, records: Records) -> None:
    store = cache / "xla" / "2.21.0-0123"
    store.mkdir(parents=True)
    (store / "a.pb").write_bytes(b"")
    (store / "a.pb.sha256").write_bytes(b"")
    (store / "notes.pb.txt").write_bytes(b"")
    assert json.loads(records(cache, "clear", "--json").out) == {"removed": 3, "compiled": 0, "read": 0}
    cleared = json.loads(records(cache, "clear", "--all", "--json").out)
    assert cleared == {"removed": 0, "compiled": 1, "read": 0}
    assert [file.name for file in store.glob("*.pb*")] == ["notes.pb.txt"]


def add_what_is_no_record(cache: Path) -> set[str]:
    """Add files of autoxla's and others to a cache folder; return the others' names."""
    (cache / "lookahead").mkdir()
    for name in (f"{FIRST}.json", f".{FIRST}.json.0123abcd-77-0.tmp", "notes.json", "reading-mine.json"):
        (cache / "lookahead" / name).touch()
    (cache / "lookahead" / f"{SECOND}.json").symlink_to(cache)
    return {"notes.json", "reading-mine.json", f"{SECOND}.json"}


def test_clearing_all_leaves_nothing_of_ours(cache: Path, records: Records) -> None:
    others = add_what_is_no_record(cache)
    assert records(cache, "clear").out == "3 record(s) removed\n"
    assert len(list((cache / "lookahead").iterdir())) == 5
    done = records(cache, "clear", "--all")
    assert done.out == "0 record(s) removed, 0 compiled program(s), 1 reading(s) of sources\n"
    assert {file.name for file in (cache / "lookahead").iterdir()} == others


def test_a_folder_that_others_can_write_is_left_alone(cache: Path, records: Records) -> None:
    add_what_is_no_record(cache)
    (cache / "lookahead").chmod(0o777)
    assert json.loads(records(cache, "clear", "--all", "--json").out)["read"] == 0
    assert len(list((cache / "lookahead").iterdir())) == 5


@pytest.mark.parametrize("kind", ["decisions", "programs", "cures"])
def test_what_is_left_out_is_said_of_every_kind(kind: str, cache: Path, records: Records) -> None:
    (cache / kind).mkdir(exist_ok=True)
    (cache / kind / ("d" * 16 + ".json")).write_text("{", encoding="utf-8")
    done = records(cache, "list")
    assert len(done.notices) == 1
    assert f"AX907 info {cache / kind / ('d' * 16 + '.json')}: left out: it is no JSON" in done.err


def test_what_tuning_did_not_write_is_said_and_can_be_removed(cache: Path, records: Records) -> None:
    Store(cache / "programs").write("d" * 16, {"winner": "xla"})
    assert "left out: it is not what tuning writes" in records(cache, "list").err
    assert records(cache, "clear", "dddd").out == "1 record(s) removed\n"
    assert records(cache, "list").err == ""


def test_what_is_left_out_is_said(cache: Path, records: Records) -> None:
    (cache / "cures" / ("d" * 16 + ".json")).write_text("[]", encoding="utf-8")
    done = records(cache, "list")
    assert (done.status, len(done.out.splitlines()), len(done.notices)) == (0, 3, 1)
    assert "it is no record of its name" in done.err


def test_a_record_cannot_speak_to_the_terminal(cache: Path) -> None:
    Store(cache / "programs").write("d" * 16, {"program": "\x1b[2J\ud800\n[red]x", "\x07": 1})
    environment = clean_environment(AUTOXLA_CACHE=str(cache), PYTHONIOENCODING="ascii")
    for words in (["list"], ["show", "dddd"]):
        done = run(["-m", "autoxla", "records", *words], cache.parent, environment)
        assert done.status == 0
        assert not {"\x1b", "\x07"} & set(done.out)
        assert "[red]x" in done.out


def test_the_age_is_that_of_the_last_use(cache: Path, records: Records) -> None:
    times = {FIRST: 3 * 86_400 + 5, SECOND: 7_300}
    for key, age in times.items():
        moment = time.time() - age
        os.utime(cache / "decisions" / f"{key}.json", (moment, moment))
    rows = records(cache, "list").out.splitlines()
    assert [row[:4] for row in rows if "decisions" in row] == ["3f9b", "3f9a"]
    assert ["2 h" in rows[0], "3 d" in rows[1]] == [True, True]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, ""),
        ({"schema": 1, "key": "x", "machine": {}}, ""),
        ({"winner": "xla", "graph_ms": "fast", "xla_ms": True}, "xla won"),
        ({"winner": "xla", "xla_ms": 1}, "xla won (xla 1 ms)"),
        ({"program": 3, "model": None}, "program=3"),
        ({"model": "m", "lists": [1, [2]]}, "m, lists=1, [2]"),
    ],
)
def test_what_a_record_says(data: dict[str, object], text: str) -> None:
    assert describe(data) == text
