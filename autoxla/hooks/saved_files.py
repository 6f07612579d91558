"""A load that failed: the file that it was of, found on the traceback, what wrote it, and how it is read."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autoxla.hooks.other_generation import find_way, last_line, list_frames, name_module
from autoxla.policies.saved_files import KERAS_2, advise
from autoxla.situation.distributions import find_versions
from autoxla.situation.env_parsing import parse_version
from autoxla.situation.saved_files import identify, identify_text

#: Functions of Keras that load, each with the argument that has the path, or the text itself.
_LOADERS = {"load_model": "filepath", "load_weights": "filepath", "model_from_json": "json_string"}
#: Modules that only Keras 2 has, and its pickles name.
_OF_KERAS_2 = re.compile(r"keras\.src\.(?:preprocessing|engine|saving\.pickle_utils)\b")


def explain(error: BaseException) -> tuple[str, Mapping[str, str] | None] | None:
    """Return what wrote the file whose load ended in ``error``, and how it is read; the setting that does it.

    None where ``error`` is not of a load, or no way is known to read the file.
    """
    for frame in list_frames(error):
        package = name_module(frame).partition(".")[0]
        argument = _LOADERS.get(frame.f_code.co_name) if package in ("keras", "tf_keras") else None
        given: Any = frame.f_locals.get(argument) if argument is not None else None
        if given is not None:
            break
    else:
        # A pickle that names a module of Keras 2, unless a line imports that itself.
        missing = _OF_KERAS_2.match(error.name or "") if isinstance(error, ModuleNotFoundError) else None
        line = last_line(error)
        if missing is None or "load" not in line or "import" in line:
            return None
        way = find_way(error, "keras", alias=True)
        if way is None:
            return None
        return f"what is unpickled was written by Keras 2: {way.text}.", way.setting
    is_text = argument == "json_string"
    saved = identify_text("json", [str(given).encode()]) if is_text else identify(Path(given))
    release = str(getattr(sys.modules.get(package), "__version__", ""))
    reader = parse_version(release)
    if saved is None or not reader:
        return None
    tf_keras = find_versions(sys.path).get("tf-keras", ())
    advice = advise(saved, reader=reader, tf_keras=tf_keras, error=str(error))
    if advice is None:
        return None
    setting = None
    if KERAS_2 in advice:
        way = find_way(error, "keras")
        if way is None:
            return None
        advice = advice.replace(KERAS_2, way.text)
        # Where the program has to be edited besides, the setting alone does not make it live.
        setting = way.setting if "safe_mode" not in advice else None
    name = "the configuration" if is_text else Path(given).name
    writer = saved.release or saved.generation
    return f"{name} was written by Keras {writer}, and this is {package} {release}: {advice}.", setting
