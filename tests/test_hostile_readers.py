"""Readers of what others wrote: bounded in time and memory, whatever lies there, and never half read.

Each case runs in a process of its own, with 1.5 GiB of addresses and a limit on its time.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoxla import commands
from autoxla.cache import program_key
from autoxla.commands.diagnosis import plugins
from autoxla.lookahead import Program, files, find_program, library, read_program
from autoxla.lookahead.library import read_paths
from autoxla.lookahead.notebook import NotANotebookError, read_standing
from autoxla.model import OUT_OF_TIME, Reading, Settings, Situation
from autoxla.policies import decide
from autoxla.settings import BadSettingError, read_settings
from autoxla.situation.distributions import find_requiring, find_versions
from autoxla.situation.env_parsing import parse_xla_flags
from autoxla.situation.environment import APPLIED, restore
from autoxla.situation.files import UnreadableError, read_bytes
from autoxla.situation.gathering import read_keras_config
from autoxla.store import Store
from programs import HOME, clean_environment, run

HUGE = 100 << 20
#: Just below what a source file may have.
FULL = (4 << 20) - 100
#: Bytes of addresses for a case.
ROOM = 3 << 29
#: Seconds after which a case hangs.
LIMIT = 120
LONG_AGO = 1_600_000_000_000_000_000  # ns
KEY = "0123456789abcdef"


def script(folder: Path, text: str | bytes, name: str = "main.py") -> Path:
    file = folder / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def read(file: Path, patience: float | None = None, cache: Path | None = None) -> Reading:
    program = Program("script", str(file), file.parent, patience=patience)
    return read_program(program, path=[], cache=cache)


def grow(file: Path, size: int = HUGE) -> Path:
    """Make a file of this size that takes no room on the disk."""
    with file.open("ab") as stream:
        stream.truncate(size)
    return file


def reasons(reading: Reading) -> list[str]:
    return [reason for _, reason in reading.unread]


def names(reading: Reading) -> set[str]:
    return {evidence.name for evidence in reading.evidence}


# --- sizes


def _huge_source(folder: Path) -> None:
    main = script(folder, "import other\nimport keras\n")
    grow(script(folder, "import tf_keras\n", "other.py"))
    reading = read(main)
    assert names(reading) == {"keras"}
    assert reasons(reading) == [f"it has more than {files.LIMIT} bytes"]
    assert not read(grow(main)).known
    assert program_key(Reading(files=(str(main),), known=True), []) is not None


def _huge_configuration(folder: Path) -> None:
    home = folder / "home"
    (home / ".keras").mkdir(parents=True)
    grow(script(home / ".keras", "{", "keras.json"))
    config = read_keras_config({"HOME": str(home)})
    assert config is not None
    assert config.error == "it has more than 1048576 bytes"
    grow(script(folder, "[project]\n", "pyproject.toml"))
    assert read_settings(folder, {}) == (Settings(), read_settings(None, {})[1])
    grow(script(folder, "[tool.autoxla]\nmode = 'fix'\n", "pyproject.toml"))
    with pytest.raises(BadSettingError, match="cannot be read"):
        read_settings(folder, {})


def _huge_metadata(folder: Path) -> None:
    info = folder / "keras-3.0.0.dist-info"
    info.mkdir()
    for name in ("METADATA", "RECORD"):
        grow(script(info, "Version: 3.0.0\n", name))
    assert find_versions([str(folder)]) == {}
    assert find_requiring(["keras"], "tensorflow", [str(folder)]) == frozenset()


def _huge_records(folder: Path) -> None:
    store = Store(folder / "kept")
    store.write(KEY, {})
    grow(folder / "kept" / f"{KEY}.json")
    assert store.read(KEY) is None
    assert [reason for _, reason in store.ignored] == ["it has more than 262144 bytes"]
    main = script(folder, "import keras\n")
    os.utime(main, ns=(LONG_AGO, LONG_AGO))
    before = read(main, cache=folder / "cache")
    (entry,) = (folder / "cache").iterdir()
    grow(entry)
    assert read(main, cache=folder / "cache") == before


def _huge_library(folder: Path) -> None:
    file = grow(script(folder, b"\x7fELF\2\1\1" + b"\xff" * 57, "libitex.so"))
    assert "cannot be preloaded" in plugins.ask_loader(file, {})


def _huge_notebook(folder: Path) -> None:
    file = grow(script(folder, '{"cells": [', "a.ipynb"))
    reading = read_program(Program("notebook", str(file), folder), path=[])
    assert not reading.known
    assert commands.run("check", [str(folder)]) == 0


# --- one line, and many


def _one_line(folder: Path) -> None:
    head = "import keras; "
    for line in (
        f"x = '{'a' * FULL}'",
        f"# {'a' * FULL}",
        f"x = [{'1,' * (FULL // 3)}]",
        f"{'x = 1;' * (FULL // 7)}",
        f"{' ' * FULL}",
        f"{'keras ' * (FULL // 7)}",
    ):
        assert read(script(folder, head + line)).known


def _cells(folder: Path) -> None:
    for source in (
        "!ls\n" + "x = 1\n" * 100_000,
        "!ls\n" + '"""\n' * 100_000,
        "!ls\n" + " " * 1_000_000,
        "!ls\n" + "a" * 1_000_000,
        "!ls\n" + "a " * 500_000 + "=",
        "!ls\n" + "a." * 500_000 + "?!",
        "x?\n" * 200_000,
        "!\\\n" * 200_000,
        "%" * 1_000_000,
    ):
        read_standing(json.dumps({"cells": [{"cell_type": "code", "source": source}]}).encode())
    many = [{"cell_type": "code", "source": "!ls"}] * 50_000
    assert len(read_standing(json.dumps({"cells": many}).encode())) == 50_000


def _many_flags(_: Path) -> None:
    for text in (
        "--tf_xla_auto_jit=2 " * 50_000,
        "-" * 1_000_000,
        "--a='" + "\\" * 1_000_000,
        '"' * 1_000_000,
        " " * 1_000_000,
        "--a=" + "'b'" * 300_000,
        "/" + "a" * 1_000_000,
    ):
        flags = parse_xla_flags(text)
        flags.with_flag("tf_xla_auto_jit", "1").get("tf_xla_auto_jit")
        decide(Situation(environment={"TF_XLA_FLAGS": text, "XLA_FLAGS": text}))


# --- depth

DEEP = 200_000


def _deep_source(folder: Path) -> None:
    inner = "import keras\n"
    for text in (
        "(" * DEEP + ")" * DEEP,
        "[" * DEEP + "]" * DEEP,
        "x = " + "-" * DEEP + "1",
        "x = " + "not " * DEEP + "1",
        "x = " + "1 + " * DEEP + "1",
        "x = a" + ".b" * DEEP,
        "x = a" + "()" * DEEP,
        "x = a" + "[0]" * DEEP,
        "x = " + "lambda: " * DEEP + "1",
        "x = " + "1 if 2 else " * DEEP + "3",
        "x = " + "a ** " * DEEP + "1",
        "x = " + "await " * DEEP + "1",
        "if 1: pass\n" + "elif 1: pass\n" * DEEP,
        "".join(f"{' ' * level}if 1:\n" for level in range(500)) + " " * 500 + "pass",
        "x = " + "{1: " * DEEP + "}" * DEEP,
        "x = f'" + '{f"' * 1000,
        "class A:\n" + " class A:\n" * DEEP,
        "import " + "a." * DEEP + "b",
        "from " + "." * DEEP + " import a",
        "@a\n" * DEEP + "def f(): pass",
    ):
        reading = read(script(folder, inner + text))
        assert reading.known
        assert names(reading) <= {"keras"} or reading.complete or reading.unread


def _deep_data(folder: Path) -> None:
    deep = "[" * 400_000
    for text in (deep, deep + "]" * 400_000, '{"a":' * 100_000, '{"cells": ' + deep):
        with pytest.raises(NotANotebookError):
            read_standing(text.encode())
        assert restore({APPLIED: text, "ITEX_X": "1"}) == ({"ITEX_X": "1"}, frozenset())
        keras = script(folder, text, "keras.json")
        config = read_keras_config({"KERAS_HOME": str(keras.parent)})
        assert config is not None
        assert config.error
    made = folder / "kept"
    made.mkdir(mode=0o700)
    script(made, "[" * 200_000, f"{KEY}.json").chmod(0o600)
    store = Store(made)
    assert store.read(KEY) is None
    assert [reason for _, reason in store.ignored] == ["it is no JSON"]


# --- links, pipes and names


def _circles(folder: Path) -> None:
    (folder / "loop.py").symlink_to("loop.py")
    package = folder / "package"
    package.mkdir()
    (package / "inner").symlink_to(".")
    script(package, "import keras\n", "__init__.py")
    inner = ".".join(["package", *["inner"] * 60])
    reading = read(script(folder, f"import loop\nimport {inner}\nimport tf_keras\n"))
    assert "tf_keras" in names(reading)
    assert len(read_paths([folder])) == 3
    (folder / "endless").symlink_to("/proc/self/root")
    assert len(read_paths([folder])) == 3


def _pipes(folder: Path) -> None:
    os.mkfifo(folder / "other.py")
    os.mkfifo(folder / "pyproject.toml")
    os.mkfifo(folder / "keras.json")
    os.mkfifo(folder / "a.ipynb")
    reading = read(script(folder, "import other\nimport keras\n"))
    assert reasons(reading) == ["it is not a regular file"]
    assert read_settings(folder, {})[0] == Settings()
    config = read_keras_config({"KERAS_HOME": str(folder)})
    assert config is None or config.error
    assert program_key(Reading(files=(str(folder / "other.py"),), known=True), []) is None
    assert len(read_paths([folder])) == 3


def _names(folder: Path) -> None:
    outside = folder / "outside"
    outside.mkdir()
    script(outside, "import tf_keras\n", "secret.py")
    inside = folder / "inside"
    inside.mkdir()
    lines = [
        f"importlib.import_module({name!r})"
        for name in (
            "../outside/secret",
            f"{outside}/secret",
            "a\nb",
            "a\0b",
            "..",
            "",
            ".",
            "a..b",
            "é" * 5000,
        )
    ]
    main = script(inside, "\n".join(["import importlib", *lines, "import keras"]))
    assert names(read(main)) & {"tf_keras", "keras"} == {"keras"}
    odd = script(inside, "import keras\n", "a\nb c.py")
    assert names(read(odd)) == {"keras"}


# --- what changes meanwhile


def _changes(folder: Path) -> None:
    """Let a file grow, shrink, go and become a pipe, again and again, while it is read."""
    file, other = folder / "other.py", folder / "next"
    is_over = threading.Event()

    def change() -> None:
        turn = 0
        while not is_over.is_set():
            turn += 1
            if turn % 3 == 0:
                os.mkfifo(other)
            elif turn % 3 == 1:
                grow(script(folder, "import keras\n", "next"), 5 << 20)
            else:
                script(folder, "import keras\n" * (turn % 1000), "next")
            other.replace(file)
            if turn % 7 == 0:
                file.unlink()

    writer = threading.Thread(target=change)
    writer.start()
    try:
        main, end = script(folder, "import other\nimport tf_keras\n"), time.monotonic() + 3
        while time.monotonic() < end:
            assert "tf_keras" in names(read(main))
            program_key(Reading(files=(str(file),), known=True), [])
            try:
                read_bytes(file)
            except UnreadableError:
                continue
    finally:
        is_over.set()
        writer.join()


CASES: dict[str, Callable[[Path], None]] = {
    case.__name__.lstrip("_").replace("_", " "): case
    for case in (
        *(_huge_source, _huge_configuration, _huge_metadata, _huge_records, _huge_library, _huge_notebook),
        *(_one_line, _cells, _many_flags, _deep_source, _deep_data),
        *(_circles, _pipes, _names, _changes),
    )
}


def run_case(name: str, folder: str) -> None:
    """Run a case with little memory; what it asserts ends this process."""
    resource.setrlimit(resource.RLIMIT_AS, (ROOM, resource.getrlimit(resource.RLIMIT_AS)[1]))
    CASES[name](Path(folder))


@pytest.mark.parametrize("name", CASES)
def test_a_reader_is_bounded(name: str, tmp_path: Path) -> None:
    code = "import sys, test_hostile_readers; test_hostile_readers.run_case(*sys.argv[1:])"
    search = os.pathsep.join((str(Path(__file__).parent), str(HOME)))
    environment = clean_environment(PYTHONPATH=search, PYTHONWARNINGS="error::ResourceWarning")
    outcome = run(["-c", code, name, str(tmp_path)], tmp_path, environment, LIMIT)
    assert outcome.status == 0, outcome.err[-3000:]


def test_a_file_that_has_grown_is_not_read_in_part(tmp_path: Path) -> None:
    file, finder = script(tmp_path, "import keras\n"), files.Finder(tmp_path, [], {})
    finder.kind(str(file))
    grow(file, files.LIMIT + 1)
    with pytest.raises(UnreadableError, match="it has more than"):
        finder.read(str(file))


# --- no half reading

HALVES = {
    "main.py": "import a, b, c\nimport tensorflow as tf\ntf.keras.optimizers.legacy.Adam()\n",
    "a.py": "import tf_keras\n",
    "b.py": "from tensorflow.keras import ops\n",
    "c.py": "import keras\nkeras.Model().compile(jit_compile=True)\n",
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Let each look at the time take a second."""
    now = [0.0]

    def tick() -> float:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(library, "monotonic", tick)
    yield now


def test_a_reading_is_whole_or_unknown(tmp_path: Path, clock: list[float]) -> None:
    for name, text in HALVES.items():
        script(tmp_path, text, name)
    main = tmp_path / "main.py"
    whole = read(main)
    assert whole.complete
    found = [read(main, patience=float(seconds)) for seconds in range(60)]
    cut = [reading for reading in found if reading != whole]
    assert found[-1] == whole
    assert cut
    for reading in cut:
        assert (reading.evidence, reading.known, reading.files) == ((), False, ())
        assert reasons(reading)[0].startswith(OUT_OF_TIME)
        plan = decide(Situation(versions={"tensorflow": (2, 21), "tf-keras": (2, 21)}, reading=reading))
        assert plan.settings == ()
        assert [finding.code for finding in plan.findings] == ["AX910"]


def test_a_large_file_is_not_begun_by_who_waits(tmp_path: Path) -> None:
    main = script(tmp_path, f"import keras\nx = [{'1,' * 500_000}]\n")
    begin = time.process_time()
    reading = read(main, patience=2.0)
    assert time.process_time() - begin < 1
    assert (reading.known, reasons(reading)) == (False, [f"{OUT_OF_TIME} 2 s"])
    assert names(read(main)) == {"keras"}


def test_what_was_cut_is_not_kept(tmp_path: Path, clock: list[float]) -> None:
    main = script(tmp_path, "import keras\n")
    os.utime(main, ns=(LONG_AGO, LONG_AGO))
    cache = tmp_path / "cache"
    assert not read(main, 0.0, cache).known
    assert not cache.exists()
    whole = read(main, None, cache)
    assert whole.known
    assert read(main, 0.0, cache) == whole


def test_a_program_that_runs_is_not_waited_for_longer() -> None:
    words = [sys.executable, "-c", "pass"]
    found = find_program(None, ["-c"], words)
    assert found is not None
    assert found.patience == 2.0
    assert Program("code", "pass", Path()).patience is None
    assert replace(found, patience=None) == found


def test_a_program_of_many_modules_is_given_up(tmp_path: Path) -> None:
    """A real process, whose patience is made short: it says so, and runs as it does without autoxla."""
    (tmp_path / "keras.py").write_text("", encoding="utf-8")
    body = "import os\n\ndef f():\n    return os.environ.get('A')\n" * 50
    modules = 300
    for number in range(modules):
        following = f"import m{number + 1}\n" if number + 1 < modules else ""
        script(tmp_path, following + body, f"m{number}.py")
    script(
        tmp_path,
        "import sys\nif 'autoxla' in sys.modules:\n    import autoxla.lookahead.program\n"
        "    autoxla.lookahead.program.PATIENCE = 0.05\n"
        "import keras\nprint('done')\nif len(sys.argv) > 1:\n    import m0\n",
    )
    outcome = run(["-m", "autoxla", "main.py"], tmp_path)
    assert (outcome.status, outcome.out) == (0, "done\n")
    (line,) = outcome.notices
    assert line.startswith("autoxla: AX910 warning main.py: ")
    assert "reading it takes more than 0.05 s" in line


def test_explain_reads_for_the_next_run(tmp_path: Path) -> None:
    """From another folder, too: the entry that it leaves is the one that the run looks for."""
    work = tmp_path / "work"
    work.mkdir()
    for name in ("main.py", "keras.py"):
        os.utime(script(work, "import keras\n" if name == "main.py" else "", name), ns=(LONG_AGO, LONG_AGO))
    environment = clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache"))
    assert run(["-m", "autoxla", "explain", "work/main.py"], tmp_path, environment).status == 0
    (entry,) = (tmp_path / "cache" / "lookahead").iterdir()
    before = entry.stat().st_ino
    report = {"AUTOXLA_REPORT": str(tmp_path / "report.json"), **environment}
    assert run(["-m", "autoxla", "work/main.py"], tmp_path, report).status == 0
    assert [*(tmp_path / "cache" / "lookahead").iterdir()] == [entry]
    assert entry.stat().st_ino == before  # who reads anew writes it anew


# --- properties

BYTES = st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode(errors="replace"))
CELLS = st.text(st.sampled_from("!%?\\\"'= \n\tab.,#()"), max_size=60)


@settings(max_examples=200)
@given(st.lists(CELLS, max_size=3))
@example(["!a\n'''\n!b\n'''\n!c"])
def test_cells_keep_their_lines(texts: list[str]) -> None:
    cells = [{"cell_type": "code", "source": text} for text in texts]
    for cell in read_standing(json.dumps({"cells": cells}).encode()):
        assert cell.text is None or cell.text.count("\n") == texts[cell.number - 1].count("\n")


@settings(max_examples=200)
@given(data=BYTES)
def test_any_bytes_are_a_pyproject_or_said(data: bytes, new_folder: Callable[[], Path]) -> None:
    folder = new_folder()
    script(folder, b"# autoxla\n" + data, "pyproject.toml")
    try:
        found, _ = read_settings(folder, {})
    except BadSettingError as error:
        assert "\n" not in str(error)
        return
    assert found.mode in ("off", "observe", "fix", "auto")


@settings(max_examples=200)
@given(data=BYTES)
def test_any_bytes_are_metadata(data: bytes, new_folder: Callable[[], Path]) -> None:
    folder = new_folder()
    info = folder / "keras-3.0.0.dist-info"
    info.mkdir()
    for name in ("METADATA", "RECORD", "entry_points.txt"):
        script(info, b"Version: " + data, name)
    found = find_versions([str(folder)])
    assert all(number >= 0 for number in found.get("keras", ()))
    find_requiring(["keras"], "tensorflow", [str(folder)])
