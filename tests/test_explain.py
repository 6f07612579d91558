"""``python -m autoxla explain`` and `autoxla.explain`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import plugin_double
from programs import HOME, Outcome, clean_environment, run


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
    assert "environment AX204 error ITEX_ENABLE_NEXTPLUGGABLE_DEVICE='0' with Keras 3" in outcome.out


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


def test_no_backend_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom autoxla.commands.explain import main\nmain([])\n"
        "print(sorted({'tensorflow', 'keras', 'tf_keras', 'jax', 'torch', 'numpy'} & set(sys.modules)))"
    )
    assert run(["-c", code], tmp_path).out.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "variables", "place"),
    [
        (["missing.py"], {}, "AX902 error missing.py:"),
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
    outcome = run(["-c", "import autoxla; print(autoxla.explain(), end='')"], tmp_path)
    assert outcome.out == explain(tmp_path).out
