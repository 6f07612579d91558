"""What only the other generation of Keras has: a comparison for an error that nobody caught.

The class, function or module that an error is about is looked up, under its public name, in the source of
the other generation (`autoxla.hooks.keras_sources`). Where that has the attribute or takes the argument, this
says so, and by which setting the program gets that generation. What cannot be proved is not said. Loaded with
the first error that may be one of these.
"""

from __future__ import annotations

import ast
import gc
import inspect
import linecache
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from traceback import extract_tb
from types import FrameType, FunctionType, ModuleType
from typing import Any

from autoxla.hooks.keras_internals import is_keras_3_variable
from autoxla.hooks.keras_sources import Definition, OldSource, Source
from autoxla.hooks.known_errors import ANY_WAY
from autoxla.model import Evidence
from autoxla.policies.usage import KERAS_3_ONLY, is_below
from autoxla.runtime import current
from autoxla.situation.distributions import find_versions, locate
from autoxla.situation.env_parsing import tensorflow_bool
from autoxla.situation.environment import read_environ

#: The packages of the two generations, each with the other one, and what people call them.
OTHER = {"keras": "tf_keras", "tf_keras": "keras"}
_CALLED = {"keras": "Keras 3", "tf_keras": "Keras 2"}
_SWITCH = "TF_USE_LEGACY_KERAS"
#: Under which names the modules of the public interface are loaded; the longest first.
_PUBLIC = re.compile(
    r"(?:tensorflow\.keras|keras(?:\.api)?\._tf_keras\.keras|keras\.api|tf_keras\.api\._v[12]\.keras|"
    r"keras|tf_keras)(?:\.|$)"
)
_NO_NAME = re.compile(r"cannot import name '(\w+)' from '([\w.]+)'")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
#: The last part of a message about a call, behind the name of the function.
_UNEXPECTED = re.compile(r"([\w.]+)\(\) got an unexpected keyword argument '(\w+)'")
#: What Keras says itself of arguments that it got in a dictionary.
_NOT_RECOGNIZED = re.compile(r"(?:[Uu]nrecognized|[Uu]nexpected|[Ii]nvalid) keyword arg|not recognized: ")
#: Frames of a traceback that are looked at, from its end.
_DEEPEST = 200


def compare(error: BaseException) -> tuple[str, str] | None:
    """Return the package that the program has, and what the other one has that ``error`` misses.

    None where that is not proved.
    """
    frames = list_frames(error)
    modules = [name_module(frame) for frame in frames]
    # What stands in a file is another matter than what stands in the program.
    if any(_top(name) in OTHER and ".saving" in name for name in modules):
        return None
    missing = _find_missing(error)
    if missing is not None:
        own, path = _split(missing[0])
        # A file or folder of the name of a package is something else; private names are those of files.
        if f"{own}.src" not in sys.modules or path.partition(".")[0] == "src":
            return None
        found = _find_public(own, public := f"{path}.{missing[1]}".lstrip("."))
        is_there = found is not None and not (isinstance(error, ModuleNotFoundError) and found.node)
        return _claim(own, f"has keras.{public}") if is_there else None
    last, library = (frames[-1], _top(modules[-1])) if frames else (None, "")
    if isinstance(error, AttributeError):
        origin = _find_origin(error)
        # Inside Keras or TensorFlow one generation stumbles over an object of the other.
        in_library = library in (*OTHER, "tensorflow")
        return None if in_library else _compare_attribute(origin.obj, origin.name or "", last)
    # Keras cuts its own frames off where an error passes a layer's call or ``fit``, but for this one.
    is_handed_on = last is not None and last.f_code.co_name == "error_handler"
    if isinstance(error, TypeError):
        # A call of Keras' own is not the program's.
        return _compare_call(str(error)) if library not in OTHER or is_handed_on else None
    if isinstance(error, ValueError) and last is not None and library in OTHER:
        values = last.f_locals
        owner, method, arguments = values.get("self"), last.f_code.co_name, values.get("args")
        if is_handed_on and isinstance(arguments, tuple) and arguments:
            owner, method = arguments[0], getattr(values.get("fn"), "__name__", "")
        is_refusal = _NOT_RECOGNIZED.search(str(error)) is not None
        refused = re.findall(r"'(\w+)': ", str(error)) if is_refusal else []
        return _compare_arguments(type(owner), method, refused)
    return None


def list_frames(error: BaseException) -> list[FrameType]:
    """Return the frames of the traceback of ``error``, the innermost last."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    return frames[-_DEEPEST:]


def name_module(frame: FrameType) -> str:
    """Return the name of the module whose code ``frame`` runs."""
    return str(frame.f_globals.get("__name__", ""))


def last_line(error: BaseException) -> str:
    """Return the source line that raised ``error``, empty where it is not known."""
    return next((each.line or "" for each in extract_tb(error.__traceback__, -1)), "")


# --- Attributes and names


def _compare_attribute(owner: object, name: str, last: FrameType | None) -> tuple[str, str] | None:
    cls = owner if isinstance(owner, type) else type(owner)
    counterpart: tuple[str, str, str] | None = None
    if type(owner) is tuple and _is_shape_of_keras(owner, last):
        counterpart = ("shape is a TensorShape", "tensorflow.python.framework.tensor_shape", "TensorShape")
    elif is_keras_3_variable(cls):
        module = "tensorflow.python.ops.resource_variable_ops"
        counterpart = ("weight is a tf.Variable", module, "BaseResourceVariable")
    if counterpart is not None:
        told, module, of_tensorflow = counterpart
        has = hasattr(getattr(sys.modules.get(module), of_tensorflow, None), name) and _read_other("keras")
        return ("keras", f"a {told} in Keras 2, which has {name}, and is none in Keras 3") if has else None
    # A private name of a program's own class is the program's.
    if name.startswith("_") and _top(cls.__module__) not in OTHER:
        return None
    pair = _find_pair(cls)
    if pair is None or not any(pair.source.has(each, name) for each in pair.found):
        return None
    return _claim(pair.own, f"has {pair.shown}.{name}")


def _is_shape_of_keras(shape: tuple[object, ...], last: FrameType | None) -> bool:
    """Return whether ``shape`` is that of a tensor or variable of Keras 3, or what a layer is built for."""
    for holder in gc.get_referrers(shape):
        # What a tensor holds is referred to by the tensor or, up to Python 3.10, by its dictionary.
        attributes = holder if isinstance(holder, dict) else {}
        if _top(type(holder).__module__) == "keras":
            attributes = {"_shape": getattr(holder, "_shape", None)}
        if attributes.get("_shape") is shape:
            return True
    if last is None or last.f_code.co_name not in ("build", "compute_output_shape"):
        return False
    pair = _find_pair(type(last.f_locals.get("self")))
    return pair is not None and pair.own == "keras" and any(e is shape for e in last.f_locals.values())


def _find_origin(error: AttributeError) -> AttributeError:
    """Return ``error``, or that of which Keras or AutoGraph raised a copy that no longer has the object."""
    before = error.__context__
    return before if isinstance(before, AttributeError) and str(before) in str(error) else error


def _find_missing(error: BaseException) -> tuple[str, str] | None:
    """Return a module and the name in it that ``error`` misses, None for an error over something else."""
    if isinstance(error, AttributeError):
        origin = _find_origin(error)
        return (origin.obj.__name__, origin.name or "") if isinstance(origin.obj, ModuleType) else None
    message = str(error)
    if not isinstance(error, ImportError) or "partially initialized" in message or "circular" in message:
        return None
    named, module = _NO_NAME.search(message), _NO_MODULE.search(message)
    if named is not None:
        return named[2], named[1]
    if module is None:
        return None
    # The message has the first part of a path that is missing, the line all of it.
    whole = re.search(rf"{re.escape(module[1])}(?:\.\w+)*", last_line(error))
    parent, _, name = (whole[0] if whole is not None else module[1]).rpartition(".")
    return parent, name


def is_in_neither(error: BaseException) -> bool:
    """Return whether ``error`` misses a name of a public module that the other generation has not, either."""
    module, name = _find_missing(error) or ("", "")
    own, path = _split(module)
    source = _read_other(own)
    # A module that stands in for what is gone says so in words of its own.
    is_plain = isinstance(error, ImportError) or " has no attribute " in str(error)
    can_tell = is_plain and source is not None and not isinstance(source, OldSource)
    return can_tell and _find_public(own, f"{path}.{name}".lstrip(".")) is None


def _find_public(own: str, public: str) -> Definition | None:
    """Return what the other generation has under a public name, None where that is not proved."""
    source = _read_other(own)
    return None if source is None or isinstance(source, OldSource) else source.find(public)


# --- Arguments


def _compare_call(message: str) -> tuple[str, str] | None:
    """Compare the function that a TypeError of the interpreter is about."""
    told = _UNEXPECTED.search(message)
    if told is None:
        return None
    head, _, method = told[1].partition(".")
    # The message has a name only: whose it is shows which one of that name refuses the call.
    refusing: dict[int, Any] = {}
    for module in list(sys.modules.values()):
        # Not by an attribute: a module that is loaded lazily would load.
        is_module = isinstance(module, ModuleType)
        thing = object.__getattribute__(module, "__dict__").get(head) if is_module else None
        if not isinstance(thing, (type, FunctionType)) or thing.__qualname__ != head:
            continue
        try:
            function: Any = vars(thing).get(method) if method else thing
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            continue
        refuses = all(each.name != told[2] and each.kind != each.VAR_KEYWORD for each in parameters.values())
        # TensorFlow's private Keras has classes of the same names.
        if refuses and not str(thing.__module__).startswith("tensorflow.python."):
            refusing[id(thing)] = thing
    if len(refusing) != 1:
        return None
    return _compare_arguments(next(iter(refusing.values())), method, [told[2]])


def _compare_arguments(thing: Any, method: str, refused: list[str]) -> tuple[str, str] | None:
    """Compare whether ``method`` of the class ``thing``, or the function itself, takes what is refused."""
    pair = _find_pair(thing, method) if refused else None
    if pair is None or not all(
        pair.source.takes(each, method, key) for each in pair.found for key in refused
    ):
        return None
    return _claim(pair.own, f"takes {', '.join(refused)} in {pair.shown}")


# --- What is compared with what


@dataclass(frozen=True, slots=True)
class _Pair:
    """A class or function of the package ``own``, and what has its public names in the other generation."""

    own: str
    shown: str
    source: Source
    found: tuple[Definition, ...]


def _find_pair(thing: Any, method: str = "") -> _Pair | None:
    """Return the pair of ``thing``, or of its nearest base that the other generation has, too.

    A base that is not public stands for the public classes next to it.
    """
    ancestry = thing.__mro__ if isinstance(thing, type) else (thing,)
    bases = [base for base in ancestry if _top(getattr(base, "__module__", None) or "") in OTHER]
    own = _top(bases[0].__module__) if bases else ""
    source = _read_other(own)
    if source is None:
        return None
    public: list[tuple[str, Any]] = []
    for key, module in list(sys.modules.items()):
        if _top(key) == own and isinstance(module, ModuleType) and ".src" not in module.__name__:
            path = _split(module.__name__)[1]
            named = [(name, value) for name, value in vars(module).items() if not name.startswith("_")]
            public += [(f"{path}.{name}".lstrip("."), value) for name, value in named]
    classes = [value for _, value in public if isinstance(value, type) and bases[0] in value.__mro__]
    for each in (*bases, *sorted(classes, key=lambda cls: cls.__mro__.index(bases[0]))):
        names = sorted((name for name, value in public if value is each), key=len)
        found = [source.find(name) for public in names for name in (public, f"__internal__.{public}")]
        unique = {id(definition.node): definition for definition in found if definition is not None}
        if unique:
            shown = ("keras", names[0], *([method] if method not in ("", "__init__") else []))
            return _Pair(own, ".".join(shown), source, tuple(unique.values()))
    return None


def _claim(own: str, does: str) -> tuple[str, str]:
    return own, f"{_CALLED[OTHER[own]]} {does}, {_CALLED[own]} does not"


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


@dataclass(frozen=True, slots=True)
class Way:
    """How the program gets the other generation, as a clause; `setting` is one that does it alone."""

    text: str
    setting: Mapping[str, str] | None = None


def find_way(error: BaseException, own: str, *, alias: bool = False) -> Way | None:
    """Return how the program gets the generation that is not ``own``; None where nothing gives it that.

    ``alias``: the name keras is to be tf_keras, whatever the program imports.
    """
    used, runtime = set(_list_packages(error)), current()
    if own == "tf_keras":
        if "tf_keras" in used:
            return Way("take it from keras, or move the source: python -m autoxla migrate --to keras3")
        # What autoxla set by itself the program needs in another place.
        if any(s.variable == _SWITCH and "AX112" in s.because for s in runtime.plan.settings):
            return None
        situation = runtime.situation
        if situation is not None and situation.cure is not None and not situation.uncured:
            return Way("start the program with AUTOXLA_KERAS=3, which goes before what cured it once")
        return Way(f"leave {_SWITCH} and AUTOXLA_KERAS unset")
    certain = [_split(e.name)[1] for e in _list_evidence() if e.grade == "certain" and not e.caught]
    if any(finding.code == "AX113" for finding in runtime.findings) or any(
        is_below(f"tensorflow.keras.{path}", name) for path in certain for name in KERAS_3_ONLY
    ):
        return None
    environ, install = read_environ(), find_fitting_release()
    first = f"{install}; then " if install else ""
    move = "move the source: python -m autoxla migrate --to legacy"
    if "tf_keras" in used and not alias:
        return Way(f"{first}take it from tf_keras, or {move}")
    is_alias = alias or "keras" in used or tensorflow_bool(environ.get(_SWITCH))
    if is_alias and "intel_extension_for_tensorflow" in sys.modules:
        return Way(f"{first}{move}")
    if is_alias:
        effect = "" if alias else ", which makes keras tf_keras"
        text, value = f"start the program with AUTOXLA_KERAS=legacy{effect}", "legacy"
    else:
        text, value = f"set {_SWITCH}=1 before tensorflow is imported, or AUTOXLA_KERAS=2", "2"
    is_chosen = bool(environ.get("AUTOXLA_KERAS")) or (not is_alias and _SWITCH in environ)
    is_sure = bool(used) and not install and not is_chosen
    return Way(f"{first}{text}", {"AUTOXLA_KERAS": value} if is_sure else None)


def find_ways(error: BaseException) -> tuple[dict[str, str], Mapping[str, str] | None]:
    """Return the ways to Keras 2 by the names that hints have for them, and the setting of the first."""
    ways = {"keras2": find_way(error, "keras"), "alias": find_way(error, "keras", alias=True)}
    texts = {name: way.text for name, way in ways.items() if way is not None}
    setting = None if ways["keras2"] is None else ways["keras2"].setting
    return {**ANY_WAY, **texts, "release": find_fitting_release()}, setting


def find_fitting_release() -> str:
    """Return what installs the tf_keras for the installed TensorFlow, empty where that is there."""
    versions = find_versions(sys.path)
    wanted = versions.get("tensorflow", ())[:2]
    is_there = versions.get("tf-keras", ())[:2] == wanted
    return "" if is_there or not wanted else f"pip install 'tf-keras=={wanted[0]}.{wanted[1]}.*'"


def _list_packages(error: BaseException) -> Iterator[str]:
    """Yield what the program imports Keras from: tensorflow, keras and tf_keras."""
    for evidence in _list_evidence():
        if evidence.kind == "import" and _top(evidence.name) in (*OTHER, "tensorflow"):
            yield _top(evidence.name)
    # Files that the look-ahead did not come to may be on the traceback.
    for frame in list_frames(error):
        if _top(name_module(frame)) in (*OTHER, "tensorflow", "autoxla"):
            continue
        try:
            tree = ast.parse("".join(linecache.getlines(frame.f_code.co_filename)))
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            yield from (_top(name) for name in names if _top(name) in (*OTHER, "tensorflow"))


def _list_evidence() -> list[Evidence]:
    situation = current().situation
    evidence = () if situation is None else situation.reading.evidence
    return [each for each in evidence if each.kind in ("import", "attribute")]
