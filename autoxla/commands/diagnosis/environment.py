"""What surrounds a program: files beside it, the backend, variables, devices, the rules, and autoxla."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from autoxla.cache import cache_dir
from autoxla.commands.diagnosis.packages import Line, Scene, State
from autoxla.commands.records import KINDS, list_kept
from autoxla.commands.site import describe, look
from autoxla.model import ENVIRONMENT
from autoxla.policies import decide
from autoxla.policies.draft import KERAS_3, Draft
from autoxla.situation.distributions import locate
from autoxla.situation.files import is_folder, list_names
from autoxla.store import Store

#: What TensorFlow and Keras import of other distributions, and they themselves.
_SHADOWED = ("tensorflow", "keras", "tf_keras", "numpy", "wrapt", "h5py", "absl", "google")
_INSTALLED = frozenset({"site-packages", "dist-packages"})
#: What Python loads before it looks into the program's folder, and what no program imports.
_UNSHADOWED = frozenset(
    {"__future__", "__main__", "abc", "antigravity", "codecs", "io", "os", "site", "stat", "sys", "this"}
)


def check_shadowing(scene: Scene) -> Iterator[Line]:
    """Say what in the program's folder, the current one and PYTHONPATH shadows a package or a module."""
    named = [Path(name) for name in scene.environ.get("PYTHONPATH", "").split(os.pathsep) if name]
    # In a folder that an installer fills lies the package itself. An .egg-info is such a sign on PYTHONPATH
    # only: a project that is being developed has one beside its programs.
    named = [folder for folder in named if not list_names(folder, "*.egg-info")]
    lines, current = [], Path.cwd()
    for folder in dict.fromkeys([scene.folder, current, *named]):
        if _INSTALLED.intersection(folder.parts) or list_names(folder, "*.dist-info"):
            continue
        for name in _SHADOWED:
            if (found := locate(name, [str(folder)])) is None:
                continue
            remedy = f"rename {found.parent if found.name == '__init__.py' else found}"
            if folder == current and folder not in (scene.folder, *named):
                where = "in programs that start here with -m or -c, or in notebooks"
                lines.append(Line("warning", "AX822", f"{found} takes the place of {name} {where}", remedy))
            else:
                lines.append(Line("error", "AX821", f"import {name} gives {found}, not the package", remedy))
        for file in list_names(folder, "*.py"):
            module = file.removesuffix(".py")
            if module in sys.stdlib_module_names - _UNSHADOWED:
                text = f"{folder / file} takes the place of Python's own module {module}"
                lines.append(Line("warning", "AX823", text, f"rename {folder / file}"))
    yield from lines or [Line("ok", "AX820", f"nothing in {scene.folder} takes the place of a package")]


#: The values that Keras takes in ``keras.json``, with what they do to all programs; the usual ones nothing.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "floatx": {
        "float16": "layers compute in float16: small gradients become 0, large values infinite",
        "float32": "",
        "float64": "layers compute in float64, slower and with twice the memory",
    },
    "image_data_format": {
        "channels_last": "",
        "channels_first": "layers for images expect channels before height and width",
    },
}
_LARGEST_EPSILON = 1e-3


def check_backend(scene: Scene) -> Iterator[Line]:
    """Say which backend Keras runs on and what chose it, and what is wrong with ``keras.json``."""
    config = scene.situation.keras_config
    file = "" if config is None else config.file
    if config is not None and config.error == "it holds no JSON object":
        text = f"{file} holds no JSON object: import keras raises AttributeError"
        yield Line("error", "AX832", text, f"correct or remove {file}")
    elif config is not None and config.error:
        text = f"{file}: {config.error}; Keras takes its defaults instead, or fails"
        yield Line("warning", "AX831", text, f"correct or remove {file}")
    # The other fields of keras.json hold for all programs; some values Keras refuses.
    for name, value in config.others.items() if config else ():
        effect: str | None = ""
        wanted = f"only {' or '.join(_FIELDS.get(name, ()))}"
        if name in _FIELDS:
            effect = _FIELDS[name].get(value) if isinstance(value, str) else None
        elif name == "epsilon" and isinstance(value, float):
            is_usual = 0 < value <= _LARGEST_EPSILON
            effect = "" if is_usual else "it is added where Keras divides: results are wrong or not a number"
        elif name == "epsilon":
            effect, wanted = None, "only a number with a decimal point or an exponent"
        remedy = f"correct or remove {name} in {file}"
        if effect is None:
            text = f"{file}: {name} is {value!r}, and Keras takes {wanted}: import keras fails"
            yield Line("error", "AX835", text, remedy)
        elif effect:
            yield Line("warning", "AX834", f"{file}: {name} is {value!r}: {effect}", remedy)
    draft = Draft(scene.situation)
    # What is wrong with one that is not installed is a rule's.
    if draft.has("keras", KERAS_3) and draft.backend in scene.situation.backends:
        chosen = file if config is not None and config.backend else "default"
        chosen = "KERAS_BACKEND" if draft.environment.get("KERAS_BACKEND") else chosen
        yield Line("ok", "AX830", f"{draft.backend}, installed; chosen by {chosen}")


_PLUGGABLE = "TF_PLUGGABLE_DEVICE_LIBRARY_PATH"


def check_variables(scene: Scene) -> Iterator[Line]:
    """Say which watched variables are set, and what follows from one that leads nowhere."""
    for name, value in scene.situation.environment.items():
        yield Line("ok", "AX840", f"{name}={value!r}")
    for name, flags in scene.situation.flag_names.items():
        if flags.known:
            yield Line("ok", "AX850", f"this build knows {', '.join(flags.known)} of {name}")
    library = scene.environ.get(_PLUGGABLE)
    if library and not Path(library).exists():
        text = f"{_PLUGGABLE}={library!r} names neither a file nor a folder: import tensorflow fails"
        yield Line("error", "AX841", text, f"unset {_PLUGGABLE}, or correct it")


def check_devices(scene: Scene) -> Iterator[Line]:
    """Say which accelerators there are, and what XLA finds for them; what it misses is a rule's."""
    hardware = scene.situation.hardware
    seen = ", ".join(sorted(hardware.kinds)) or hardware.accelerator
    yield Line("ok", "AX860", f"accelerators: {'not known' if seen == 'unknown' else seen}")
    if "cuda" in hardware.kinds and scene.situation.libdevice == "":
        yield Line("ok", "AX861", "XLA finds libdevice")


_STATES: Mapping[str, State] = {"info": "note", "warning": "warning", "error": "error"}


def check_rules(scene: Scene) -> Iterator[Line]:
    """Say each finding of the plan, also where autoxla is switched off; then it cures nothing.

    One that autoxla cures is still there for programs that run without it.
    """
    situation, settings = scene.situation, scene.situation.settings
    if settings.mode == "off":
        situation = replace(situation, settings=replace(settings, mode="observe"))
    findings = decide(situation).findings
    for finding in findings:
        place = "" if finding.place == ENVIRONMENT else f"{finding.place}: "
        state, remedy = _STATES[finding.level], finding.remedy
        if finding.applied:
            # Where autoxla is active the program starts, so that it is no error.
            state = "warning" if state == "error" else state
            remedy = f"autoxla does it where it is active: {remedy}"
        yield Line(state, finding.code, f"{place}{finding.message}", remedy)
    if not findings:
        yield Line("ok", "AX899", "no rule found anything")


def check_autoxla(scene: Scene) -> Iterator[Line]:
    """Say how many records there are, which are left out, and whether new interpreters start with autoxla."""
    folder = cache_dir(scene.environ)
    if scene.situation.cache_refused is None:
        stores = {kind: Store(folder / kind) for kind in KINDS}
        kept = list(list_kept(stores))
        ignored = dict(entry for store in stores.values() for entry in store.ignored)
        heeded = Counter(each.kind for each in kept if each.file not in ignored)
        counts = ", ".join(f"{heeded[kind]} {kind}" for kind in KINDS)
        yield Line("ok", "AX890", f"records in {folder}: {counts if is_folder(folder) else 'none yet'}")
        for file, reason in ignored.items():
            is_store = file in [store.folder for store in stores.values()]
            remedy = "make it a folder that you alone can write" if is_store else "remove the file"
            yield Line("note", "AX907", f"{file} is left out: {reason}", remedy)
    status = look()
    yield Line("ok", "AX891", f"{describe(status)}: {'; '.join(status['because'])}")
