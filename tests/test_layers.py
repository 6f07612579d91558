"""The house: a room imports only rooms below it, and one module each reads and writes the environment.

Late imports, and imports by a string, count; there is no circle.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import autoxla
from programs import clean_environment, run

PACKAGE = Path(autoxla.__file__).parent

#: From the bottom to the top: what is in one line may import its own line and all above it here. Of several
#: prefixes the longest counts. `docs/architecture.md` says what each is.
LAYERS = (
    ("autoxla.hooks.finder", "autoxla.hooks.boundary", "autoxla.hooks"),
    (
        "autoxla.model",
        "autoxla.situation.env_parsing",
        "autoxla.situation.files",
        "autoxla.hooks.keras_internals",
        "autoxla.hooks.keras_sources",
        "autoxla.hooks.wrapping",
    ),
    ("autoxla.policies",),
    ("autoxla.settings",),
    ("autoxla.hooks.known_errors",),
    ("autoxla.situation", "autoxla.cache", "autoxla.store"),
    ("autoxla.tuned", "autoxla.lookahead", "autoxla.notice"),
    ("autoxla.compiled", "autoxla.cures"),
    ("autoxla.planning", "autoxla.report"),
    ("autoxla.hooks.notebook", "autoxla.hooks.alias", "autoxla.running"),
    ("autoxla.runtime",),
    (
        "autoxla.hooks.compile",
        "autoxla.hooks.error_hints",
        "autoxla.hooks.last_words",
        "autoxla.hooks.mixed_models",
        "autoxla.hooks.other_generation",
        "autoxla.hooks.silent",
        "autoxla.hooks.uncaught",
    ),
    ("autoxla.trial",),
    ("autoxla.hooks.keras",),
    ("autoxla.activation", "autoxla.launch", "autoxla.paths"),
    ("autoxla.commands",),
    ("autoxla.ray", "autoxla.__main__"),
    ("autoxla",),
)
#: Modules that may read or write ``os.environ`` themselves, and why.
ENVIRONMENT = {
    "autoxla": "starts with the interpreter, before any other module of ours is there",
    "autoxla.hooks.boundary": "imports the standard library alone; asks for AUTOXLA_DEBUG",
    "autoxla.launch._autoxla_start": "starts with the interpreter, beside the package",
    "autoxla.launch.launcher": "makes the environment of the program that replaces it",
    "autoxla.launch.private.sitecustomize": "starts with the interpreter, of any release",
    "autoxla.runtime": "the one place that writes",
    "autoxla.situation.environment": "the one place that reads",
}
MODULES = sorted(
    str(file.relative_to(PACKAGE.parent).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for file in PACKAGE.rglob("*.py")
)


def tree_of(module: str) -> ast.Module:
    path = PACKAGE.parent.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8"))


def layer_of(module: str) -> int:
    parts = module.split(".")
    names = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return next(at for name in names for at, layer in enumerate(LAYERS) if name in layer)


def imports_of(module: str) -> set[str]:
    """Return the modules of ours that ``module`` imports anywhere, or names in a string, but its parents."""
    tree = tree_of(module)
    for_types = {id(each) for node in ast.walk(tree) if _is_for_types(node) for each in ast.walk(node)}
    names = {name for node in ast.walk(tree) if id(node) not in for_types for name in _names_in(node)}
    found = {name if name in MODULES else name.rpartition(".")[0] for name in names}
    return {name for name in found & set(MODULES) if name != module and not module.startswith(f"{name}.")}


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _names_in(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Constant) and re.fullmatch(r"autoxla(\.\w+)+", str(node.value)):
        yield str(node.value)


def test_there_is_no_circle() -> None:
    graph = {module: imports_of(module) for module in MODULES}
    sorter = TopologicalSorter(graph)
    assert len(list(sorter.static_order())) == len(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_no_higher_one(module: str) -> None:
    higher = {name for name in imports_of(module) if layer_of(name) > layer_of(module)}
    assert higher == set()


@pytest.mark.parametrize("module", MODULES)
def test_the_environment_is_asked_in_one_place(module: str) -> None:
    """All others get it passed, or ask `autoxla.situation.environment.read_environ`."""
    names = {
        node.attr
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os"
    }
    assert not names & {"environ", "environb", "getenv", "putenv", "unsetenv"} or module in ENVIRONMENT


def test_policies_touch_nothing() -> None:
    """The functional core: no environment, no files, no modules."""
    for module in MODULES:
        if module.startswith("autoxla.policies"):
            imports = [node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Import)]
            names = {alias.name.split(".")[0] for node in imports for alias in node.names}
            assert names & {"os", "sys", "pathlib", "subprocess", "io"} == set()


LOADED = """
import sys, tensorflow

ours = {name: module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "autoxla"}
print(len(ours), sum(open(file, "rb").read().count(b"\\n") for file in ours.values()))
print(*ours)
"""
#: What ``import tensorflow`` may load of the house, in a program that says no more than that.
MOST_MODULES, MOST_LINES = 35, 5100


def load(folder: Path, **variables: str) -> tuple[list[int], list[str]]:
    """Return how many modules and lines of ours ``program.py`` loads under the launcher, and which."""
    outcome = run(["-m", "autoxla", "program.py"], folder, clean_environment(**variables))
    figures, names = outcome.out.splitlines()
    return [int(figure) for figure in figures.split()], names.split()


@pytest.mark.tensorflow
def test_what_import_tensorflow_loads(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(LOADED, encoding="utf-8")
    (modules, lines), _ = load(tmp_path)
    assert modules <= MOST_MODULES
    assert lines <= MOST_LINES


@pytest.mark.tensorflow
def test_a_program_is_followed_once(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"{LOADED}keras = tensorflow.keras\n", encoding="utf-8")
    # What is read of a file that was written just now is not kept.
    os.utime(program, (1_600_000_000, 1_600_000_000))
    starts = [load(tmp_path, AUTOXLA_CACHE=str(tmp_path / "cache"))[1] for _ in range(2)]
    assert ["autoxla.lookahead.follower" in names for names in starts] == [True, False]
