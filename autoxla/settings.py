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
from autoxla.model import ENVIRONMENT, MODES, STEPS, Place, Settings, Usage
from autoxla.situation.files import LIMIT, read_start

#: Environment variable of each setting.
VARIABLES = {
    "mode": "AUTOXLA",
    "keras": "AUTOXLA_KERAS",
    "step": "AUTOXLA_STEP",
    "steps_per_execution": "AUTOXLA_STEPS_PER_EXECUTION",
    "import_first": "AUTOXLA_IMPORT_FIRST",
    "trial": "AUTOXLA_TRIAL",
}
_SWITCH = (True, False)
#: How a variable spells them.
_SPELT = {"1": True, "true": True, "0": False, "false": False}
#: The values of what can be set in ``pyproject.toml`` and by `configure`.
_CHOICES: Mapping[str, tuple[object, ...]] = {
    "mode": MODES,
    "keras": ("2", "3", "legacy"),
    "step": STEPS,
    "steps_per_execution": ("1", "2", "4", "8", "16", "32", "64"),
    "import_first": ("tensorflow",),
    "heal": _SWITCH,
    "trial": (*_SWITCH, "seeded"),
    "xla_cache": _SWITCH,
}
_USAGE: Mapping[str, tuple[object, ...]] = {
    "keras": (0, 2, 3),
    "jit_compile": _SWITCH,
    "ops_override": _SWITCH,
    "enables_xla": _SWITCH,
}
_NEEDS = ("2", "3", "tf_keras", "either")
#: What stands in ``pyproject.toml`` only.
_TABLES = ("usage", "packages", "select", "ignore")


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
    project, table = _find_table(folder)
    asked: list[tuple[str, object, Place, str]] = []
    for name, value in table.items():
        if name not in _TABLES:
            asked.append((name, value, _place_in(project, name), f"[tool.autoxla] {name} = {value!r}"))
    for name, variable in VARIABLES.items():
        if text := environ.get(variable):
            spelt = _SPELT.get(text, text) if True in _CHOICES[name] else text
            asked.append((name, spelt, ENVIRONMENT, f"{variable}={text!r}"))
    for name, value in (configured or {}).items():
        asked.append((name, value, Place("configure()"), f"{name}={value!r}"))
    # The launcher's variable goes before the site hook: the user asked for it by name.
    is_asked_for = not by_site or bool(environ.get("AUTOXLA_ACTIVE"))
    values: dict[str, Any] = {"mode": "auto" if is_asked_for else "fix"}
    places: dict[str, Place] = {}
    for name, value, place, text in asked:
        if name not in _CHOICES:
            raise BadSettingError(place, f"{name!r} is no setting; there are {', '.join(_CHOICES)}")
        # "keras" names a fact of the usage, too; findings tell the two apart by this name.
        places["keras_setting" if name == "keras" else name] = place
        values[name] = _choose(_CHOICES[name], value, place, text)
    if environ.get("AUTOXLA") == "off":
        values["mode"] = "off"
    for name, need in _table_in(project, "packages", table).items():
        text, place = f"[tool.autoxla.packages] {name} = {need!r}", _place_in(project, name)
        values.setdefault("packages", {})[name] = _choose(_NEEDS, need, place, text)
    for name in ("select", "ignore"):
        codes = table.get(name, [])
        # Codes or their beginnings, as ``AX2``.
        if not isinstance(codes, list) or not all(isinstance(c, str) and c.startswith("AX") for c in codes):
            text = f"[tool.autoxla] {name} = {codes!r}"
            raise BadSettingError(_place_in(project, name), f"{text}: use a list of codes")
        values[name] = tuple(codes)
    usage = _table_in(project, "usage", table)
    evidence = {name: _place_in(project, name) for name in usage}
    for name, value in usage.items():
        if name not in _USAGE:
            text = f"[tool.autoxla.usage] has no {name!r}; there are {', '.join(_USAGE)}"
            raise BadSettingError(evidence[name], text)
        _choose(_USAGE[name], value, evidence[name], f"[tool.autoxla.usage] {name} = {value!r}")
    return Settings(**values, places=places), Usage(**usage, evidence=evidence)


def load_toml(text: str) -> dict[str, Any]:
    """Return what ``text`` holds. Raises ValueError where it is no TOML."""
    if sys.version_info >= (3, 11):  # PYVERSION: tomllib came with 3.11
        import tomllib as toml
    else:
        import tomli as toml
    table: dict[str, Any] = toml.loads(text)
    return table


def _find_table(folder: Path | None) -> tuple[Path | None, dict[str, Any]]:
    """Return the nearest ``pyproject.toml`` from ``folder`` upward, and what it says of autoxla."""
    files = () if folder is None else (parent / "pyproject.toml" for parent in (folder, *folder.parents))
    project = next((file for file in files if file.is_file()), None)
    # One that cannot be read is not ours to say about: nothing can be set there.
    data = b"" if project is None else read_start(project, LIMIT) or b""
    # Parsing costs 15 ms, most projects do not mention us, and theirs may even be malformed.
    if project is None or b"autoxla" not in data:
        return project, {}
    try:
        tool = load_toml(data.decode()).get("tool", {})
    except ValueError as error:
        raise BadSettingError(Place(os.path.relpath(project)), f"cannot be read: {error}") from error
    table = tool.get("autoxla", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise BadSettingError(_place_in(project, "autoxla"), "[tool] autoxla: use a table")
    return project, table


def _choose(choices: tuple[object, ...], value: object, place: Place, text: str) -> object:
    """Return ``value``, which stands at ``place`` as ``text``; raise `BadSettingError` where it cannot be."""
    # 1 == True: a number must not pass for a boolean, nor the other way round.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        names = (str(each).lower() if isinstance(each, bool) else str(each) for each in choices)
        listed = "true or false" if choices is _SWITCH else f"one of {', '.join(names)}"
        raise BadSettingError(place, f"{text}: use {listed}")
    return value


def _table_in(project: Path | None, name: str, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``[tool.autoxla.NAME]``. Raises `BadSettingError` where something else stands there."""
    value = table.get(name, {})
    if not isinstance(value, dict):
        raise BadSettingError(_place_in(project, name), f"[tool.autoxla] {name}: use a table")
    return value


def _place_in(project: Path | None, name: str) -> Place:
    """Return the line of ``name = …`` below ``[tool.autoxla``, as near as text tells."""
    if project is None:
        return ENVIRONMENT
    inside = False
    text = (read_start(project, LIMIT) or b"").decode(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if words.startswith("["):
            inside = words.startswith("[tool.autoxla")
        elif inside and words.replace('"', "").split("=")[0].strip() == name:
            return Place(os.path.relpath(project), number)
    return Place(os.path.relpath(project))
