"""What another user may put in the way: names that speak to the terminal, pipes, links, open folders."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from autoxla import commands
from autoxla.commands import site
from autoxla.commands.check import line_of
from autoxla.commands.diagnosis.packages import take_inventory
from autoxla.commands.site import RefusalError
from autoxla.lookahead import Program, read_program
from autoxla.lookahead.installed import read_entry
from autoxla.model import Place, Reading
from autoxla.notice import notify, printable
from autoxla.planning import read_subject
from autoxla.running import subject_from
from autoxla.situation.distributions import find_requiring, find_versions
from autoxla.store import name_machine, write_whole
from programs import HOME, clean_environment, run

LONG_AGO = 1_600_000_000_000_000_000  # ns
# A hang is a failure within this time, in s.
LIMIT = 60


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "work" / "main.py"
    file.parent.mkdir()
    file.write_text("import keras\n", encoding="utf-8")
    os.utime(file, ns=(LONG_AGO, LONG_AGO))
    return file


def read(program: Path, cache: Path) -> Reading:
    found = Program("script", str(program), program.parent)
    return read_program(found, path=[], cache=cache / "lookahead")


def forge(cache: Path) -> Path:
    """Make the one entry of the cache say that the program imports torch."""
    entry = next((cache / "lookahead").iterdir())
    entry.write_text(entry.read_text(encoding="utf-8").replace('"keras"', '"torch"'), encoding="utf-8")
    return entry


def names(reading: Reading) -> set[str]:
    return {evidence.name for evidence in reading.evidence}


# The cache of readings


def test_an_own_entry_is_believed_whatever_the_umask(program: Path, tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        read(program, tmp_path / "cache")
    finally:
        os.umask(before)
    forge(tmp_path / "cache")
    assert names(read(program, tmp_path / "cache")) == {"torch"}


@pytest.mark.parametrize("opened", ["cache/lookahead", "cache", "."])
def test_nothing_is_read_from_or_written_in_a_folder_of_everybody(
    opened: str, program: Path, tmp_path: Path
) -> None:
    read(program, tmp_path / "cache")
    entry = forge(tmp_path / "cache")
    (tmp_path / opened).chmod(0o777)
    assert names(read(program, tmp_path / "cache")) == {"keras"}
    assert "torch" in entry.read_text(encoding="utf-8")
    entry.unlink()
    assert names(read(program, tmp_path / "cache")) == {"keras"}
    assert [*entry.parent.iterdir()] == []


def _open(entry: Path) -> None:
    entry.chmod(0o666)


def _link(entry: Path) -> None:
    entry.rename(entry.with_name("elsewhere"))
    entry.symlink_to("elsewhere")


def _give_away(entry: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give a file away")
    os.chown(entry, 12345, 12345)


@pytest.mark.parametrize("change", [_open, _link, _give_away])
def test_an_entry_that_another_may_have_written_is_not_read(
    change: Callable[[Path], None], program: Path, tmp_path: Path
) -> None:
    read(program, tmp_path / "cache")
    change(forge(tmp_path / "cache"))
    assert names(read(program, tmp_path / "cache")) == {"keras"}


# Pipes


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Make a pipe into which nobody writes: to open it is to wait for ever."""
    file = tmp_path / "pipe"
    os.mkfifo(file)
    return file


def _entry(pipe: Path) -> None:
    cache, program = pipe.parent / "cache", pipe.parent / "main.py"
    program.write_text("import keras\n", encoding="utf-8")
    os.utime(program, ns=(LONG_AGO, LONG_AGO))
    read(program, cache)
    entry = next((cache / "lookahead").iterdir())
    entry.unlink()
    os.mkfifo(entry)
    assert names(read(program, cache)) == {"keras"}


def _metadata(pipe: Path) -> None:
    for name in ("METADATA", "PKG-INFO", "RECORD"):
        file = pipe.parent / "keras-3.0.0.dist-info" / name
        file.parent.mkdir(exist_ok=True)
        file.symlink_to(pipe)
    path = [str(pipe.parent)]
    assert find_versions(path) == {}
    assert find_requiring(["keras"], "tensorflow", path) == frozenset()
    assert [each.text for each in take_inventory(path)] == [""]


def _script(pipe: Path) -> None:
    assert read_entry(str(pipe)) is None
    unread = read_subject(subject_from([str(pipe)]), {}).unread
    assert [reason for _, reason in unread] == ["it is not a regular file"]
    assert line_of(Place(str(pipe), 1, 1)) == ""


def _marker(pipe: Path) -> None:
    (pipe.parent / site.MARKER).symlink_to(pipe)
    (pipe.parent / "autoxla.pth").symlink_to(pipe)
    with pytest.raises(RefusalError, match="not a regular file"):
        site.disable(pipe.parent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "site_folders", lambda: [pipe.parent])
        assert site.look()["folders"][0]["pth"] == "missing"


CASES = {case.__name__.lstrip("_"): case for case in (_entry, _metadata, _script, _marker)}


@pytest.mark.parametrize("case", CASES)
def test_a_pipe_holds_nothing_up(case: str, pipe: Path) -> None:
    """In a process of its own, which can be ended."""
    code = f"import sys, test_hostile; test_hostile.CASES[{case!r}](test_hostile.Path(sys.argv[1]))"
    search = os.pathsep.join((str(Path(__file__).parent), str(HOME)))
    environment = clean_environment(PYTHONPATH=search)
    outcome = run(["-c", code, str(pipe)], pipe.parent, environment, LIMIT)
    assert (outcome.status, outcome.err) == (0, "")


# Links in the place of temporary files


def test_a_report_goes_where_it_was_asked_for(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine", encoding="utf-8")
    name = f".run.json.{name_machine()}-{os.getpid()}-{threading.get_ident()}.tmp"
    (tmp_path / name).symlink_to(victim)
    write_whole(tmp_path / "run.json", b"{}")
    assert victim.read_text(encoding="utf-8") == "mine"
    assert (tmp_path / "run.json").read_text(encoding="utf-8") == "{}"
    assert {file.name for file in tmp_path.iterdir()} == {"run.json", "victim"}


# Names of files

HOSTILE = "a\x1b[31m\nAX301 error b.py"
KERAS_2 = "from keras.engine import topology\n"


def test_what_is_printed_stays_on_its_line() -> None:
    assert printable("é 漢 a\x1b[2J\n\r\t\x9b\u202e\udcff") == "é 漢 a?[2J??????"


def test_a_name_forges_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOXLA_CACHE", os.devnull)
    file = tmp_path / HOSTILE
    file.write_text(KERAS_2, encoding="utf-8")
    commands.run("check", [str(file)])
    commands.run("explain", [str(file)])
    commands.run("check", [str(tmp_path / f"{HOSTILE}-missing")])
    said = capsys.readouterr()
    assert "a?[31m?AX301 error b.py:" in said.out
    assert "a?[31m?AX301 error b.py-missing" in said.err
    assert "\x1b" not in said.out + said.err
    assert not [line for line in (said.out + said.err).splitlines() if line.startswith("AX301")]


@pytest.mark.parametrize("write", ["", "--write"])
def test_a_name_forges_no_line_of_a_diff(
    write: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("libcst")
    (tmp_path / HOSTILE).write_text("import keras\n", encoding="utf-8")
    (tmp_path / f"{HOSTILE}x.py").write_text("import keras\nexec('keras')\nkeras = 1\n", encoding="utf-8")
    (tmp_path / f"{HOSTILE}y.py").write_text("import keras(\n", encoding="utf-8")
    commands.run("migrate", ["--to", "legacy", str(tmp_path), *filter(None, [write])])
    said = capsys.readouterr()
    assert ("a?[31m?AX301 error b.py" in said.out) is not bool(write)
    assert "a?[31m?AX301 error b.pyx.py:" in said.err
    assert "a?[31m?AX301 error b.pyy.py:" in said.err
    assert "\x1b" not in said.out + said.err


def test_a_name_forges_no_line_of_a_log(caplog: pytest.LogCaptureFixture) -> None:
    handler = logging.NullHandler()
    logging.getLogger("autoxla").addHandler(handler)
    try:
        notify(f"AX103 warning {HOSTILE}: text")
    finally:
        logging.getLogger("autoxla").removeHandler(handler)
    assert caplog.messages == ["AX103 warning a?[31m?AX301 error b.py: text"]


def test_a_name_forges_no_line_of_the_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOXLA", HOSTILE)
    monkeypatch.setattr(site, "site_folders", lambda: [tmp_path / HOSTILE])
    commands.run("site", ["status"])
    said = capsys.readouterr().out
    assert "folder       " in said
    assert "\x1b" not in said
    assert not [line for line in said.splitlines() if line.startswith("AX301")]


@pytest.mark.parametrize("words", [["check"], ["check", "--format", "github"], ["explain"]])
def test_a_name_that_is_no_text_ends_no_command(words: list[str], tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/caf\xe9.py"
    with open(file, "w", encoding="utf-8") as stream:  # noqa: PTH123 - pathlib takes no bytes
        stream.write(KERAS_2)
    environment = clean_environment(PYTHONIOENCODING="utf-8:strict")
    command: list[str | bytes] = [sys.executable, "-m", "autoxla", *words, file]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=LIMIT, check=False)
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    assert b"caf" in done.stdout


# A folder that is gone


def test_the_doctor_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    said = {}
    for words in ("doctor", "doctor -h"):
        folder = tmp_path / "gone"
        folder.mkdir()
        line = f'rmdir "{folder}"; exec "{sys.executable}" -m autoxla {words}'
        said[words] = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=folder,
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    plain, helped = said.values()
    assert (plain.returncode, plain.stdout, plain.stderr.count("\n")) == (2, "", 1)
    assert "AX902 error environment: the current folder is not there any more" in plain.stderr
    assert (helped.returncode, helped.stderr) == (0, "")
    assert helped.stdout.startswith("usage: python -m autoxla doctor")
