"""What Keras 2 did and Keras 3 leaves undone without an error: told once, with the line that asks for it.

`autoxla.hooks.keras` hangs this on Keras 3, and loads it with the first that there may be to tell.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Mapping, Sequence
from inspect import unwrap
from pathlib import Path
from typing import Any

from autoxla.hooks.keras_internals import SET_IN_VAIN, SILENT
from autoxla.model import Finding
from autoxla.policies import silent
from autoxla.running import calling_frame, calling_place
from autoxla.runtime import current
from autoxla.situation.saved_files import identify


def _tell(code: str, message: str, remedy: str) -> None:
    """Say it, unless it was said of another line, or before the program started."""
    runtime = current()
    if all(finding.code != code or finding.level == "info" for finding in runtime.findings):
        runtime.add_finding(Finding(code, "warning", message, remedy, calling_place()))


def tell_set(thing: Any, name: str, value: object) -> None:
    """Say that ``value`` was assigned in vain, unless an object did it in a method of its own."""
    owner, remedy = SET_IN_VAIN[name]
    if all(base.__name__ != owner for base in type(thing).__mro__) or hasattr(type(thing), name):
        return
    frame = calling_frame()
    code = None if frame is None else frame.f_code
    is_first = frame is not None and any(frame.f_locals.get(n) is thing for n in frame.f_code.co_varnames[:1])
    members = [vars(base).get(code.co_name) for base in type(thing).__mro__] if code and is_first else []
    # A property, and what a decorator made of a method, has its function inside.
    is_own = any(each is not None and getattr(unwrap(each), "__code__", code) is code for each in members)
    if not is_own and not (isinstance(value, str) and value == thing.name):
        _tell(silent.SET, silent.set_message(name), remedy)


def tell_names() -> None:
    """Say that ``metrics_names`` are no names, unless the program knows what they are."""
    frame = calling_frame()
    lines = [] if frame is None else linecache.getlines(frame.f_code.co_filename)
    if not any("compile_metrics" in line for line in lines):
        _tell(silent.NAMES, silent.NAMES_MESSAGE, silent.NAMES_REMEDY)


def tell_loaded(loaded: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Say that weights of Keras 2 came to an activation that is another function now."""
    model = loaded if loaded is not None else kwargs.get("model", next(iter(args), None))
    rest = args[loaded is None :]
    if all(base.__module__ != SILENT[1] for base in type(model).__mro__):
        return
    names = ("activation", "recurrent_activation")
    changed = [
        layer.name
        for layer in model._flatten_layers()
        if any(getattr(getattr(layer, name, None), "__name__", "") == "hard_sigmoid" for name in names)
    ]
    release = find_release(os.fspath(kwargs.get("filepath", *rest[:1]))) if changed else ""
    if release.startswith(("1.", "2.")):
        message = (
            f"Keras {release} wrote this file, whose hard_sigmoid has another slope than that of Keras 3: "
            f"the results of {', '.join(changed)} differ"
        )
        _tell(silent.HARD_SIGMOID, message, silent.SIGMOID_REMEDY)


def find_release(path: str) -> str:
    """Return the release of Keras that wrote a file of a model or weights, empty where it does not tell."""
    saved, h5py = identify(Path(path)), sys.modules.get("h5py")
    if saved is not None:
        return saved.release or f"{saved.generation}."
    if h5py is None or not h5py.is_hdf5(path):
        return ""
    with h5py.File(path, "r") as file:
        release = file.attrs.get("keras_version", "")
    return release.decode() if isinstance(release, bytes) else str(release)
