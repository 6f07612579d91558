"""What Keras' configuration file says. It is read where Keras reads it, and never written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from autoxla.model import KerasConfig
from autoxla.situation.files import UnreadableError, is_file, read_bytes


def read_keras_config(environ: Mapping[str, str]) -> KerasConfig | None:
    """Return what ``keras.json`` says, None where there is none; never raises.

    Keras takes a file that is no JSON for an empty one, and fails on one that is no object.
    """
    folder = environ.get("KERAS_HOME")
    if folder is None:
        home = environ.get("HOME") or _expand("~")
        # Keras falls back to this very folder, wherever temporary files belong otherwise.
        folder = str(Path(home if os.access(home, os.W_OK) else "/tmp", ".keras"))  # noqa: S108
    file = _expand(str(Path(folder, "keras.json")))
    try:
        content = read_bytes(file)
        if content is None:
            return KerasConfig(file, error="it cannot be opened") if is_file(file) else None
        settings = json.loads(content.decode("utf-8"))
    except UnreadableError as reason:
        return KerasConfig(file, error=str(reason))
    except (ValueError, RecursionError) as error:
        return KerasConfig(file, error=f"it is not JSON: {error}")
    if not isinstance(settings, dict):
        return KerasConfig(file, error="it holds no JSON object")
    backend = settings.get("backend")
    if "backend" in settings and not isinstance(backend, str):
        return KerasConfig(file, error="its backend is not a string")
    others = {name: value for name, value in settings.items() if name != "backend"}
    return KerasConfig(file, backend, others=others)


def _expand(name: str) -> str:
    try:
        return str(Path(name).expanduser())
    except RuntimeError:
        # Nobody's home: Keras, too, then takes the name as it is.
        return name
