"""In mode ``observe`` the process is unchanged: findings, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from programs import clean_environment, run, run_code

#: Prints what a program can see of its process; `importlib` lists what came by the import itself.
SEEN = """
import builtins, json, os, sys, threading
def look():
    return {
        "excepthook": sys.excepthook is sys.__excepthook__,
        "threads": threading.excepthook is threading.__excepthook__,
        "unraisable": sys.unraisablehook is sys.__unraisablehook__,
        "displayhook": sys.displayhook is sys.__displayhook__,
        "environ": dict(os.environ),
        "builtins": {name: getattr(value, "__module__", None) for name, value in vars(builtins).items()},
        "import": builtins.__import__.__class__.__name__,
        "meta_path": [str(getattr(f, "__name__", type(f).__name__)) for f in sys.meta_path],
        "path_hooks": len(sys.path_hooks),
        "profile": [sys.getprofile(), sys.gettrace()],
    }
"""
METHODS = """
methods = [
    (library.Model, name) for name in ("fit", "compile", "predict", "evaluate", "make_train_function")
] + [(library.Sequential, "add"), (library.models, "load_model"), (library.saving, "load_model")]
def kind(owner, name):
    function = next((vars(each)[name] for each in getattr(owner, "__mro__", [owner]) if name in vars(each)))
    return f"{type(function).__module__}.{type(function).__qualname__} {function.__code__.co_filename}"
print(json.dumps({"look": look(), "methods": [kind(*each) for each in methods]}))
"""


@pytest.mark.tensorflow
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_observe_leaves_the_process_unchanged(library: str, tmp_path: Path) -> None:
    code = f"{SEEN}\nimport tensorflow\nimport {library} as library\n{METHODS}"
    (tmp_path / "program.py").write_text(code, encoding="utf-8")
    variables = {"TF_USE_LEGACY_KERAS": "yes", "AUTOXLA": "observe"}
    plain = run(["program.py"], tmp_path, clean_environment(**variables)).last
    outcome = run(["-m", "autoxla", "program.py"], tmp_path, clean_environment(**variables))
    observed = outcome.last
    # It did look.
    assert [notice.split()[1] for notice in outcome.notices] == ["AX103"]
    assert observed["methods"] == plain["methods"]
    environ = observed["look"].pop("environ")
    before = plain["look"].pop("environ")
    # The launcher's own, which makes it active.
    assert {name for name in environ if environ[name] != before.get(name)} <= {
        "AUTOXLA_ACTIVE",
        "PYTHONPATH",
        "_",
    }
    finders = observed["look"].pop("meta_path")
    assert [name for name in finders if name != "AutoxlaFinder"] == plain["look"].pop("meta_path")
    assert observed["look"] == plain["look"]


@pytest.mark.tensorflow
def test_uninstall_gives_everything_back(tmp_path: Path) -> None:
    """What is wrapped, chained and aliased in mode auto."""
    code = f"""{SEEN}
import autoxla
before = look()
import tensorflow
import keras as library
during = look()
autoxla.uninstall()
after = look()
names = ("excepthook", "threads", "meta_path")
print(json.dumps([[each[name] for name in names] for each in (before, during, after)]))
{METHODS}"""
    outcome = run_code(code, tmp_path)
    *_, looked, told = outcome.out.splitlines()
    before, during, after = json.loads(looked)
    assert before[:2] == after[:2] == [True, True]
    assert during[:2] == [False, False]
    assert "AutoxlaFinder" not in after[2]
    # Copies of a function that other modules imported, the last two, stay; they do nothing any more.
    assert [kind for kind in json.loads(told)["methods"][:-2] if "autoxla" in kind] == []
