"""What only the other generation of Keras has: a comparison for an error that nobody caught.

The class, function or module that an error is about is looked up, under its public name, in the source of
the other generation (`autoxla.hooks.keras_sources`). Where that has the attribute, takes the argument or has
another order of arguments, this says so, and by which setting the program gets that generation. What cannot
be proved is not said. Loaded with the first error that may be one of these.
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
from types import FrameType, ModuleType
from typing import Any

from autoxla.hooks.keras_sources import Definition, Source
from autoxla.hooks.known_errors import ANY_WAY
from autoxla.runtime import current
from autoxla.situation.distributions import find_versions, locate
from autoxla.situation.env_parsing import tensorflow_bool
from autoxla.situation.environment import read_environ

#: The packages of the two generations, each with the other one, and what people call them.
OTHER = {"keras": "tf_keras", "tf_keras": "keras"}
CALLED = {"keras": "Keras 3", "tf_keras": "Keras 2"}
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
    origin, frames = _find_origin(error), list_frames(error)
    modules = [str(frame.f_globals.get("__name__", "")) for frame in frames]
    # What stands in a file is another matter than what stands in the program.
    if any(_top(name) in OTHER and ".saving" in name for name in modules):
        return None
    if isinstance(error, ImportError):
        return _compare_import(str(error))
    if isinstance(origin, AttributeError):
        in_library = bool(modules) and _top(modules[-1]) in (*OTHER, "tensorflow")
        return _compare_attribute(getattr(origin, "obj", None), origin.name or "", frames, in_library)
    if isinstance(error, TypeError):
        # A call of Keras' own is not the program's; ``error_handler`` hands on those that are.
        is_own = bool(modules) and _top(modules[-1]) in OTHER and frames[-1].f_code.co_name != "error_handler"
        return None if is_own else _compare_call(str(error), frames)
    return _compare_arguments(str(error), frames[-1]) if isinstance(error, ValueError) and frames else None


def list_frames(error: BaseException) -> list[FrameType]:
    """Return the frames of the traceback of ``error``, the innermost last."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    return frames[-_DEEPEST:]


def _find_origin(error: BaseException) -> BaseException:
    """Return the error of which ``error`` is a copy with a longer text, as Keras and AutoGraph make."""
    before = error.__context__
    is_copy = before is not None and type(before) is type(error) and str(before) in str(error)
    return before if is_copy and before is not None else error


# --- Attributes and names


def _compare_attribute(owner: object, name: str, frames: list[FrameType], in_library: bool) -> Claim | None:
    if isinstance(owner, ModuleType):
        return _compare_name(owner.__name__, name)
    # One generation stumbles over an object of the other here, or TensorFlow does.
    if in_library or owner is None:
        return None
    if type(owner) is tuple:
        shape = _class_of_tensorflow("tensorflow.python.framework.tensor_shape", "TensorShape")
        if hasattr(shape, name) and _is_shape_of_keras(owner, frames):
            return Claim(
                "keras", f"a shape is a TensorShape in Keras 2, which has {name}, and a tuple in Keras 3"
            )
        return None
    cls = owner if isinstance(owner, type) else type(owner)
    own, public = _find_public(cls)
    if public == ["Variable"] and own == "keras":
        variable = "tensorflow.python.ops.resource_variable_ops", "BaseResourceVariable"
        if hasattr(_class_of_tensorflow(*variable), name):
            return Claim(
                own, f"a weight is a tf.Variable in Keras 2, which has {name}, and is none in Keras 3"
            )
        return None
    source = _read_other(own)
    if source is not None and any(source.has(each, name) for each in _find_all(source, public)):
        return _claim(own, f"has keras.{public[0]}.{name}")
    return None


def _compare_import(message: str) -> Claim | None:
    named, module = _NO_NAME.search(message), _NO_MODULE.search(message)
    if "partially initialized" in message or "circular import" in message:
        return None
    if named is not None:
        return _compare_name(named[2], named[1])
    parent, _, name = module[1].rpartition(".") if module is not None else ("", "", "")
    return _compare_name(parent, name, is_module=True)


def _compare_name(module: str, name: str, *, is_module: bool = False) -> Claim | None:
    """Compare what a module of the public interface has under a name."""
    own, path = _split(module)
    # A file or folder of the name of a package is something else; private names are those of files.
    if f"{own}.src" not in sys.modules or path.partition(".")[0] == "src":
        return None
    source = _read_other(own)
    public = f"{path}.{name}".lstrip(".")
    found = None if source is None or not own else source.find(public)
    if found is None or (is_module and found.node is not None):
        return None
    return _claim(own, f"has keras.{public}")


def _is_shape_of_keras(shape: tuple[object, ...], frames: list[FrameType]) -> bool:
    """Return whether ``shape`` is that of a tensor or variable of Keras 3, or what a layer is built for."""
    if any(isinstance(each, dict) and each.get("_shape") is shape for each in gc.get_referrers(shape)):
        return True
    if any(
        _top(type(each).__module__) == "keras" and getattr(each, "_shape", None) is shape
        for each in gc.get_referrers(shape)
    ):
        return True
    code = frames[-1].f_code if frames else None
    if code is None or code.co_name not in ("build", "compute_output_shape") or not code.co_varnames:
        return False
    values = frames[-1].f_locals
    layer = values.get(code.co_varnames[0])
    return _find_public(type(layer))[0] == "keras" and any(each is shape for each in values.values())


# --- Arguments


def _compare_call(message: str, frames: list[FrameType]) -> Claim | None:
    """Compare the function that a TypeError of the interpreter is about."""
    unexpected, twice, many = (each.search(message) for each in (_UNEXPECTED, _TWICE, _TOO_MANY))
    told = unexpected or twice or many
    if told is None:
        return None
    head, _, method = told[1].partition(".")

    def refuses(function: Any) -> bool:
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError):
            return False
        positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        kinds = {p.kind for p in parameters}
        if unexpected is not None:
            known = {p.name for p in parameters}
            return told[2] not in known and inspect.Parameter.VAR_KEYWORD not in kinds
        if twice is not None:
            return told[2] in positional
        return len(positional) == int(told[2]) and inspect.Parameter.VAR_POSITIONAL not in kinds

    # The message has a name only: whose it is shows which of that name refuses the call.
    things = {id(thing): thing for module in list(sys.modules.values()) if (thing := _get(module, head))}
    named = [thing for thing in things.values() if getattr(thing, "__qualname__", "") == head]
    guilty = [thing for thing in named if refuses(vars(thing).get(method) if method else thing)]
    if len(guilty) != 1:
        return None
    own, public = _find_public(guilty[0])
    source = _read_other(own)
    found = [] if source is None else _find_all(source, public)
    if source is None or not found:
        return None
    shown = public[0] if method in ("", "__init__") else f"{public[0]}.{method}"
    if unexpected is not None:
        if all(source.takes(each, method, told[2]) for each in found):
            return _claim(own, f"takes {told[2]} in keras.{shown}")
        return None
    given = int(many[3]) - bool(method) if many is not None else _count_arguments(frames, head, method)
    orders = [source.order(each, method) for each in found]
    if given is None or any(order is None for order in orders):
        return None
    if many is not None:
        fits = all(len(order or ()) >= given for order in orders)
    else:
        fits = all(told[2] not in (order or ())[:given] for order in orders)
    return _claim_order(own, shown, orders[0] or []) if fits else None


def _compare_arguments(message: str, frame: FrameType) -> Claim | None:
    """Compare the function of Keras that raised a ValueError over its arguments.

    Keras cuts its own frames off where an error passes a layer's call or ``fit``, but for the outermost one.
    """
    values, name = frame.f_locals, frame.f_code.co_name
    owner, arguments = values.get("self"), values.get("args")
    by_keyword = _BY_KEYWORD.search(message)
    if by_keyword is not None:
        name = by_keyword[2]
    elif _NOT_RECOGNIZED.search(message) is None or _top(frame.f_globals.get("__name__", "")) not in OTHER:
        return None
    elif name == "error_handler" and isinstance(arguments, tuple) and arguments:
        owner, name = arguments[0], getattr(values.get("fn"), "__name__", "")
    own, public = _find_public(type(owner))
    source = _read_other(own)
    found = [] if source is None else _find_all(source, public)
    if source is None or not found:
        return None
    shown = public[0] if name == "__init__" else f"{public[0]}.{name}"
    if by_keyword is not None:
        order = source.order(found[0], name) or []
        return _claim_order(own, shown, order) if order[:1] == [by_keyword[1]] else None
    refused = re.findall(r"'(\w+)': ", message)
    if refused and all(source.takes(each, name, key) for each in found for key in refused):
        return _claim(own, f"takes {', '.join(refused)} in keras.{shown}")
    return None


def _count_arguments(frames: list[FrameType], head: str, method: str) -> int | None:
    """Return how many positional arguments the call in the innermost frame's line passes, if that shows."""
    if not frames:
        return None
    called = head if method in ("", "__init__") else method
    line = frames[-1].f_lineno
    try:
        tree = ast.parse("".join(linecache.getlines(frames[-1].f_code.co_filename)))
    except (SyntaxError, ValueError):
        return None
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
        and (getattr(node.func, "attr", None) or getattr(node.func, "id", None)) == called
    ]
    if len(calls) != 1 or any(isinstance(each, ast.Starred) for each in calls[0].args):
        return None
    return len(calls[0].args)


# --- What is compared with what


def _claim(own: str, does: str) -> Claim:
    return Claim(own, f"{CALLED[OTHER[own]]} {does}, {CALLED[own]} does not")


def _claim_order(own: str, shown: str, order: list[str]) -> Claim:
    first = ", ".join(order[:3]) + (", …" if len(order) > 3 else "")
    return _claim(own, f"takes the arguments of keras.{shown} in the order ({first})")


def _top(name: str) -> str:
    return name.partition(".")[0]


def _get(module: object, name: str) -> Any:
    thing = getattr(module, "__dict__", {}).get(name)
    return thing if inspect.isclass(thing) or callable(thing) else None


def _split(module: str) -> tuple[str, str]:
    """Return the package of Keras that a module is of, and its path in the public interface."""
    found = _PUBLIC.match(module)
    if found is None:
        return "", ""
    own = "tf_keras" if module.startswith("tf_keras") else "keras"
    if module.startswith("tensorflow.") and tensorflow_bool(read_environ().get("TF_USE_LEGACY_KERAS")):
        own = "tf_keras"
    return own, module[found.end() :]


def _find_public(thing: Any) -> tuple[str, list[str]]:
    """Return the package of Keras that a class or function is of, and its names in the public interface.

    Of a program's own class that is the nearest base; of a base that is not public, those next to it.
    """
    ancestry = thing.__mro__ if isinstance(thing, type) else (thing,)
    for cls in ancestry:
        own = _top(getattr(cls, "__module__", None) or "")
        if own in OTHER:
            break
    else:
        return "", []
    names: dict[str, int] = {}
    for module in [each for name, each in list(sys.modules.items()) if _top(name) == own]:
        is_public = isinstance(module, ModuleType) and ".src" not in module.__name__
        for name, value in list(vars(module).items()) if is_public else ():
            bases = value.__mro__ if isinstance(value, type) else (value,)
            distance = next((at for at, base in enumerate(bases) if base is cls), None)
            if distance is not None and not name.startswith("_"):
                path = f"{_split(module.__name__)[1]}.{name}".lstrip(".")
                names[path] = min(distance, names.get(path, distance))
    nearest = min(names.values(), default=0)
    return own, sorted((n for n, distance in names.items() if distance == nearest), key=len)


def _find_all(source: Source, public: list[str]) -> list[Definition]:
    """Return what ``source`` has under names that are one thing in the other generation."""
    also = [f"__internal__.{name}" for name in public]
    found = [source.find(name) for name in (*public, *also)]
    return list({(each.module, id(each.node)): each for each in found if each is not None}.values())


def _class_of_tensorflow(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


@lru_cache(maxsize=2)
def _read_other(own: str) -> Source | None:
    """Return the source of the generation that ``own`` is not; None where that is not installed."""
    file = locate(OTHER[own], sys.path) if own in OTHER else None
    backend = sys.modules.get("keras.src.backend.config")
    if file is None or (own == "keras" and backend is not None and backend.backend() != "tensorflow"):
        return None
    # Up to TensorFlow 2.15 the package keras is Keras 2.
    return Source(file.parent) if find_versions(sys.path).get("keras", ()) >= (3,) else None


# --- How the program gets the other generation


def find_cure(error: BaseException, own: str, *, alias: bool = False) -> Cure | None:
    """Return how the program gets the generation that is not ``own``; None where nothing gives it that.

    ``alias``: the name keras is to be tf_keras, whatever the program imports.
    """
    used = set(_list_packages(error))
    if own == "tf_keras":
        if "tf_keras" in used:
            return Cure("take it from keras, or move the source: python -m autoxla migrate --to keras3")
        return Cure("leave TF_USE_LEGACY_KERAS and AUTOXLA_KERAS unset")
    if _needs_keras_3():
        return None
    environ, install = read_environ(), find_fitting_release()
    first = f"{install}; then " if install else ""
    move = "move the source: python -m autoxla migrate --to legacy"
    if "tf_keras" in used and not alias:
        return Cure(f"{first}take it from tf_keras, or {move}")
    is_alias = alias or "keras" in used or tensorflow_bool(environ.get("TF_USE_LEGACY_KERAS"))
    if is_alias and "intel_extension_for_tensorflow" in sys.modules:
        return Cure(f"{first}{move}")
    is_free = bool(used) and not install and not environ.get("AUTOXLA_KERAS")
    if is_alias:
        effect = "" if alias else ", which makes keras tf_keras"
        start = f"start the program with AUTOXLA_KERAS=legacy{effect}"
        return Cure(f"{first}{start}", {"AUTOXLA_KERAS": "legacy"} if is_free else None)
    switch = "set TF_USE_LEGACY_KERAS=1 before tensorflow is imported, or AUTOXLA_KERAS=2"
    is_free = is_free and "TF_USE_LEGACY_KERAS" not in environ
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

    situation = current().situation
    for evidence in () if situation is None else situation.reading.evidence:
        if evidence.kind == "import":
            yield _top(evidence.name)
    for frame in list_frames(error):
        if _top(str(frame.f_globals.get("__name__", ""))) not in (*OTHER, "tensorflow", "autoxla"):
            for package, _ in find_imports(frame.f_code.co_filename):
                yield _top(package)


def _needs_keras_3() -> bool:
    """Return whether the program's source certainly uses what Keras 2 has not."""
    situation = current().situation
    two, three = _read_other("keras"), _read_other("tf_keras")
    evidence = () if situation is None else situation.reading.evidence
    used = [
        e.name
        for e in evidence
        if e.kind in ("import", "attribute") and e.grade == "certain" and not e.caught
    ]
    paths = [path for path in (_split(name)[1] for name in used) if path]
    return bool(two and three) and any(three.find(path) and not two.find(path) for path in paths)
