"""The installed distributions of interest, by what lies on disk: also those that are damaged.

`importlib.metadata` answers for a name with the first distribution that can be read. Here all of them
count, since two of one name, or one without its metadata, is what is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoxla.facts import Version
from autoxla.situation.distributions import VARIANTS, WATCHED_DISTRIBUTIONS
from autoxla.situation.env_parsing import parse_version
from autoxla.situation.files import UnreadableError, is_folder, list_names, read_bytes

#: Distributions beside the watched ones whose releases are looked at.
_FURTHER = (
    "absl-py",
    "h5py",
    "keras-cv",
    "keras-hub",
    "keras-tuner",
    "ml-dtypes",
    "tensorflow-decision-forests",
    "tensorflow-hub",
    "tensorflow-probability",
    "tf-models-official",
)
NAMES = frozenset((*WATCHED_DISTRIBUTIONS, *_FURTHER))
#: The packages of which it matters to whom they belong, each with a file that proves it is there.
PACKAGES = ("tensorflow", "keras", "tf_keras")

#: Bytes that are read of a file of metadata; the list of TensorFlow's files has three million.
_LIMIT = 16 << 20
_SHORTEST = 2  # letters of a name that say nothing of whose they are
_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9][\w.]*?)-(?P<version>[^-]+)(?:-py[\w.]+)?\.(?:dist|egg)-info")
_HEADER = re.compile(r"^(Version|Requires-Dist):[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Installed:
    """One distribution. `owns` are those of `PACKAGES` that it lists as its own.

    `folder` is its metadata's; `text` its release as it is spelt, empty where no metadata can be read.
    `missing` are those of `owns` whose first file is not there.
    """

    name: str
    text: str
    folder: Path
    requires: tuple[str, ...] = ()
    owns: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()

    @property
    def version(self) -> Version:
        """The release as numbers."""
        return parse_version(self.text)

    def __str__(self) -> str:
        return f"{self.name} {self.text or '(unreadable)'}"


@dataclass(frozen=True, slots=True)
class Inventory:
    """All distributions of interest, in the order of ``sys.path``. `remains` are pip's ``~`` folders."""

    distributions: tuple[Installed, ...] = ()
    remains: tuple[Path, ...] = ()

    def find(self, *names: str) -> Installed | None:
        """Return the first readable distribution of one of ``names``."""
        return next((each for name in names for each in self.all(name) if each.text), None)

    def all(self, name: str) -> tuple[Installed, ...]:
        """Return all distributions of that name."""
        return tuple(each for each in self.distributions if each.name == name)

    def provider(self, name: str) -> Installed | None:
        """Return the distribution that stands for ``name``: itself, or a variant of it."""
        return self.find(name, *VARIANTS.get(name, ()))

    def owners(self, package: str) -> tuple[Installed, ...]:
        """Return the distributions that list ``package`` as their own."""
        return tuple(each for each in self.distributions if package in each.owns)


def take_inventory(path: Sequence[str]) -> Inventory:
    """Return what is installed in the folders of ``path``; bad content raises nothing."""
    folders = list(dict.fromkeys(Path(entry).resolve() for entry in path if entry and is_folder(entry)))
    names = {folder: list_names(folder) for folder in folders}
    found = [each for folder in folders for each in _read_folder(folder, names[folder])]
    remains = [folder / name for folder in folders for name in names[folder] if _is_remains(name)]
    return Inventory(tuple(found), tuple(remains))


def normalise(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_remains(name: str) -> bool:
    # pip renames what it takes away: the first letter becomes a tilde, or more of them.
    rest = name.lstrip("~")
    known = normalise(rest.partition("-")[0])
    return rest != name and len(known) > _SHORTEST and any(each.endswith(known) for each in NAMES)


def _read_folder(folder: Path, names: Sequence[str]) -> Iterator[Installed]:
    for name in names:
        entry = _ENTRY.fullmatch(name)
        if entry is not None and normalise(entry["name"]) in NAMES:
            yield _read(normalise(entry["name"]), folder / name)


def _read(name: str, folder: Path) -> Installed:
    text = _text(folder / "METADATA") or _text(folder / "PKG-INFO")
    headers = _HEADER.findall(text.partition("\n\n")[0])
    version = next((value for header, value in headers if header == "Version"), "")
    requires = tuple(value for header, value in headers if header == "Requires-Dist")
    owns = _find_owned(folder)
    missing = frozenset(package for package in owns if not (folder.parent / package / "__init__.py").exists())
    return Installed(name, version, folder, requires, owns, missing)


def _find_owned(folder: Path) -> frozenset[str]:
    listed = _text(folder / "RECORD") or _text(folder / "installed-files.txt")
    return frozenset(
        p for p in PACKAGES if re.search(rf"^(?:\.\./)?{p}/__init__\.py\b", listed, re.MULTILINE)
    )


def _text(file: Path) -> str:
    try:
        return (read_bytes(file, _LIMIT) or b"").decode("utf-8", "replace")
    except UnreadableError:
        return ""
