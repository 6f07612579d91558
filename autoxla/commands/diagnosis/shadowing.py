"""Files beside the program that take the place of a package."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.situation.distributions import locate
from autoxla.situation.files import list_names

SUBJECT = "shadowing"
NAMES = ("tensorflow", "keras", "tf_keras", "numpy", "wrapt", "h5py", "absl", "google")


def check(scene: Scene) -> Iterator[Line]:
    """Say what in the program's folder, the current one and PYTHONPATH shadows a package or a module."""
    lines = [line for folder in _folders(scene) for line in _look(folder, scene)]
    yield from lines
    if not lines:
        yield Line("ok", "AX820", SUBJECT, f"nothing in {scene.folder} takes the place of a package")


def _folders(scene: Scene) -> list[Path]:
    named = scene.environ.get("PYTHONPATH", "").split(os.pathsep)
    own = [scene.folder, scene.current]
    others = [Path(name) for name in named if name and not list_names(name, "*.egg-info")]
    return [folder for folder in dict.fromkeys([*own, *others]) if not _is_installed(folder)]


def _is_installed(folder: Path) -> bool:
    """Return whether an installer fills ``folder``: what lies there is the package itself.

    An ``.egg-info`` is no sign here: a project that is being developed has one beside its programs.
    """
    return bool(_INSTALLED.intersection(folder.parts) or list_names(folder, "*.dist-info"))


def _look(folder: Path, scene: Scene) -> Iterator[Line]:
    for name in NAMES:
        found = locate(name, [str(folder)])
        if found is not None:
            yield _say(name, found, folder, scene)
    yield from _hidden_modules(folder)


def _say(name: str, found: Path, folder: Path, scene: Scene) -> Line:
    remedy = f"rename {found.parent if found.name == '__init__.py' else found}"
    if folder == scene.current != scene.folder:
        text = f"{found} takes the place of {name} in programs that start here with -m or -c, or in notebooks"
        return Line("warning", "AX822", SUBJECT, text, remedy)
    return Line("error", "AX821", SUBJECT, f"import {name} gives {found}, not the package", remedy)


def _hidden_modules(folder: Path) -> Iterator[Line]:
    """Yield files that are called as a module of Python: TensorFlow imports most of these."""
    for file in list_names(folder, "*.py"):
        module = file.removesuffix(".py")
        # What Python loads before it looks into this folder is not shadowed.
        if module in sys.stdlib_module_names and module not in ("__future__", "__main__", *_EARLY):
            text = f"{folder / file} takes the place of Python's own module {module}"
            yield Line("warning", "AX823", SUBJECT, text, f"rename {folder / file}")


_INSTALLED = frozenset({"site-packages", "dist-packages"})
_EARLY = frozenset({"abc", "codecs", "io", "os", "site", "stat", "sys", "this", "antigravity"})
