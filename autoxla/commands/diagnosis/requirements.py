"""What the installed distributions require of each other, by their own metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from autoxla.commands.diagnosis.inventory import NAMES, Installed, normalise
from autoxla.commands.diagnosis.line import Line, Scene
from autoxla.facts import Situation
from autoxla.policies.rule import SWITCHABLE
from autoxla.policies.usage import is_below
from autoxla.situation.distributions import VARIANTS
from autoxla.situation.env_parsing import tensorflow_bool

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.version import Version

SUBJECT = "requirements"
#: What TensorFlow imports first: without these nothing starts.
_CORE = frozenset({"numpy", "protobuf", "wrapt", "ml-dtypes", "absl-py"})
#: Distributions that fit the TensorFlow with their own major and minor number only.
_BOUND = ("tf-keras", "tensorflow-text")
_NUMPY_2, _KERAS_3 = (2,), (3,)
#: Older than TensorFlow asks for, these lack names that it uses when it is imported.
_NEEDED_NEW = frozenset({"protobuf", "ml-dtypes"})
#: From this one on, code that protobuf generated refuses any older runtime.
_CHECKING = (5,)
#: This one refuses code that was generated for releases before 3.20, unless it runs without its C parts.
_STRICT = (4,)
_PROTOBUF = "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"


def check(scene: Scene) -> Iterator[Line]:
    """Say which requirements among the distributions of interest are not met."""
    try:
        import packaging  # noqa: F401 - only whether it is there
    except ImportError:
        text = "what the distributions require of each other was not compared: packaging is not installed"
        yield Line("note", "AX883", SUBJECT, text, "pip install 'autoxla-runtime[cli]'")
        return
    lines = [line for each in scene.inventory.distributions for line in _judge(each, scene)]
    lines += [line for name in _BOUND for line in _judge_bound(name, scene)]
    yield from dict.fromkeys(lines)
    if not lines:
        yield Line("ok", "AX880", SUBJECT, "what is installed fits what TensorFlow and Keras ask for")


def _judge(each: Installed, scene: Scene) -> Iterator[Line]:
    for text in each.requires:
        requirement = _parse(text)
        name = normalise(requirement.name) if requirement is not None else ""
        if requirement is None or name not in NAMES or not _applies(requirement):
            continue
        if name == "tensorflow" and each.name in (*_BOUND, *VARIANTS["tf-keras"]):
            continue  # the two are compared below: it is never TensorFlow that has to change
        found = scene.inventory.provider(name)
        if found is None:
            yield _say_missing(each, requirement, name, scene)
        elif not requirement.specifier.contains(found.text, prereleases=True):
            yield _say_conflict(each, requirement, found, scene)


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


def _say_missing(each: Installed, requirement: Requirement, name: str, scene: Scene) -> Line:
    wanted = f"{name}{requirement.specifier}"
    is_needed = name in _CORE or (name == "keras" and _needs_keras(scene))
    is_fatal = is_needed and _is_imported(each, scene)
    text = f"{each} requires {wanted}, which is not installed"
    return Line("error" if is_fatal else "warning", "AX881", SUBJECT, text, f"pip install '{wanted}'")


def _say_conflict(each: Installed, requirement: Requirement, found: Installed, scene: Scene) -> Line:
    wanted = f"{found.name}{requirement.specifier}"
    text = f"{each} requires {wanted}, and {found.text or 'an unreadable release'} is installed"
    is_fatal = _is_imported(each, scene) and _breaks(requirement, found, scene)
    return Line("error" if is_fatal else "warning", "AX882", SUBJECT, text, f"pip install '{wanted}'")


def _is_tensorflow(each: Installed) -> bool:
    return each.name == "tensorflow" or each.name in VARIANTS["tensorflow"]


def _is_imported(each: Installed, scene: Scene) -> bool:
    """Return whether ``each`` is the TensorFlow that programs get, or lies in the same folder."""
    first = _first_tensorflow(scene)
    return first is not None and _is_tensorflow(each) and each.folder.parent == first.folder.parent


def _first_tensorflow(scene: Scene) -> Installed | None:
    found = (each for each in scene.inventory.distributions if _is_tensorflow(each) and each.text)
    return next((each for each in found if "tensorflow" not in each.missing), None)


def _breaks(requirement: Requirement, found: Installed, scene: Scene) -> bool:
    """Return whether TensorFlow is known to fail with a release that is not the one it asks for."""
    if found.name == "numpy":
        return found.version >= _NUMPY_2 and _asks_for_numpy_1(requirement)
    if found.name == "keras":
        return found.version < _KERAS_3 and _needs_keras(scene)
    is_refused = _is_refused(requirement, found, scene)
    return found.name in _NEEDED_NEW and (is_refused or _is_older(requirement, found))


def _asks_for_numpy_1(requirement: Requirement) -> bool:
    # Where it admits NumPy 2.0, a bound such as `<2.2` is only cautious.
    least = _least(requirement)
    is_below_2 = least is None or least.release < _NUMPY_2
    return is_below_2 and not requirement.specifier.contains("2.0.0")


def _needs_keras(scene: Scene) -> bool:
    """Return whether ``tf.keras`` is Keras 3, and the program uses it, or Keras itself."""
    tensorflow = _first_tensorflow(scene)
    is_switchable = tensorflow is not None and tensorflow.version >= SWITCHABLE
    is_legacy = tensorflow_bool(scene.environ.get("TF_USE_LEGACY_KERAS"))
    return is_switchable and not is_legacy and _uses_keras(scene.situation)


def _uses_keras(situation: Situation) -> bool:
    # import tensorflow alone loads no Keras, and tf_keras needs none.
    usage = situation.usage
    sure = (e for e in situation.reading.evidence if e.kind == "import" and e.grade != "possible")
    is_imported = any(is_below(e.name, "keras") for e in sure)
    return usage.keras == _KERAS_3[0] or usage.tf_keras_api or is_imported


def _is_older(requirement: Requirement, found: Installed) -> bool:
    least = _least(requirement)
    if least is None or not found.version:
        return False
    # A patch release makes a difference to that check only.
    is_checked = found.name == "protobuf" and least.release >= _CHECKING
    size = len(least.release) if is_checked else 2
    return found.version[:size] < least.release[:size]


def _is_refused(requirement: Requirement, found: Installed, scene: Scene) -> bool:
    least = _least(requirement)
    if least is None or requirement.specifier.contains("3.20.3"):
        return False
    if found.version[:1] == _STRICT and scene.environ.get(_PROTOBUF) == "python":
        return False
    return least.release < _STRICT <= found.version


def _least(requirement: Requirement) -> Version | None:
    from packaging.version import Version

    least = [each.version for each in requirement.specifier if each.operator in (">=", "~=")]
    return max(map(Version, least), default=None)


def _judge_bound(name: str, scene: Scene) -> Iterator[Line]:
    tensorflow, each = _first_tensorflow(scene), scene.inventory.provider(name)
    if tensorflow is None or each is None or each.version[:2] == tensorflow.version[:2]:
        return
    remedy = f"pip install '{name}=={'.'.join(map(str, tensorflow.version[:2]))}.*'"
    if name == "tensorflow-text":
        text = f"{each} was compiled for another release than TensorFlow {tensorflow.text}: its import fails"
        yield Line("warning", "AX884", SUBJECT, text, remedy)
        return
    is_switched = tensorflow.version >= SWITCHABLE and tensorflow_bool(
        scene.environ.get("TF_USE_LEGACY_KERAS")
    )
    text = f"{each} is not the one for TensorFlow {tensorflow.text}: tf_keras fails in its import or later"
    yield Line("error" if is_switched else "warning", "AX885", SUBJECT, text, remedy)
