"""What is installed: the releases, whether each package is whole, and whether the releases fit each other.

Of the installed distributions all those count that lie on disk, also damaged ones and several of one name.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autoxla.model import Situation, Version
from autoxla.policies.draft import KERAS_3, SWITCH, Draft
from autoxla.policies.usage import is_below
from autoxla.situation.distributions import (
    VARIANTS,
    WATCHED_DISTRIBUTIONS,
    find_metadata,
    normalise,
    read_headers,
    read_metadata,
)
from autoxla.situation.env_parsing import parse_version
from autoxla.situation.files import is_file, is_folder, list_names

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

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

#: A line of a list of files.
_OWNED = re.compile(rf"^(?:\.\./)?(?P<package>{'|'.join(PACKAGES)})/__init__\.py\b", re.MULTILINE)
_HEADER = re.compile(r"^(Version|Requires-Dist):[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)

_SHOWN = ("tensorflow", "keras", "tf-keras", "wrapt", "numpy", "protobuf", "ml-dtypes", "h5py")
#: What TensorFlow imports first: without these nothing starts.
_CORE = frozenset({"numpy", "protobuf", "wrapt", "ml-dtypes", "absl-py"})
#: Distributions that fit the TensorFlow with their own major and minor number only.
_BOUND = ("tf-keras", "tensorflow-text")
_NUMPY_2 = (2,)


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
    """

    name: str
    text: str
    folder: Path
    requires: tuple[str, ...] = ()
    owns: tuple[str, ...] = ()

    @property
    def version(self) -> Version:
        """The release as numbers."""
        return parse_version(self.text)

    @property
    def missing(self) -> list[str]:
        """Those of `owns` whose first file is not there."""
        return [each for each in self.owns if not (self.folder.parent / each / "__init__.py").exists()]

    def __str__(self) -> str:
        return f"{self.name} {self.text or '(unreadable)'}"


@dataclass(frozen=True, slots=True)
class Scene:
    """What is examined.

    `path` stands for ``sys.path`` of the programs and `folder` for the one that Python puts first
    there, the script's or the current one. `environ` is the whole environment in which they start,
    with what the script sets early. `inventory` are the distributions of interest in the order of `path`.
    """

    situation: Situation
    environ: Mapping[str, str]
    path: tuple[str, ...]
    folder: Path
    inventory: tuple[Installed, ...]

    def all(self, name: str) -> list[Installed]:
        """Return all distributions of that name."""
        return [each for each in self.inventory if each.name == name]

    def provider(self, name: str) -> Installed | None:
        """Return the first readable distribution that stands for ``name``: itself, or a variant of it."""
        names = (name, *VARIANTS.get(name, ()))
        return next((each for name in names for each in self.all(name) if each.text), None)

    @property
    def tensorflow(self) -> Installed | None:
        """The TensorFlow that programs import: the first on the path whose files are there."""
        names = ("tensorflow", *VARIANTS["tensorflow"])
        found = (each for each in self.inventory if each.name in names and each.text)
        return next((each for each in found if "tensorflow" not in each.missing), None)


def take_inventory(path: Sequence[str]) -> tuple[Installed, ...]:
    """Return what is installed in the folders of ``path``; bad content raises nothing."""
    found: list[Installed] = []
    folders = list(dict.fromkeys(str(Path(entry).resolve()) for entry in path if entry and is_folder(entry)))
    for name, distribution in find_metadata(NAMES, folders):
        headers = _HEADER.findall(read_headers(distribution))
        files = read_metadata(distribution, "RECORD", "installed-files.txt")
        listed = {line["package"] for line in _OWNED.finditer(files)}
        one = Installed(
            name=name,
            text=next((value for header, value in headers if header == "Version"), ""),
            folder=Path(distribution._path),
            requires=tuple(value for header, value in headers if header == "Requires-Dist"),
            owns=tuple(package for package in PACKAGES if package in listed),
        )
        found.append(one)
    return tuple(sorted(found, key=lambda one: (folders.index(str(one.folder.parent)), one.folder)))


def check_versions(scene: Scene) -> Iterator[Line]:
    """Say each release, and which Keras ``tf.keras`` will be and why."""
    draft = Draft(scene.situation)
    yield Line("ok", "AX801", f"python {platform.python_version()}")
    for name in _SHOWN:
        found = scene.provider(name)
        if found is not None:
            source = f", from {found.name}" if found.name != name else ""
            yield Line("ok", "AX801", f"{name} {found.text}{source}")
    if scene.provider("tensorflow") is None:
        remedy = "pip install tensorflow, if programs here are to use it"
        yield Line("note", "AX802", "tensorflow is not installed", remedy)
        return
    if not draft.switchable:
        yield Line("ok", "AX803", "tf.keras is Keras 2: this TensorFlow has no other")
        return
    keras, found = (2, scene.provider("tf-keras")) if draft.legacy else (3, scene.provider("keras"))
    value = draft.environment.get(SWITCH)
    because = f"{SWITCH}={value}" if draft.legacy else f"TensorFlow takes {SWITCH}={value!r} for off"
    because = f"{SWITCH} is not set" if value is None else because
    release = f" ({found.text})" if found else ", which is not installed"
    yield Line("ok", "AX803", f"tf.keras is Keras {keras}{release}: {because}")


def check_installation(scene: Scene) -> Iterator[Line]:
    """Say what is installed twice, in part, or without an owner."""
    lines: list[Line] = []
    # Packages that two distributions in one folder lay claim to.
    owners: dict[tuple[str, Path], list[Installed]] = {}
    for each in scene.inventory:
        for package in each.owns:
            owners.setdefault((package, each.folder.parent), []).append(each)
    for (package, _), here in owners.items():
        if len({each.name for each in here}) < 2:
            continue
        text = f"{' and '.join(map(str, here))} own the same files of {package}"
        remedy = f"pip uninstall {' '.join(each.name for each in here)}, then install the one that is meant"
        if len({each.text for each in here}) == 1:
            text += ", in one release; to uninstall one breaks the other"
            lines.append(Line("note", "AX811", text, f"keep both, or {remedy}"))
        else:
            text += ": what was installed last overwrote a part of the other"
            lines.append(Line("error", "AX812", text, remedy))
    # Distributions that are there several times.
    for name in dict.fromkeys(each.name for each in scene.inventory):
        same = scene.all(name)
        if len(same) < 2:
            continue
        places = ", ".join(f"{each.text or 'unreadable'} in {each.folder.parent}" for each in same)
        text = f"{name} is installed {len(same)} times: {places}"
        # An environment on top of the system's has them in folders of their own.
        is_meant = len({each.folder.parent for each in same}) == len(same)
        remedy = f"pip uninstall {name} until it finds none, then install it again"
        remedy = f"nothing if the first is meant; else {remedy}" if is_meant else remedy
        lines.append(Line("note" if is_meant else "warning", "AX813", text, remedy))
    # Metadata without files.
    for each in scene.inventory:
        if not each.text:
            remedy = f"remove {each.folder} and pip install --force-reinstall {each.name}"
            lines.append(Line("warning", "AX814", f"the metadata in {each.folder} cannot be read", remedy))
        for package in each.missing:
            text = f"{each} lists {package}/__init__.py among its files, and the file is missing"
            remedy = f"pip install --force-reinstall --no-deps {each.name}=={each.text}"
            lines.append(Line("error", "AX815", text, remedy))
    # Packages that were taken away in part. The program's own folder is looked at elsewhere.
    for package in PACKAGES:
        if scene.provider(package.replace("_", "-")) is not None:
            continue
        for folder in (Path(entry, package) for entry in scene.path if "site-packages" in entry):
            if list_names(folder) and not is_file(folder / "__init__.py"):
                text = f"{folder} is a leftover without __init__.py: import {package} gives an empty package"
                remedy = f"remove {folder}, and pip install {package}"
                lines.append(Line("error", "AX818", text, remedy))
    yield from lines or [Line("ok", "AX810", "each package belongs to one distribution")]


def check_requirements(scene: Scene) -> Iterator[Line]:
    """Say which requirements among the distributions of interest are not met, by their own metadata."""
    try:
        from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        text = "what the distributions require of each other was not compared: packaging is not installed"
        yield Line("note", "AX883", text, "pip install 'autoxla-runtime[cli]'")
        return
    lines: list[Line] = []
    tensorflow, draft = scene.tensorflow, Draft(scene.situation)
    for each in scene.inventory:
        # The TensorFlow that programs get, or a part of it in the same folder.
        is_imported = (
            tensorflow is not None
            and each.name in ("tensorflow", *VARIANTS["tensorflow"])
            and each.folder.parent == tensorflow.folder.parent
        )
        for text in each.requires:
            try:
                requirement = Requirement(text)
                applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
                continue
            name = normalise(requirement.name)
            # What is bound to a TensorFlow is compared below: it is never TensorFlow that has to change.
            is_bound = name == "tensorflow" and each.name in (*_BOUND, *VARIANTS["tf-keras"])
            found = scene.provider(name)
            fits = found is not None and requirement.specifier.contains(found.text, prereleases=True)
            if name not in NAMES or not applies or is_bound or fits:
                continue
            is_fatal = is_imported and _breaks_tensorflow(name, found, requirement.specifier, draft)
            wanted = f"{found.name if found else name}{requirement.specifier}"
            told = f"and {found.text} is installed" if found else "which is not installed"
            line = Line(
                "error" if is_fatal else "warning",
                "AX882" if found else "AX881",
                f"{each} requires {wanted}, {told}",
                f"pip install '{wanted}'",
            )
            lines.append(line)
    for name in _BOUND:
        found = scene.provider(name)
        if tensorflow is None or found is None or found.version[:2] == tensorflow.version[:2]:
            continue
        remedy = f"pip install '{name}=={'.'.join(map(str, tensorflow.version[:2]))}.*'"
        if name == "tensorflow-text":
            told = f"was compiled for another release than TensorFlow {tensorflow.text}: its import fails"
            lines.append(Line("warning", "AX884", f"{found} {told}", remedy))
        else:
            is_switched = draft.switchable and draft.legacy
            told = f"is not the one for TensorFlow {tensorflow.text}: tf_keras fails in its import or later"
            lines.append(Line("error" if is_switched else "warning", "AX885", f"{found} {told}", remedy))
    fine = Line("ok", "AX880", "the installed releases fit what TensorFlow and Keras ask for")
    yield from dict.fromkeys(lines) or [fine]


def _breaks_tensorflow(name: str, found: Installed | None, asked: SpecifierSet, draft: Draft) -> bool:
    """Return whether TensorFlow is known to fail with ``found``, which is not what it asks for."""
    from packaging.version import Version

    if name == "keras":
        # import tensorflow alone loads no Keras, and tf_keras needs none.
        sure = (e for e in draft.situation.reading.evidence if e.kind == "import" and e.grade != "possible")
        is_used = draft.keras == KERAS_3[0] or any(is_below(e.name, "keras") for e in sure)
        is_3 = found is not None and found.version >= KERAS_3
        return is_used and draft.switchable and not draft.legacy and not is_3
    if found is None:
        return name in _CORE
    lower = [Version(each.version) for each in asked if each.operator in (">=", "~=")]
    least = max(lower).release if lower else ()
    if name == "numpy":
        # Where TensorFlow admits NumPy 2.0, a bound such as `<2.2` is only cautious.
        return found.version >= _NUMPY_2 > least and not asked.contains("2.0.0")
    # Older than TensorFlow asks for, both lack names that it uses when it is imported.
    return name in ("protobuf", "ml-dtypes") and found.version[:2] < least[:2]
