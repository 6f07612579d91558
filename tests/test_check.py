"""``python -m autoxla check``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from programs import HOME, Outcome, clean_environment, run

CONFLICT = """\
import tensorflow as tf
tf.keras.ops
adam = tf.keras.optimizers.legacy.Adam(0.1)
"""


def install(site: Path, **versions: str) -> None:
    """Make ``site`` a folder in which these releases are installed, as far as their metadata says."""
    for name, version in versions.items():
        metadata = site / f"{name}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")


def check(folder: Path, *words: str, **variables: str) -> Outcome:
    path = f"{folder / 'site'}:{HOME}"
    return run(["-m", "autoxla", "check", *words], folder, clean_environment(PYTHONPATH=path, **variables))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    install(tmp_path / "site", tensorflow="2.21.0", keras="3.15.1", tf_keras="2.21.0")
    (tmp_path / "clean.py").write_text("import tensorflow as tf\nprint(tf.keras.layers)\n", encoding="utf-8")
    (tmp_path / "train.py").write_text(CONFLICT, encoding="utf-8")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "old.py").write_text("from keras.engine import topology\n", encoding="utf-8")
    return tmp_path


def codes(outcome: Outcome) -> list[str]:
    return [line.split()[1] for line in outcome.out.splitlines()]


def test_findings_have_their_place(project: Path) -> None:
    outcome = check(project, "train.py")
    assert outcome.status == 1
    assert outcome.out.startswith("train.py:3:8 AX113 error tensorflow.keras.optimizers.legacy")
    assert "train.py:2:1" in outcome.out


LEGACY, NEW = "tf.keras.optimizers.legacy.Adam", "tf.keras.optimizers.Adam"
#: How programs run with both generations of Keras.
GUARDED = {
    "attempt": f"try:\n    adam = {LEGACY}()\nexcept AttributeError:\n    adam = {NEW}()\n",
    "has_attribute": (
        f"if hasattr(tf.keras.optimizers, 'legacy'):\n    adam = {LEGACY}()\nelse:\n    adam = {NEW}()\n"
    ),
    "version": f"if tf.__version__ < '2.16':\n    adam = {LEGACY}()\nelse:\n    adam = {NEW}()\n",
    "platform": f"if sys.platform == 'darwin':\n    adam = {LEGACY}()\nelse:\n    adam = {NEW}()\n",
    "ternary": f"adam = ({LEGACY} if tf.__version__ < '2.16' else {NEW})()\n",
    "unused": f"def unused():\n    return {LEGACY}()\n",
    "lookup": f"MAKERS = {{'old': lambda: {LEGACY}(), 'new': lambda: {NEW}()}}\nadam = MAKERS['new']()\n",
    "instance": f"if isinstance(sys.argv, dict):\n    adam = {LEGACY}()\n",
}


def test_what_is_guarded_is_no_more_than_a_hint(project: Path) -> None:
    (project / "guarded").mkdir()
    for name, lines in GUARDED.items():
        text = f"import sys\nimport tensorflow as tf\n{lines}"
        (project / "guarded" / f"{name}.py").write_text(text, encoding="utf-8")
    outcome = check(project, "guarded")
    assert (outcome.status, outcome.err) == (0, "")
    assert {tuple(line.split()[1:3]) for line in outcome.out.splitlines()} == {("AX114", "info")}
    # Where the program asks for what is missing there is nothing to hint at.
    assert codes(check(project, "guarded/attempt.py", "guarded/has_attribute.py")) == []


def test_a_folder_is_read_as_a_whole(project: Path) -> None:
    assert sorted(codes(check(project, "."))) == ["AX113", "AX191"]


def test_without_an_error_the_status_is_0(project: Path) -> None:
    outcome = check(project, "package", "clean.py")
    assert (outcome.status, codes(outcome)) == (0, ["AX191"])


def test_json(project: Path) -> None:
    data = json.loads(check(project, "--format", "json", "train.py").out)
    assert [(f["code"], f["level"], f["file"], f["line"]) for f in data] == [
        ("AX113", "error", "train.py", 3)
    ]


def test_github(project: Path) -> None:
    outcome = check(project, "--format", "github", "train.py")
    assert outcome.out.startswith("::error file=train.py,line=3,col=8,title=AX113::")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--select", "AX191"], ["AX191"]),
        (["--ignore", "AX191"], ["AX113"]),
        (["--ignore", "AX1"], []),
        (["--select", "AX1", "--ignore", "AX113"], ["AX191"]),
    ],
)
def test_select_and_ignore(words: list[str], expected: list[str], project: Path) -> None:
    assert codes(check(project, *words, ".")) == expected


def test_settings_of_the_project(project: Path) -> None:
    (project / "pyproject.toml").write_text('[tool.autoxla]\nignore = ["AX113"]\n', encoding="utf-8")
    assert codes(check(project, ".")) == ["AX191"]


@pytest.mark.parametrize(
    ("comment", "silent"),
    [
        ("# autoxla: ignore", True),
        ("# autoxla: ignore[AX113]", True),
        ("# autoxla: ignore[AX101, ax113]", True),
        ("# autoxla: ignore[AX101]", False),
        ("# autoxla", False),
    ],
)
def test_a_comment_silences_its_line(comment: str, silent: bool, project: Path) -> None:
    (project / "train.py").write_text(CONFLICT.rstrip() + f"  {comment}\n", encoding="utf-8")
    assert (codes(check(project, "train.py")) == []) is silent


def test_an_early_variable_of_the_program_counts(project: Path) -> None:
    head = "import os\nos.environ['TF_USE_LEGACY_KERAS'] = '1'\n"
    code = "import tensorflow as tf\nadam = tf.keras.optimizers.legacy.Adam(0.1)\n"
    (project / "train.py").write_text(code, encoding="utf-8")
    assert codes(check(project, "train.py")) == ["AX112"]
    (project / "train.py").write_text(head + code, encoding="utf-8")
    assert codes(check(project, "train.py")) == []


def test_a_notebook(project: Path) -> None:
    cells = [{"cell_type": "code", "source": "%matplotlib inline\nfrom keras.engine import topology"}]
    (project / "book.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert check(project, "book.ipynb").out.startswith("book.ipynb:cell 1:2:")


def test_a_comment_in_a_notebook(project: Path) -> None:
    source = "from keras.engine import topology  # autoxla: ignore[AX191]"
    cells = [{"cell_type": "markdown", "source": "x"}, {"cell_type": "code", "source": source}]
    (project / "book.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    assert codes(check(project, "book.ipynb")) == []


def test_malformed_flags_are_status_2(project: Path) -> None:
    assert check(project, "clean.py", TF_XLA_FLAGS="--tf_xla_auto_jit=abc").status == 2


def test_off_does_not_silence_a_linter(project: Path) -> None:
    assert codes(check(project, "train.py", AUTOXLA="off")) == ["AX113"]


def test_what_cannot_be_read_is_noted(project: Path) -> None:
    (project / "broken.py").write_text("import tensorflow as\n", encoding="utf-8")
    for words in (["broken.py", "clean.py"], ["--", "broken.py", "clean.py"]):
        outcome = check(project, *words)
        assert (outcome.status, codes(outcome)) == (0, ["AX905"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.h5", b"\x89HDF\r\n\x1a\n\x00\x00\x00\x00\x00\x08\x08\x00keras_version"),
        ("model.keras", b"PK\x03\x04\x14\x00\x00\x00\x00\x00config.json"),
        ("saved_model.pb", b"\x08\x01\x12\x1d\x0a\x05serve"),
        ("plot.png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"),
    ],
)
def test_a_binary_file_is_no_program(project: Path, name: str, content: bytes) -> None:
    (project / name).write_bytes(content)
    outcome = check(project, name)
    assert (outcome.status, outcome.err) == (0, "")
    (line,) = outcome.out.splitlines()
    assert (
        line
        == f"{name} AX905 info not read: it is a binary file, no Python source; nothing was checked there"
    )


def test_control_characters_in_a_program_are_its_own_affair(project: Path) -> None:
    (project / "bell.py").write_bytes(b"import keras.engine\nbell = '\x07'\n")
    assert codes(check(project, "bell.py")) == ["AX191"]


def test_what_programs_have_in_common_is_said_once(project: Path) -> None:
    (project / ".keras").mkdir()
    (project / ".keras/keras.json").write_text('{"backend": "theano"}', encoding="utf-8")
    outcome = check(project, "clean.py", "train.py", HOME=str(project))
    assert codes(outcome).count("AX402") == 1


def test_the_environment_is_said_once(project: Path) -> None:
    outcome = check(project, "clean.py", "package", TF_XLA_FLAGS="--tf_xla_auto_jit=abc")
    assert codes(outcome).count("AX301") == 1


@pytest.mark.parametrize("words", [["missing.py"], [], ["--format", "xml", "."], ["--select", "E1", "."]])
def test_bad_usage_is_status_2(words: list[str], project: Path) -> None:
    assert check(project, *words).status == 2


def test_a_bad_setting_is_status_2(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.autoxla]\nignore = [1]\n", encoding="utf-8")
    outcome = check(project, ".")
    assert outcome.status == 2
    assert "AX902 error pyproject.toml:2:" in outcome.notices[0]


def test_nothing_of_a_backend_is_imported(project: Path) -> None:
    code = (
        "import sys\nfrom autoxla.commands import run\nrun('check', ['.'])\n"
        "print(sorted({'tensorflow', 'keras', 'tf_keras', 'jax', 'torch', 'numpy'} & set(sys.modules)))"
    )
    assert run(["-c", code], project).out.splitlines()[-1] == "[]"


def test_a_variable_of_the_program_has_its_line(project: Path) -> None:
    code = "import os\nos.environ['KERAS_BACKEND'] = 'theano'\nimport keras\n"
    (project / "train.py").write_text(code, encoding="utf-8")
    assert check(project, "train.py").out.startswith("train.py:2:1 AX402 error")


@pytest.mark.parametrize(
    ("requirement", "hinted"),
    [
        ("tf-keras>=2.16", True),
        ("TF_Keras ; python_version > '3'", True),
        ("tf-keras ; extra == 'tf'", False),
        ("tf-keras-vis", False),
    ],
)
def test_a_requirement_of_a_package_is_a_hint(requirement: str, hinted: bool, project: Path) -> None:
    install(project / "site", unheard="1.0")
    with (project / "site" / "unheard-1.0.dist-info" / "METADATA").open("a") as metadata:
        metadata.write(f"Requires-Dist: {requirement}\n")
    (project / "train.py").write_text("import unheard\nimport tensorflow\n", encoding="utf-8")
    outcome = check(project, "train.py")
    assert ("train.py:1:1 AX114 info" in outcome.out) is hinted
