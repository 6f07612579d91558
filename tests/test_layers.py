"""A room imports only rooms of lower layers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import autoxla

PACKAGE = Path(autoxla.__file__).parent

#: The layer of each room; the longest prefix counts.
LAYERS = {
    "autoxla": 0,
    "autoxla.hooks": 0,
    "autoxla.hooks.finder": 0,
    "autoxla.hooks.boundary": 0,
    "autoxla.hooks.execution": 0,
    "autoxla.hooks.targets": 1,
    "autoxla.facts": 1,
    "autoxla.readers": 1,
    "autoxla.places": 1,
    "autoxla.settings": 2,
    "autoxla.lookahead": 2,
    "autoxla.records": 2,
    "autoxla.situation": 2,
    "autoxla.policies": 2,
    "autoxla.notice": 2,
    "autoxla.report": 2,
    "autoxla.page": 2,
    "autoxla.story": 2,
    "autoxla.learned": 3,
    "autoxla.tuned": 3,
    "autoxla.compiled": 3,
    "autoxla.session": 3,
    "autoxla.siblings": 3,
    "autoxla.hooks.alias": 4,
    "autoxla.hooks.compile": 4,
    "autoxla.hooks.distribute": 4,
    "autoxla.hooks.guards": 4,
    "autoxla.hooks.notebook": 4,
    "autoxla.hooks.notes": 4,
    "autoxla.hooks.wrapping": 4,
    "autoxla.trial": 4,
    "autoxla.launch": 4,
    "autoxla.ray": 4,
    "autoxla.guide": 4,
    "autoxla.commands": 4,
    "autoxla.__main__": 4,
}
#: The public face and the session reach up by name, when a call or a target module asks for it.
LATE = {
    ("autoxla", "autoxla.session"),
    ("autoxla", "autoxla.commands.explain"),
    ("autoxla", "autoxla.hooks.notebook"),
    ("autoxla.session", "autoxla.hooks.alias"),
}
MODULES = sorted(
    str(file.relative_to(PACKAGE.parent).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for file in PACKAGE.rglob("*.py")
)


def layer_of(module: str) -> int:
    parts = module.split(".")
    names = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
    return next(LAYERS[name] for name in names if name in LAYERS)


def file_of(module: str) -> Path:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports_of(module: str) -> set[str]:
    tree = ast.parse(file_of(module).read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(name if name in MODULES else node.module for name in submodules)
    return {name for name in found if name.split(".")[0] == "autoxla"}


def test_every_room_has_a_layer() -> None:
    assert [module for module in MODULES if layer_of(module) == 0] == [
        "autoxla",
        "autoxla.hooks",
        "autoxla.hooks.boundary",
        "autoxla.hooks.execution",
        "autoxla.hooks.finder",
    ]


@pytest.mark.parametrize("module", MODULES)
def test_a_room_imports_no_higher_one(module: str) -> None:
    higher = {name for name in imports_of(module) if layer_of(name) > layer_of(module)}
    assert {name for name in higher if (module, name) not in LATE} == set()


def test_policies_touch_nothing() -> None:
    """The functional core: no environment, no files, no modules."""
    for module in MODULES:
        if module.startswith("autoxla.policies"):
            tree = ast.parse(file_of(module).read_text(encoding="utf-8"))
            names = {
                alias.name.split(".")[0]
                for node in ast.walk(tree)
                if isinstance(node, ast.Import)
                for alias in node.names
            }
            assert names & {"os", "sys", "pathlib", "subprocess", "io"} == set()
