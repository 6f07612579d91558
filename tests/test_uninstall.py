"""What is taken back, at the user's wish or because a plan could not be carried out, is taken back whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from programs import run_code


def make_keras(folder: Path) -> None:
    """Write a stand-in for Keras of the layout in which `Model.compile` is wrapped."""
    package = folder / "keras"
    (package / "src" / "trainers").mkdir(parents=True)
    for name in ("__init__.py", "src/__init__.py", "src/trainers/__init__.py"):
        (package / name).touch()
    names = ("compile", "compile_from_config")
    methods = "\n".join(f"    def {name}(self, **_):\n        pass" for name in names)
    trainer = f"class Trainer:\n{methods}\n"
    (package / "src" / "trainers" / "trainer.py").write_text(trainer, encoding="utf-8")


def test_nothing_is_past_a_finder_that_was_taken_away(tmp_path: Path) -> None:
    make_keras(tmp_path)
    outcome = run_code("import autoxla\nautoxla.uninstall()\nimport keras\nprint('ran')\n", tmp_path)
    assert (outcome.status, outcome.out, outcome.notices) == (0, "ran\n", [])


def test_what_was_taken_back_comes_again_with_a_reload(tmp_path: Path) -> None:
    make_keras(tmp_path)
    code = (
        "import importlib\nimport autoxla\nimport keras\nfrom keras.src.trainers.trainer import Trainer\n"
        "autoxla.uninstall()\nprint(type(vars(Trainer)['compile']).__name__)\n"
        "importlib.reload(autoxla)\nprint(type(vars(Trainer)['compile']).__name__)\n"
    )
    outcome = run_code(code, tmp_path)
    assert outcome.out == "function\nWrappedFunction\n", outcome.err


@pytest.mark.parametrize("fails", [False, True])
def test_a_plan_that_fails_wraps_nothing(fails: bool, tmp_path: Path) -> None:
    make_keras(tmp_path)
    fault = (
        "import autoxla.runtime as r\ndef fail(_):\n    raise ValueError('a fault')\nr.set_variables = fail\n"
    )
    code = (
        f"import autoxla\n{fault if fails else ''}import keras\n"
        "from keras.src.trainers.trainer import Trainer\nprint(type(vars(Trainer)['compile']).__name__)\n"
    )
    outcome = run_code(code, tmp_path)
    assert outcome.out == ("function\n" if fails else "WrappedFunction\n"), outcome.err
    assert any("AX901" in notice for notice in outcome.notices) is fails


def test_the_current_folder_may_be_gone(tmp_path: Path) -> None:
    make_keras(tmp_path)
    code = (
        "import os, sys, tempfile\nimport autoxla\nsys.path[0] = os.getcwd()\nfolder = tempfile.mkdtemp()\n"
        "os.chdir(folder)\nos.rmdir(folder)\nimport keras\nprint('ran')\n"
    )
    outcome = run_code(code, tmp_path)
    assert (outcome.status, outcome.out, outcome.notices) == (0, "ran\n", [])
