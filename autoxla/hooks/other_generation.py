"""What only the other generation of Keras has: a comparison for an error that nobody caught.

The class, function or module that an error is about is looked up, under its public name, in the source of
the other generation (`autoxla.hooks.keras_sources`). Where that has the attribute, takes the argument or has
another order of arguments, this says so, and by which setting the program gets that generation. What cannot
be proved is not said. Loaded with the first error that may be one of these.
"""

from __future__ import annotations

import gc
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from traceback import extract_tb
from types import FrameType, FunctionType, ModuleType
from typing import Any

from autoxla.hooks.keras_sources import Definition, OldSource, Source
from autoxla.hooks.known_errors import ANY_WAY
from autoxla.model import Evidence
from autoxla.runtime import current
from autoxla.situation.distributions import find_versions, locate
from autoxla.situation.env_parsing import tensorflow_bool
from autoxla.situation.environment import read_environ

#: The packages of the two generations, each with the other one, and what people call them.
OTHER = {"keras": "tf_keras", "tf_keras": "keras"}
CALLED = {"keras": "Keras 3", "tf_keras": "Keras 2"}
_SWITCH = "TF_USE_LEGACY_KERAS"
#: Packages of the public interface that came with Keras 3.
_NEW = ("distribution", "ops", "quantizers", "random", "tree")
#: Under which names the modules of the public interface are loaded; the longest first.
_PUBLIC = re.compile(
    r"(?:tensorflow\.keras|keras(?:\.api)?\._tf_keras\.keras|keras\.api|tf_keras\.api\._v[12]\.keras|"
    r"keras|tf_keras)(?:\.|$)"
)
_NO_NAME = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
#: The last part of a message about a call, behind the name of the function.
_UNEXPECTED = re.compile(r"([\w.]+)\(\) got an unexpected keyword argument '(\w+)'")
_TWICE = re.compile(r"([\w.]+)\(\) got multiple values for argument '(\w+)'")
_TOO_MANY = re.compile(r"([\w.]+)\(\) takes (?:from \d+ to )?(\d+) positional arguments? but (\d+)")
#: What Keras says itself of arguments that it got in a dictionary, and of one in the wrong place.
_NOT_RECOGNIZED = re.compile(r"(?:[Uu]nrecognized|[Uu]nexpected|[Ii]nvalid) keyword arg|not recognized: ")
_BY_KEYWORD = re.compile(r"`(\w+)` must be passed as a keyword argument\. Received: (\w+)\(")
#: Frames of a traceback that are looked at, from its end.
_DEEPEST = 200


@dataclass(frozen=True, slots=True)
class Claim:
    """What the generation that the program has not got has: ``own`` is the package that it has."""

    own: str
    text: str


@dataclass(frozen=True, slots=True)
class Cure:
    """How the program gets Keras 2: as a clause, and the one setting of autoxla that does it, if it does."""

    text: str
    setting: Mapping[str, str] | None = None


def compare(error: BaseException) -> Claim | None:
    """Return what the other generation has that ``error`` misses, None where it is not proved."""
    frames = list_frames(error)
    modules = [str(frame.f_globals.get("__name__", "")) for frame in frames]
    # What stands in a file is another matter than what stands in the program.
    if any(_top(name) in OTHER and ".saving" in name for name in modules):
        return None
    message, last = str(error), frames[-1] if frames else None
    in_keras = bool(modules) and _top(modules[-1]) in OTHER
    missing = _find_missing(error)
    if missing is not None:
        module, name = missing
        return _compare_name(module, name, is_module=isinstance(error, ModuleNotFoundError))
    if isinstance(error, AttributeError):
        origin = _find_origin(error)
        # Inside Keras or TensorFlow one generation stumbles over an object of the other.
        in_library = in_keras or (bool(modules) and _top(modules[-1]) == "tensorflow")
        return None if in_library else _compare_attribute(origin.obj, origin.name or "", last)
    if isinstance(error, TypeError):
        # A call of Keras' own is not the program's; ``error_handler`` hands on those that are.
        is_own = in_keras and last is not None and last.f_code.co_name != "error_handler"
        return None if is_own else _compare_call(message)
    is_value = isinstance(error, ValueError) and last is not None
    return _compare_arguments(message, last, in_keras=in_keras) if is_value and last is not None else None


def list_frames(error: BaseException) -> list[FrameType]:
    """Return the frames of the traceback of ``error``, the innermost last."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    return frames[-_DEEPEST:]


# --- Attributes and names


def _compare_attribute(owner: object, name: str, last: FrameType | None) -> Claim | None:
    if type(owner) is tuple:
        shape = _class_of_tensorflow("tensorflow.python.framework.tensor_shape", "TensorShape")
        is_meant = _read_other("keras") and hasattr(shape, name) and _is_shape_of_keras(owner, last)
        told = f"a shape is a TensorShape in Keras 2, which has {name}, and a tuple in Keras 3"
        return Claim("keras", told) if is_meant else None
    cls = owner if isinstance(owner, type) else type(owner)
    if any(base.__module__ == "keras.src.backend.common.variables" for base in cls.__mro__):
        variable = _class_of_tensorflow("tensorflow.python.ops.resource_variable_ops", "BaseResourceVariable")
        told = f"a weight is a tf.Variable in Keras 2, which has {name}, and is none in Keras 3"
        return Claim("keras", told) if _read_other("keras") and hasattr(variable, name) else None
    # A private name of a program's own class is the program's.
    pair = _NO_PAIR if name.startswith("_") and _top(cls.__module__) not in OTHER else _find_pair(cls)
    has = pair.source is not None and any(pair.source.has(each, name) for each in pair.found)
    return _claim(pair.own, f"has {pair.shown}.{name}") if has else None


def _find_origin(error: AttributeError) -> AttributeError:
    """Return ``error``, or that of which Keras or AutoGraph raised a copy that no longer has the object."""
    before = error.__context__
    return before if isinstance(before, AttributeError) and str(before) in str(error) else error


def _find_missing(error: BaseException) -> tuple[str, str] | None:
    """Return a module and the name in it that ``error`` misses, None for an error over something else."""
    if isinstance(error, AttributeError):
        origin = _find_origin(error)
        return (origin.obj.__name__, origin.name or "") if isinstance(origin.obj, ModuleType) else None
    message = str(error) if isinstance(error, ImportError) else "circular import"
    named, module = _NO_NAME.search(message), _NO_MODULE.search(message)
    if "partially initialized" in message or "circular import" in message:
        return None
    if named is not None:
        return named[2], named[1]
    if module is None:
        return None
    # The message has the first part of a path that is missing, the line all of it.
    line = next((each.line or "" for each in extract_tb(error.__traceback__, -1)), "")
    whole = re.search(rf"{re.escape(module[1])}(?:\.\w+)*", line)
    parent, _, name = (whole[0] if whole is not None else module[1]).rpartition(".")
    return parent, name


def is_in_neither(error: BaseException) -> bool:
    """Return whether ``error`` misses a name of a public module that the other generation has not, either."""
    module, name = _find_missing(error) or ("", "")
    own, path = _split(module)
    source = _read_other(own)
    # A module that stands in for what is gone says so in words of its own.
    is_plain = isinstance(error, ImportError) or " has no attribute " in str(error)
    if not is_plain or source is None or isinstance(source, OldSource):
        return False
    return source.find(f"{path}.{name}".lstrip(".")) is None


def _compare_name(module: str, name: str, *, is_module: bool = False) -> Claim | None:
    """Compare what a module of the public interface has under a name."""
    own, path = _split(module)
    # A file or folder of the name of a package is something else; private names are those of files.
    if f"{own}.src" not in sys.modules or path.partition(".")[0] == "src":
        return None
    source = _read_other(own)
    public = f"{path}.{name}".lstrip(".")
    found = None if source is None or isinstance(source, OldSource) else source.find(public)
    is_there = found is not None and not (is_module and found.node is not None)
    return _claim(own, f"has keras.{public}") if is_there else None


def _is_shape_of_keras(shape: tuple[object, ...], last: FrameType | None) -> bool:
    """Return whether ``shape`` is that of a tensor or variable of Keras 3, or what a layer is built for."""
    for holder in gc.get_referrers(shape):
        attributes = holder if isinstance(holder, dict) else {}
        if _top(type(holder).__module__) == "keras":
            attributes = {"_shape": getattr(holder, "_shape", None)}
        if attributes.get("_shape") is shape:
            return True
    if last is None or last.f_code.co_name not in ("build", "compute_output_shape"):
        return False
    is_layer = _find_pair(type(last.f_locals.get("self"))).own == "keras"
    return is_layer and any(each is shape for each in last.f_locals.values())


# --- Arguments


def _compare_call(message: str) -> Claim | None:
    """Compare the function that a TypeError of the interpreter is about."""
    unexpected, twice, many = (each.search(message) for each in (_UNEXPECTED, _TWICE, _TOO_MANY))
    told = unexpected or twice or many
    if told is None:
        return None
    head, _, method = told[1].partition(".")
    things = {id(thing): thing for module in list(sys.modules.values()) if (thing := _get(module, head))}
    functions = {key: vars(thing).get(method) if method else thing for key, thing in things.items()}
    # The message has a name only: whose it is shows which one of that name refuses the call.
    guilty = [key for key, each in functions.items() if _refuses(each, told)]
    pair = _find_pair(things[guilty[0]], method) if len(guilty) == 1 else _NO_PAIR
    if pair.source is None or not pair.found:
        return None
    if unexpected is not None:
        takes = all(pair.source.takes(each, method, told[2]) for each in pair.found)
        return _claim(pair.own, f"takes {told[2]} in {pair.shown}") if takes else None
    order = pair.source.order(pair.found[0], method) or []
    if many is not None:
        fits = len(order) >= int(many[3]) - bool(method)
    else:
        # As many arguments came by position as it takes to reach the one that came by keyword, too.
        own = list(inspect.signature(functions[guilty[0]]).parameters)[bool(method) :]
        fits = told[2] not in order[: own.index(told[2]) + 1]
    return _claim_order(pair, order) if order and fits else None


def _get(module: object, name: str) -> Any:
    """Return the class or function of that name that ``module`` has, none of TensorFlow's private Keras."""
    # Not by an attribute: a module that is loaded lazily would load.
    has_names = isinstance(module, ModuleType)
    thing = object.__getattribute__(module, "__dict__").get(name) if has_names else None
    if not isinstance(thing, (type, FunctionType)) or thing.__qualname__ != name:
        return None
    return None if str(thing.__module__).startswith("tensorflow.python.") else thing


def _refuses(function: Any, told: re.Match[str]) -> bool:
    """Return whether ``function`` refuses the arguments of which the message is ``told``."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    kinds = {each.kind for each in parameters}
    if told.re is _UNEXPECTED:
        names = {each.name for each in parameters}
        return told[2] not in names and inspect.Parameter.VAR_KEYWORD not in kinds
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if told.re is _TWICE:
        return told[2] in positional
    return len(positional) == int(told[2]) and inspect.Parameter.VAR_POSITIONAL not in kinds


def _compare_arguments(message: str, frame: FrameType, *, in_keras: bool) -> Claim | None:
    """Compare the function of Keras that raised a ValueError over its arguments.

    Keras cuts its own frames off where an error passes a layer's call or ``fit``, but for the outermost one.
    """
    values, method = frame.f_locals, frame.f_code.co_name
    owner, arguments = values.get("self"), values.get("args")
    by_keyword = _BY_KEYWORD.search(message)
    if by_keyword is not None:
        method = by_keyword[2]
    elif _NOT_RECOGNIZED.search(message) is None or not in_keras:
        return None
    elif method == "error_handler" and isinstance(arguments, tuple) and arguments:
        owner, method = arguments[0], getattr(values.get("fn"), "__name__", "")
    pair = _find_pair(type(owner), method)
    if pair.source is None or not pair.found:
        return None
    if by_keyword is not None:
        order = pair.source.order(pair.found[0], method) or []
        return _claim_order(pair, order) if order[:1] == [by_keyword[1]] else None
    refused = re.findall(r"'(\w+)': ", message)
    takes = all(pair.source.takes(each, method, key) for each in pair.found for key in refused)
    return _claim(pair.own, f"takes {', '.join(refused)} in {pair.shown}") if refused and takes else None


# --- What is compared with what


@dataclass(frozen=True, slots=True)
class _Pair:
    """A class or function of the package ``own``, and what has its public names in the other generation."""

    own: str = ""
    shown: str = ""
    source: Source | None = None
    found: tuple[Definition, ...] = ()


_NO_PAIR = _Pair()


def _find_pair(thing: Any, method: str = "") -> _Pair:
    """Return the pair of ``thing``, or of its nearest base that the other generation has, too.

    A base that is not public stands for the public classes next to it.
    """
    ancestry = thing.__mro__ if isinstance(thing, type) else (thing,)
    bases = [base for base in ancestry if _top(getattr(base, "__module__", None) or "") in OTHER]
    own = _top(bases[0].__module__) if bases else ""
    source = _read_other(own)
    if source is None:
        return _NO_PAIR
    public: list[tuple[str, Any]] = []
    for key, module in list(sys.modules.items()):
        if _top(key) == own and isinstance(module, ModuleType) and ".src" not in module.__name__:
            path = _split(module.__name__)[1]
            named = [(name, value) for name, value in vars(module).items() if not name.startswith("_")]
            public += [(f"{path}.{name}".lstrip("."), value) for name, value in named]
    # How far from each base the public classes are that have it: 0 for itself.
    sides = [{name: 0 for name, value in public if value is base} for base in bases]
    classes = [(name, value.__mro__) for name, value in public if isinstance(value, type)]
    sides.append({name: line.index(bases[0]) for name, line in classes if bases[0] in line})
    for distances in sides:
        nearest = min(distances.values(), default=0)
        names = sorted((name for name, distance in distances.items() if distance == nearest), key=len)
        found = [source.find(each) for name in names for each in (name, f"__internal__.{name}")]
        unique = {id(each.node): each for each in found if each is not None}
        if unique:
            shown = ("keras", names[0], *([method] if method not in ("", "__init__") else []))
            return _Pair(own, ".".join(shown), source, tuple(unique.values()))
    return _NO_PAIR


def _claim(own: str, does: str) -> Claim:
    return Claim(own, f"{CALLED[OTHER[own]]} {does}, {CALLED[own]} does not")


def _claim_order(pair: _Pair, order: list[str]) -> Claim:
    first = ", ".join(order[:3]) + (", …" if len(order) > 3 else "")
    return _claim(pair.own, f"takes the arguments of {pair.shown} in the order ({first})")


def _top(name: str) -> str:
    return name.partition(".")[0]


def _split(module: str) -> tuple[str, str]:
    """Return the package of Keras that a module is of, and its path in the public interface."""
    found = _PUBLIC.match(module)
    if found is None:
        return "", ""
    of_tensorflow = module.startswith("tensorflow.")
    is_legacy = of_tensorflow and tensorflow_bool(read_environ().get(_SWITCH))
    return "tf_keras" if is_legacy or module.startswith("tf_keras") else "keras", module[found.end() :]


def _class_of_tensorflow(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


@lru_cache(maxsize=2)
def _read_other(own: str) -> Source | None:
    """Return the source of the generation that ``own`` is not; None where that is not installed."""
    backend = sys.modules.get("keras.src.backend.config")
    # Up to TensorFlow 2.15 the package keras is Keras 2. All other backends are Keras 3's alone.
    is_other = own in OTHER and find_versions(sys.path).get("keras", ()) >= (3,)
    if not is_other or (own == "keras" and backend is not None and backend.backend() != "tensorflow"):
        return None
    file, tensorflow = locate(OTHER[own], sys.path), locate("tensorflow", sys.path)
    if file is not None:
        return Source(file.parent)
    return OldSource(tensorflow.parent) if own == "keras" and tensorflow is not None else None


# --- How the program gets the other generation


def find_cure(error: BaseException, own: str, *, alias: bool = False) -> Cure | None:
    """Return how the program gets the generation that is not ``own``; None where nothing gives it that.

    ``alias``: the name keras is to be tf_keras, whatever the program imports.
    """
    used = set(_list_packages(error))
    if own == "tf_keras":
        if "tf_keras" in used:
            return Cure("take it from keras, or move the source: python -m autoxla migrate --to keras3")
        # What autoxla set by itself the program needs in another place.
        is_needed = any(s.variable == _SWITCH and "AX112" in s.because for s in current().plan.settings)
        situation = current().situation
        if is_needed:
            return None
        if situation is not None and situation.cure is not None and not situation.uncured:
            return Cure("start the program with AUTOXLA_KERAS=3, which goes before what cured it once")
        return Cure(f"leave {_SWITCH} and AUTOXLA_KERAS unset")
    if _needs_keras_3():
        return None
    environ, install = read_environ(), find_fitting_release()
    first = f"{install}; then " if install else ""
    move = "move the source: python -m autoxla migrate --to legacy"
    if "tf_keras" in used and not alias:
        return Cure(f"{first}take it from tf_keras, or {move}")
    is_alias = alias or "keras" in used or tensorflow_bool(environ.get(_SWITCH))
    if is_alias and "intel_extension_for_tensorflow" in sys.modules:
        return Cure(f"{first}{move}")
    is_free = bool(used) and not install and not environ.get("AUTOXLA_KERAS")
    if is_alias:
        effect = "" if alias else ", which makes keras tf_keras"
        start = f"start the program with AUTOXLA_KERAS=legacy{effect}"
        return Cure(f"{first}{start}", {"AUTOXLA_KERAS": "legacy"} if is_free else None)
    switch = f"set {_SWITCH}=1 before tensorflow is imported, or AUTOXLA_KERAS=2"
    is_free = is_free and _SWITCH not in environ
    return Cure(f"{first}{switch}", {"AUTOXLA_KERAS": "2"} if is_free else None)


def find_ways(error: BaseException) -> tuple[dict[str, str], Mapping[str, str] | None]:
    """Return the ways to Keras 2 by the names that hints have for them, and the setting of the first."""
    cures = {"keras2": find_cure(error, "keras"), "alias": find_cure(error, "keras", alias=True)}
    texts = {way: cure.text for way, cure in cures.items() if cure is not None}
    setting = None if cures["keras2"] is None else cures["keras2"].setting
    return {**ANY_WAY, **texts, "release": find_fitting_release()}, setting


def find_fitting_release() -> str:
    """Return what installs the tf_keras for the installed TensorFlow, empty where that is there."""
    versions = find_versions(sys.path)
    wanted = versions.get("tensorflow", ())[:2]
    is_there = versions.get("tf-keras", ())[:2] == wanted
    return "" if is_there or not wanted else f"pip install 'tf-keras=={wanted[0]}.{wanted[1]}.*'"


def _list_packages(error: BaseException) -> Iterator[str]:
    """Yield what the program imports Keras from: tensorflow, keras and tf_keras."""
    from autoxla.hooks.mixed_models import find_imports

    for evidence in _list_evidence():
        if evidence.kind == "import" and _top(evidence.name) in (*OTHER, "tensorflow"):
            yield _top(evidence.name)
    for frame in list_frames(error):
        if _top(str(frame.f_globals.get("__name__", ""))) not in (*OTHER, "tensorflow", "autoxla"):
            for package, _ in find_imports(frame.f_code.co_filename):
                yield _top(package)


def _needs_keras_3() -> bool:
    """Return whether the program's source certainly uses what Keras 2 has not."""
    if any(finding.code == "AX113" for finding in current().findings):
        return True
    two, three = _read_other("keras"), _read_other("tf_keras")
    names = [e.name for e in _list_evidence() if e.grade == "certain" and not e.caught]
    paths = [path for path in (_split(name)[1] for name in names) if path]
    if two is None or three is None or isinstance(two, OldSource):
        return any(path.partition(".")[0] in _NEW for path in paths)
    return any(three.find(path) and not two.find(path) for path in paths)


def _list_evidence() -> list[Evidence]:
    situation = current().situation
    evidence = () if situation is None else situation.reading.evidence
    return [each for each in evidence if each.kind in ("import", "attribute")]
