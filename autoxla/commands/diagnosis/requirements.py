"""What the installed distributions require of each other, by their own metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from autoxla.commands.diagnosis.inventory import NAMES, Installed, normalise
from autoxla.commands.diagnosis.line import Line, Scene

if TYPE_CHECKING:
    from packaging.requirements import Requirement

SUBJECT = "requirements"
#: What TensorFlow imports first: without these nothing starts.
_CORE = frozenset({"numpy", "protobuf", "wrapt", "ml-dtypes", "absl-py"})
_NUMPY_2 = (2,)


def check(scene: Scene) -> Iterator[Line]:
    """Say which requirements among the distributions of interest are not met."""
    try:
        import packaging  # noqa: F401 - only whether it is there
    except ImportError:
        text = "what the distributions require of each other was not compared: packaging is not installed"
        yield Line("note", "AX883", SUBJECT, text, "pip install 'autoxla-runtime[cli]'")
        return
    lines = [line for each in scene.inventory.distributions for line in _judge(each, scene)]
    lines += _text_mismatch(scene)
    yield from dict.fromkeys(lines)
    if not lines:
        yield Line("ok", "AX880", SUBJECT, "what is installed fits what TensorFlow and Keras ask for")


def _judge(each: Installed, scene: Scene) -> Iterator[Line]:
    for text in each.requires:
        requirement = _parse(text)
        name = normalise(requirement.name) if requirement is not None else ""
        if requirement is None or name not in NAMES or not _applies(requirement):
            continue
        found = scene.inventory.provider(name)
        if found is None:
            yield _say_missing(each, requirement, name)
        elif not requirement.specifier.contains(found.text, prereleases=True):
            yield _say_conflict(each, requirement, found)


def _parse(text: str) -> Requirement | None:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement:
        return None


def _applies(requirement: Requirement) -> bool:
    from packaging.markers import UndefinedComparison, UndefinedEnvironmentName

    try:
        return requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    except (UndefinedComparison, UndefinedEnvironmentName):
        return False


def _say_missing(each: Installed, requirement: Requirement, name: str) -> Line:
    wanted = f"{name}{requirement.specifier}"
    is_fatal = each.name.startswith(("tensorflow", "tf-nightly")) and name in _CORE
    text = f"{each} requires {wanted}, which is not installed"
    return Line("error" if is_fatal else "warning", "AX881", SUBJECT, text, f"pip install '{wanted}'")


def _say_conflict(each: Installed, requirement: Requirement, found: Installed) -> Line:
    wanted = f"{found.name}{requirement.specifier}"
    text = f"{each} requires {wanted}, and {found.text or 'an unreadable release'} is installed"
    is_fatal = found.name == "numpy" and each.name.startswith("tensorflow") and found.version >= _NUMPY_2
    return Line("error" if is_fatal else "warning", "AX882", SUBJECT, text, f"pip install '{wanted}'")


def _text_mismatch(scene: Scene) -> list[Line]:
    tensorflow, text = scene.inventory.provider("tensorflow"), scene.inventory.find("tensorflow-text")
    if tensorflow is None or text is None or text.version[:2] == tensorflow.version[:2]:
        return []
    return [_say_mismatch(text, tensorflow)]


def _say_mismatch(each: Installed, tensorflow: Installed) -> Line:
    minor = ".".join(map(str, tensorflow.version[:2]))
    text = f"{each} was compiled for another release than TensorFlow {tensorflow.text}: its import fails"
    return Line("warning", "AX884", SUBJECT, text, f"pip install '{each.name}=={minor}.*'")
