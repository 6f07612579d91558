"""Pluggable device libraries, found where TensorFlow loads them from."""

from __future__ import annotations

import re
import site
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from autoxla.model import Plugin, Version
from autoxla.situation.files import is_file, is_folder, list_names

_FOLDER = "tensorflow-plugins"
# A library, maybe with the number of its interface; as in TensorFlow, the last ".so." counts.
_LIBRARY = re.compile(r"\.so\Z|\.so\.[0-9](?!.*\.so\.)")
_VARIABLE = "TF_PLUGGABLE_DEVICE_LIBRARY_PATH"
_KINDS: tuple[tuple[str, Literal["itex", "metal", "other"], str], ...] = (
    ("libitex", "itex", "intel-extension-for-tensorflow"),
    ("libmetal", "metal", "tensorflow-metal"),
    ("", "other", ""),
)


def find_plugins(
    path: Sequence[str], environ: Mapping[str, str], versions: Mapping[str, Version]
) -> tuple[Plugin, ...]:
    """Return the libraries that ``import tensorflow`` will load, in the order of `path`.

    What counts is the library file: a distribution without one is no plug-in. Its release is that
    of the distribution to which such a file belongs, None where that is not installed.
    """
    folders = [Path(entry, _FOLDER) for entry in path if isinstance(entry, str) and "site-packages" in entry]
    files = [folder / name for folder in folders for name in list_names(folder)]
    named = environ.get(_VARIABLE)
    if named:
        # Unlike the folders above it is taken as it is, whatever a single file is called.
        files += [Path(named, name) for name in list_names(named)] if is_folder(named) else [Path(named)]
    distinct = {}
    for file in files:
        is_named = str(file) == named
        ending = file.name.endswith(".dylib") if sys.platform == "darwin" else _LIBRARY.search(file.name)
        # The first of several names of one file counts.
        if (is_named or ending) and is_file(file) and file.resolve() not in distinct:
            _, kind, distribution = next(each for each in _KINDS if file.name.startswith(each[0]))
            distinct[file.resolve()] = Plugin(kind, str(file), versions.get(distribution))
    return tuple(distinct.values())


def site_folders() -> list[str]:
    """Return the folders outside ``sys.path`` in which TensorFlow looks for plug-ins, too.

    The user's folder is among them even where it is not enabled, as it is in a virtual environment.
    """
    return [*site.getsitepackages(), *([site.USER_SITE] if site.USER_SITE else [])]
