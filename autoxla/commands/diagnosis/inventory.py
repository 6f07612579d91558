"""What the checks of ``doctor`` are given, and what they say.

Of the installed distributions all those count that lie on disk, also damaged ones and several of one name:
`importlib.metadata` answers for a name with the first that can be read, and here the others are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from autoxla.model import Situation, Version
from autoxla.situation.distributions import VARIANTS, WATCHED_DISTRIBUTIONS
from autoxla.situation.env_parsing import parse_version
from autoxla.situation.files import UnreadableError, is_folder, list_names, read_bytes

#: ``error``: a program would not start, or soon dies; ``warning``: what it does may be wrong.
State = Literal["ok", "note", "warning", "error"]
#: The distributions whose releases are looked at.
NAMES = frozenset(
    (
        *WATCHED_DISTRIBUTIONS,
        *("absl-py", "h5py", "keras-cv", "keras-hub", "keras-tuner", "ml-dtypes"),
        *("tensorflow-decision-forests", "tensorflow-hub", "tensorflow-probability", "tf-models-official"),
    )
)
#: The packages of which it matters to which distribution they belong.
PACKAGES = ("tensorflow", "keras", "tf_keras")

#: Bytes that are read of a file of metadata; the list of TensorFlow's files has three million.
_LIMIT = 16 << 20
_SHORTEST = 2  # letters of a name that do not tell whose it is
_ENTRY = re.compile(r"(?P<name>[A-Za-z0-9][\w.]*?)-(?P<version>[^-]+)(?:-py[\w.]+)?\.(?:dist|egg)-info")
_HEADER = re.compile(r"^(Version|Requires-Dist):[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Line:
    """One result. `remedy` is empty where there is nothing to do."""

    state: State
    code: str
    message: str
    remedy: str = ""
    subject: str = ""


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

    def all(self, name: str) -> tuple[Installed, ...]:
        """Return all distributions of that name."""
        return tuple(each for each in self.distributions if each.name == name)

    def provider(self, name: str) -> Installed | None:
        """Return the first readable distribution that stands for ``name``: itself, or a variant of it."""
        names = (name, *VARIANTS.get(name, ()))
        return next((each for name in names for each in self.all(name) if each.text), None)

    @property
    def tensorflow(self) -> Installed | None:
        """The TensorFlow that programs import: the first on the path whose files are there."""
        names = ("tensorflow", *VARIANTS["tensorflow"])
        found = (each for each in self.distributions if each.name in names and each.text)
        return next((each for each in found if "tensorflow" not in each.missing), None)


@dataclass(frozen=True, slots=True)
class Scene:
    """What is examined.

    `path` stands for ``sys.path`` of the programs and `folder` for the one that Python puts first
    there, the script's or the current one. `environ` is the whole environment in which they start,
    with what the script sets early. `root` is ``/``, `prefix` the environment's own folder.
    """

    situation: Situation
    environ: Mapping[str, str]
    path: tuple[str, ...]
    folder: Path
    inventory: Inventory
    current: Path = field(default_factory=Path.cwd)
    root: Path = Path("/")
    prefix: Path = Path("/usr")


def take_inventory(path: Sequence[str]) -> Inventory:
    """Return what is installed in the folders of ``path``; bad content raises nothing."""
    found: list[Installed] = []
    remains: list[Path] = []
    for folder in dict.fromkeys(Path(entry).resolve() for entry in path if entry and is_folder(entry)):
        for name in list_names(folder):
            # pip renames what it takes away: the first letter becomes a tilde, or more of them.
            rest = name.lstrip("~")
            known = normalise(rest.partition("-")[0])
            if rest != name and len(known) > _SHORTEST and any(each.endswith(known) for each in NAMES):
                remains.append(folder / name)
            entry = _ENTRY.fullmatch(name)
            if entry is None or normalise(entry["name"]) not in NAMES:
                continue
            texts = []
            for files in (("METADATA", "PKG-INFO"), ("RECORD", "installed-files.txt")):
                content = b""
                for file in files:
                    with suppress(UnreadableError):
                        content = content or read_bytes(folder / name / file, _LIMIT) or b""
                texts.append(content.decode("utf-8", "replace"))
            headers = _HEADER.findall(texts[0].partition("\n\n")[0])
            listed = (re.search(rf"^(?:\.\./)?{p}/__init__\.py\b", texts[1], re.MULTILINE) for p in PACKAGES)
            owns = frozenset(package for package, line in zip(PACKAGES, listed, strict=True) if line)
            one = Installed(
                name=normalise(entry["name"]),
                text=next((value for header, value in headers if header == "Version"), ""),
                folder=folder / name,
                requires=tuple(value for header, value in headers if header == "Requires-Dist"),
                owns=owns,
                missing=frozenset(p for p in owns if not (folder / p / "__init__.py").exists()),
            )
            found.append(one)
    return Inventory(tuple(found), tuple(remains))


def normalise(name: str) -> str:
    """Return a distribution's name as PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()
