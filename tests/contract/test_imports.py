"""Whatever is imported first and however: the program gets the Keras that it asked for, hooked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from contract.environments import Environment
from contract.running import start_code
from programs import Outcome

pytestmark = pytest.mark.tensorflow
TF_KERAS = "from tensorflow import keras"


@dataclass(frozen=True)
class Form:
    """Imports that end with a ``keras``; the variables; and the package that this has to be.

    `keras` stands for the package of that name, of whichever generation. `codes` are what is found, `jit`
    what the plan makes of a model that leaves it open. A program that is `launched` does not import autoxla.
    """

    title: str
    imports: str
    package: str = "keras"
    variables: dict[str, str] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    jit: bool = False
    launched: bool = False

    def __str__(self) -> str:
        return self.title

    @property
    def program(self) -> str:
        """The source of the program, which ends with status 3."""
        first = "" if self.launched else "import autoxla\n"
        observing = "from contract.observed import observe\nobserve(keras)\nraise SystemExit(3)\n"
        return f"{first}{self.imports}\n{observing}"


ORDERS = (
    Form("`import tensorflow`, then `import keras`", "import tensorflow\nimport keras", launched=True),
    Form("`import keras`, then `import tensorflow`", "import keras\nimport tensorflow"),
    Form("`import tf_keras` first", "import tf_keras as keras\nimport tensorflow", "tf_keras", launched=True),
    Form("`from tensorflow import keras`", TF_KERAS),
    Form("`from keras.layers import Dense`", "from keras.layers import Dense\nimport keras"),
    Form(
        "`importlib.import_module('keras')` first, under a plan for XLA",
        "import importlib\nkeras = importlib.import_module('keras')",
        variables={"AUTOXLA_STEP": "xla"},
        codes=("AX303",),
        jit=True,
    ),
)
GENERATIONS = (
    Form(
        "`TF_USE_LEGACY_KERAS=1`, `tf.keras`",
        TF_KERAS,
        "tf_keras",
        {"TF_USE_LEGACY_KERAS": "1"},
    ),
    Form(
        "`TF_USE_LEGACY_KERAS=0`, `importlib.import_module('tensorflow')`",
        "import importlib\nkeras = importlib.import_module('tensorflow').keras",
        variables={"TF_USE_LEGACY_KERAS": "0"},
    ),
    Form(
        "`AUTOXLA_KERAS=2`, `tf.keras`",
        TF_KERAS,
        "tf_keras",
        {"AUTOXLA_KERAS": "2"},
        ("Keras 3",),
        ("AX105",),
    ),
    Form(
        "`AUTOXLA_KERAS=3`, `from tensorflow.keras.layers import Dense`",
        f"from tensorflow.keras.layers import Dense\n{TF_KERAS}",
        variables={"AUTOXLA_KERAS": "3"},
        needs=("Keras 3",),
    ),
    Form(
        "`AUTOXLA_KERAS=legacy`, `import keras` is tf_keras",
        "import keras\nimport sys\nassert keras is sys.modules['tf_keras']",
        "tf_keras",
        {"AUTOXLA_KERAS": "legacy"},
        ("Keras 3",),
        ("AX105", "AX108"),
    ),
)


def check(form: Form, environment: Environment, folder: Path) -> Outcome:
    """Run the program of ``form`` and look at what it saw and at what autoxla reports."""
    file = folder / "report.json"
    words = ("-m", "autoxla") if form.launched else ()
    outcome = start_code(form.program, folder, *words, AUTOXLA_REPORT=str(file), **form.variables)
    assert outcome.status == 3, outcome.err[-3000:]
    assert outcome.last["package"] == form.package
    is_2 = form.package == "tf_keras" or "Keras 2 by name" in environment.has
    left_open = True if form.jit else None if is_2 else False
    assert outcome.last["jit"] == [left_open, True, False]
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    compiles = [(each["requested"], each["used"]) for each in report["compile"]]
    assert compiles == [(None, left_open), (True, True), (False, False), (None, left_open)]
    assert report["errors"] == []
    expected = sorted([*environment.findings, *form.codes])
    assert sorted(each["code"] for each in report["findings"]) == expected
    # Silent where there is nothing to say.
    assert bool(outcome.notices) == bool(expected)
    return outcome


@pytest.mark.row("Imports: {form}", needs=("TensorFlow", "Keras", "tf_keras"))
@pytest.mark.parametrize("form", ORDERS, ids=range(1, 1 + len(ORDERS)))
def test_order(form: Form, environment: Environment, tmp_path: Path) -> None:
    """Under the launcher, output, status and one step of training are those without it."""
    outcome = check(form, environment, tmp_path)
    if form.launched:
        plain = start_code(form.program, tmp_path)
        assert (plain.status, plain.out) == (outcome.status, outcome.out)


@pytest.mark.row("Generation: {form}", needs=("TensorFlow", "Keras", "tf_keras"))
@pytest.mark.parametrize("form", GENERATIONS, ids=range(1, 1 + len(GENERATIONS)))
def test_generation(form: Form, environment: Environment, tmp_path: Path) -> None:
    check(form, environment, tmp_path)
