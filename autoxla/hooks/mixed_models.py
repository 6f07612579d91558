"""Models with parts of two generations of Keras, of which nothing fails and part is not trained.

`autoxla.activation` loads this module with the second generation. From then on ``compile`` of both looks for
parts of the other one in its model, and so does the first step of ``fit``, where the model is built.

Known limits: a Keras 3 layer without bias called on a ``tf_keras.Input`` leaves a plain tensor in the
model, which nothing tells from a constant that belongs there. Layers of TensorFlow's private Keras are
looked for only where two of the other generations are loaded.
"""

from __future__ import annotations

import ast
import linecache
import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from autoxla.hooks import finder
from autoxla.hooks.boundary import attempt
from autoxla.hooks.keras_internals import GENERATIONS, TARGETS
from autoxla.hooks.wrapping import leave_no_frame
from autoxla.model import Finding, Place
from autoxla.running import calling_place, shorten
from autoxla.runtime import Runtime, current
from autoxla.situation.env_parsing import tensorflow_bool
from autoxla.situation.environment import read_environ

#: Objects of a model that are looked at, and items of one container.
MOST_OBJECTS = 5000
MOST_ITEMS = 500
#: What a fault is said to be in.
_SEARCH = "search for mixed generations"
_KERAS_3, _CORE = "keras.src.layers.layer", "keras_core.src.layers.layer"
_KERAS_2 = ("tf_keras.src.engine.base_layer", "keras.src.engine.base_layer")
_CONTAINERS = (list, tuple, set, frozenset, dict)
#: What a program may import a Keras from; of two that fit the first counts.
_PACKAGES = ("tensorflow.python.keras", "tensorflow.keras", "tensorflow", "tf_keras", "keras_core", "keras")


class Seen:
    """What this process saw of models with two generations.

    `settled` are the models that were looked at when all of their parts were built. `said` has what was said,
    and for which line: one that trains many models of one make says it once.
    """

    def __init__(self) -> None:
        self.registered = False
        self.settled: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self.said: set[tuple[Place, tuple[str, ...]]] = set()


def register(runtime: Runtime) -> None:
    """Look for mixtures in every model that is compiled or trained from now on."""
    seen = runtime.of(Seen)
    if seen.registered:
        return
    seen.registered = True
    for target in TARGETS:
        if target.role == "compile":
            finder.on_import(target.module, hook)


def hook(module: ModuleType) -> None:
    """Wrap what compiles a model in ``module``, and what its first step ends with, which builds it."""
    for target in TARGETS:
        if target.module == module.__name__ and target.role == "compile":
            for name in ("compile", "get_metrics_result"):
                current().wrap(getattr(module, target.owner, None), name, _check_behind)


def _check_behind(
    wrapped: Callable[..., Any], _: None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    try:
        result = wrapped(*args, **kwargs)
    except Exception as error:
        attempt(_SEARCH, leave_no_frame, error)
        raise
    # A model may be made of anything.
    model, is_built = args[0] if args else None, wrapped.__name__ != "compile"
    attempt(_SEARCH, check_mixing, model, is_built)
    return result


# --- What is looked for


@dataclass(frozen=True, slots=True)
class Mixture:
    """A part of another generation in a model.

    `families` are the generations of the two, see `GENERATIONS`; `key` tells it from other mixtures,
    but not from the same one in another model of the same make.
    """

    code: str
    key: tuple[str, ...]
    message: str
    families: tuple[str, str]


def check_mixing(model: Any, is_built: bool) -> None:
    """Say what ``model`` silently loses to a second generation of Keras.

    Of a part that is not built the weights are not known: unless ``is_built``, the model is looked at again.
    """
    settled = current().of(Seen).settled
    if settled.get(id(model)) is model:
        return
    family = generation_of(type(model))
    is_open = False
    if family in _KERAS_2:
        _report(model, list(find_loose_variables(model)))
    # A model's own ``train_step`` decides what is trained; that may be anything.
    step = getattr(getattr(type(model), "train_step", None), "__module__", "")
    if family in (_KERAS_3, _CORE) and step.startswith(("keras.src.", "keras_core.src.")):
        foreign = [(layer, path, _count_trainable(layer)) for layer, path in find_foreign(model, family)]
        _report(model, [_lost(model, *each) for each in foreign if each[-1]])
        is_open = any(layer.trainable and not layer.built and not count for layer, _, count in foreign)
    if is_built or not is_open:
        settled[id(model)] = model


def generation_of(cls: type) -> str | None:
    """Return the module that defines the base ``Layer`` of ``cls``, one of `GENERATIONS`, or None."""
    for base in cls.__mro__:
        if base.__name__ == "Layer" and base.__module__ in GENERATIONS:
            return base.__module__
    return None


def find_foreign(model: Any, family: str | None) -> Iterator[tuple[Any, str]]:
    """Yield the layers of other generations that ``model`` holds, with the way to them.

    Keras 3 finds layers in attributes, lists and dictionaries of layers; so does this, and it looks
    into the functions of ``Lambda`` layers, too.
    """
    waiting = deque([(model, type(model).__name__)])
    seen: set[int] = set()
    while waiting and len(seen) < MOST_OBJECTS:
        thing, path = waiting.popleft()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        other = generation_of(type(thing))
        if other is not None and other != family:
            yield thing, path
        elif other is not None:
            waiting += _members(thing, path)
        elif isinstance(thing, dict):
            pairs = islice(thing.items(), MOST_ITEMS)
            waiting += [(value, f"{path}[{key!r}]") for key, value in pairs if _can_hold(value)]
        elif isinstance(thing, _CONTAINERS):
            numbered = enumerate(islice(thing, MOST_ITEMS))
            waiting += [(value, f"{path}[{at}]") for at, value in numbered if _can_hold(value)]


def _members(layer: Any, path: str) -> Iterator[tuple[Any, str]]:
    """Yield what ``layer`` has that may hold layers, in its attributes and in what its function refers to."""
    for name, value in islice(vars(layer).items(), MOST_ITEMS):
        if name.startswith("_self_"):
            continue  # TensorFlow's own book of what it tracks
        if _can_hold(value):
            yield value, f"{path}.{name}"
        elif isinstance(value, FunctionType) and name == "function":
            used = [value.__globals__.get(each) for each in value.__code__.co_names[:MOST_ITEMS]]
            for cell in value.__closure__ or ():
                try:
                    used.append(cell.cell_contents)
                except ValueError:  # noqa: PERF203 - not assigned yet
                    continue
            yield from ((each, f"{path}.function") for each in used if _can_hold(each))


def _can_hold(value: Any) -> bool:
    is_layer = not isinstance(value, type) and generation_of(type(value)) is not None
    return is_layer or isinstance(value, _CONTAINERS)


def _count_trainable(layer: Any) -> int:
    """Return how many weights of ``layer`` want training; 0 where they do not exist yet."""
    try:
        return len(layer.trainable_weights) if layer.trainable else 0
    except ValueError:
        return 0  # a Keras 2 model that is not built


def _lost(model: Any, layer: Any, path: str, count: int) -> Mixture:
    families = (generation_of(type(model)) or "", generation_of(type(layer)) or "")
    message = (
        f"{_class(model)} of {GENERATIONS[families[0]]} holds {_class(layer)} of {GENERATIONS[families[1]]} "
        f"as {path}: Keras 3 trains and saves none of its {count} trainable weights"
    )
    return Mixture("AX131", (_class(model), _class(layer), path), message, families)


def find_loose_variables(model: Any) -> Iterator[Mixture]:
    """Yield the trainable variables of Keras 3 that a functional Keras 2 model uses as constants.

    Keras 2 made a layer of each TensorFlow operation between its own, in models inside, too.
    """
    seen: set[int] = set()
    waiting = [model]
    for _ in range(MOST_OBJECTS):
        if not waiting:
            return
        layer = waiting.pop()
        waiting += getattr(layer, "layers", None) or ()
        if type(layer).__name__ not in ("TFOpLambda", "SlicingOpLambda", "ClassMethod"):
            continue
        for node in getattr(layer, "inbound_nodes", ())[:MOST_ITEMS]:
            for value in _flat((node.call_args, node.call_kwargs)):
                if id(value) in seen or not _is_keras_3_variable(value) or not value.trainable:
                    continue
                seen.add(id(value))
                family = generation_of(type(model)) or ""
                message = (
                    f"{_class(model)} of {GENERATIONS[family]} uses {value.path} ({_class(value)}) of "
                    f"Keras 3 in its operation {layer.name}: a Keras 3 layer was called on a Keras 2 Input; "
                    "its weights are neither trained nor saved"
                )
                yield Mixture("AX132", (_class(model),), message, (family, _KERAS_3))


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple, dict)):
        for item in islice(value.values() if isinstance(value, dict) else value, MOST_ITEMS):
            yield from _flat(item)
    else:
        yield value


def _is_keras_3_variable(value: Any) -> bool:
    return any(base.__module__ == "keras.src.backend.common.variables" for base in type(value).__mro__)


# --- What is said of it


def _class(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def _report(model: Any, mixtures: Sequence[Mixture]) -> None:
    """Say the first of ``mixtures``, with the lines that import the two generations."""
    first, place = next(iter(mixtures), None), calling_place()
    said = current().of(Seen).said
    if first is None or (place, first.key) in said:
        return
    said.add((place, first.key))
    more = f", and {len(mixtures) - 1} more like it" if len(mixtures) > 1 else ""
    packages = [
        "tensorflow.python.keras" if family.startswith("tensorflow") else family.partition(".")[0]
        for family in first.families
    ]
    of_tensorflow = "tf_keras" if tensorflow_bool(read_environ().get("TF_USE_LEGACY_KERAS")) else "keras"
    # The files in which the program may import what it mixes, the likeliest first.
    modules = [sys.modules.get(type(model).__module__), sys.modules.get("__main__")]
    named = [place.file, *(getattr(module, "__file__", None) for module in modules)]
    lines: dict[str, str] = {}
    for file in dict.fromkeys(str(Path(file).absolute()) for file in named if file):
        for package, line in () if "site-packages" in file else find_imports(file):
            name = of_tensorflow if package == "tensorflow.keras" else package
            lines.setdefault(name, f"{name} is imported at {shorten(file)}:{line}")
    shown = ", ".join(lines[package] for package in dict.fromkeys(packages) if package in lines)
    message = f"{first.message}{more}" + (f" ({shown})" if shown else "")
    public = " or ".join(package for package in packages if "." not in package)
    remedy = f"take all of the model's parts from one package: {public}"
    current().add_finding(Finding(first.code, "warning", message, remedy, place))


def find_imports(file: str) -> Iterator[tuple[str, int]]:
    """Yield the packages that ``file`` may get a Keras from, with the lines of the imports."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        names: list[tuple[str, int]] = []
        if isinstance(node, ast.Import):
            names = [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
        for name, line in names:
            package = next((each for each in _PACKAGES if f"{name}.".startswith(f"{each}.")), None)
            if package is not None:
                yield package, line
