"""The commands in an environment with TensorFlow: what they say is what a program then meets."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from contract.environments import Environment
from contract.running import start

NEEDED = ("TensorFlow", "Keras", "packages")


@pytest.mark.row("`explain` names the releases that are installed and the generation that runs", needs=NEEDED)
def test_explain(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import tensorflow as tf\ntf.keras.Sequential()\n", encoding="utf-8")
    outcome = start(["-m", "autoxla", "explain", "--json", "train.py"], tmp_path)
    assert outcome.status == 0, outcome.err
    plan = json.loads(outcome.out)
    assert plan["situation"]["versions"]["keras"] == version("keras")
    assert plan["path"]["keras"] == (2 if "Keras 2 by name" in environment.has else 3)
    assert [each["code"] for each in plan["findings"]] == list(environment.findings)


@pytest.mark.row("`check` finds nothing in a program without hazards", needs=NEEDED)
def test_check(environment: Environment, tmp_path: Path) -> None:
    code = "import keras\nmodel = keras.Sequential([keras.layers.Dense(2)])\nmodel.compile('sgd', 'mse')\n"
    (tmp_path / "train.py").write_text(code, encoding="utf-8")
    outcome = start(["-m", "autoxla", "check", "train.py"], tmp_path)
    assert outcome.status == 0, outcome.err
    assert [line.split()[1] for line in outcome.out.splitlines()] == list(environment.findings)


@pytest.mark.row("`doctor` finds no problem and names the releases", needs=NEEDED)
def test_doctor(tmp_path: Path) -> None:
    outcome = start(["-m", "autoxla", "doctor", "--verbose"], tmp_path)
    assert outcome.status == 0, outcome.out + outcome.err
    assert version("keras") in outcome.out
