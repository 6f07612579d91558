"""Installed distributions with their releases: the watched names only, never all that are there.

The standard library's reader is used, unless the program has loaded ``importlib_metadata`` already.
Importing that package puts a finder of its own on ``sys.meta_path`` and takes the standard library's
away, after which ``importlib.metadata`` hands out objects of another class: a program that does not
use it must not be changed like that. So it is an extra, ``metadata``, and no dependency.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, Protocol

from autoxla.model import Version
from autoxla.situation.env_parsing import parse_version
from autoxla.situation.files import is_file

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

#: Bytes. What is longer is no metadata; lists of the files of large packages have some millions.
_LARGEST = 1 << 24
_ANY_CASE = re.MULTILINE | re.IGNORECASE
_VERSION_LINE = re.compile(r"^Version:[ \t]*(\S+)", re.MULTILINE)


class MetadataReader(Protocol):
    """What gives files of a distribution's metadata."""

    def read_text(self, filename: str, /) -> str | None:
        """Return the text of a file, None where it is not there."""


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
    versions = {}
    for name in names:
        # Parsing all of the metadata, as `Distribution.version` does, takes ten times as long.
        found = map(_VERSION_LINE.search, _read_headers(name, path))
        releases = (parse_version(line[1]) for line in found if line)
        version = next(filter(None, releases), None)
        if version is not None:
            versions[name] = version
    return versions


def find_requiring(names: Iterable[str], required: str, path: Sequence[str]) -> frozenset[str]:
    """Return those of `names` whose distribution of the same name requires `required`, extras apart."""
    spelt = normalise(required).replace("-", "[-_.]+")
    wanted = re.compile(rf"^Requires-Dist:[ \t]*{spelt}(?![\w.-])(?!.*\bextra\b)", _ANY_CASE)
    return frozenset(name for name in names if any(map(wanted.search, _read_headers(name, path))))


def read_text(distribution: MetadataReader, name: str) -> str:
    """Return a file of a distribution's metadata, empty where there is none that could be one.

    Raises OSError and ValueError as the distribution does.
    """
    # The reader would wait for a pipe. In a zip, whose paths are of another class, there is none.
    folder = getattr(distribution, "_path", None)
    if isinstance(folder, Path) and not is_file(folder / name, _LARGEST):
        return ""
    return distribution.read_text(name) or ""


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


def _load_finder() -> Any:
    loaded = getattr(sys.modules.get("importlib_metadata"), "Distribution", None)
    if loaded is not None:
        return loaded
    from importlib.metadata import Distribution

    return Distribution


def _read_headers(name: str, path: Sequence[str]) -> Iterator[str]:
    """Yield the headers of the metadata of each distribution of that name, those that can be read."""
    folders = [entry for entry in path if isinstance(entry, str)]
    with suppress(OSError, ValueError):
        for distribution in _load_finder().discover(name=name, path=folders):
            with suppress(OSError, ValueError):
                text = read_text(distribution, "METADATA") or read_text(distribution, "PKG-INFO")
                yield text.partition("\n\n")[0]
