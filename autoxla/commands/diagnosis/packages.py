"""What is installed: the releases, whether each package is whole, and whether the releases fit each other.

Of the installed distributions all those count that lie on disk, also damaged ones and several of one name.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from autoxla.model import Situation, Version
from autoxla.policies.draft import KERAS_3, SWITCHABLE
from autoxla.policies.usage import is_below
from autoxla.situation.distributions import (
    VARIANTS,
    WATCHED_DISTRIBUTIONS,
    find_metadata,
    normalise,
    read_headers,
    read_metadata,
)
from autoxla.situation.env_parsing import parse_version, tensorflow_bool
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

_HEADER = re.compile(r"^(Version|Requires-Dist):[ \t]*(\S.*?)[ \t\r]*$", re.MULTILINE)

_SHOWN = ("tensorflow", "keras", "tf-keras", "wrapt", "numpy", "protobuf", "ml-dtypes", "h5py")
_SWITCH = "TF_USE_LEGACY_KERAS"
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
    """All distributions of interest, in the order of ``sys.path``."""

    distributions: tuple[Installed, ...] = ()

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
    folders = dict.fromkeys(str(Path(entry).resolve()) for entry in path if entry and is_folder(entry))
    for name, metadata in find_metadata(NAMES, tuple(folders)):
        folder, files = metadata.parent, read_metadata(metadata, "RECORD", "installed-files.txt")
        headers = _HEADER.findall(read_headers(metadata))
        listed = (re.search(rf"^(?:\.\./)?{p}/__init__\.py\b", files, re.MULTILINE) for p in PACKAGES)
        owns = frozenset(package for package, line in zip(PACKAGES, listed, strict=True) if line)
        one = Installed(
            name=name,
            text=next((value for header, value in headers if header == "Version"), ""),
            folder=metadata,
            requires=tuple(value for header, value in headers if header == "Requires-Dist"),
            owns=owns,
            missing=frozenset(p for p in owns if not (folder / p / "__init__.py").exists()),
        )
        found.append(one)
    return Inventory(tuple(found))


def check_versions(scene: Scene) -> Iterator[Line]:
    """Say each release, and what ``tf.keras`` is."""
    yield Line("ok", "AX801", f"python {platform.python_version()}")
    for name in _SHOWN:
        found = scene.inventory.provider(name)
        if found is not None:
            source = f", from {found.name}" if found.name != name else ""
            yield Line("ok", "AX801", f"{name} {found.text}{source}")
    if scene.inventory.provider("tensorflow") is None:
        remedy = "pip install tensorflow, if programs here are to use it"
        yield Line("note", "AX802", "tensorflow is not installed", remedy)
    else:
        yield Line("ok", "AX803", describe_generation(scene))


def describe_generation(scene: Scene) -> str:
    """Return which Keras ``tf.keras`` will be and why. There is a TensorFlow."""
    tensorflow, legacy, keras = map(scene.inventory.provider, ("tensorflow", "tf-keras", "keras"))
    release = tensorflow.version if tensorflow else ()
    # 2.15 takes the keras that is installed, whatever its generation.
    may_be_3 = release >= (2, 15) and keras is not None and keras.version >= KERAS_3
    if release < SWITCHABLE and not may_be_3:
        return "tf.keras is Keras 2: this TensorFlow has no other"
    value = scene.environ.get(_SWITCH)
    if tensorflow_bool(value):
        found, generation, because = legacy, "Keras 2", f"{_SWITCH}={value}"
    else:
        found, generation = keras, "Keras 3"
        because = f"TensorFlow takes {_SWITCH}={value!r} for off"
        because = f"{_SWITCH} is not set" if value is None else because
    return f"tf.keras is {generation}{f' ({found.text})' if found else ', which is not installed'}: {because}"


def check_installation(scene: Scene) -> Iterator[Line]:
    """Say what is installed twice, in part, or without an owner."""
    lines: list[Line] = []
    # Packages that two distributions in one folder lay claim to.
    for package in PACKAGES:
        owners = [each for each in scene.inventory.distributions if package in each.owns]
        for folder in dict.fromkeys(each.folder.parent for each in owners):
            here = [each for each in owners if each.folder.parent == folder]
            if len({each.name for each in here}) < 2:
                continue
            text, named = " and ".join(map(str, here)), " ".join(each.name for each in here)
            text += f" own the same files of {package}"
            remedy = f"pip uninstall {named}, then install the one that is meant"
            if len({each.text for each in here}) == 1:
                text += ", in one release; to uninstall one breaks the other"
                lines.append(Line("note", "AX811", text, f"keep both, or {remedy}"))
            else:
                text += ": what was installed last overwrote a part of the other"
                lines.append(Line("error", "AX812", text, remedy))
    # Distributions that are there several times.
    for name in dict.fromkeys(each.name for each in scene.inventory.distributions):
        same = scene.inventory.all(name)
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
    for each in scene.inventory.distributions:
        if not each.text:
            remedy = f"remove {each.folder} and pip install --force-reinstall {each.name}"
            lines.append(Line("warning", "AX814", f"the metadata in {each.folder} cannot be read", remedy))
        for package in sorted(each.missing):
            text = f"{each} lists {package}/__init__.py among its files, and the file is missing"
            remedy = f"pip install --force-reinstall --no-deps {each.name}=={each.text}"
            lines.append(Line("error", "AX815", text, remedy))
    # Packages that were taken away in part. The program's own folder is looked at elsewhere.
    for package in PACKAGES:
        if scene.inventory.provider(package.replace("_", "-")) is not None:
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
    tensorflow = scene.inventory.tensorflow
    for each in scene.inventory.distributions:
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
            found = scene.inventory.provider(name)
            fits = found is not None and requirement.specifier.contains(found.text, prereleases=True)
            if name not in NAMES or not applies or is_bound or fits:
                continue
            is_fatal = is_imported and _breaks_tensorflow(name, found, requirement.specifier, scene)
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
        found = scene.inventory.provider(name)
        if tensorflow is None or found is None or found.version[:2] == tensorflow.version[:2]:
            continue
        remedy = f"pip install '{name}=={'.'.join(map(str, tensorflow.version[:2]))}.*'"
        if name == "tensorflow-text":
            told = f"was compiled for another release than TensorFlow {tensorflow.text}: its import fails"
            lines.append(Line("warning", "AX884", f"{found} {told}", remedy))
        else:
            is_switched = tensorflow.version >= SWITCHABLE and tensorflow_bool(scene.environ.get(_SWITCH))
            told = f"is not the one for TensorFlow {tensorflow.text}: tf_keras fails in its import or later"
            lines.append(Line("error" if is_switched else "warning", "AX885", f"{found} {told}", remedy))
    fine = Line("ok", "AX880", "the installed releases fit what TensorFlow and Keras ask for")
    yield from dict.fromkeys(lines) or [fine]


def _breaks_tensorflow(name: str, found: Installed | None, asked: SpecifierSet, scene: Scene) -> bool:
    """Return whether TensorFlow is known to fail with ``found``, which is not what it asks for."""
    from packaging.version import Version

    if name == "keras":
        tensorflow, usage = scene.inventory.tensorflow, scene.situation.usage
        is_3 = tensorflow is not None and tensorflow.version >= SWITCHABLE
        if tensorflow_bool(scene.environ.get(_SWITCH)) or not is_3 or (found and found.version >= KERAS_3):
            return False
        # import tensorflow alone loads no Keras, and tf_keras needs none.
        sure = (e for e in scene.situation.reading.evidence if e.kind == "import" and e.grade != "possible")
        is_imported = any(is_below(e.name, "keras") for e in sure)
        return usage.keras == KERAS_3[0] or usage.tf_keras_api or is_imported
    if found is None:
        return name in _CORE
    lower = [Version(each.version) for each in asked if each.operator in (">=", "~=")]
    least = max(lower).release if lower else ()
    if name == "numpy":
        # Where TensorFlow admits NumPy 2.0, a bound such as `<2.2` is only cautious.
        return found.version >= _NUMPY_2 > least and not asked.contains("2.0.0")
    # Older than TensorFlow asks for, both lack names that it uses when it is imported.
    return name in ("protobuf", "ml-dtypes") and found.version[:2] < least[:2]
