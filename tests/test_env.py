"""``python -m autoxla env``: the plan's settings in the words of shells, dotenv files and docker."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import example, given, settings
from hypothesis import strategies as st

from autoxla.commands import CommandError, env
from autoxla.model import Setting
from autoxla.situation.environment import APPLIED, restore
from programs import Outcome, clean_environment, run

LEGACY = "from tensorflow.keras.layers import DenseFeatures\n"
SPECIAL = st.text("'\"$()`\\\n\r\t ;&|*~#!{}=%ab", max_size=12)
#: What a variable can hold: any bytes but NUL.
BYTES = st.binary(max_size=12).map(lambda data: os.fsdecode(data.replace(b"\0", b"")))
VALUES = SPECIAL | BYTES | st.text(st.characters(exclude_characters="\0", codec="utf-8"))
NAMES = st.from_regex(r"ITEX_[A-Za-z0-9_]{0,4}", fullmatch=True)
SETTINGS = st.dictionaries(NAMES, st.none() | VALUES, max_size=3)


def env_of(folder: Path, *words: str, **variables: str) -> Outcome:
    return run(["-m", "autoxla", "env", *words], folder, clean_environment(**variables))


def in_shell(shell: str, text: str, variables: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment after ``eval`` of ``text``, which must print nothing."""
    done = subprocess.run(
        [shell, "-c", 'eval "$(cat)" && env -0'],
        input=os.fsencode(text),
        env={"PATH": os.environ["PATH"], **variables},
        cwd=folder,
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    lines = os.fsdecode(done.stdout).split("\0")[:-1]
    found = dict(line.split("=", 1) for line in lines)
    assert found.keys() - variables.keys() <= {"PATH", "PWD", "SHLVL", "OLDPWD", "_"}
    return found


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_eval_sets_exactly_the_values_and_runs_nothing(
    shell: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp(shell)

    @settings(max_examples=80)
    @given(SETTINGS)
    @example({"ITEX_": "$(touch ran) `touch ran`; touch ran\n'\ntouch ran\n'"})
    @example({"ITEX_": "\x81\x82\x88", "ITEX_A": None})
    def check(values: dict[str, str | None]) -> None:
        before = dict.fromkeys(values, "before")
        after = in_shell(shell, env.write(values, "sh"), before, folder)
        assert {name: after.get(name) for name in values} == values
        assert list(folder.iterdir()) == []

    check()


@settings(max_examples=200)
@given(SETTINGS)
@example({"ITEX_": 'a"b\\"c\n\\n', "ITEX_A": "1"})
def test_dotenv_is_read_back_or_refused(values: dict[str, str | None]) -> None:
    present = {name: value for name, value in values.items() if value is not None}
    try:
        text = env.write(values, "dotenv")
    except CommandError:
        assert any(
            "$" in value or value.endswith(("\\", '"')) or not is_text(value) for value in present.values()
        )
        return
    assert dict(dotenv_values(stream=StringIO(text))) == present


@settings(max_examples=200)
@given(SETTINGS)
def test_docker_reads_it_back_or_it_is_refused(values: dict[str, str | None]) -> None:
    present = {name: value for name, value in values.items() if value is not None}
    try:
        text = env.write(values, "docker")
    except CommandError:
        assert any("\n" in value or "\r" in value or not is_text(value) for value in present.values())
        return
    assert read_as_docker(text) == present


def read_as_docker(text: str) -> dict[str, str]:
    """Read an env-file as docker's documentation has it: no quotes, no escapes, ``#`` lines left out."""
    lines = [line.lstrip(" \t") for line in text.split("\n")]
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@given(SETTINGS)
def test_json_is_read_back(values: dict[str, str | None]) -> None:
    assert json.loads(env.write(values, "json")) == values


def is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)


@pytest.mark.parametrize("form", ["sh", "dotenv", "docker"])
@pytest.mark.parametrize("value", ["1", None])
@pytest.mark.parametrize("name", ["", "A B", "A;touch", "$(touch x)", "A\n", "1A", "Ä", "A=B", "-n"])
def test_no_name_reaches_a_shell_that_is_none(form: str, value: str | None, name: str) -> None:
    with pytest.raises(CommandError, match="use --format json"):
        env.write({name: value}, form)


@pytest.mark.parametrize("form", ["sh", "dotenv", "docker"])
def test_no_nul(form: str) -> None:
    with pytest.raises(CommandError, match=r"^ITEX_X: "):
        env.write({"ITEX_X": "a\0b"}, form)


@given(st.dictionaries(NAMES, VALUES, max_size=3), SETTINGS, SETTINGS)
def test_what_was_for_the_last_program_is_taken_back(
    before: dict[str, str], first: dict[str, str | None], second: dict[str, str | None]
) -> None:
    assert apply(apply(before, first), second) == apply(before, second)
    assert apply(apply(before, first), {}) == before


@given(st.dictionaries(NAMES, VALUES, max_size=3), SETTINGS)
def test_a_program_with_autoxla_sees_what_the_user_chose(
    before: dict[str, str], values: dict[str, str | None]
) -> None:
    after, _ = restore(apply(before, values))
    assert {name: value for name, value in after.items() if name != APPLIED} == before


def apply(before: Mapping[str, str], values: Mapping[str, str | None]) -> dict[str, str]:
    found = [Setting(name, value, None, ("AX000",)) for name, value in values.items()]
    after: dict[str, str | None] = {**before, **env.changes(before, found)}
    return {name: value for name, value in after.items() if value is not None}


def test_the_settings_and_whose_they_are(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LEGACY, encoding="utf-8")
    outcome = env_of(tmp_path, "train.py")
    memory = json.dumps({"TF_USE_LEGACY_KERAS": [None, "1"]})
    assert outcome.out == f"export TF_USE_LEGACY_KERAS=1\nexport {APPLIED}={shlex.quote(memory)}\n"
    assert outcome.status == 0


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("json", json.loads),
        ("dotenv", lambda text: dict(dotenv_values(stream=StringIO(text)))),
        ("docker", read_as_docker),
    ],
)
def test_all_formats_say_the_same(
    form: str, read: Callable[[str], dict[str, str | None]], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(LEGACY, encoding="utf-8")
    values = read(env_of(tmp_path, "train.py", "--format", form).out)
    assert values.keys() == {"TF_USE_LEGACY_KERAS", APPLIED}
    assert values["TF_USE_LEGACY_KERAS"] == "1"
    assert json.loads(values[APPLIED] or "") == {"TF_USE_LEGACY_KERAS": [None, "1"]}


def test_a_shell_changes_over_to_the_next_program(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LEGACY, encoding="utf-8")
    (tmp_path / "other.py").write_text("import tensorflow\n", encoding="utf-8")
    line = f'eval "$({shlex.quote(sys.executable)} -m autoxla env %s 2>/dev/null)"'
    show = 'echo "${TF_USE_LEGACY_KERAS-unset} ${AUTOXLA_APPLIED+remembered}"'
    script = "\n".join([line % "train.py", show, line % "other.py", show])
    done = subprocess.run(
        ["sh", "-c", script],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["1 remembered", "unset "]


def test_a_job_with_autoxla_plans_anew(tmp_path: Path) -> None:
    """Another program under the values of the first one is not bound to them."""
    (tmp_path / "train.py").write_text(LEGACY, encoding="utf-8")
    (tmp_path / "keras.py").write_text("", encoding="utf-8")
    (tmp_path / "job.py").write_text(
        "import os, keras\nprint(os.environ.get('TF_USE_LEGACY_KERAS'))\n", encoding="utf-8"
    )
    values = json.loads(env_of(tmp_path, "train.py", "--format", "json").out)
    assert run(["job.py"], tmp_path, clean_environment(**values)).out == "1\n"
    assert run(["-m", "autoxla", "job.py"], tmp_path, clean_environment(**values)).out == "None\n"


def test_nothing_to_set_is_nothing_said(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import tensorflow\n", encoding="utf-8")
    outcome = env_of(tmp_path, "train.py", PRIVATE_NOTE="hidden")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")


def test_findings_are_one_line_on_stderr(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LEGACY, encoding="utf-8")
    outcome = env_of(tmp_path, "train.py", TF_USE_LEGACY_KERAS="yes", PRIVATE_NOTE="hidden")
    assert len(outcome.err.splitlines()) == 1
    assert outcome.notices[0].endswith("python -m autoxla explain train.py")
    assert "PRIVATE_NOTE" not in outcome.out
    assert "hidden" not in outcome.out


def test_observe_sets_nothing(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LEGACY, encoding="utf-8")
    outcome = env_of(tmp_path, "train.py", AUTOXLA="observe")
    assert (outcome.status, outcome.out) == (0, "")
    assert "AX112" in outcome.notices[0]


@pytest.mark.parametrize(
    ("words", "variables", "message"),
    [
        (["missing.py"], {}, "AX902 error arguments: missing.py: there is no such file"),
        (["--format", "csh"], {}, "AX902 error arguments: argument --format"),
        (["--form", "sh"], {}, "AX902 error arguments: unrecognized"),
        (["-m", "no_such_module"], {}, "AX902 error arguments: -m no_such_module: "),
        ([], {"AUTOXLA": "fast"}, "AX902 error environment:"),
    ],
)
def test_bad_input_is_status_2(
    words: list[str], variables: dict[str, str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("", encoding="utf-8")
    outcome = env_of(tmp_path, *words, **variables)
    assert (outcome.status, outcome.out) == (2, "")
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith(f"autoxla: {message}")


def test_malformed_flags_are_status_2(tmp_path: Path) -> None:
    outcome = env_of(tmp_path, TF_XLA_FLAGS="--tf_xla_auto_jit")
    assert outcome.status == 2
    assert "AX301 error" in outcome.notices[0]


def test_a_forged_memory_runs_nothing(tmp_path: Path) -> None:
    name = "ITEX_$(touch ran)"
    outcome = env_of(tmp_path, **{name: "1", APPLIED: json.dumps({name: [None, "1"]})})
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("autoxla: AX902 error 'ITEX_$(touch ran)'")
    assert [file.name for file in tmp_path.iterdir()] == []


def test_bytes_come_back_as_they_were(tmp_path: Path) -> None:
    memory = {"ITEX_X": [os.fsdecode(b"\xff\xfe'"), "1"]}
    words = [sys.executable, "-m", "autoxla", "env"]
    environment = clean_environment(**{"ITEX_X": "1", APPLIED: json.dumps(memory)})
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert done.stdout == b"export ITEX_X='\xff\xfe'\"'\"''\nunset AUTOXLA_APPLIED\n"


def test_no_backend_is_imported(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(LEGACY, encoding="utf-8")
    code = (
        "import sys\nfrom autoxla.commands import run\nrun('env', ['train.py'])\n"
        "print(sorted({'tensorflow', 'keras', 'tf_keras', 'jax', 'torch', 'numpy'} & set(sys.modules)))"
    )
    assert "[]" in run(["-c", code], tmp_path).out.splitlines()
