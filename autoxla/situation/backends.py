"""Which Keras backends are installed, and which one a loaded Keras uses; nothing is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from autoxla.facts import Version

#: Keras' backends; each is the name of its package, too.
BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")


def find_backends(path: Sequence[str], versions: Mapping[str, Version]) -> frozenset[str]:
    """Return the backends whose package is on `path`.

    A distribution counts as well, since an editable installation is found by a finder of its own;
    numpy comes with Keras.
    """
    there = {name for name in BACKENDS if name in versions or locate(name, path)}
    return frozenset(there | ({"numpy"} if "keras" in versions else set()))


def locate(name: str, path: Sequence[str]) -> Path | None:
    """Return the file of a top-level package or module, None for a namespace package or none."""
    try:
        spec = PathFinder.find_spec(name, list(path))
    except (OSError, ValueError, ImportError):
        return None
    if spec is None or spec.loader is None or not spec.origin:
        return None
    return Path(spec.origin)


def read_backend(modules: Mapping[str, object]) -> str | None:
    """Return the backend that a loaded Keras 3 has settled on, None where none is loaded."""
    config = modules.get("keras.src.backend.config")
    backend = getattr(config, "__dict__", {}).get("_BACKEND")
    return backend if isinstance(backend, str) else None
