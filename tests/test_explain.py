"""``python -m autoxla explain`` and `autoxla.explain`."""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import plugin_double
from autoxla import commands
from autoxla.situation.hardware import digest, identity
from autoxla.store import Store
from programs import HOME, Outcome, clean_environment, run

KERAS_2_ONLY = "import tensorflow as tf\nadam = tf.keras.optimizers.legacy.Adam(0.1)\n"


def explain(folder: Path, *words: str, **variables: str) -> Outcome:
    return run(["-m", "autoxla", "explain", *words], folder, clean_environment(**variables))


def explain_under_itex(folder: Path, *words: str, **variables: str) -> Outcome:
    library = plugin_double.site_packages(folder) / "tensorflow-plugins" / "libitex_gpu.so"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"")  # found by its name; nothing here loads it
    return explain(folder, *words, **{**plugin_double.environment(folder, HOME), **variables})


def test_a_plan_without_findings(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import tensorflow\n", encoding="utf-8")
    outcome = explain(tmp_path, "train.py")
    assert (outcome.status, outcome.err) == (0, "")
    assert "none is set or changed" in outcome.out


def test_the_plan_is_told_with_its_reasons(tmp_path: Path) -> None:
    outcome = explain_under_itex(tmp_path, ITEX_ENABLE_NEXTPLUGGABLE_DEVICE="0")
    assert outcome.status == 0
    assert "ITEX_DISABLE_XLA=1" in outcome.out
    assert "was unset, because AX204" in outcome.out
    assert "environment AX204 error ITEX_ENABLE_NEXTPLUGGABLE_DEVICE='0' ends the process" in outcome.out


def test_json(tmp_path: Path) -> None:
    outcome = explain_under_itex(tmp_path, "--json", ITEX_ENABLE_NEXTPLUGGABLE_DEVICE="0")
    data = json.loads(outcome.out)
    assert data["settings"] == [
        {"variable": "ITEX_DISABLE_XLA", "value": "1", "previous": None, "because": ["AX204"]}
    ]
    assert data["path"]["device"] == "stream-executor"
    assert set(data["findings"][0]) == {
        *("code", "level", "grade", "message", "file", "line", "column", "remedy", "applied")
    }


def test_the_document_of_a_rule_is_named(tmp_path: Path) -> None:
    outcome = explain(tmp_path, TF_USE_LEGACY_KERAS="yes")
    assert "    source: TensorFlow, the lazy loader of tf.keras" in outcome.out


def test_what_is_left_alone_is_told_with_its_line(tmp_path: Path) -> None:
    code = "import keras\nmodel = keras.Sequential()\nmodel.compile(jit_compile=False)\n"
    (tmp_path / "train.py").write_text(code, encoding="utf-8")
    outcome = explain(tmp_path, "train.py", KERAS_BACKEND="tensorflow")
    left = part(outcome, "Left alone")
    assert "  jit_compile    False, as the program says, train.py:3:27" in left
    assert "  KERAS_BACKEND  'tensorflow', which you set" in left


def part(outcome: Outcome, title: str) -> list[str]:
    """Return the lines below ``title``, none where it is not there."""
    lines = outcome.out.splitlines()
    if title not in lines:
        return []
    below = lines[lines.index(title) + 1 :]
    return below[: below.index("")] if "" in below else below


def test_only_what_other_modes_do_otherwise(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import json\n", encoding="utf-8")
    here = {"TF_USE_LEGACY_KERAS": "yes"}
    assert part(explain(tmp_path, "train.py"), "In other modes") == []
    assert part(explain(tmp_path, "train.py", **here), "In other modes") == [
        "  off      not: TF_USE_LEGACY_KERAS=1",
        "  observe  not: TF_USE_LEGACY_KERAS=1",
    ]
    observed = explain(tmp_path, "train.py", AUTOXLA="observe", **here)
    assert "  fix   also: TF_USE_LEGACY_KERAS=1" in part(observed, "In other modes")


def test_a_trial_is_a_deed_of_one_mode(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import keras\n", encoding="utf-8")
    assert "  fix      not: timing paths in training" in part(explain(tmp_path, "train.py"), "In other modes")


def keep_decision(folder: Path, key: str, **facts: object) -> None:
    about = {"program": "src/train.py", "model": "lstm", "date": "2026-01-02T03:04:05+00:00"}
    machine = {"machine_digest": digest(identity())}
    Store(folder / "cache" / "decisions").write(key * 16, {**about, **machine, **facts})


def test_the_last_trial_is_told(tmp_path: Path) -> None:
    keep_decision(tmp_path, "a", winner="graph", graph_ms=58.7, xla_ms=334.0)
    keep_decision(tmp_path, "b", failed="no code\x1b[2J", model="gru", date="2026-01-03")
    keep_decision(tmp_path, "c", winner="xla", program="other.py")
    keep_decision(tmp_path, "d", winner="xla", machine_digest="another machine")
    (tmp_path / "train.py").write_text("import keras\n", encoding="utf-8")
    outcome = explain(tmp_path, "train.py", AUTOXLA_CACHE=str(tmp_path / "cache"))
    assert part(outcome, "Measured in earlier runs") == [
        "  gru   XLA failed: no code?[2J",
        "  lstm  graph was faster, graph 58.7 ms, xla 334 ms, 2026-01-02",
    ]


def test_nothing_was_measured(tmp_path: Path) -> None:
    assert part(explain(tmp_path), "Measured in earlier runs") == []


def test_json_with_what_was_measured(tmp_path: Path) -> None:
    keep_decision(tmp_path, "a", winner="xla", graph_ms=2.0, xla_ms=1.0)
    (tmp_path / "train.py").write_text("import keras\n", encoding="utf-8")
    outcome = explain(tmp_path, "--json", "train.py", AUTOXLA_CACHE=str(tmp_path / "cache"))
    assert json.loads(outcome.out)["measured"] == {"lstm": "xla was faster, graph 2 ms, xla 1 ms, 2026-01-02"}


def on_terminal(folder: Path, **variables: str) -> str:
    """Return what ``explain`` writes on a terminal."""
    leader, follower = pty.openpty()
    environment = clean_environment(TERM="xterm", TF_USE_LEGACY_KERAS="yes", **variables)
    words = [sys.executable, "-m", "autoxla", "explain"]
    with subprocess.Popen(words, stdout=follower, cwd=folder, env=environment):
        os.close(follower)
        parts = []
        # Linux says that the other end was closed by an error.
        with suppress(OSError):
            while part := os.read(leader, 4096):
                parts.append(part)
    os.close(leader)
    return b"".join(parts).decode()


def test_colours_on_a_terminal_only(tmp_path: Path) -> None:
    rich = "import rich\n"
    has_rich = run(["-c", rich], tmp_path).status == 0
    assert ("\x1b[" in on_terminal(tmp_path)) == has_rich
    assert "\x1b" not in on_terminal(tmp_path, NO_COLOR="1")
    assert "\x1b" not in explain(tmp_path, TF_USE_LEGACY_KERAS="yes").out


def test_a_terminal_shows_whole_words(tmp_path: Path) -> None:
    """Lines are folded below their value; where nobody looks on they are whole."""
    lines = on_terminal(tmp_path, NO_COLOR="1", COLUMNS="60").splitlines()
    assert max(map(len, lines)) <= 60
    at = next(n for n, line in enumerate(lines) if "AX103 warning" in line)
    assert lines[at + 1].startswith(" " * 8)
    assert max(map(len, explain(tmp_path, TF_USE_LEGACY_KERAS="yes").out.splitlines())) > 80


def test_a_record_that_is_left_out_is_told(tmp_path: Path) -> None:
    """A run of the program finds them by the same keys."""
    (tmp_path / "train.py").write_text("import keras\n", encoding="utf-8")
    code = (
        "import os\n"
        "from autoxla.planning import assemble\nfrom autoxla.running import subject_from\n"
        "from autoxla.cures import key_of\n"
        "from autoxla.tuned import tuned_key\n"
        "subject = subject_from(['train.py'])\n"
        "situation = assemble(subject, os.environ).situation\n"
        "print(key_of(subject), tuned_key(situation, []))\n"
    )
    keys = run(["-c", code], tmp_path).out.split()
    cache = tmp_path / "cache"
    files = [cache / kind / f"{key}.json" for kind, key in zip(("cures", "programs"), keys, strict=True)]
    for file in files:
        file.parent.mkdir(mode=0o700, parents=True)
        file.write_text("{", encoding="utf-8")
    data = json.loads(explain(tmp_path, "--json", "train.py", AUTOXLA_CACHE=str(cache)).out)
    told = [finding["file"] for finding in data["findings"] if finding["code"] == "AX907"]
    assert told == [*map(str, files)]


def test_a_setting_that_chooses_keras_3_stands(tmp_path: Path) -> None:
    """It counts as much as the switch itself; what the program needs is still told."""
    (tmp_path / "train.py").write_text(KERAS_2_ONLY, encoding="utf-8")
    chosen = explain(tmp_path, "train.py", AUTOXLA_KERAS="3")
    assert "TF_USE_LEGACY_KERAS=1  was unset, because AX112" in explain(tmp_path, "train.py").out
    assert "none is set or changed" in "".join(part(chosen, "Plan"))
    assert "train.py:2:8 AX112 warning" in chosen.out
    assert "to do: set TF_USE_LEGACY_KERAS=1" in chosen.out
    assert part(chosen, "Left alone")[0].startswith("  keras  3 in your settings")


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("import tensorflow as tf\nimport os\nos.environ['TF_USE_LEGACY_KERAS'] = '1'\n", {}),
        ("import tensorflow as tf\n", {"TF_USE_LEGACY_KERAS": "yes"}),
    ],
)
def test_keras_3_stands_against_a_switch_without_effect(
    code: str, variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "train.py").write_text(code, encoding="utf-8")
    usual = json.loads(explain(tmp_path, "--json", "train.py", **variables).out)
    chosen = json.loads(explain(tmp_path, "--json", "train.py", AUTOXLA_KERAS="3", **variables).out)
    assert [setting["value"] for setting in usual["settings"]] == ["1"]
    assert chosen["settings"] == []


def help_of(folder: Path, *command: str) -> list[str]:
    """Return the lines of a command's help, on 80 columns."""
    environment = clean_environment(COLUMNS="80")
    outcome = run(["-m", "autoxla", *command, "--help"], folder, environment)
    assert (outcome.status, outcome.err) == (0, "")
    return outcome.out.splitlines()


@pytest.mark.parametrize("command", ["", *sorted(commands.MODULES)])
def test_help_fits_a_terminal_and_ends_with_an_example(command: str, tmp_path: Path) -> None:
    lines = help_of(tmp_path, *filter(None, [command]))
    assert max(map(len, lines)) <= 80
    assert not any("``" in line for line in lines)
    assert lines[-1].startswith(f"example: python -m autoxla {command}".rstrip())
    assert any("--quiet" in line for line in lines)


@pytest.mark.parametrize("command", ["", *sorted(set(commands.MODULES) - {"site", "doctor"})])
def test_examples_run(command: str, tmp_path: Path) -> None:
    """Those of `site` and `doctor` would change the environment, or import a backend."""
    example = help_of(tmp_path, *filter(None, [command]))[-1].removeprefix("example: python ")
    (tmp_path / "src").mkdir()
    for name, text in (("train.py", "import sys\n"), ("src/model.py", "import keras\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    Store(tmp_path / "cache" / "cures").write("3f9a" * 8, {"program": "train.py"})
    outcome = run(shlex.split(example), tmp_path, clean_environment(AUTOXLA_CACHE=str(tmp_path / "cache")))
    # A program that does not train cannot be tuned, and files that are to be migrated are a result.
    assert outcome.status in ((0, 1) if command in ("migrate", "tune") else (0,))
    assert "AX902" not in outcome.err


def test_no_backend_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom autoxla.commands import run\nrun('explain', [])\n"
        "print(sorted({'tensorflow', 'keras', 'tf_keras', 'jax', 'torch', 'numpy'} & set(sys.modules)))"
    )
    assert run(["-c", code], tmp_path).out.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "variables", "place"),
    [
        (["missing.py"], {}, "AX902 error arguments: missing.py:"),
        (["--jason"], {}, "AX902 error arguments:"),
        ([], {"AUTOXLA": "fast"}, "AX902 error environment:"),
    ],
)
def test_bad_input_is_status_2(
    words: list[str], variables: dict[str, str], place: str, tmp_path: Path
) -> None:
    outcome = explain(tmp_path, *words, **variables)
    assert outcome.status == 2
    assert outcome.notices[0].startswith(f"autoxla: {place}")


def test_malformed_flags_are_status_2(tmp_path: Path) -> None:
    outcome = explain(tmp_path, TF_XLA_FLAGS="--tf_xla_auto_jit")
    assert outcome.status == 2
    assert "environment AX301 error" in outcome.out


def test_the_folder_of_the_script_counts(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pyproject.toml").write_text(
        '[tool.autoxla]\nmode = "observe"\n', encoding="utf-8"
    )
    (tmp_path / "project" / "train.py").write_text("", encoding="utf-8")
    assert "mode observe" in explain(tmp_path, "project/train.py").out
    assert "mode auto" in explain(tmp_path).out


def test_the_function_gives_the_same_text(tmp_path: Path) -> None:
    code = "import autoxla; print(autoxla.explain(), end='')"
    assert run(["-c", code], tmp_path).out == explain(tmp_path, "-c", code).out
