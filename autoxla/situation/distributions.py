"""Installed distributions with their releases: the watched names only, never all that are there.

The folders of metadata are read here, not by `importlib.metadata`, which takes ten times as long and which
a program may have exchanged for ``importlib_metadata``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path

from autoxla.model import Version
from autoxla.situation.env_parsing import parse_version
from autoxla.situation.files import UnreadableError, list_names, read_bytes

#: Rules ask for the first name; the others are the same software under another name.
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "tensorflow": (
        *("tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel", "tensorflow-macos", "tensorflow-rocm"),
        *("intel-tensorflow", "tf-nightly", "tf-nightly-cpu"),
    ),
    "keras": ("keras-nightly",),
    "tf-keras": ("tf-keras-nightly",),
    "intel-extension-for-tensorflow": (
        "intel-extension-for-tensorflow-weekly",
        "intel-extension-for-tensorflow-lib",
    ),
}

#: All names that are looked up, as their projects spell them in lower case.
WATCHED_DISTRIBUTIONS = (
    *(name for main, variants in VARIANTS.items() for name in (main, *variants)),
    *("jax", "keras-core", "numpy", "openvino", "protobuf", "setuptools", "tensorflow-estimator"),
    *("tensorflow-metal", "tensorflow-text", "torch", "wrapt"),
)

#: Keras' backends; each is the name of its package, too.
BACKENDS = ("tensorflow", "jax", "torch", "numpy", "openvino")

_ANY_CASE = re.MULTILINE | re.IGNORECASE
_VERSION_LINE = re.compile(r"^Version:[ \t]*(\S+)", re.MULTILINE)


def find_versions(path: Sequence[str]) -> dict[str, Version]:
    """Return the releases of the watched distributions on `path`, as ``sys.path`` is.

    Where only a variant is installed (``tensorflow-cpu``), its main name has an entry, too. A
    distribution whose metadata cannot be read is left out.
    """
    versions = look_up(WATCHED_DISTRIBUTIONS, path)
    for main, variants in VARIANTS.items():
        there = [versions[name] for name in (main, *variants) if name in versions]
        versions.update({main: there[0]} if there else {})
    return versions


def look_up(names: Iterable[str], path: Sequence[str]) -> dict[str, Version]:
    """Return the releases of those of `names` that are installed on `path`, as ``sys.path`` is.

    Of several distributions of one name the first one that can be read counts.
    """
    versions: dict[str, Version] = {}
    for name, headers in _read_headers(names, path):
        line = _VERSION_LINE.search(headers)
        version = parse_version(line[1]) if line else ()
        if version:
            versions.setdefault(name, version)
    return versions


def find_requiring(names: Iterable[str], required: str, path: Sequence[str]) -> frozenset[str]:
    """Return those of `names` whose distribution of the same name requires `required`, extras apart."""
    spelt = normalise(required).replace("-", "[-_.]+")
    wanted = re.compile(rf"^Requires-Dist:[ \t]*{spelt}(?![\w.-])(?!.*\bextra\b)", _ANY_CASE)
    return frozenset(name for name, headers in _read_headers(names, path) if wanted.search(headers))


def find_backends(path: Sequence[str], versions: Mapping[str, Version]) -> frozenset[str]:
    """Return the backends whose package is on `path`.

    A distribution counts as well, since an editable installation is found by a finder of its own;
    numpy comes with Keras.
    """
    there = {name for name in BACKENDS if name in versions or locate(name, path)}
    return frozenset(there | ({"numpy"} if "keras" in versions else set()))


def locate(name: str, path: Sequence[str]) -> Path | None:
    """Return the file of a top-level package or module, None for a namespace package or none."""
    with suppress(OSError, ValueError, ImportError):
        spec = PathFinder.find_spec(name, list(path))
        if spec is not None and spec.loader is not None and spec.origin:
            return Path(spec.origin)
    return None


def normalise(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _read_headers(names: Iterable[str], path: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield names that are installed on `path`, each with the headers of its metadata that can be read."""
    wanted = {normalise(name): name for name in names}
    for folder in (entry for entry in path if isinstance(entry, str)):
        for entry in list_names(folder, "*.*-info"):
            name = wanted.get(normalise(entry.rpartition(".")[0].partition("-")[0]))
            if name is None:
                continue
            for file in ("METADATA", "PKG-INFO"):
                with suppress(UnreadableError, UnicodeDecodeError):
                    content = read_bytes(Path(folder, entry, file)) or b""
                    yield name, content.decode().partition("\n\n")[0]
