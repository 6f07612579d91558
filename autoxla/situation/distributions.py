"""Installed distributions with their releases: the watched names only, never all that are there.

The standard library finds them, unless the program has loaded ``importlib_metadata`` already. Importing that
package puts a finder of its own on ``sys.meta_path`` and takes the standard library's away, after which
``importlib.metadata`` hands out objects of another class: a program that does not use it must not be changed
like that. So it is an extra, ``metadata``, and no dependency.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from autoxla.model import BACKENDS, Version
from autoxla.situation.env_parsing import parse_version
from autoxla.situation.files import UnreadableError, read_bytes

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

#: Bytes. What is longer is no metadata; lists of the files of large packages have some millions.
_LARGEST = 1 << 24
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
    spelt, found = {normalise(name): name for name in names}, dict[str, Version]()
    for name, distribution in find_metadata(spelt.keys(), path):
        line = _VERSION_LINE.search(read_headers(distribution))
        version = parse_version(line[1]) if line else ()
        if version:
            found.setdefault(name, version)
    return {name: found[key] for key, name in spelt.items() if key in found}


def find_requiring(names: Iterable[str], required: str, path: Sequence[str]) -> frozenset[str]:
    """Return those of `names` whose distribution of the same name requires `required`, extras apart."""
    spelt = {normalise(name): name for name in names}
    pattern = normalise(required).replace("-", "[-_.]+")
    wanted = re.compile(rf"^Requires-Dist:[ \t]*{pattern}(?![\w.-])(?!.*\bextra\b)", _ANY_CASE)
    found = find_metadata(spelt.keys(), path)
    return frozenset(spelt[name] for name, each in found if wanted.search(read_headers(each)))


def find_metadata(names: Collection[str], path: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield the distributions of `names`, as `normalise` spells them, as the metadata's reader knows them.

    Those of one name come in the order of `path`, which is like ``sys.path``.
    """
    reader: Any = getattr(sys.modules.get("importlib_metadata"), "Distribution", None)
    if reader is None:
        from importlib.metadata import Distribution as reader  # noqa: N813
    folders = [entry for entry in path if isinstance(entry, str)]
    for name in names:
        with suppress(OSError, ValueError):
            yield from ((name, distribution) for distribution in reader.discover(name=name, path=folders))


def read_headers(distribution: Any) -> str:
    """Return the headers of a distribution's metadata, empty where there are none that can be read."""
    # The last is for metadata in a single file, as distutils wrote it.
    return read_metadata(distribution, "METADATA", "PKG-INFO", "").partition("\n\n")[0]


def read_metadata(distribution: Any, *files: str) -> str:
    """Return the first of the `files` of a distribution's metadata that can be read, empty for none."""
    # In a zip, whose paths are of another class, there is nothing that a reader would wait for.
    folder = getattr(distribution, "_path", None)
    for file in files:
        if isinstance(folder, Path):
            with suppress(UnreadableError):
                if content := read_bytes(folder / file, _LARGEST):
                    return content.decode("utf-8", "replace")
        else:
            with suppress(OSError, ValueError):
                if text := distribution.read_text(file):
                    return str(text)
    return ""


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
