"""A load that failed: the file that it was for, found on the traceback, and how that file is read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from autoxla.policies.saved_files import advise
from autoxla.situation.env_parsing import parse_version
from autoxla.situation.saved_files import identify, identify_text

#: Functions of Keras that load, and what they are given: a path or, the last one, a text.
_LOADERS = {"load_model": "filepath", "load_weights": "filepath", "model_from_json": "json_string"}
#: Frames of a traceback that are looked at.
_DEEPEST = 200


def explain(error: BaseException) -> tuple[str, Mapping[str, str] | None] | None:
    """Return what wrote the file on which a load ended in ``error``, how it is read, and under which setting."""
    for frame in _frames(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        argument = _LOADERS.get(frame.f_code.co_name, "")
        given: Any = frame.f_locals.get(argument) if package in ("keras", "tf_keras") else None
        if given is None:
            continue
        is_text = argument == "json_string"
        saved = identify_text("json", [str(given).encode()]) if is_text else identify(Path(given))
        reader = parse_version(str(getattr(sys.modules.get(package), "__version__", "")))
        if saved is None or reader is None:
            return None
        advice = advise(saved, reader=reader, error=str(error))
        if advice is None:
            return None
        name = "The configuration" if is_text else Path(given).name
        writer = saved.release or saved.generation
        return f"{name} was written by Keras {writer}, and this is {package} {'.'.join(map(str, reader))}: {advice.text}.", advice.setting
    return None


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    for _ in range(_DEEPEST):
        if trace is None:
            return
        yield trace.tb_frame
        trace = trace.tb_next
