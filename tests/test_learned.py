"""Records, and what a run learned of its program."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoxla.learned import learn, recall_learned
from autoxla.model import Evidence, Place, Reading, Usage
from autoxla.policies.usage import summarise
from autoxla.store import Store
from programs import run_code

KEY = "0123456789abcdef"


def test_a_record_comes_back(tmp_path: Path) -> None:
    Store(tmp_path / "new").write(KEY, {"value": [1, "x"]})
    record = Store(tmp_path / "new").read(KEY)
    assert record is not None
    assert record["value"] == [1, "x"]
    assert [file.name for file in (tmp_path / "new").iterdir()] == [f"{KEY}.json"]


def test_there_is_no_record_of_an_unknown_key(tmp_path: Path) -> None:
    assert Store(tmp_path).read(KEY) is None


@pytest.mark.parametrize("key", ["../../etc/passwd", "", "0123456789abcdef\n", "x" * 32])
def test_a_key_cannot_leave_the_folder(key: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no key"):
        Store(tmp_path).write(key, {})


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{", f'{{"schema": 2, "key": "{KEY}"}}', '{"schema": 1, "key": "other"}', "[" * 100_000],
)
def test_a_malformed_record_is_none(content: str, tmp_path: Path) -> None:
    (tmp_path / f"{KEY}.json").write_text(content, encoding="utf-8")
    assert Store(tmp_path).read(KEY) is None


def test_a_folder_in_the_place_of_a_record_is_none(tmp_path: Path) -> None:
    (tmp_path / f"{KEY}.json").mkdir()
    assert Store(tmp_path).read(KEY) is None


def test_the_oldest_leave(tmp_path: Path) -> None:
    store = Store(tmp_path, most=3)
    for number in range(5):
        store.write(f"{number:016x}", {})
        os.utime(tmp_path / f"{number:016x}.json", (number, number))
    store.write(KEY, {})
    assert len(list(tmp_path.iterdir())) == 3
    assert store.read(KEY) is not None


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(new_folder: Callable[[], Path], content: bytes) -> None:
    folder = new_folder()
    (folder / f"{KEY}.json").write_bytes(content)
    assert Store(folder).read(KEY) is None


def reading(folder: Path, *evidence: Evidence) -> Reading:
    file = folder / "train.py"
    if not file.exists():
        file.write_text("import tensorflow", encoding="utf-8")
    return Reading(evidence, complete=True, known=True, files=(str(file),))


def compiled(*requested: object) -> list[dict[str, object]]:
    return [{"requested": value} for value in requested]


def learned(folder: Path, known: Reading, imports: list[str], compiles: list[dict[str, Any]]) -> list[Any]:
    learn(known, (), imports, compiles, Store(folder / "cache"))
    new = recall_learned(known, (), Store(folder / "cache")).evidence[len(known.evidence) :]
    assert all(e.grade == "learned" for e in new)
    return [(e.kind, e.name, e.value) for e in new]


IMPORT = Evidence("import", "tensorflow", None, "certain", Place("train.py", 1))
COMPUTED = Evidence("jit_compile", "compile", None, "certain", Place("train.py", 2))
LITERAL = Evidence("jit_compile", "compile", True, "certain", Place("train.py", 2))


@pytest.mark.parametrize(
    ("known", "imports", "compiles", "expected"),
    [
        ([IMPORT], ["tensorflow"], compiled("auto"), []),
        ([IMPORT], ["tensorflow", "tf_keras"], [], [("import", "tf_keras", None)]),
        ([IMPORT, COMPUTED], ["tensorflow"], compiled(False), [("jit_compile", "compile", False)]),
        ([IMPORT, COMPUTED], ["tensorflow"], compiled(False, True), []),
        ([IMPORT, LITERAL], ["tensorflow"], compiled(True), []),
    ],
)
def test_what_is_learned(
    known: list[Evidence], imports: list[str], compiles: list[Any], expected: list[Any], tmp_path: Path
) -> None:
    assert learned(tmp_path, reading(tmp_path, *known), imports, compiles) == expected


def test_a_changed_program_forgets(tmp_path: Path) -> None:
    assert learned(tmp_path, reading(tmp_path), ["tf_keras"], []) != []
    (tmp_path / "train.py").write_text("import tensorflow as tf", encoding="utf-8")
    assert recall_learned(reading(tmp_path), (), Store(tmp_path / "cache")).evidence == ()


def test_other_arguments_are_another_program(tmp_path: Path) -> None:
    known = reading(tmp_path)
    learn(known, ("--old",), ["tf_keras"], [], Store(tmp_path / "cache"))
    assert recall_learned(known, ("--new",), Store(tmp_path / "cache")).evidence == ()
    assert recall_learned(known, ("--old",), Store(tmp_path / "cache")).evidence != ()


def test_what_was_learned_before_stays(tmp_path: Path) -> None:
    known = reading(tmp_path)
    learn(known, (), ["tf_keras", "tf_keras"], [], Store(tmp_path))
    learn(recall_learned(known, (), Store(tmp_path)), (), ["tf_keras"], compiled(True), Store(tmp_path))
    learn(recall_learned(known, (), Store(tmp_path)), (), ["tf_keras"], compiled(True), Store(tmp_path))
    assert [(e.name, e.value) for e in recall_learned(known, (), Store(tmp_path)).evidence] == [
        ("tf_keras", None),
        ("compile", True),
    ]


def test_a_forged_record_teaches_nothing_else(tmp_path: Path) -> None:
    known = reading(tmp_path)
    learn(known, (), ["tf_keras"], [], Store(tmp_path / "cache"))
    (file,) = (tmp_path / "cache").iterdir()
    record = json.loads(file.read_text(encoding="utf-8"))
    forged = {**record, "imports": ["os; import evil", 3, "tf_keras"], "jit_compile": "yes"}
    file.write_text(json.dumps(forged), encoding="utf-8")
    assert [e.name for e in recall_learned(known, (), Store(tmp_path / "cache")).evidence] == ["tf_keras"]


def test_what_was_learned_counts_where_the_source_is_silent() -> None:
    evidence = (COMPUTED, Evidence("jit_compile", "compile", False, "learned", Place("an earlier run")))
    usage = summarise(Reading(evidence, known=True), {}, Usage())
    assert usage.jit_compile is False


@pytest.mark.tensorflow
def test_the_second_run_knows(tmp_path: Path) -> None:
    code = """
import autoxla, importlib, json
import tensorflow as tf
name = "".join(["tf_", "keras"])
keras = importlib.import_module(name)
from autoxla import runtime
print(json.dumps(runtime.current().situation.usage.keras))
"""
    variables = {"AUTOXLA_CACHE": str(tmp_path / "cache")}
    first = run_code(code, tmp_path, **variables)
    second = run_code(code, tmp_path, **variables)
    assert (first.last, second.last) == (None, 2), first.err + second.err
