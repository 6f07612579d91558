"""What the user asked of autoxla, from all the places where it can be asked.

Precedence: ``AUTOXLA=off``, `autoxla.configure`, environment, ``[tool.autoxla]`` in the nearest
``pyproject.toml`` from the script's folder upward, default. The default mode is ``auto`` for a program that
the launcher started or that imports autoxla, and ``fix`` where the site hook brought autoxla in.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoxla import BY_SITE
from autoxla.facts import ENVIRONMENT, MODES, STEPS, Place, Settings, Usage

KERAS_CHOICES = ("2", "3", "legacy")
#: Environment variable of each setting.
VARIABLES = {"mode": "AUTOXLA", "keras": "AUTOXLA_KERAS", "step": "AUTOXLA_STEP"}
CHOICES: Mapping[str, tuple[str, ...]] = {"mode": MODES, "keras": KERAS_CHOICES, "step": STEPS}
USAGE: Mapping[str, tuple[object, ...]] = {
    "keras": (0, 2, 3),
    "jit_compile": (True, False),
    "ops_override": (True, False),
    "enables_xla": (True, False),
}
#: What is only on or off; in ``pyproject.toml`` and `configure`, with no variable of its own.
SWITCHES = ("trial", "xla_cache")
NEEDS = ("2", "3", "tf_keras", "either")
_NAMES = (*CHOICES, *SWITCHES)
_LARGEST_FILE = 1 << 20  # bytes; a pyproject.toml beyond this is no pyproject.toml


class BadSettingError(ValueError):
    """A setting of autoxla that cannot be. `place` is where it stands."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place

    def __str__(self) -> str:
        return f"AX902 error {self.place}: {self.args[0]}"


def read_settings(
    folder: Path | None,
    environ: Mapping[str, str],
    configured: Mapping[str, object] | None = None,
    *,
    by_site: bool = BY_SITE,
) -> tuple[Settings, Usage]:
    """Return the settings, and what the user says that the program does.

    ``folder`` is the script's; None skips ``pyproject.toml``. ``by_site``: the site hook is active in this
    process. Raises `BadSettingError` on a value that is none of the choices, an unknown name, or a
    ``pyproject.toml`` that does not parse.
    """
    project = _find_project(folder)
    table = _tool_table(project) if project is not None else {}
    # The launcher's variable goes before the site hook: the user asked for it by name.
    is_asked_for = not by_site or bool(environ.get("AUTOXLA_ACTIVE"))
    values: dict[str, str | bool] = {"mode": "auto" if is_asked_for else "fix"}
    places: dict[str, Place] = {}
    for source in (
        _from_project(project, table),
        _from_environment(environ),
        _from_call(configured or {}),
    ):
        for name, (value, place) in source.items():
            values[name], places[name] = value, place
    if environ.get("AUTOXLA") == "off":
        values["mode"] = "off"
    usage = _usage(project, table.get("usage", {}))
    more = {
        "packages": _packages(project, table.get("packages", {})),
        "select": _codes(project, "select", table.get("select", [])),
        "ignore": _codes(project, "ignore", table.get("ignore", [])),
    }
    return Settings(**values, **more, places=_renamed(places)), usage  # type: ignore[arg-type]


def _renamed(places: Mapping[str, Place]) -> dict[str, Place]:
    # "keras" names a fact of the usage, too; findings tell the two apart by this name.
    return {"keras_setting" if name == "keras" else name: place for name, place in places.items()}


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[str | bool, Place]]:
    found: dict[str, tuple[str | bool, Place]] = {}
    for name, variable in VARIABLES.items():
        value = environ.get(variable)
        if value:
            found[name] = _choose(name, value, ENVIRONMENT, f"{variable}={value!r}"), ENVIRONMENT
    return found


def _from_call(configured: Mapping[str, object]) -> dict[str, tuple[str | bool, Place]]:
    place = Place("configure()")
    found = {}
    for name, value in configured.items():
        if name not in _NAMES:
            raise BadSettingError(place, f"{name!r} is no setting; there are {_listed(_NAMES)}")
        found[name] = _choose(name, value, place, f"{name}={value!r}"), place
    return found


def _from_project(project: Path | None, table: Mapping[str, Any]) -> dict[str, tuple[str | bool, Place]]:
    found = {}
    for name, value in table.items():
        place = _place_in(project, name)
        if name in ("usage", "packages", "select", "ignore"):
            continue
        if name not in _NAMES:
            known = _listed(_NAMES)
            raise BadSettingError(place, f"[tool.autoxla] has no setting {name!r}; there are {known}")
        found[name] = _choose(name, value, place, f"[tool.autoxla] {name} = {value!r}"), place
    return found


def _choose(name: str, value: object, place: Place, text: str) -> str | bool:
    if name in SWITCHES:
        if isinstance(value, bool):
            return value
        raise BadSettingError(place, f"{text}: use true or false")
    if isinstance(value, str) and value in CHOICES[name]:
        return value
    raise BadSettingError(place, f"{text}: use one of {_listed(CHOICES[name])}")


def _usage(project: Path | None, table: object) -> Usage:
    if not isinstance(table, dict):
        raise BadSettingError(_place_in(project, "usage"), "[tool.autoxla] usage: use a table")
    for name, value in table.items():
        place = _place_in(project, name)
        if name not in USAGE:
            raise BadSettingError(place, f"[tool.autoxla.usage] has no {name!r}; there are {_listed(USAGE)}")
        # 1 == True: a number must not pass for a boolean, nor the other way round.
        if not any(type(value) is type(choice) and value == choice for choice in USAGE[name]):
            raise BadSettingError(
                place, f"[tool.autoxla.usage] {name} = {value!r}: use one of {_listed(USAGE[name])}"
            )
    return Usage(**table, evidence={name: _place_in(project, name) for name in table})


def _packages(project: Path | None, table: object) -> dict[str, str]:
    if not isinstance(table, dict):
        raise BadSettingError(_place_in(project, "packages"), "[tool.autoxla] packages: use a table")
    for name, need in table.items():
        if need not in NEEDS:
            text = f"[tool.autoxla.packages] {name} = {need!r}"
            raise BadSettingError(_place_in(project, name), f"{text}: use one of {_listed(NEEDS)}")
    return dict(table)


def _codes(project: Path | None, name: str, value: object) -> tuple[str, ...]:
    """Return codes or their beginnings (``AX2``) as they stand in ``select`` or ``ignore``."""
    words = value if isinstance(value, list) else [value]
    if all(isinstance(word, str) and word.startswith("AX") for word in words):
        return tuple(words)
    raise BadSettingError(_place_in(project, name), f"[tool.autoxla] {name} = {value!r}: use a list of codes")


def _listed(choices: object) -> str:
    return ", ".join(str(choice) for choice in choices)  # type: ignore[attr-defined]


def _find_project(folder: Path | None) -> Path | None:
    if folder is None:
        return None
    for parent in (folder, *folder.parents):
        file = parent / "pyproject.toml"
        if file.is_file():
            return file
    return None


def _tool_table(project: Path) -> dict[str, Any]:
    data = _read(project)
    # Parsing costs 15 ms, most projects do not mention us, and theirs may even be malformed.
    if b"autoxla" not in data:
        return {}
    try:
        tool = load_toml(data.decode()).get("tool", {})
    except ValueError as error:
        raise BadSettingError(Place(os.path.relpath(project)), f"cannot be read: {error}") from error
    table = tool.get("autoxla", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise BadSettingError(_place_in(project, "autoxla"), "[tool] autoxla: use a table")
    return table


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(_LARGEST_FILE)
    except OSError:
        return b""  # not ours to say about: nothing can be set there


def load_toml(text: str) -> dict[str, Any]:
    """Return what ``text`` holds. Raises ValueError where it is no TOML."""
    if sys.version_info >= (3, 11):  # PYVERSION: tomllib came with 3.11
        import tomllib as toml
    else:
        import tomli as toml
    table: dict[str, Any] = toml.loads(text)
    return table


def _place_in(project: Path | None, name: str) -> Place:
    """Return the line of ``name = …`` below ``[tool.autoxla``, as near as text tells."""
    if project is None:
        return ENVIRONMENT
    inside = False
    for number, line in enumerate(_read(project).decode(errors="replace").splitlines(), 1):
        text = line.strip()
        if text.startswith("["):
            inside = text.startswith("[tool.autoxla")
        elif inside and text.replace('"', "").split("=")[0].strip() == name:
            return Place(os.path.relpath(project), number)
    return Place(os.path.relpath(project))
