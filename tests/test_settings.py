"""Where settings come from, which wins, and what bad ones say."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.model import Place, Settings, Usage
from autoxla.settings import BadSettingError, read_settings
from programs import HOME, clean_environment, run


def write(folder: Path, text: str) -> Path:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def settings(folder: Path | None, environ: dict[str, str] | None = None, **configured: object) -> Settings:
    return read_settings(folder, environ or {}, configured)[0]


def test_default() -> None:
    assert read_settings(None, {}) == (Settings(places={}), Usage())


def test_precedence(tmp_path: Path) -> None:
    folder = write(tmp_path, '[tool.autoxla]\nmode = "observe"\nkeras = "2"\nstep = "graph"\n')
    found = settings(folder, {"AUTOXLA": "fix", "AUTOXLA_KERAS": "3"}, mode="auto")
    assert (found.mode, found.keras, found.step) == ("auto", "3", "graph")


def test_switches(tmp_path: Path) -> None:
    found = settings(write(tmp_path, "[tool.autoxla]\ntrial = false\nxla_cache = true\n"))
    assert (found.trial, found.xla_cache) == (False, True)
    assert settings(tmp_path, trial=True).trial


@pytest.mark.parametrize(
    ("text", "value"), [("seeded", "seeded"), ("1", True), ("true", True), ("0", False), ("false", False)]
)
def test_the_trial_by_a_variable(tmp_path: Path, text: str, value: object) -> None:
    write(tmp_path, '[tool.autoxla]\ntrial = "seeded"\n')
    assert settings(tmp_path, {"AUTOXLA_TRIAL": text}).trial == value
    assert settings(tmp_path).trial == "seeded"


def test_no_trial_of_another_name() -> None:
    with pytest.raises(BadSettingError, match="AUTOXLA_TRIAL='yes': use one of true, false, seeded"):
        read_settings(None, {"AUTOXLA_TRIAL": "yes"})


def test_off_in_the_environment_beats_a_call() -> None:
    assert settings(None, {"AUTOXLA": "off"}, mode="auto").mode == "off"


def test_an_empty_variable_is_unset(tmp_path: Path) -> None:
    assert settings(tmp_path, {"AUTOXLA": "", "AUTOXLA_STEP": ""}) == Settings(places={})


def test_the_nearest_project_upward_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    write(tmp_path, '[tool.autoxla]\nmode = "fix"\n')
    assert settings(inner).mode == "fix"
    write(tmp_path / "a", "[project]\n")
    assert settings(inner).mode == "auto"


def test_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "[tool.autoxla.usage]\nkeras = 0\nenables_xla = true\n")
    usage = read_settings(tmp_path, {})[1]
    assert (usage.keras, usage.enables_xla) == (0, True)
    assert usage.evidence["keras"] == Place("pyproject.toml", 2)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[tool.autoxla]\nmode = "fast"\n', 2, "use one of off, observe, fix, auto"),
        ("[tool.autoxla]\n\nmode = 3\n", 3, "mode = 3"),
        ("[tool.autoxla]\nmodus = 'fix'\n", 2, "'modus' is no setting"),
        ("[other]\nmode = 1\n[tool.autoxla]\nmode = 2\n", 4, "mode = 2"),
        ("[tool.autoxla.usage]\nkeras = 4\n", 2, "use one of 0, 2, 3"),
        ("[tool.autoxla.usage]\nkeras = false\n", 2, "keras = False"),
        ("[tool.autoxla.usage]\njit_compile = 1\n", 2, "jit_compile = 1"),
        ("[tool.autoxla.usage]\njit = true\n", 2, "no 'jit'"),
        ("[tool.autoxla]\nusage = 3\n", 2, "use a table"),
        ("[tool.autoxla]\ntrial = 0\n", 2, "trial = 0: use one of true, false, seeded"),
        ("[tool]\nautoxla = 3\n", None, "use a table"),
        ("[tool.autoxla\n", None, "cannot be read"),
    ],
)
def test_a_bad_project_is_named_with_its_place(
    text: str, line: int | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSettingError, match="AX902 error") as caught:
        read_settings(write(tmp_path, text), {})
    assert caught.value.place == Place("pyproject.toml", line)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "words"),
    [({"AUTOXLA": "fast"}, "AUTOXLA='fast'"), ({"AUTOXLA_STEP": "2"}, "AUTOXLA_STEP='2'")],
)
def test_a_bad_variable_is_named(environ: dict[str, str], words: str) -> None:
    with pytest.raises(BadSettingError, match=words):
        read_settings(None, environ)


def test_a_bad_call_is_named() -> None:
    with pytest.raises(BadSettingError, match="'speed' is no setting"):
        read_settings(None, {}, {"speed": "high"})


def test_a_malformed_project_of_others_is_not_ours(tmp_path: Path) -> None:
    assert settings(write(tmp_path, "[tool.other\n")) == Settings(places={})


def test_an_unreadable_project_is_none(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe autoxla \x00")
    with pytest.raises(BadSettingError, match="cannot be read"):
        read_settings(tmp_path, {})


@given(st.text(max_size=60))
def test_any_table_is_read_or_refused(new_folder: Callable[[], Path], text: str) -> None:
    folder = new_folder()
    write(folder, "[tool.autoxla]\n" + text.encode("utf-8", "replace").decode())
    try:
        found = settings(folder)
    except BadSettingError as error:
        assert str(error).startswith("AX902 error ")
    else:
        assert found.mode in ("off", "observe", "fix", "auto")


SHOW_MODE = """
import autoxla
try:
    import tensorflow
except ImportError:
    pass
from autoxla import runtime
print(runtime.current().situation.settings.mode)
"""


@pytest.mark.parametrize(
    ("variables", "project", "mode"),
    [
        ({}, "", "fix"),
        ({"AUTOXLA_ACTIVE": "1"}, "", "auto"),
        ({"AUTOXLA": "auto"}, "", "auto"),
        ({"AUTOXLA": "observe"}, 'mode = "auto"', "observe"),
        ({}, 'mode = "auto"', "auto"),
    ],
)
def test_the_default_under_the_site_hook_is_fix(
    tmp_path: Path, variables: dict[str, str], project: str, mode: str
) -> None:
    folder = tmp_path / "hook"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import autoxla\n")
    (tmp_path / "tensorflow.py").touch()
    (tmp_path / "pyproject.toml").write_text(f"[tool.autoxla]\n{project}\n")
    (tmp_path / "program.py").write_text(SHOW_MODE)
    path = os.pathsep.join([str(folder), str(HOME)])
    outcome = run(["program.py"], tmp_path, clean_environment(PYTHONPATH=path, **variables))
    assert outcome.out == f"{mode}\n", outcome.err


@pytest.mark.parametrize("words", [["program.py"], ["-m", "autoxla", "program.py"]])
def test_the_default_of_launcher_and_import_is_auto(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "tensorflow.py").touch()
    (tmp_path / "program.py").write_text(SHOW_MODE)
    assert run(words, tmp_path, clean_environment()).out == "auto\n"
