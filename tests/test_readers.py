"""The readers of environment variables: spellings, the grammar of the flags, and TensorFlow's own view."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from autoxla.policies.draft import AUTO_JIT
from autoxla.policies.xla import CACHE_DEVICES, CACHE_DIR, CPU_CLUSTERS
from autoxla.situation.env_parsing import (
    XlaFlags,
    guard_disabled,
    guard_sees_auto_jit,
    intended,
    itex_lenient,
    itex_strict,
    parse_version,
    parse_xla_flags,
    tensorflow_bool,
)

JIT = "--tf_xla_auto_jit="
GLOBAL = "--tf_xla_cpu_global_jit"
#: What autoxla itself adds.
ADDED = (AUTO_JIT, CPU_CLUSTERS, CACHE_DEVICES, CACHE_DIR)

# Text that looks like flags more often than any text would.
PIECES = st.sampled_from(
    [JIT, GLOBAL, "--a", "--b.c", "-", "=", "'", '"', "\\", " ", "\n", "\v", "2", "x y", "é"]
)
FLAG_TEXT = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=30)
NAMES = st.sampled_from(ADDED) | st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
VALUES = st.text(st.characters(blacklist_characters="\0"), max_size=12)


@pytest.mark.parametrize(
    ("value", "tensorflow", "lenient", "strict", "disabled"),
    [
        (None, False, True, None, False),
        ("", False, False, "abort", True),
        ("0", False, False, False, False),
        ("1", True, True, True, True),
        ("true", True, True, True, True),
        ("True", True, True, True, True),
        ("TRUE", False, True, True, True),
        ("false", False, False, False, False),
        ("False", False, False, False, True),
        ("yes", False, False, "abort", True),
        (" 1", False, False, "abort", True),
    ],
)
def test_each_reader_takes_its_own_spellings(
    value: str | None, tensorflow: bool, lenient: bool, strict: bool | str | None, disabled: bool
) -> None:
    read = (tensorflow_bool(value), itex_lenient(value, True), itex_strict(value), guard_disabled(value))
    assert read == (tensorflow, lenient, strict, disabled)


def test_unset_is_the_default_of_the_lenient_reader() -> None:
    assert itex_lenient(None, False) is False


@pytest.mark.parametrize(
    ("meant", "words"),
    [
        (True, ("1", "TRUE", " yes ", "On", "y", "t", "enabled", "enable")),
        (False, ("0", "False", "NO", "off", "n", "f", "disable", "", "  ")),
        (None, ("2", "maybe", "-1", "truthy")),
    ],
)
def test_what_a_person_means(meant: bool | None, words: tuple[str, ...]) -> None:
    assert {intended(word) for word in words} == {meant}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (None, False),
        (f"{JIT}1", True),
        (f"{JIT}10", True),
        (f"{JIT}1 {JIT}0", True),
        ("--tf_xla_auto_jit = 1", True),
        (f"{JIT}2", False),
        (f"{JIT}'1'", False),
        ("--tf_xla_auto_jit\t=1", False),
    ],
)
def test_the_guard_looks_at_the_text_only(text: str | None, seen: bool) -> None:
    assert guard_sees_auto_jit(text) is seen


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.15.0.3", (2, 15, 0, 3)),
        ("2.16.0rc1+cu", (2, 16, 0)),
        ("2.22.0.dev20261101", (2, 22, 0)),
        ("v3", (3,)),
        ("69.5.1\n", (69, 5, 1)),
        ("unknown", ()),
        ("", ()),
    ],
)
def test_a_version_is_its_leading_numbers(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@given(st.text(max_size=40) | st.from_regex(r"[0-9.]{0,60}", fullmatch=True))
def test_no_text_breaks_the_version(text: str) -> None:
    assert all(number >= 0 for number in parse_version(text))


@given(
    st.lists(st.integers(0, 10**15), min_size=1, max_size=5),
    st.sampled_from(["", "rc1", ".dev3", "+cpu", "-1"]),
)
def test_numbers_survive_any_suffix(numbers: list[int], suffix: str) -> None:
    assert parse_version(".".join(map(str, numbers)) + suffix) == tuple(numbers)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        (None, ()),
        ("", ()),
        (f"  {JIT}1\t\r\n{GLOBAL} ", (f"{JIT}1", GLOBAL)),
        (f"{JIT}'2'{GLOBAL}", (f"{JIT}'2'", GLOBAL)),
        (f'--a="x \\" y" {GLOBAL}', ('--a="x \\" y"', GLOBAL)),
        ("--a='x y", ('--a="x y"',)),
        (f"{JIT}1\v{GLOBAL}", (f"{JIT}1\v{GLOBAL}",)),
        (f"{JIT}1 \v{GLOBAL}", (f"{JIT}1",)),
        ("--Ab-1_='x y'", ("--Ab-1_='x y'",)),
        ("--a.b='x y'", ("--a.b='x",)),
        (f"{JIT}2 stop {GLOBAL}", (f"{JIT}2",)),
    ],
)
def test_tokens_are_what_xla_reads(text: str | None, tokens: tuple[str, ...]) -> None:
    assert parse_xla_flags(text).tokens == tokens


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"{GLOBAL}", "true"),
        (f"{GLOBAL}=false {GLOBAL}=true", "true"),
        (f"{GLOBAL}=true {GLOBAL}=false", "false"),
        (f"{GLOBAL}='a b'", "a b"),
        (f'{GLOBAL}="a\\"\\\\b"', 'a"\\b'),
        (f"{GLOBAL}='a\\b'", "a\\b"),
        (f"{GLOBAL}=", ""),
        (f"{GLOBAL}x=1", None),
        (f"{JIT}1 stop {GLOBAL}", None),
    ],
)
def test_get_returns_the_effective_value(text: str, value: str | None) -> None:
    assert parse_xla_flags(text).get("tf_xla_cpu_global_jit") == value


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("", 0),
        (f"{JIT}1", 1),
        (f"{JIT}3", 3),
        (f"{JIT}-1", 0),
        (f"{JIT}' +2 '", 2),
        (f"{JIT}fusible", 1),
        (f"{JIT}single-gpu(2)", 2),
        (f"{JIT}2 {JIT}0", 0),
        (f"{JIT}2 {JIT}single-gpu(0)", 2),
        (f"{JIT}single-gpu(2) {JIT}-1", 0),
        (f"{JIT}abc", 0),
        (f"{JIT}1,{GLOBAL}", 0),
    ],
)
def test_the_level_of_auto_clustering(text: str, level: int) -> None:
    assert parse_xla_flags(text).auto_jit == level


@pytest.mark.parametrize(
    "text",
    [
        "-x",
        "-",
        "--",
        "--help",
        "--=1",
        "--TF_XLA_AUTO_JIT=1",
        f"{JIT}abc",
        JIT,
        f"{JIT}2147483648",
        JIT[:-1],
        "--tf_xla_auto_jit 2",
    ],
)
def test_what_ends_the_process_is_an_error(text: str) -> None:
    assert [token for token, _ in parse_xla_flags(text).errors] == [text.split(maxsplit=1)[0]]


def test_a_file_is_not_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "flags"
    file.write_text(f"{JIT}2", encoding="utf-8")
    flags = parse_xla_flags(str(file))
    assert (flags.file, flags.tokens, flags.errors, str(flags)) == (str(file), (), (), str(file))
    assert str(flags.with_flag("tf_xla_auto_jit", "1")) == str(file)


@pytest.mark.parametrize("text", [" ", "tf_xla_auto_jit=2", " xla_dump_to=/tmp"])
def test_a_flag_without_dashes_is_meant_for_no_file(text: str) -> None:
    assert [token for token, _ in parse_xla_flags(text).errors] == [text]


def test_a_flag_is_added_before_the_text_that_is_not_read() -> None:
    flags = parse_xla_flags(f"{JIT}2 stop --x").with_flag("tf_xla_cpu_global_jit", "true")
    assert str(flags) == f"{JIT}2 {GLOBAL}=true stop --x"


def test_a_flag_takes_the_place_of_its_last_occurrence() -> None:
    flags = parse_xla_flags(f"{JIT}2 --a=1 {JIT}3 --b=2").with_flag("tf_xla_auto_jit", "0")
    assert flags.tokens == ("--a=1", f"{JIT}0", "--b=2")


def test_replacing_what_was_wrong_leaves_no_error() -> None:
    assert parse_xla_flags(f"{JIT}abc").with_flag("tf_xla_auto_jit", "1").errors == ()


@given(FLAG_TEXT)
@example("--a='1'x --b")
def test_flags_survive_being_written_back(text: str) -> None:
    before = parse_xla_flags(text)
    after = parse_xla_flags(str(before))
    assert _effects(after) == _effects(before)


@given(FLAG_TEXT, NAMES, VALUES)
def test_a_flag_that_was_set_is_read_back(text: str, name: str, value: str) -> None:
    flags = parse_xla_flags(text).with_flag(name, value)
    assume(flags.file is None)
    assert parse_xla_flags(str(flags)).get(name) == value


@given(FLAG_TEXT, NAMES, VALUES)
def test_the_other_flags_stay_when_one_is_set(text: str, name: str, value: str) -> None:
    before = parse_xla_flags(text)
    assume(before.file is None)
    after = parse_xla_flags(str(before.with_flag(name, value)))
    assert _effects(after, name) == _effects(before, name)


def _effects(flags: XlaFlags, but: str | None = None) -> dict[str, str | None]:
    """Return the effective value of each flag; a token that is none is its own name."""
    names = {token.removeprefix("--").partition("=")[0] for token in flags.tokens}
    return {name: flags.get(name) for name in names - {but}}


# Each is classified by parse_xla_flags and by TensorFlow itself; they have to agree.
REAL = [
    "",
    " ",
    "tf_xla_auto_jit=1",
    f"{JIT}1",
    f"{JIT}2 {GLOBAL}",
    f"{JIT}fusible",
    f"{JIT}single-gpu(1)",
    f"{JIT}-1",
    f"{JIT}1 {JIT}0",
    f"{JIT}2 {JIT}single-gpu(0)",
    f'{JIT}"2"{GLOBAL}',
    f'{JIT}" +2 "',
    JIT,
    f"{JIT}'1",
    f"{JIT}2 stop {GLOBAL}=bad",
    f"{JIT}abc",
    f"{JIT}1,{GLOBAL}",
    f"{JIT}2147483648",
    "-x",
    "--",
    f"{JIT}1\x0b{GLOBAL}",
    f"{GLOBAL}=True",
    f"{GLOBAL}=1",
    f"{GLOBAL}=0",
    "--help",
    "--tf_xla_auto_jit 2",
    "--tf_xla_min_cluster_size=' 3 '",
    "--TF_XLA_AUTO_JIT=1",
]

# Loads the libraries once and forks for each value, as each process reads the variable once.
PROBE = """
import ctypes, json, os, sys
folder, texts = sys.argv[1], json.load(sys.stdin)
ctypes.CDLL(os.path.join(folder, "libtensorflow_framework.so.2"), ctypes.RTLD_GLOBAL)
library = ctypes.CDLL(os.path.join(folder, "libtensorflow_cc.so.2"))
for text in texts:
    pid = os.fork()
    if pid == 0:
        os.environ["TF_XLA_FLAGS"] = text
        level = library.TF_GetXlaAutoJitEnabled() & 255
        clusters = library.TF_SetTfXlaCpuGlobalJit(1) & 255
        os._exit(100 + 2 * bool(level) + bool(clusters))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps(None if status < 100 else divmod(status - 100, 2)))
"""


@pytest.fixture(scope="module")
def libraries() -> Path:
    """TensorFlow's folder; the libraries in it answer without an import of the package."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.origin:
        pytest.skip("tensorflow is not installed")
    folder = Path(spec.origin).parent
    if not (folder / "libtensorflow_cc.so.2").is_file():
        pytest.skip("this build of tensorflow has no libtensorflow_cc.so.2")
    return folder


@pytest.fixture(scope="module")
def answers(libraries: Path) -> list[list[int] | None]:
    """For each text of REAL None where TensorFlow ends, else [auto-clustering is on, on CPUs too]."""
    added = [f"--{AUTO_JIT}=1", f"--{CPU_CLUSTERS}=true", f"--{CACHE_DEVICES}=CPU", f"--{CACHE_DIR}=/x"]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(libraries)],
        input=json.dumps([*REAL, " ".join(added)]),
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.tensorflow
@pytest.mark.parametrize("text", REAL)
def test_tensorflow_lives_and_dies_as_the_parser_says(text: str, answers: list[list[int] | None]) -> None:
    flags = parse_xla_flags(text)
    clusters = (flags.get("tf_xla_cpu_global_jit") or "").lower() in ("true", "1")
    expected = None if flags.errors else [int(flags.auto_jit > 0), int(clusters)]
    assert answers[REAL.index(text)] == expected


@pytest.mark.tensorflow
def test_tensorflow_knows_what_autoxla_adds(answers: list[list[int] | None]) -> None:
    assert answers[-1] is not None
