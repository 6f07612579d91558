"""What a reading amounts to: the usage, and the demands for a Keras generation."""

from __future__ import annotations

from typing import Any

import pytest

from autoxla.model import Evidence, Place, Reading, Usage
from autoxla.policies.packages import PACKAGES, find_package
from autoxla.policies.usage import find_demands, summarise

VERSIONS = {"tensorflow": (2, 21, 0), "keras": (3, 15, 1), "tf-keras": (2, 21, 0)}


def says(
    kind: Any, name: str, value: str | bool | None = None, *, grade: Any = "certain", file: str = "train.py"
) -> Evidence:
    return Evidence(kind, name, value, grade, Place(file, 7))


def usage(*evidence: Evidence, complete: bool = True, declared: Usage | None = None) -> Usage:
    reading = Reading(evidence, complete=complete, known=True)
    return summarise(reading, VERSIONS, declared or Usage())


def demands(*evidence: Evidence, versions: Any = VERSIONS, own: Any = None) -> list[tuple[int, str]]:
    reading = Reading(evidence, complete=True, known=True)
    return [(d.generation, d.grade) for d in find_demands(reading, versions, own or {})]


TENSORFLOW = says("import", "tensorflow")


@pytest.mark.parametrize(
    ("evidence", "complete", "keras"),
    [
        ([TENSORFLOW, says("attribute", "tensorflow.constant")], True, 0),
        ([TENSORFLOW, says("import", "numpy")], True, 0),
        ([TENSORFLOW], False, None),
        ([TENSORFLOW, says("import", "transformers")], True, None),
        ([TENSORFLOW, says("attribute", "tensorflow.losses.mse")], True, None),
        ([TENSORFLOW, says("attribute", "tensorflow.keras.layers", grade="possible")], True, None),
        ([TENSORFLOW, says("import", "keras.layers")], True, 3),
        ([says("import", "keras", grade="possible")], True, None),
        ([says("import", "tf_keras")], False, 2),
        ([says("import", "keras_core_like")], True, None),
    ],
)
def test_the_generation_that_a_program_uses(
    evidence: list[Evidence], complete: bool, keras: int | None
) -> None:
    assert usage(*evidence, complete=complete).keras == keras


def test_tf_keras_api() -> None:
    assert usage(says("attribute", "tensorflow.keras.layers")).tf_keras_api
    assert not usage(says("attribute", "tensorflow.keras.layers", grade="possible")).tf_keras_api


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(True, "certain")], True),
        ([(False, "certain"), (False, "possible")], False),
        ([(True, "certain"), (False, "certain")], None),
        ([(True, "possible")], None),
        ([(True, "certain"), (None, "possible")], None),
        ([], None),
    ],
)
def test_jit_compile(values: list[tuple[bool | None, str]], expected: bool | None) -> None:
    given = [says("jit_compile", "compile", value, grade=grade) for value, grade in values]
    assert usage(*given).jit_compile is expected


@pytest.mark.parametrize(
    ("evidence", "expected"),
    [
        (says("jit_compile", "function", True, grade="possible"), True),
        (says("jit_compile", "function", None), True),
        (says("jit_compile", "function", False), False),
        (says("call", "tensorflow.config.optimizer.set_jit", "True"), True),
        (says("call", "tensorflow.config.optimizer.set_jit", "False"), False),
        (says("call", "tensorflow.constant", "1"), False),
    ],
)
def test_enables_xla(evidence: Evidence, expected: bool) -> None:
    assert usage(evidence).enables_xla is expected


def test_ops_override_only_when_certain() -> None:
    name = "intel_extension_for_tensorflow.experimental_ops_override"
    assert usage(says("call", name)).ops_override
    assert not usage(says("call", name, grade="possible")).ops_override


def test_what_the_user_declares_goes_first() -> None:
    declared = Usage(keras=0, evidence={"keras": Place("pyproject.toml", 3)})
    found = usage(says("import", "keras"), says("jit_compile", "compile", True), declared=declared)
    assert (found.keras, found.jit_compile) == (0, True)
    assert found.evidence["keras"] == Place("pyproject.toml", 3)


def test_an_unknown_program_keeps_what_was_declared() -> None:
    declared = Usage(keras=2)
    assert summarise(Reading(), VERSIONS, declared) is declared


def with_package(distribution: str, *version: int) -> dict[str, tuple[int, ...]]:
    return {**VERSIONS, distribution: version}


def meets(name: str, value: str, *, grade: Any = "certain") -> Evidence:
    return Evidence("meets", name, value, grade, Place("train.py", 7), origin=Place("train.py", 5))


TF_KERAS = says("import", "tf_keras")


@pytest.mark.parametrize(
    ("evidence", "versions", "expected"),
    [
        # Keras 3 has some of these names, whose calls fail, and lacks the others.
        ([says("call", "tensorflow.keras.optimizers.legacy.Adam")], VERSIONS, [(2, "certain")]),
        ([says("attribute", "tensorflow.keras.optimizers.legacy.Adam")], VERSIONS, [(2, "possible")]),
        ([says("attribute", "tensorflow.keras.optimizers.legacy.Nadam")], VERSIONS, [(2, "certain")]),
        # The switch gives tf.keras a release, too.
        ([says("attribute", "tensorflow.keras.__version__")], VERSIONS, []),
        ([says("import", "tensorflow.compat.v1.keras.layers")], VERSIONS, [(2, "certain")]),
        ([says("import", "tensorflow.compat.v1.keras")], VERSIONS, []),
        ([says("attribute", "tensorflow.compat.v1.keras.layers.Dense")], VERSIONS, []),
        ([says("attribute", "tensorflow.compat.v1.keras.backend.set_session")], VERSIONS, [(2, "certain")]),
        ([says("attribute", "tensorflow.keras.__version__")], VERSIONS, []),
        ([says("import", "keras.layers"), says("attribute", "keras.layers.Dense")], VERSIONS, []),
        ([says("attribute", "keras.ops.mean"), says("attribute", "keras.__version__")], VERSIONS, []),
        ([meets("tf_keras.layers.Dense", "tensorflow.keras.Sequential")], VERSIONS, [(2, "certain")]),
        ([meets("tensorflow.keras.Input", "tf_keras.layers.Dense")], VERSIONS, [(2, "certain")]),
        ([meets("transformers.TFBertModel", "tensorflow.keras.Model")], VERSIONS, [(2, "certain")]),
        ([meets("tf_keras.layers.Dense", "keras.Sequential")], VERSIONS, [(2, "certain")]),
        ([meets("keras.layers.Dense", "tensorflow.keras.Sequential")], VERSIONS, []),
        ([meets("tf_keras.layers.Dense", "keras.Sequential", grade="possible")], VERSIONS, [(2, "possible")]),
        (
            [meets("keras.layers.Dense", "tensorflow.keras.Model"), says("attribute", "keras.ops.mean")],
            VERSIONS,
            [(3, "certain")],
        ),
        ([TF_KERAS], VERSIONS, []),
        ([TF_KERAS, says("attribute", "tensorflow.keras.layers")], VERSIONS, []),
        ([TF_KERAS, says("attribute", "tensorflow.keras.layers", file="other.py")], VERSIONS, []),
        ([TF_KERAS, says("attribute", "tensorflow.keras.utils.to_categorical")], VERSIONS, []),
        (
            [
                TF_KERAS,
                says("attribute", "tensorflow.keras.layers"),
                says("attribute", "tensorflow.keras.ops.mean"),
            ],
            VERSIONS,
            [(3, "certain")],
        ),
        (
            [TF_KERAS, says("attribute", "tensorflow.keras.layers"), says("saves", "save", "model.keras")],
            VERSIONS,
            [],
        ),
        ([says("import", "tf_agents.agents")], with_package("tf-agents", 0, 19), [(2, "certain")]),
        ([says("import", "tf_agents")], VERSIONS, []),
        ([says("import", "tensorflow_hub")], with_package("tensorflow-hub", 0, 15), []),
        ([says("import", "qkeras")], with_package("qkeras", 0, 9), [(2, "certain")]),
        ([says("import", "rl.agents")], with_package("keras-rl2", 1, 0, 5), []),
        ([says("import", "tensorflow_hub")], with_package("tensorflow-hub", 0, 16, 1), []),
        ([says("import", "keras_hub")], with_package("keras-hub", 0, 25), [(3, "possible")]),
        ([says("import", "tf2onnx")], with_package("tf2onnx", 1, 17), []),
        ([says("attribute", "tf2onnx.convert.from_keras")], with_package("tf2onnx", 1, 17), [(2, "certain")]),
        ([says("attribute", "tf2onnx.convert.from_function")], with_package("tf2onnx", 1, 17), []),
        (
            [says("import", "tf_agents", grade="possible"), says("import", "keras")],
            with_package("tf-agents", 0, 19),
            [(2, "possible")],
        ),
    ],
)
def test_demands(evidence: list[Evidence], versions: Any, expected: list[tuple[int, str]]) -> None:
    assert demands(*evidence, versions=versions) == expected


def test_users_extend_and_correct_the_table() -> None:
    versions = with_package("tf-agents", 0, 19)
    evidence = [says("import", "ours.models"), says("import", "tf_agents")]
    assert demands(*evidence, versions=versions, own={"ours": "2", "tf_agents": "either"}) == [(2, "certain")]


def test_a_requirement_is_only_a_hint() -> None:
    reading = Reading((says("import", "unheard.of"),), complete=True, known=True)
    hinted = find_demands(reading, VERSIONS, {}, frozenset({"unheard"}))
    assert [(d.generation, d.grade, d.module) for d in hinted] == [(2, "possible", "")]
    assert find_demands(reading, VERSIONS, {"unheard": "either"}, frozenset({"unheard"})) == ()


def test_ranges_of_one_package_do_not_overlap() -> None:
    for package in PACKAGES:
        others = [p for p in PACKAGES if p.module == package.module and p is not package]
        for version in filter(None, (package.since, package.before)):
            rows = [p for p in (package, *others) if p.covers(version)]
            assert len(rows) <= 1, (package.module, version)


def test_a_package_that_is_not_installed_has_no_row() -> None:
    assert find_package("tf_agents", VERSIONS) is None
