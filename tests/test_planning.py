"""What a run plans is what ``explain``, ``env`` and the report say of it, whatever the program is.

Most programs run with stand-ins for tensorflow, keras and tf_keras: planning needs only their import, and the
distributions that the plan is made from are the real ones.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoxla.launch.launcher import PRIVATE
from autoxla.running import name_command, subject_from
from programs import HOME, clean_environment, run

STAND_IN = """
class Anything:
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self
_anything = Anything()
def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return _anything
"""
#: Prints what the process was given.
TELL = """
import dataclasses, json, sys
import autoxla
_plan = autoxla.plan()
print(json.dumps({
    "settings": [dataclasses.asdict(each) for each in _plan.settings],
    "path": dataclasses.asdict(_plan.path),
    "findings": [dataclasses.asdict(each) for each in _plan.findings],
    "environment": {each.variable: os.environ.get(each.variable) for each in _plan.settings},
}))
"""
#: What two commands say of the program in the arguments, in one process.
ASK = """
import json, sys
from autoxla import commands
words = json.loads(sys.argv[1])
sys.argv[1:] = []
commands.run("explain", ["--json", "--", *words])
print("----", flush=True)
commands.run("env", ["--format", "json", "--", *words])
"""
ASSIGNMENTS = st.sampled_from(
    [
        'os.environ["TF_USE_LEGACY_KERAS"] = "1"',
        'os.environ["TF_USE_LEGACY_KERAS"] = "yes"',
        'os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")',
        'os.environ["KERAS_BACKEND"] = "tensorflow"',
        'os.environ["TF_XLA_FLAGS"] = "--tf_xla_auto_jit=2"',
        'os.environ["XLA_FLAGS"] = "--xla_cpu_enable_fast_math=true"',
        'os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"',
    ]
)
#: Imports, each with what the program does with it.
IMPORTS = st.sampled_from(
    [
        "import tensorflow as tf",
        "import tensorflow as tf\ntf.keras.Sequential()",
        "import tensorflow as tf\ntf.keras.optimizers.legacy.Adam()",
        "import tensorflow as tf\ntf.keras.ops.add(1, 2)",
        "import tensorflow as tf\ntf.keras.Sequential().compile(jit_compile=True)",
        "import tensorflow as tf\nmodel = tf.keras.Sequential()\nmodel.jit_compile = False",
        "import tensorflow as tf\n@tf.function(jit_compile=True)\ndef step(x): return x",
        "import keras",
        "import keras\nmodel = keras.Sequential()\nmodel.compile(jit_compile=False)",
        "import tf_keras",
        "from tensorflow import keras",
        "try:\n    import tf_keras as keras\nexcept ImportError:\n    from tensorflow import keras",
    ]
)
SOURCES = st.builds(
    lambda early, imports, late: "\n".join(["import os", *early, *imports, *late, ""]),
    st.lists(ASSIGNMENTS, max_size=2),
    st.lists(IMPORTS, min_size=1, max_size=3),
    st.lists(ASSIGNMENTS, max_size=1),
)
PROJECTS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["observe", "fix", "auto"]),
        "keras": st.sampled_from(["2", "3", "legacy"]),
        "step": st.sampled_from(["graph", "xla", "autocluster-1"]),
        "trial": st.booleans(),
        "xla_cache": st.booleans(),
    },
)
VARIABLES = st.fixed_dictionaries(
    {},
    optional={
        "AUTOXLA": st.sampled_from(["observe", "fix", "auto"]),
        "AUTOXLA_KERAS": st.sampled_from(["2", "3", "legacy"]),
        "AUTOXLA_STEP": st.sampled_from(["graph", "autocluster-2"]),
        "KERAS_BACKEND": st.sampled_from(["tensorflow", "jax", "nonsense"]),
        "TF_USE_LEGACY_KERAS": st.sampled_from(["0", "1", "True", "yes", ""]),
        "TF_XLA_FLAGS": st.sampled_from(
            ["--tf_xla_auto_jit=1", "--tf_xla_auto_jit", "--tf_xla_cpu_global_jit"]
        ),
        "XLA_FLAGS": st.sampled_from(["", "--xla_dump_to=/tmp/x", "nonsense"]),
        "TF_CONFIG": st.just(
            '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}'
        ),
    },
)
FORMS = st.sampled_from(["script", "module", "package", "code"])
ARGUMENTS = st.lists(st.sampled_from(["--epochs", "5", "a b", "--json", "--", "-m"]), max_size=3)


def words_for(form: str, folder: Path, source: str, arguments: Sequence[str]) -> list[str]:
    """Write the program; return what ``python`` is called with."""
    if form == "code":
        return ["-c", source, *arguments]
    if form == "package":
        (folder / "trainer").mkdir()
        (folder / "trainer" / "__init__.py").touch()
        (folder / "trainer" / "__main__.py").write_text(source, encoding="utf-8")
        return ["-m", "trainer", *arguments]
    (folder / "train.py").write_text(source, encoding="utf-8")
    return ["-m", "train", *arguments] if form == "module" else ["train.py", *arguments]


def environment_for(folder: Path, variables: Mapping[str, str], *stand_ins: str) -> dict[str, str]:
    packages = folder.parent / f"{folder.name}-environment" / "site-packages"
    packages.mkdir(parents=True, exist_ok=True)
    for name in stand_ins:
        (packages / f"{name}.py").write_text(STAND_IN, encoding="utf-8")
    path = os.pathsep.join([PRIVATE, str(packages), str(HOME)])
    cache = str(packages / "cache")
    return clean_environment(PYTHONPATH=path, AUTOXLA_ACTIVE="1", AUTOXLA_CACHE=cache, **variables)


def plain(value: Any) -> Any:
    """Return a part of a plan without the number of its process."""
    return json.loads(re.sub(r"run-[0-9a-f]{8}-\d+", "run", json.dumps(value)))


def findings_of(plan: Mapping[str, Any]) -> list[list[object]]:
    names = ("code", "level", "grade", "message", "remedy", "applied")
    found = []
    for each in plan["findings"]:
        place = each.get("place") or each
        where = [place[name] for name in ("file", "line", "column")]
        found.append([*(each[name] for name in names), where])
    return sorted(plain(found), key=str)


def assert_one_plan(folder: Path, words: list[str], environment: Mapping[str, str], *, cache: bool) -> None:
    report = folder / "report.json"
    ran = run(words, folder, {**environment, "AUTOXLA_REPORT": str(report)})
    assert ran.status == 0, ran.err
    told = run(["-c", ASK, json.dumps(words)], folder, environment)
    explained, _, printed = told.out.partition("----\n")
    plan, explanation = ran.last, json.loads(explained)
    written = json.loads(report.read_text(encoding="utf-8"))
    for part in ("settings", "path"):
        assert plain(explanation[part]) == plain(plan[part])
        assert plain(written[part]) == plain(plan[part])
    assert findings_of(explanation) == findings_of(plan)
    assert [each for each in findings_of(plan) if each not in findings_of(written)] == []
    # Nobody changed it since.
    late = {name for name in plan["environment"] if f'os.environ["{name}"]' in words_source(folder, words)}
    wanted = {each["variable"]: each["value"] for each in plan["settings"]}
    assert {n: v for n, v in plan["environment"].items() if n not in late} == {
        n: v for n, v in wanted.items() if n not in late
    }
    values = json.loads(printed)
    values.pop("AUTOXLA_APPLIED", None)
    # The folder of the cache is each process' own, and does not travel.
    assert cache or values == wanted


def words_source(folder: Path, words: Sequence[str]) -> str:
    files = [*folder.glob("*.py"), *folder.glob("trainer/*.py")]
    return "\n".join([*words, *(file.read_text(encoding="utf-8") for file in files)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(source=SOURCES, form=FORMS, arguments=ARGUMENTS, project=PROJECTS, variables=VARIABLES, data=st.data())
def test_run_explain_env_and_report_are_of_one_plan(
    source: str,
    form: str,
    arguments: list[str],
    project: dict[str, object],
    variables: dict[str, str],
    data: st.DataObject,
    new_folder: Any,
) -> None:
    folder: Path = new_folder()
    table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in project.items())
    (folder / "pyproject.toml").write_text(f"[tool.autoxla]\n{table}", encoding="utf-8")
    words = words_for(form, folder, source + TELL, arguments)
    environment = environment_for(folder, variables, "tensorflow", "keras", "tf_keras")
    assert_one_plan(folder, words, environment, cache=bool(project.get("xla_cache")))


@pytest.mark.tensorflow
@pytest.mark.parametrize("form", ["script", "package"])
def test_the_same_with_the_real_packages(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    source = "import os\nimport tensorflow as tf\ntf.keras.optimizers.legacy.Adam()\n"
    words = words_for(form, folder, source + TELL, ["--epochs", "5"])
    assert_one_plan(folder, words, environment_for(folder, {"TF_USE_LEGACY_KERAS": "yes"}), cache=False)


KEEP = """
import os, sys
from autoxla.planning import assemble
from autoxla.running import subject_from
from autoxla.tuned import keep_tuned, open_tuned
subject = subject_from(sys.argv[1:])
facts = {"winner": "xla", "step": "xla", "settings": {}, "speedup": 2.0, "date": "2026-01-01"}
print(keep_tuned(assemble(subject, os.environ).situation, subject.arguments, open_tuned(os.environ), facts))
"""


def test_what_tuning_found_counts_for_the_same_arguments(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    environment = environment_for(folder, {}, "tensorflow", "keras", "tf_keras")
    words = words_for("module", folder, "import os\nimport keras\n" + TELL, ["--epochs", "5"])
    assert run(["-c", KEEP, *words], folder, environment).out.strip() != "None"
    found = []
    for arguments in (words, words[:2]):
        explained = run(["-m", "autoxla", "explain", "--json", *arguments], folder, environment)
        ran = run(arguments, folder, environment)
        found.append([json.loads(explained.out)["path"]["step"], ran.last["path"]["step"]])
    assert found == [["xla", "xla"], [None, None]]


CURE = """
import os, sys
from autoxla.cures import keep
from autoxla.model import Cure
from autoxla.planning import assemble
from autoxla.running import subject_from
subject = subject_from(sys.argv[1:])
cure = Cure({"AUTOXLA_KERAS": "legacy", "TF_ENABLE_ONEDNN_OPTS": "0"}, "TypeError: no such argument", "heal")
print(keep(subject, assemble(subject, os.environ).situation, cure, os.environ))
"""


@pytest.mark.parametrize("form", ["script", "module", "package", "code"])
def test_a_cure_is_part_of_the_one_plan_whatever_the_arguments(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    environment = environment_for(folder, {}, "tensorflow", "keras", "tf_keras")
    words = words_for(form, folder, "import os\nimport keras\n" + TELL, ["--epochs", "5"])
    number = 2 if words[0].startswith("-") else 1
    assert run(["-c", CURE, *words[:number]], folder, environment).out.strip() != "None"
    assert_one_plan(folder, words, environment, cache=False)
    settings = {
        each["variable"]: each["because"] for each in run(words, folder, environment).last["settings"]
    }
    assert settings == {
        "AUTOXLA_KERAS": ["AX911"],
        "TF_ENABLE_ONEDNN_OPTS": ["AX911"],
        "TF_USE_LEGACY_KERAS": ["AX105"],
    }


@pytest.mark.parametrize("command", ["explain", "env", "doctor", "check"])
@pytest.mark.parametrize("form", ["script", "module", "package", "code"])
def test_commands_take_what_python_takes(command: str, form: str, tmp_path: Path) -> None:
    source = "import tensorflow as tf\ntf.keras.optimizers.legacy.Adam()\n"
    words = words_for(form, tmp_path, source, ["--epochs", "5"])
    outcome = run(
        ["-m", "autoxla", command, *words], tmp_path, environment_for(tmp_path / "x", {}, "tensorflow")
    )
    assert "AX112" in outcome.out + outcome.err, outcome.err


def test_the_command_s_options_may_follow_a_script(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import keras\n", encoding="utf-8")
    words = ["-m", "autoxla", "explain", "train.py", "--json", "--epochs", "5"]
    assert json.loads(run(words, tmp_path).out)["path"]["keras"] == 3
    assert run(["-m", "autoxla", "explain", "--", "train.py", "--json"], tmp_path).out.startswith(
        "autoxla, mode"
    )


@pytest.mark.parametrize(
    ("words", "arguments", "name"),
    [
        ([], (), ""),
        (["a b.py", "-m", "x"], ("-m", "x"), "'a b.py'"),
        (["-m", "pack.sub", "--x"], ("--x",), "-m pack.sub"),
        (["-c", "pass", "x"], ("x",), ""),
        (["-cpass", "x"], ("x",), ""),
    ],
)
def test_a_subject(
    words: list[str], arguments: tuple[str, ...], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a b.py").touch()
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    subject = subject_from(words)
    assert (subject.arguments, name_command(subject.program)) == (arguments, name)
    assert subject.path[0] == str(tmp_path)
